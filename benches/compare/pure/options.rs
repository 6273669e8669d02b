//! What the command line asks for.

use crate::gate::Gate;
use clap::{Parser, ValueEnum};
use std::fmt;

/// Compares pgusher with PgBouncer, with a plain TCP proxy and with no proxy at all, over one PostgreSQL.
#[derive(Debug, Clone, Parser)]
#[command(name = "compare")]
pub(crate) struct Options {
    /// Seconds measured for each cell, after one second of warming up
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,

    /// Rounds; each measures every cell once, and the tables show medians
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Parts to measure, parted by commas; all of them unless told
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    only: Vec<Part>,

    /// Who takes part, parted by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_values_t = [Kind::Pgbouncer, Kind::Pgusher, Kind::Haproxy, Kind::Direct])]
    contestants: Vec<Kind>,

    /// Query modes of pgbench, parted by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_values_t = [Mode::Simple, Mode::Extended, Mode::Prepared])]
    modes: Vec<Mode>,

    /// Numbers of clients, parted by commas
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_values_t = [10, 100, 1000])]
    clients: Vec<u32>,

    /// Data of each bulk transfer, in MiB
    #[arg(long, default_value_t = 1024, value_name = "N")]
    bulk_mib: u64,

    /// A rough look in two minutes: one round, two seconds a cell, 10 and 100 clients, less data
    #[arg(long)]
    quick: bool,

    #[command(flatten)]
    pub(crate) gate: Gate,
}

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Throughput, latency and processor time of short transactions
    Throughput,
    /// System calls for each transaction
    Syscalls,
    /// Processor time of bulk data
    Bulk,
    /// Memory of idle clients
    Idle,
    /// Memory of idle clients with TLS
    IdleTls,
    /// Logins a second, and what each costs
    Logins,
    /// Latency of queries while hundreds log in
    Storm,
    /// Latency beside clients that keep their servers for a moment
    Pins,
    /// Memory after large rows
    Memory,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// PgBouncer, the reference
    Pgbouncer,
    /// pgusher with one worker thread
    Pgusher,
    /// pgusher with two worker threads
    Pgusher2,
    /// pgusher with four worker threads
    Pgusher4,
    /// pgusher with as many worker threads as it takes
    PgusherAuto,
    /// HAProxy as a plain TCP proxy: a server connection for each client
    Haproxy,
    /// No proxy
    Direct,
}

/// How pgbench sends its queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Mode {
    /// The simple protocol
    Simple,
    /// The extended protocol with unnamed statements
    Extended,
    /// The extended protocol with named statements
    Prepared,
}

impl Options {
    /// Seconds measured for each cell.
    pub(crate) fn seconds(&self) -> u32 {
        if self.quick { self.seconds.min(2) } else { self.seconds }
    }

    /// How often every cell is measured.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    /// Bytes of each bulk transfer.
    pub(crate) fn bulk_bytes(&self) -> u64 {
        let mib = if self.quick { self.bulk_mib.min(256) } else { self.bulk_mib };
        mib << 20
    }

    /// Numbers of clients to measure with.
    pub(crate) fn clients(&self) -> Vec<u32> {
        let most = if self.quick { 100 } else { u32::MAX };
        self.clients.iter().copied().filter(|&clients| clients <= most).collect()
    }

    /// Numbers of idle clients to hold.
    pub(crate) fn idle_clients(&self) -> &'static [usize] {
        if self.quick { &[1_000] } else { &[1_000, 10_000] }
    }

    /// Query modes to measure.
    pub(crate) fn modes(&self) -> &[Mode] {
        &self.modes
    }

    /// Who takes part.
    pub(crate) fn contestants(&self) -> &[Kind] {
        &self.contestants
    }

    /// Whether a part is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

impl Kind {
    /// `worker_threads`, for a pgusher.
    pub(crate) fn workers(self) -> Option<&'static str> {
        Some(match self {
            Kind::Pgusher => "1",
            Kind::Pgusher2 => "2",
            Kind::Pgusher4 => "4",
            Kind::PgusherAuto => "\"auto\"",
            Kind::Pgbouncer | Kind::Haproxy | Kind::Direct => return None,
        })
    }

    /// Whether a transaction of it holds a server only while it lasts.
    pub(crate) fn is_pooler(self) -> bool {
        self == Kind::Pgbouncer || self.workers().is_some()
    }

    /// Whether it is a process of its own, whose cost can be measured.
    pub(crate) fn is_process(self) -> bool {
        self != Kind::Direct
    }
}

impl Mode {
    /// Its name for pgbench's `-M`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Simple => "simple",
            Mode::Extended => "extended",
            Mode::Prepared => "prepared",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Kind::Pgbouncer => "pgbouncer",
            Kind::Pgusher => "pgusher",
            Kind::Pgusher2 => "pgusher2",
            Kind::Pgusher4 => "pgusher4",
            Kind::PgusherAuto => "pgusher-auto",
            Kind::Haproxy => "haproxy",
            Kind::Direct => "direct",
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Options, Part};
    use clap::Parser as _;

    #[test]
    fn measures_everything_unless_told() {
        let options = Options::try_parse_from("compare --bench".split(' ')).unwrap();
        assert!(options.wants(Part::Idle) && options.wants(Part::Throughput));
        assert_eq!((options.seconds(), options.rounds()), (5, 3));
        assert_eq!(options.clients(), [10, 100, 1000]);
        assert_eq!(options.contestants().len(), 4);
    }

    #[test]
    fn takes_lists() {
        let options = Options::try_parse_from(
            "compare --only idle,bulk,idle-tls --contestants direct,pgusher2 --clients 7"
                .split(' '),
        )
        .unwrap();
        assert!(options.wants(Part::Bulk) && !options.wants(Part::Syscalls));
        assert!(options.wants(Part::IdleTls) && !options.wants(Part::Storm));
        assert_eq!(options.contestants(), [Kind::Direct, Kind::Pgusher2]);
        assert_eq!(options.clients(), [7]);
    }

    #[test]
    fn quick_is_short() {
        let options = Options::try_parse_from("compare --quick --seconds 30".split(' ')).unwrap();
        assert_eq!((options.seconds(), options.rounds()), (2, 1));
        assert_eq!(options.clients(), [10, 100]);
        assert_eq!(options.bulk_bytes(), 256 << 20);
    }

    #[test]
    fn knows_its_words() {
        for words in ["compare --only everything", "compare --rounds 0", "compare --contestants me"]
        {
            assert!(Options::try_parse_from(words.split(' ')).is_err(), "{words}");
        }
    }
}
