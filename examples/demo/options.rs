//! What the command line asks for.

use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Shows thousands of clients on a pool of 20 servers, next to the same clients without a pooler.
#[derive(Debug, Clone, Parser)]
#[command(name = "demo")]
pub(crate) struct Options {
    /// Clients connected at the same time
    #[arg(long, default_value_t = 5000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) clients: u32,

    /// Seconds of work through pgusher; without it, at most five
    #[arg(long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,

    /// Mean pause of a client between two transactions, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    think: u64,

    /// Exit after the report instead of staying up to be looked at
    #[arg(long)]
    pub(crate) no_wait: bool,

    /// The pgusher to show; the one built next to this program unless told
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

impl Options {
    /// Mean pause of a client between two transactions.
    pub(crate) fn think(&self) -> Duration {
        Duration::from_millis(self.think)
    }

    /// How long the clients work through pgusher.
    pub(crate) fn pooled_time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long the clients work without it: there is less to see.
    pub(crate) fn direct_time(&self) -> Duration {
        Duration::from_secs(self.seconds.min(5))
    }

    /// The pgusher to show, or what to do when there is none.
    pub(crate) fn binary(&self) -> Result<PathBuf, String> {
        let binary = self.binary.clone().or_else(beside_this_program);
        let binary = binary.ok_or("where pgusher is built is unknown: give --binary")?;
        if binary.is_file() {
            return Ok(binary);
        }
        Err(format!("there is no {}: run `make demo`, which builds it", binary.display()))
    }
}

/// Cargo puts examples one folder below binaries.
fn beside_this_program() -> Option<PathBuf> {
    let examples = std::env::current_exe().ok()?;
    Some(examples.parent()?.parent()?.join("pgusher"))
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::Parser as _;
    use std::time::Duration;

    #[test]
    fn works_without_options() {
        let options = Options::try_parse_from(["demo"]).unwrap();
        assert_eq!((options.clients, options.no_wait), (5000, false));
        assert_eq!(options.pooled_time(), Duration::from_secs(15));
        assert_eq!(options.direct_time(), Duration::from_secs(5));
    }

    #[test]
    fn says_when_the_binary_is_missing() {
        let options = Options::try_parse_from(["demo", "--binary", "/no/such/pgusher"]).unwrap();
        assert!(options.binary().unwrap_err().contains("/no/such/pgusher"));
        assert!(Options::try_parse_from(["demo", "--clients", "0"]).is_err());
    }
}
