//! Clients: how they come in ([`Gate`]), how they are served ([`serve`]), and where they rest ([`parking`]).

mod authenticate;
mod checkout;
mod disconnect;
mod gate;
mod handshake;
mod hold;
mod identity;
mod limits;
mod log;
mod login;
mod parking;
mod refusal;
pub mod replies;
mod request;
mod serve;
mod session_mode;
mod worker;

pub use disconnect::Goodbye;
pub use gate::{Gate, GateParts, LoginCounts, LoginResult};
pub use handshake::{Incoming, Visitor, receive};
pub use identity::Identities;
pub use limits::ClientCounts;
pub use login::{Admitted, Console, ConsoleRights, Entry, log_in};
pub use worker::{LogClients, Worker, WorkerHandle, spawn_worker};
