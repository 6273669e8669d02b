//! The standard metrics of a process, from /proc/self.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::text::Page;

/// What the kernel says about the process.
#[derive(Debug, PartialEq)]
struct Facts {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    started: Option<SystemTime>,
    threads: u64,
}

/// Values that cannot be had are left out.
pub(super) fn put(page: &mut Page) {
    if let Some(facts) = facts() {
        page.counter("process_cpu_seconds_total", "User and system CPU time.")
            .value(&[], facts.cpu_seconds);
        page.gauge("process_resident_memory_bytes", "Resident memory.")
            .value(&[], facts.resident_bytes);
        page.gauge("process_virtual_memory_bytes", "Virtual memory.")
            .value(&[], facts.virtual_bytes);
        page.gauge("process_start_time_seconds", "When the process started.").moment(facts.started);
        page.gauge("process_threads", "Threads.").value(&[], facts.threads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        let open = open.count().saturating_sub(1);
        page.gauge("process_open_fds", "Open file descriptors.").value(&[], open);
    }
    if let Some(limit) =
        fs::read_to_string("/proc/self/limits").ok().and_then(|text| max_fds(&text))
    {
        page.gauge("process_max_fds", "Most file descriptors that may be open.").value(&[], limit);
    }
}

fn facts() -> Option<Facts> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let boot = fs::read_to_string("/proc/stat").ok().and_then(|text| boot_time(&text));
    let ticks = rustix::param::clock_ticks_per_second();
    read_stat(&stat, boot, ticks, rustix::param::page_size() as u64)
}

/// Reads /proc/self/stat (proc(5)). The second field is a name that may hold anything, so counting starts behind it.
fn read_stat(stat: &str, boot: Option<u64>, ticks: u64, page_size: u64) -> Option<Facts> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Fields are counted from 1 in the manual; the first here is the third there.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let started = field(22)? as f64 / ticks as f64;
    Some(Facts {
        cpu_seconds: (field(14)? + field(15)?) as f64 / ticks as f64,
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_size,
        started: boot
            .map(|boot| UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_secs_f64(started)),
    })
}

/// `btime` of /proc/stat: seconds since 1970.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The soft limit of `Max open files` in /proc/self/limits.
fn max_fds(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 7 0 1000 104857600 256 1844674407";
        let facts = read_stat(stat, Some(1_000_000), 100, 4096).expect("fields");
        assert_eq!(
            facts,
            Facts {
                cpu_seconds: 3.0,
                resident_bytes: 1_048_576,
                virtual_bytes: 104_857_600,
                started: Some(UNIX_EPOCH + Duration::from_secs(1_000_010)),
                threads: 7,
            }
        );
        assert_eq!(read_stat("42 (a) S 1", None, 100, 4096), None);
    }

    #[test]
    fn limits_and_boot_time_are_found() {
        let limits = "Limit  Soft  Hard\nMax open files            1024                 4096                 files\n";
        assert_eq!(max_fds(limits), Some(1024));
        assert_eq!(max_fds("Max open files  unlimited  unlimited  files"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000));
    }

    #[test]
    fn this_process_has_facts() {
        let facts = facts().expect("on Linux");
        assert!(facts.threads >= 1 && facts.resident_bytes > 100_000, "{facts:?}");
    }
}
