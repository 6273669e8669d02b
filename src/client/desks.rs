//! The desks where logins are worked on that keep a processor busy.
//!
//! A TLS handshake takes a processor for about a millisecond, as does hashing a password, and there may be hundreds at a
//! time. However many there are, they have these few threads; and where threads have to share a processor, the kernel
//! lets the workers go first, which queries wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::AbortHandle;

use crate::backstage::Backstage;

/// All desks.
#[derive(Debug)]
pub struct Desks {
    all: Vec<Desk>,
}

/// A thread for logins.
#[derive(Debug)]
struct Desk {
    thread: Backstage,
    jobs: Arc<AtomicUsize>,
}

impl Desks {
    /// Opens `count` of them.
    ///
    /// # Errors
    /// A thread or its runtime cannot be made.
    pub fn open(count: u16) -> std::io::Result<Self> {
        let all: Result<_, _> = (0..count).map(Desk::open).collect();
        all.map(|all| Desks { all })
    }

    /// Has a job done at the desk that has fewest. `None` when it panicked or the process is ending.
    ///
    /// # Cancel safety
    /// The job is dropped with the future: a login that takes too long takes its handshake with it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let calmest = self.all.iter().min_by_key(|desk| desk.jobs.load(Ordering::Relaxed))?;
        let counted = Job::count(&calmest.jobs);
        let done = calmest.thread.handle().spawn(async move {
            let _counted = counted;
            job.await
        });
        let _leaver = Leaver(done.abort_handle());
        done.await.ok()
    }
}

/// Ends a job that nobody waits for any more.
struct Leaver(AbortHandle);

impl Drop for Leaver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Desk {
    fn open(number: u16) -> std::io::Result<Self> {
        let thread = Backstage::open(format!("login-{number}"))?;
        Ok(Desk { thread, jobs: Arc::default() })
    }
}

/// A job that is counted. Dropping it counts it off.
struct Job(Arc<AtomicUsize>);

impl Job {
    fn count(jobs: &Arc<AtomicUsize>) -> Self {
        jobs.fetch_add(1, Ordering::Relaxed);
        Job(Arc::clone(jobs))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;
    use crate::backstage::MODESTY;

    #[tokio::test]
    async fn jobs_are_spread_over_threads_that_stand_back() {
        let desks = Desks::open(2).unwrap();
        let both = Arc::new(tokio::sync::Barrier::new(2));
        let job = || {
            let both = Arc::clone(&both);
            desks.run(async move {
                both.wait().await;
                let nice = getpriority_process(None).unwrap();
                (std::thread::current().name().unwrap_or_default().to_owned(), nice)
            })
        };
        let (one, other) = tokio::join!(job(), job());
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!([&*one.0, &*other.0], ["login-0", "login-1"]);
        // Tests may run with less priority already.
        assert!(one.1 >= MODESTY && other.1 >= MODESTY, "{one:?} {other:?}");
        assert!(desks.run(async { panic!("a job") as () }).await.is_none());
    }
}
