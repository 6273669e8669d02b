//! Clients that ask again as soon as they are answered, and servers that answer as soon as they are asked.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

/// What a short SELECT takes.
const REQUEST: usize = 70;
/// And its reply.
const REPLY: usize = 90;

/// How long a thread waits before it looks whether it is over.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// Relays what comes from either end of a pair to the other, until it is told to stop.
pub(crate) type Relay = fn(&Ends, &AtomicBool) -> io::Result<()>;

/// The relay's sockets: those at 2n and 2n + 1 are a pair.
pub(crate) struct Ends(pub(crate) Vec<TcpStream>);

impl Ends {
    /// The socket to which goes what comes from this one.
    pub(crate) fn partner(of: usize) -> usize {
        of ^ 1
    }
}

/// Everybody's sockets.
pub(crate) struct Site {
    clients: Vec<TcpStream>,
    servers: Vec<TcpStream>,
    ends: Ends,
}

/// What a measurement found.
pub(crate) struct Cost {
    /// Messages there and back in a second.
    pub(crate) rate: f64,
    /// The relay's processor time for all of them, in seconds.
    cpu: f64,
    seconds: f64,
}

impl Cost {
    /// The relay's processor time for one message there and back, in microseconds.
    pub(crate) fn micros(&self) -> f64 {
        self.cpu * 1e6 / (self.rate * self.seconds)
    }
}

impl Site {
    /// Connects so many clients and servers with the relay's ends.
    pub(crate) fn open(count: usize) -> io::Result<Self> {
        let door = TcpListener::bind(("127.0.0.1", 0))?;
        let pair = || -> io::Result<(TcpStream, TcpStream)> {
            let outer = TcpStream::connect(door.local_addr()?)?;
            let (inner, _) = door.accept()?;
            for stream in [&outer, &inner] {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
            }
            Ok((outer, inner))
        };
        let mut site = Site { clients: Vec::new(), servers: Vec::new(), ends: Ends(Vec::new()) };
        for _ in 0..count {
            let (client, inner) = pair()?;
            site.clients.push(client);
            site.ends.0.push(inner);
            let (server, inner) = pair()?;
            site.servers.push(server);
            site.ends.0.push(inner);
        }
        Ok(site)
    }

    /// Lets clients ask for so long.
    pub(crate) fn run(self, relay: Relay, time: Duration) -> io::Result<Cost> {
        let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let clients = scope.spawn(|| answer(&self.clients, &[b'q'; REQUEST], &answers, &stop));
            let servers =
                scope.spawn(|| answer(&self.servers, &[b'a'; REPLY], &AtomicU64::new(0), &stop));
            let relaying = scope.spawn(|| {
                let relayed = relay(&self.ends, &stop);
                relayed.map(|()| thread_seconds())
            });
            let began = Instant::now();
            for mut client in &self.clients {
                client.write_all(&[b'q'; REQUEST])?;
            }
            std::thread::sleep(time);
            let (answers, seconds) = (answers.load(Ordering::Relaxed), began.elapsed());
            stop.store(true, Ordering::Relaxed);
            let cpu = relaying.join().expect("the relay panicked")?;
            clients.join().expect("the clients panicked")?;
            servers.join().expect("the servers panicked")?;
            let seconds = seconds.as_secs_f64();
            Ok(Cost { rate: answers as f64 / seconds, cpu, seconds })
        })
    }
}

/// Says the same to whatever it hears on any socket, and counts how often.
fn answer(
    sockets: &[TcpStream],
    words: &[u8],
    count: &AtomicU64,
    stop: &AtomicBool,
) -> io::Result<()> {
    let watch = Watch::new(sockets)?;
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        for at in watch.wait()? {
            let mut socket = &sockets[at];
            if socket.read(&mut buffer)? > 0 {
                socket.write_all(words)?;
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

/// Tells which sockets have something to read.
pub(crate) struct Watch(rustix::fd::OwnedFd);

impl Watch {
    pub(crate) fn new(sockets: &[TcpStream]) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (at, socket) in sockets.iter().enumerate() {
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&epoll, socket, epoll::EventData::new_u64(at as u64), flags)?;
        }
        Ok(Watch(epoll))
    }

    /// Those that have, after a short wait at most.
    pub(crate) fn wait(&self) -> io::Result<Vec<usize>> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
        let patience =
            rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(PATIENCE.subsec_nanos()) };
        epoll::wait(&self.0, spare_capacity(&mut events), Some(&patience))?;
        Ok(events.iter().map(|event| event.data.u64() as usize).collect())
    }
}

fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    time.unwrap_or_default().as_secs_f64()
}
