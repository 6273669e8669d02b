//! Clients: how they come in ([`Gate`]), how they are served ([`serve`]), and where they rest ([`parking`]).

mod authenticate;
mod checkout;
mod desks;
mod disconnect;
mod entry;
mod gate;
mod handshake;
mod hold;
mod identity;
mod limits;
mod log;
mod login;
mod login_counts;
mod login_facts;
mod newcomers;
mod parking;
mod proof;
mod refusal;
pub mod replies;
mod request;
mod serve;
mod session_mode;
mod throttle;
mod turn;
mod vouch;
mod worker;

pub use desks::Desks;
pub use disconnect::Goodbye;
pub use entry::{Admitted, Console, ConsoleRights, Entry};
pub use gate::{Gate, GateParts};
pub use handshake::{CancelRequest, Incoming, Visitor, receive};
pub use identity::{Identities, Kept};
pub use limits::ClientCounts;
pub use login::log_in;
pub use login_counts::{LoginCounts, LoginResult};
pub use worker::{LogClients, Seat, Worker, WorkerHandle, spawn_worker};
