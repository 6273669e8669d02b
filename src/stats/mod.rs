//! Numbers and records, held by those who change them and merged by those who read them.
//!
//! A counter on the hot path is a plain cell with one writing thread ([`Counter`]); nothing is locked and nothing is
//! sent. The console and the metrics read the same cells, so they cannot disagree.

mod audit;
mod cells;
mod counter;
mod departures;
mod errors;
mod exports;
mod histogram;
mod names;
mod note;
mod pins;
mod records;
mod registry;
mod snapshot;
mod spans;
mod totals;
mod traceparent;

pub use audit::{AuditTable, LeakCounts, Offence};
pub use cells::{PoolCells, PoolStats, WaitOutcome};
pub use counter::Counter;
pub use departures::{Departure, DepartureCounts};
pub use errors::{ErrorBook, ErrorCounts};
pub use exports::{Exports, Signal};
pub use histogram::{Buckets, Histogram, HistogramTotal};
pub use names::Names;
pub use note::StatementNote;
pub use pins::{Cause, Causes, PinBook, PinFacts, PinGuard, PoolPins};
pub use records::{ClientRecord, ClientState, Ends, Replicates, ServerRecord, ServerState};
pub use registry::{Entered, EnteredCancel, IdSource, Records};
pub use snapshot::{
    AuthServerFacts, ClassFacts, ClientsByState, DatabaseFacts, ErrorFacts, ExchangeFacts,
    ExportFacts, HostFacts, LoginCount, PeersByState, PinsByCause, PoolFacts, ProcessFacts,
    ReloadFacts, Role, ServersByState, Snapshot, UserFacts,
};
pub use spans::{Fact, Identity, Span, Traced, Tracer};
pub use totals::{Total, Totals};
pub use traceparent::TraceParent;
