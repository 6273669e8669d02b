//! What the clients of a pool asked for during some seconds.

use ahash::AHashSet;

use crate::stats::{Recording, Request};

/// All requests of a pool within a contiguous time. Times are in microseconds from its beginning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// How many servers the pool might have.
    pub size: usize,
    /// How long it is.
    pub length: f64,
    /// The requests, in the order in which they were made.
    pub requests: Vec<Request>,
}

/// When a request did what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    /// It was made; before the window's beginning where this is negative.
    pub(super) arrived: f64,
    /// It got a server.
    pub(super) assigned: f64,
    /// From here on it only keeps the server, and asks nothing of it. When the silence was, within the hold, is not
    /// written down: it is taken to be at the end.
    pub(super) silent: f64,
    /// It gave the server back.
    pub(super) released: f64,
}

/// When a request did what.
pub(super) fn times(request: &Request) -> Times {
    let released = f64::from(request.ended);
    let assigned = released - f64::from(request.hold);
    Times {
        arrived: assigned - f64::from(request.wait),
        assigned,
        silent: released - f64::from(request.idle.min(request.hold)),
        released,
    }
}

impl Window {
    /// A recording that ended after `length`, with the requests that had a server or waited for one at its end. Of
    /// these nobody knows how long they will last: those that have a server count as long as they had it, and those that
    /// wait are given a hold like others'.
    pub fn new(size: usize, length: u32, recording: Recording, open: &[Request]) -> Self {
        let mut requests = recording.requests;
        let usual = median_hold(&requests);
        let length = recording.full_at.unwrap_or(length).min(length);
        if recording.full_at.is_none() {
            requests.extend(open.iter().map(|request| match request.hold {
                0 => Request { ended: length.saturating_add(usual), hold: usual, ..*request },
                _ => *request,
            }));
        } else {
            requests.retain(|request| request.ended <= length);
        }
        requests.sort_by(|one, other| times(one).arrived.total_cmp(&times(other).arrived));
        Window { size, length: f64::from(length), requests }
    }

    /// In seconds.
    pub fn seconds(&self) -> f64 {
        self.length / 1e6
    }

    /// The requests that ended within it.
    pub fn ended(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| !request.is_open)
    }

    /// Clients and the places of their requests, those of one client side by side and in their order.
    pub(super) fn by_client(&self) -> Vec<(u32, usize)> {
        let places = self.requests.iter().enumerate();
        let mut places: Vec<_> = places.map(|(at, request)| (request.client, at)).collect();
        places.sort_unstable();
        places
    }

    /// How many clients made them.
    pub(super) fn clients(&self) -> usize {
        self.requests.iter().map(|request| request.client).collect::<AHashSet<_>>().len()
    }
}

fn median_hold(requests: &[Request]) -> u32 {
    let mut holds: Vec<u32> = requests.iter().map(|request| request.hold).collect();
    holds.sort_unstable();
    holds.get(holds.len() / 2).copied().unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ended: u32, wait: u32, hold: u32) -> Request {
        Request { ended, wait, hold, ..Request::default() }
    }

    #[test]
    fn requests_stand_in_the_order_of_their_arrivals() {
        let recording =
            Recording { requests: vec![request(50, 0, 5), request(40, 30, 9)], full_at: None };
        let holds = Request { is_open: true, ..request(100, 0, 70) };
        let waits = Request { is_open: true, ..request(100, 20, 0) };
        let window = Window::new(4, 100, recording, &[holds, waits]);
        let arrived: Vec<_> =
            window.requests.iter().map(|request| times(request).arrived).collect();
        assert_eq!(arrived, [1.0, 30.0, 45.0, 80.0]);
        assert_eq!(window.requests[3], Request { is_open: true, ..request(109, 20, 9) });
        assert_eq!(window.ended().count(), 2);
    }

    #[test]
    fn a_full_recording_ends_where_it_is_not_whole_any_more() {
        let requests = vec![request(50, 0, 5), request(60, 0, 5)];
        let window = Window::new(4, 100, Recording { requests, full_at: Some(55) }, &[]);
        assert_eq!((window.length, window.requests.len()), (55.0, 1));
    }
}
