//! COPY from the client: until the server has said that it wants data, the order of data and Sync decides what a Sync
//! means.

use super::{Copy, Entry, Progress, Request};

impl Progress {
    pub(super) fn sent_copy(&mut self, entry: Entry) {
        if self.copy == Copy::In {
            if entry.request == Request::CopyEnd {
                self.copy = Copy::None;
            }
            return;
        }
        let expected =
            self.queue.iter().any(|e| matches!(e.request, Request::Query | Request::Execute));
        let repeated = self.queue.back().is_some_and(|e| e.request == Request::CopyData);
        if expected && !(repeated && entry.request == Request::CopyData) {
            self.queue.push_back(entry);
        }
    }

    /// The server reads COPY data from here on. Syncs that stand between the request and the end of its data were, or
    /// will be, ignored. One that stands behind data is ignored or honoured depending on whether that data was good.
    pub(super) fn copy_in_begins(&mut self) {
        self.copy = Copy::In;
        let mut data_seen = false;
        let mut at = 1;
        while let Some(entry) = self.queue.get(at) {
            match entry.request {
                Request::CopyData => {
                    data_seen = true;
                    at += 1;
                }
                Request::Sync => {
                    self.lost |= data_seen;
                    self.ignored_sync = true;
                    self.open_batch = true;
                    self.queue.remove(at);
                }
                Request::CopyEnd => {
                    self.copy = Copy::None;
                    break;
                }
                _ => {
                    self.lost = true;
                    break;
                }
            }
        }
        let later_sync = self.queue.iter().skip(at).any(|entry| entry.request == Request::Sync);
        self.open_batch &= !later_sync;
        if self.queue.front().is_some_and(|head| head.request == Request::Query) {
            self.open_batch = false;
        }
    }
}
