//! What users ask for at the end of a month.

use crate::people::Person;

/// The kinds of requests, with how many of a hundred are of that kind.
pub const MIX: [(&str, u32); 6] = [
    ("transfer", 35),
    ("account", 26),
    ("history", 20),
    ("statement", 10),
    ("reference", 7),
    ("statement file", 2),
];

/// The transfer's place in [`MIX`].
pub const TRANSFER: usize = 0;

/// Draws a kind; gives its place in [`MIX`].
pub fn draw() -> usize {
    let mut left = fastrand::u32(0..MIX.iter().map(|(_, share)| share).sum());
    for (place, (_, share)) in MIX.iter().enumerate() {
        match left.checked_sub(*share) {
            Some(rest) => left = rest,
            None => return place,
        }
    }
    TRANSFER
}

/// Money to be sent.
#[derive(Debug)]
pub struct Transfer {
    /// The same however often it is asked for.
    pub key: String,
    /// Whose money it is.
    pub sender: i64,
    /// Where it goes.
    pub recipient: i64,
    /// Whose that account is.
    pub recipient_user: i64,
    /// How much.
    pub amount: i64,
}

impl Transfer {
    /// From `sender` to anybody else.
    pub fn draw(sender: &Person, people: &[Person]) -> Self {
        let mut recipient = sender;
        while recipient.account == sender.account {
            recipient = &people[fastrand::usize(..people.len())];
        }
        Self {
            key: key(),
            sender: sender.account,
            recipient: recipient.account,
            recipient_user: recipient.user,
            amount: fastrand::i64(100..5_000),
        }
    }
}

/// A random UUID (version 4).
fn key() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (4 << 76) | (2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
