//! One direction of one connection through a fault proxy.

use crate::fault::Fault;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

/// Pieces a second under a throttle.
const PIECES: u64 = 50;

/// How a connection ends for both of its sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both see FIN.
    Close,
    /// Both see RST.
    Reset,
}

/// Moves bytes as the fault of the moment says.
pub(crate) struct Pump<'a> {
    pub(crate) from: ReadHalf<'a>,
    pub(crate) to: WriteHalf<'a>,
    pub(crate) fault: watch::Receiver<Fault>,
    pub(crate) passed: &'a AtomicU64,
}

impl Pump<'_> {
    /// Runs until a fault or a failure ends the connection, or (`None`) this direction ended in order.
    pub(crate) async fn run(mut self) -> Option<Ending> {
        loop {
            let fault = *self.fault.borrow_and_update();
            match self.run_under(fault).await {
                Ok(Step::FaultChanged) => {}
                Ok(Step::End) => {
                    // The other direction may go on: half a close is passed on as half a close.
                    let _ = self.to.shutdown().await;
                    return None;
                }
                Ok(Step::Ending(ending)) => return Some(ending),
                Err(_) => return Some(Ending::Reset),
            }
        }
    }

    async fn run_under(&mut self, fault: Fault) -> io::Result<Step> {
        let mut buffer = vec![0; piece(fault)];
        let mut left = fault.budget();
        loop {
            match (left, fault) {
                (_, Fault::Stall) => {
                    self.changed().await;
                    return Ok(Step::FaultChanged);
                }
                (Some(0), Fault::CutAfter(_)) => return Ok(Step::Ending(Ending::Close)),
                (Some(0), Fault::ResetAfter(_)) => return Ok(Step::Ending(Ending::Reset)),
                _ => {}
            }
            let count = tokio::select! {
                biased;
                () = changed(&mut self.fault) => return Ok(Step::FaultChanged),
                count = self.from.read(&mut buffer) => count?,
            };
            if count == 0 {
                return Ok(Step::End);
            }
            let pass =
                left.map_or(count, |left| count.min(usize::try_from(left).unwrap_or(usize::MAX)));
            self.to.write_all(&buffer[..pass]).await?;
            self.passed.fetch_add(pass as u64, Ordering::SeqCst);
            left = left.map(|left| left - pass as u64);
            if let Fault::Throttle(rate) = fault {
                tokio::time::sleep(Duration::from_secs_f64(pass as f64 / rate.max(1) as f64)).await;
            }
        }
    }

    async fn changed(&mut self) {
        changed(&mut self.fault).await;
    }
}

enum Step {
    FaultChanged,
    End,
    Ending(Ending),
}

/// Waits for another fault; for ever when nobody is left to set one.
async fn changed(fault: &mut watch::Receiver<Fault>) {
    if fault.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn piece(fault: Fault) -> usize {
    match fault {
        Fault::Throttle(rate) => {
            usize::try_from((rate / PIECES).clamp(1, 65_536)).expect("a small number")
        }
        _ => 65_536,
    }
}
