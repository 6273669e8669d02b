//! Pools: who gets which server, when servers are made, and when they go.
//!
//! [`core`] is the pure schedule. [`Pool`] puts it behind a lock and carries its verdicts out; [`Lease`] and
//! [`Ticket`] are what a client holds, and dropping them is how it lets go.

mod audit;
mod auth_desk;
mod auth_query;
mod blockers;
mod caps;
mod census;
mod class;
mod clean_up;
mod connects;
pub mod core;
mod departed;
mod dial;
mod directory;
mod error;
mod farewell;
mod keeper;
mod lease;
mod lending;
mod listening;
mod make_way;
mod pauses;
#[allow(clippy::module_inception, reason = "the room's main noun")]
mod pool;
mod queues;
mod recording;
mod replica;
mod standing;
mod waiting;
mod welcome;

/// Events about servers that come and go, so that they can be logged without the rest of the room.
pub(crate) const SERVERS: &str = "pgusher::servers";

pub use auth_query::{
    AUTH_QUERY, AuthAnswer, AuthPlace, AuthQueries, AuthQueryError, AuthQuestion,
};
pub use blockers::{Holder, Holding, Waiter};
pub use caps::{Cap, CapTable, Caps};
pub use census::{CloseReason, PoolCensus};
pub use class::ClassRules;
pub use connects::{ConnectFacts, Connects};
pub use directory::{Patience, PoolKey, Pools, PoolsContext};
pub use error::{Facts, Outlook, PoolError};
pub use keeper::keep;
pub use lease::Lease;
pub use lending::Checkout;
pub use listening::Exchanges;
pub use make_way::Siblings;
pub use pool::Pool;
pub use queues::{ClassId, PlaceFacts, TicketNumber, Use};
pub use standing::Standing;
pub use waiting::{Ticket, Waiting};
pub use welcome::{Welcome, WelcomeError};

pub(crate) use pool::Pooled;
