//! Numbers and records, held by those who change them and merged by those who read them.
//!
//! A counter on the hot path is a plain cell with one writing thread ([`Counter`]); nothing is locked and nothing is
//! sent. The console and the metrics read the same cells, so they cannot disagree.

mod applications;
mod audit;
mod cells;
mod counter;
mod database_facts;
mod departures;
mod errors;
mod exports;
mod histogram;
mod names;
mod note;
mod pins;
mod pool_facts;
mod records;
mod registry;
mod snapshot;
mod spans;
mod tape;
mod totals;
mod traceparent;

pub use applications::{ApplicationCells, ApplicationHolds, Applications};
pub use audit::{AuditTable, LeakCounts, Offence};
pub use cells::{PoolCells, PoolStats, WaitOutcome};
pub use counter::Counter;
pub use database_facts::{DatabaseFacts, HostFacts, Role, UserFacts};
pub use departures::{Departure, DepartureCounts};
pub use errors::{ErrorBook, ErrorCounts};
pub use exports::{Exports, Signal};
pub use histogram::{Buckets, Histogram, HistogramTotal, seconds};
pub use names::Names;
pub use note::StatementNote;
pub use pins::{Cause, Causes, PinBook, PinFacts, PinGuard, PoolPins};
pub use pool_facts::{ClassFacts, ClientsByState, PinsByCause, PoolFacts, ServersByState};
pub use records::{ClientRecord, ClientState, Ends, Replicates, ServerRecord, ServerState};
pub use registry::{Entered, EnteredCancel, IdSource, Records};
pub use snapshot::{
    AuthServerFacts, ErrorFacts, ExchangeFacts, ExportFacts, LoginCount, PeersByState,
    ProcessFacts, ReloadFacts, Snapshot,
};
pub use spans::{Fact, Identity, Span, Traced, Tracer};
pub use tape::{Recording, Request, Tape};
pub use totals::{Total, Totals};
pub use traceparent::TraceParent;
