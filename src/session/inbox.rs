//! Notifications that a client has not read yet.

use std::task::Waker;

use parking_lot::Mutex;

/// Notifications for one client, as the messages it will read.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) limit: usize,
    pub(super) state: Mutex<Post>,
    pub(super) waker: Mutex<Option<Waker>>,
}

/// What is there for a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Post {
    /// Whole messages.
    pub messages: Vec<u8>,
    /// There was more than may be kept: the client has missed something.
    pub overflow: bool,
}

impl Inbox {
    /// A message more.
    pub(super) fn put(&self, message: &[u8]) {
        {
            let mut post = self.state.lock();
            if post.messages.len() + message.len() > self.limit {
                *post = Post { messages: Vec::new(), overflow: true };
            } else if !post.overflow {
                post.messages.extend_from_slice(message);
            }
        }
        self.wake();
    }

    /// Has the client look.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }
}
