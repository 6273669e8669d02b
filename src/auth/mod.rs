//! Proofs of identity, on both sides: bytes in, bytes out, no input or output of its own.
//!
//! A client's login asks [`exchange_for`] which proof it owes, then runs [`Md5Server`] or
//! [`ScramServer`] (with a [`ScramSubject`] from the [`VerifierCache`]). A login on a server
//! answers with a [`ServerCredential`]. Framing of messages is not done here: what goes in and
//! out is the text inside PasswordMessage, SASLInitialResponse and their like.
//!
//! Whatever the bytes, nothing here panics, and the work is bounded: SCRAM messages are at most
//! [`MAX_MESSAGE_LEN`] long, and a server may ask for at most [`MAX_ITERATIONS`].

mod attributes;
mod error;
mod exchange;
mod md5;
mod nonce;
mod saslprep;
mod scram;
mod scram_client;
mod scram_server;
mod server_login;
mod stored;
mod userlist;
mod verifier_cache;

pub use attributes::MAX_MESSAGE_LEN;
pub use error::{AuthError, Blame, Refusal};
pub use exchange::{Exchange, exchange_for};
pub use md5::{Md5Hash, Md5Server};
pub use nonce::Nonce;
pub use scram::{DEFAULT_ITERATIONS, Key, MECHANISM, MECHANISM_PLUS, ScramKeys, ScramVerifier};
pub use scram_client::{
    ClientBinding, MAX_ITERATIONS, ScramClient, ScramClientFinal, ScramCredential,
};
pub use scram_server::{ChannelBinding, ScramServer, ScramServerFinal, ScramSubject, ScramSuccess};
pub use server_login::ServerCredential;
pub use stored::StoredSecret;
pub use userlist::{Userlist, UserlistError, UserlistMistake};
pub use verifier_cache::VerifierCache;
