//! What one client does, and how long it thinks between two transactions.

use crate::client::{Client, Failure};
use std::time::Duration;

/// pgbench's tables have so many accounts.
const ACCOUNTS: u64 = 1_000_000;

/// One of so many transactions writes.
const WRITES: u64 = 5;

/// Random numbers, different for each client and the same in each demo (SplitMix64).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of one client.
    pub(crate) fn of(client: u32) -> Self {
        Dice(u64::from(client) << 32)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A pause with this mean, up to twice as long.
    pub(crate) fn pause(&mut self, mean: Duration) -> Duration {
        Duration::from_micros(self.below(2 * mean.as_micros() as u64 + 1))
    }
}

/// One short transaction: mostly a read, now and then a write of four round trips.
pub(crate) async fn transact(client: &mut Client, dice: &mut Dice) -> Result<(), Failure> {
    let account = 1 + dice.below(ACCOUNTS);
    let read = format!("select abalance from pgbench_accounts where aid = {account}");
    if dice.below(WRITES) > 0 {
        return client.query(&read).await;
    }
    let amount = dice.below(1000);
    let write =
        format!("update pgbench_accounts set abalance = abalance + {amount} where aid = {account}");
    let done = write_one(client, &write, &read).await;
    if done.as_ref().is_err_and(|failure| !failure.is_lost()) {
        // Harmless when the transaction had not begun.
        client.query("rollback").await?;
    }
    done
}

async fn write_one(client: &mut Client, write: &str, read: &str) -> Result<(), Failure> {
    for sql in ["begin", write, read, "commit"] {
        client.query(sql).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Dice;
    use std::time::Duration;

    #[test]
    fn dice_are_even_and_apart() {
        let mut dice = Dice::of(1);
        let sum: u64 = (0..10_000).map(|_| dice.below(100)).sum();
        assert!((480_000..520_000).contains(&sum), "{sum}");
        assert_ne!(Dice::of(1).below(u64::MAX), Dice::of(2).below(u64::MAX));
    }

    #[test]
    fn pauses_have_their_mean() {
        let mut dice = Dice::of(1);
        let mean = Duration::from_millis(10);
        let pauses: Vec<Duration> = (0..1000).map(|_| dice.pause(mean)).collect();
        assert!(pauses.iter().all(|pause| *pause <= 2 * mean));
        let sum: Duration = pauses.iter().sum();
        assert!((Duration::from_secs(9)..Duration::from_secs(11)).contains(&sum), "{sum:?}");
    }
}
