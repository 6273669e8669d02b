//! One connection to PostgreSQL: how it is made, what it holds, what is outstanding on it, and how it is brought to rest.

mod backend;
mod bulk;
mod clean;
mod conn;
mod connect;
mod hop;
mod login;
mod lookup;
mod prepared;
pub mod progress;

pub use backend::{Backend, CancelGuard, deliver_cancel, strike};
pub use bulk::Bulk;
pub use clean::{CleanError, Row, ask, clean, drain_news, probe, run_sql};
pub use conn::{Audit, Fate, Server, ServerId, UNNAMED_UNKNOWN};
pub use connect::{Blueprint, ConnectError, Credential, Means, Stage, connect};
pub use lookup::{LookupError, lookup};
pub use prepared::{Holding, Prepared};
pub use progress::Progress;
