//! Threads for work that must not be in the way of queries.
//!
//! Where threads have to share a processor, the kernel lets those go first that have not stepped back: the workers.

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How much such a thread steps back (its nice value): beside a busy worker it has about a quarter of a processor.
pub const MODESTY: i32 = 6;

/// A thread that steps back, with a runtime of its own.
#[derive(Debug)]
pub struct Backstage {
    handle: Handle,
    /// Dropping it ends the thread.
    _open: oneshot::Sender<()>,
}

impl Backstage {
    /// Starts the thread.
    ///
    /// # Errors
    /// It or its runtime cannot be made.
    pub fn open(name: String) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel::<()>();
        std::thread::Builder::new().name(name).spawn(move || {
            step_back();
            let _ = runtime.block_on(closed);
            runtime.shutdown_background();
        })?;
        Ok(Backstage { handle, _open: open })
    }

    /// Where work for it is given.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Does one piece of work that keeps a processor busy for a while, on a thread of its own that steps back.
///
/// # Errors
/// The thread cannot be made.
pub fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        step_back();
        // Nobody may be waiting any more.
        let _ = done.send(work());
    })?;
    Ok(result)
}

/// Gives the thread less priority than the process has. Who may not step back does not.
fn step_back() {
    if let Ok(nice) = getpriority_process(None) {
        let _ = setpriority_process(None, nice + MODESTY);
    }
}
