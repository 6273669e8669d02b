//! Allocations of the worker, counted by an allocator that knows its thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use pgusher::app::{self, Launch};
use pgusher_testkit::{RawClient, free_port, wait_for};

use crate::recorded::hold;
use crate::server;
use crate::stage::{Style, alone, client, config, transact};

/// Until everything has its size.
const WARM_UP: usize = 200;

/// Transactions that are counted.
const COUNT: usize = 1_000;

/// The worker's thread.
static WORKER: AtomicI32 = AtomicI32::new(0);

/// What it has asked for.
static ASKED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[allow(unsafe_code, reason = "an allocator is unsafe by its trait; this one hands everything on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note() {
    let worker = WORKER.load(Ordering::Relaxed);
    if worker != 0 && nix::unistd::gettid().as_raw() == worker {
        ASKED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The thread of this process with a name.
fn thread(name: &str) -> Option<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(Result::ok).find_map(|task| {
        let found = std::fs::read_to_string(task.path().join("comm")).ok()?;
        (found.trim() == name).then(|| task.file_name().to_str()?.parse().ok())?
    })
}

#[tokio::test]
async fn what_a_transaction_allocates() {
    let _alone = alone().await;
    let server = server::start().await;
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pool.toml");
    let text = config(server.port(), "plain").replace("{port}", &port.to_string());
    std::fs::write(&path, text).unwrap();
    let loaded = pgusher::config::load(&path).unwrap();
    // It ends with this process.
    std::thread::spawn(move || app::run(&path, loaded, &Launch::default()).unwrap());
    let limit = std::time::Duration::from_secs(30);
    let is_open = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(wait_for(limit, is_open).await, "pgusher does not start");
    let worker = thread("worker-0").expect("a worker");
    for style in Style::ALL {
        let mut client: RawClient = client(port, style).await;
        transact(&mut client, style, WARM_UP).await;
        WORKER.store(worker, Ordering::Relaxed);
        let before = ASKED.load(Ordering::Relaxed);
        transact(&mut client, style, COUNT).await;
        let asked = ASKED.load(Ordering::Relaxed) - before;
        hold(&format!("allocations, {style}"), asked as f64 / COUNT as f64);
    }
    // That the allocator counts at all: a login allocates.
    let before = ASKED.load(Ordering::Relaxed);
    client(port, Style::Simple).await;
    assert!(ASKED.load(Ordering::Relaxed) > before, "nothing is counted");
}
