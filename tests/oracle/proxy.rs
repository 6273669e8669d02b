//! The road between pgusher and PostgreSQL, in bad weather: connections are reset and cut at any byte, messages come
//! in pieces, cancel requests come late. It also counts, to the moment, how many sessions pgusher holds.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

const CANCEL_REQUEST: u32 = 80_877_102;

/// What happens to connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Of a hundred connections, how many end by themselves after some bytes.
    pub(crate) cut: u32,
    /// Bytes after which they end, at most.
    pub(crate) cut_after: u64,
    /// Replies come in pieces of this many bytes at most; 0: as they come.
    pub(crate) pieces: usize,
    /// Cancel requests are held back for at most so long.
    pub(crate) late_cancels: Duration,
}

/// The proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where pgusher connects.
    pub(crate) port: u16,
    /// What is counted.
    pub(crate) sessions: Arc<Sessions>,
    accepting: tokio::task::JoinHandle<()>,
}

/// The sessions pgusher holds.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<u64, RawFd>>,
    /// How many there may be.
    pub(crate) limit: AtomicUsize,
    /// The most there were at one moment.
    pub(crate) most: AtomicUsize,
    /// Moments at which there were more than there may be.
    pub(crate) excesses: Mutex<Vec<String>>,
    /// Connections that were ended.
    pub(crate) cuts: AtomicU64,
    next: AtomicU64,
    seed: AtomicU64,
}

impl Sessions {
    /// How many sessions were open on pgusher's side at the moment of the call.
    ///
    /// A socket whose peer has closed has left ESTABLISHED before the peer's `close` returned, so what is counted
    /// here was open when the counting began.
    pub(crate) fn count(&self) -> usize {
        let open = self.open.lock().expect("the sessions");
        open.values().filter(|fd| is_established(**fd)).count()
    }

    /// Compares the count with the limit.
    pub(crate) fn check(&self) {
        let limit = self.limit.load(Ordering::SeqCst);
        let count = self.count();
        self.most.fetch_max(count, Ordering::SeqCst);
        if count > limit {
            self.excesses.lock().expect("the excesses").push(format!("{count} of {limit}"));
        }
    }
}

impl Proxy {
    /// Starts a proxy in front of a port of 127.0.0.1.
    pub(crate) async fn start(target: u16, weather: Weather, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let sessions = Arc::new(Sessions::default());
        sessions.limit.store(usize::MAX, Ordering::SeqCst);
        sessions.seed.store(seed, Ordering::SeqCst);
        let shared = Arc::clone(&sessions);
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        let accepting = tokio::spawn(async move {
            let mut links = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                links.spawn(link(stream, target, weather, Arc::clone(&shared)));
                while links.try_join_next().is_some() {}
            }
        });
        Proxy { port, sessions, accepting }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes a session off the list before its socket is closed.
struct Listed<'a> {
    sessions: &'a Sessions,
    id: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.sessions.open.lock().expect("the sessions").remove(&self.id);
    }
}

async fn link(mut pooler: TcpStream, target: SocketAddr, weather: Weather, shared: Arc<Sessions>) {
    let _ = pooler.set_nodelay(true);
    let mut first = [0; 8];
    if pooler.read_exact(&mut first).await.is_err() {
        return;
    }
    let id = shared.next.fetch_add(1, Ordering::SeqCst);
    let mut rng = fastrand::Rng::with_seed(shared.seed.load(Ordering::SeqCst) ^ (id << 20));
    let is_cancel = first[4..] == CANCEL_REQUEST.to_be_bytes();
    if is_cancel {
        tokio::time::sleep(weather.late_cancels.mul_f64(rng.f64())).await;
    }
    let listed = (!is_cancel).then(|| {
        shared.open.lock().expect("the sessions").insert(id, pooler.as_raw_fd());
        shared.check();
        Listed { sessions: &shared, id }
    });
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = server.set_nodelay(true);
    if server.write_all(&first).await.is_err() {
        return;
    }
    let is_cut = rng.u32(..100) < weather.cut && !is_cancel;
    let budget = if is_cut { rng.u64(..weather.cut_after.max(1)) } else { u64::MAX };
    let forth = if rng.bool() { budget } else { u64::MAX };
    let back = if forth == u64::MAX { budget } else { u64::MAX };
    {
        let (mut pooler_read, mut pooler_write) = pooler.split();
        let (mut server_read, mut server_write) = server.split();
        tokio::select! {
            () = pump(&mut pooler_read, &mut server_write, forth, 0) => {}
            () = pump(&mut server_read, &mut pooler_write, back, weather.pieces) => {}
        }
    }
    if is_cut {
        shared.cuts.fetch_add(1, Ordering::SeqCst);
        if rng.bool() {
            reset(&pooler);
        }
        reset(&server);
    }
    drop(listed);
}

fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Carries bytes until there are no more of them, or `budget` is used up.
async fn pump(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, mut budget: u64, pieces: usize) {
    let mut buffer = vec![0; 16 * 1024];
    while budget > 0 {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let count = count.min(usize::try_from(budget).unwrap_or(usize::MAX));
        budget = budget.saturating_sub(count as u64);
        let size = if pieces == 0 { count } else { pieces };
        for piece in buffer[..count].chunks(size) {
            if to.write_all(piece).await.is_err() {
                return;
            }
            if pieces > 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[expect(unsafe_code, reason = "the state of a connection is only to be had from getsockopt")]
fn is_established(fd: RawFd) -> bool {
    const ESTABLISHED: u8 = 1;
    let mut info = [0_u8; 256];
    let mut length = libc::socklen_t::try_from(info.len()).expect("small");
    // SAFETY: the buffer is as long as `length` says; an invalid descriptor is an error, not undefined.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    result == 0 && info[0] == ESTABLISHED
}
