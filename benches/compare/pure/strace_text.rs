//! What `strace -c` says, read.

/// The calls of one kind, or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calls {
    /// The call's name.
    pub(crate) name: String,
    /// How often it was made.
    pub(crate) count: u64,
}

/// Reads the table, the most frequent call first, without its line of totals.
pub(crate) fn calls(table: &str) -> Vec<Calls> {
    let mut calls: Vec<Calls> =
        table.lines().filter_map(line).filter(|calls| calls.name != "total").collect();
    calls.sort_by_key(|calls| std::cmp::Reverse(calls.count));
    calls
}

/// `% time, seconds, usecs/call, calls, errors if any, name`.
fn line(line: &str) -> Option<Calls> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [share, _, _, count, .., name] = words.as_slice() else {
        return None;
    };
    let _: f64 = share.parse().ok()?;
    Some(Calls { name: (*name).to_owned(), count: count.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn reads_the_table() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.00    0.052000           8      6500           sendto
 39.00    0.033000           5      6600       100 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.085000           6     13100       100 total
";
        let calls = calls(table);
        let seen: Vec<(&str, u64)> =
            calls.iter().map(|calls| (calls.name.as_str(), calls.count)).collect();
        assert_eq!(seen, [("recvfrom", 6600), ("sendto", 6500)]);
    }
}
