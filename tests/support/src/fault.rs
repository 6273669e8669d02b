//! What goes wrong on a connection through a fault proxy.

/// One of a connection's two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What happens to bytes in one direction. Byte counts begin when the fault is set on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing: bytes pass.
    #[default]
    Pass,
    /// No byte is read or passed until another fault is set.
    Stall,
    /// So many bytes pass, then both ends see an orderly close (FIN).
    CutAfter(u64),
    /// So many bytes pass, then both ends see a reset (RST).
    ResetAfter(u64),
    /// So many bytes pass; the rest vanishes, and the connection stays.
    Truncate(u64),
    /// So many bytes pass each second, in small pieces.
    Throttle(u64),
}

impl Fault {
    /// How many bytes may pass under it; `None` for no end.
    pub(crate) fn budget(self) -> Option<u64> {
        match self {
            Fault::CutAfter(count) | Fault::ResetAfter(count) | Fault::Truncate(count) => {
                Some(count)
            }
            Fault::Pass | Fault::Stall | Fault::Throttle(_) => None,
        }
    }
}
