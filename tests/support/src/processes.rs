//! Looking at processes from outside, through `/proc`.

use std::fs;
use std::path::Path;

/// Resident memory of a process in KiB; `None` once it is gone.
pub fn rss_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim_end().parse().ok()
}

/// Processor time a process has used, user and system together, in seconds; `None` once it is gone.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold spaces: count fields after it. utime and stime are the 14th and 15th of all.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: f64 = times.next()?.parse().ok()?;
    let system: f64 = times.next()?.parse().ok()?;
    Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
}

/// How many file descriptors a process has open; `None` once it is gone.
pub fn open_fds(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")) else {
        return false;
    };
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, is_alive, open_fds, rss_kib};
    use std::process::{Command, Stdio};

    #[test]
    fn sees_this_process() {
        let me = std::process::id();
        assert!(rss_kib(me).unwrap() > 500);
        assert!(is_alive(me));
        let before = cpu_seconds(me).unwrap();
        let mut sum = 0_u64;
        while cpu_seconds(me).unwrap() <= before {
            sum = std::hint::black_box((0..1_000_000_u64).fold(sum, u64::wrapping_add));
        }
        assert!(open_fds(me).unwrap() >= 3);
    }

    #[test]
    fn a_gone_process_has_no_numbers() {
        let mut child =
            Command::new("sh").args(["-c", "exit 0"]).stdin(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!((rss_kib(pid), open_fds(pid), is_alive(pid)), (None, None, false));
        assert_eq!(cpu_seconds(pid), None);
    }
}
