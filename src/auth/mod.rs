//! Proofs of identity.
