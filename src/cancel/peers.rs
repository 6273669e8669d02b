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
use crate::net::{Buffer, Dialler};
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

/// The way to the peers.
#[derive(Debug, Default)]
pub struct Peers {
    /// How many requests may be on their way to a peer, and the places for them.
    places: Mutex<BTreeMap<u16, (usize, Arc<Semaphore>)>>,
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
            let places = self.places(id, peer, config);
            let _place = places.acquire().await.map_err(|error| error.to_string())?;
            deliver(dialler, peer, pid, &key).await.map_err(|error| error.to_string())
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

    fn places(&self, id: u16, peer: &Peer, config: &Config) -> Arc<Semaphore> {
        let size = peer.pool_size.unwrap_or(config.defaults.pool_size);
        let fresh = || (size, Arc::new(Semaphore::new(size)));
        let mut all = self.places.lock();
        let places = all.entry(id).or_insert_with(fresh);
        if places.0 != size {
            *places = fresh();
        }
        Arc::clone(&places.1)
    }
}

/// Sends the request and waits until the peer has done with it.
async fn deliver(dialler: &Dialler, peer: &Peer, pid: u32, key: &[u8]) -> std::io::Result<()> {
    let mut stream = dialler.connect(&peer.address).await?;
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
