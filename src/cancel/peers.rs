//! Processes that share a port: a cancel request may reach any of them, and is handed on to the one it is for.
//!
//! The second and third byte of what a client takes for a process id are the `peer_id`, the two lowest bits of the last
//! byte count how often the request may still be handed on: as PgBouncer has it, which may be a peer, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::config::{Config, Peer};
use crate::net::{Buffer, Dialler, Stream};
use crate::stats::PeersByState;
use crate::wire::startup;

/// The bits of a key's last byte that count.
pub(super) const TTL: u8 = 0x03;

/// Puts the number of a peer into a process id.
pub(super) fn mark(pid: u32, peer_id: u16) -> u32 {
    let [low, high] = peer_id.to_le_bytes();
    let [first, _, _, last] = pid.to_be_bytes();
    u32::from_be_bytes([first, low, high, last])
}

/// Reads it again.
fn peer_of(pid: u32) -> u16 {
    let [_, low, high, _] = pid.to_be_bytes();
    u16::from_le_bytes([low, high])
}

/// Requests for one peer, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// Those with a place on the way to it.
    pub forwarding: usize,
    /// Those that wait for one.
    pub waiting: usize,
    /// Those of the first that are not connected yet.
    pub connecting: usize,
}

/// One peer's places for requests on their way to it.
#[derive(Debug)]
struct Way {
    size: usize,
    places: Semaphore,
    facts: Mutex<PeerFacts>,
}

impl Way {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Way { size, places: Semaphore::new(size), facts: Mutex::default() })
    }

    /// Counts a request in one place of the facts until it is dropped.
    fn count(&self, which: fn(&mut PeerFacts) -> &mut usize) -> Counted<'_> {
        *which(&mut self.facts.lock()) += 1;
        Counted { way: self, which }
    }
}

/// A request that is counted.
struct Counted<'a> {
    way: &'a Way,
    which: fn(&mut PeerFacts) -> &mut usize,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        *(self.which)(&mut self.way.facts.lock()) -= 1;
    }
}

/// The way to the peers.
#[derive(Debug, Default)]
pub struct Peers {
    ways: Mutex<BTreeMap<u16, Arc<Way>>>,
    /// Whether they could be reached last.
    reached: Mutex<BTreeMap<u16, bool>>,
}

impl Peers {
    /// True for a request about another peer's client.
    pub fn is_foreign(config: &Config, pid: u32) -> bool {
        let own = config.process.peer_id;
        own != 0 && peer_of(pid) != own
    }

    /// Hands a request on. Whether it reached anybody is for the log only.
    ///
    /// # Errors
    /// Why it was not handed on.
    pub async fn forward(
        &self,
        config: &Config,
        dialler: &Dialler,
        (pid, mut key): (u32, Vec<u8>),
        limit: Duration,
    ) -> Result<(), String> {
        let id = peer_of(pid);
        let peer = config.peers.get(&id).ok_or("could not find peer to forward request to")?;
        let last = key.last_mut().filter(|last| **last & TTL != 0);
        *last.ok_or("failed to forward cancel request because its TTL was exhausted")? -= 1;
        let delivery = async {
            let way = self.way(id, peer, config);
            let waiting = way.count(|facts| &mut facts.waiting);
            let _place = way.places.acquire().await.map_err(|error| error.to_string())?;
            drop(waiting);
            let _forwarding = way.count(|facts| &mut facts.forwarding);
            let connecting = way.count(|facts| &mut facts.connecting);
            let stream = dialler.connect(&peer.address).await.map_err(|error| error.to_string())?;
            drop(connecting);
            deliver(stream, pid, &key).await.map_err(|error| error.to_string())
        };
        let late = || format!("no answer within {limit:?} (cancel_wait_timeout)");
        let told = tokio::time::timeout(limit, delivery).await.unwrap_or_else(|_| Err(late()));
        self.reached.lock().insert(id, told.is_ok());
        told
    }

    /// How the configured peers took their last requests.
    pub fn by_state(&self, config: &Config) -> PeersByState {
        let reached = self.reached.lock();
        let mut states = PeersByState::default();
        for id in config.peers.keys() {
            match reached.get(id) {
                _ if *id == config.process.peer_id => states.up += 1,
                Some(true) => states.up += 1,
                Some(false) => states.down += 1,
                None => states.unknown += 1,
            }
        }
        states
    }

    fn way(&self, id: u16, peer: &Peer, config: &Config) -> Arc<Way> {
        let size = peer.pool_size.unwrap_or(config.defaults.pool_size).min(Semaphore::MAX_PERMITS);
        let mut all = self.ways.lock();
        let way = all.entry(id).or_insert_with(|| Way::new(size));
        if way.size != size {
            *way = Way::new(size);
        }
        Arc::clone(way)
    }

    /// The requests for a peer.
    pub fn facts(&self, id: u16) -> PeerFacts {
        self.ways.lock().get(&id).map_or_else(PeerFacts::default, |way| *way.facts.lock())
    }
}

/// Sends the request and waits until the peer has done with it.
async fn deliver(mut stream: Stream, pid: u32, key: &[u8]) -> std::io::Result<()> {
    let mut packet = Vec::new();
    startup::put_cancel(&mut packet, pid, key);
    stream.send_all(&packet).await?;
    let mut buffer = Buffer::new();
    while stream.recv(&mut buffer).await? > 0 {
        buffer.consume(buffer.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_names_the_peer() {
        for id in [1, 255, 256, 16_383] {
            let pid = mark(0x7fab_cdef, id);
            assert_eq!(peer_of(pid), id);
            assert_eq!(pid & 0xff00_00ff, 0x7f00_00ef, "the rest stays random");
        }
    }
}
