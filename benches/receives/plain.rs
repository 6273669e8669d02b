//! One system call for each receive and each send.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::site::{Ends, Watch};

/// Relays by epoll, `recv` and `send`.
pub(crate) fn relay(ends: &Ends, stop: &AtomicBool) -> io::Result<()> {
    let watch = Watch::new(&ends.0)?;
    let mut buffer = [0; 16 * 1024];
    while !stop.load(Ordering::Relaxed) {
        for at in watch.wait()? {
            let count = (&ends.0[at]).read(&mut buffer)?;
            (&ends.0[Ends::partner(at)]).write_all(&buffer[..count])?;
        }
    }
    Ok(())
}
