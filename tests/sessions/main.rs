//! A session through the transaction pool is the session of a private connection: nothing of it is lost, and nothing of
//! another's is found.

mod clearing;
mod differ;
mod frameworks;
mod frameworks_more;
mod heal;
mod holdings;
mod hunt;
mod reading;
mod replay;
mod replay_cancel;
mod shapes;
mod stage;
