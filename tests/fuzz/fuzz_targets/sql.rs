//! SQL as strangers write it: whatever it is, it is read to its end, and the quick look never overlooks anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgusher::sql::{self, Action, Encoding, Piece, Quoting, Traits};

/// True when a statement does nothing to a session, as far as it could be read.
fn is_harmless(piece: &Piece) -> bool {
    let ends = matches!(
        piece.action,
        Action::Other
            | Action::Begin
            | Action::Commit { .. }
            | Action::Rollback { .. }
            | Action::FinishPrepared
    );
    ends && piece.calls.is_empty() && (piece.traits | Traits::UNSURE) == Traits::UNSURE
}

fuzz_target!(|data: &[u8]| {
    let encodings = [Encoding::Plain, Encoding::Pairs, Encoding::ShiftJis, Encoding::Gb18030];
    let plain = sql::is_plain(data);
    for (number, encoding) in encodings.into_iter().enumerate() {
        let quoting = Quoting { conforming: number % 2 == 0, encoding };
        let verdict = sql::read(data, quoting);
        let unsure = verdict.traits().has(Traits::UNSURE);
        if plain && !unsure {
            assert!(verdict.pieces.len() <= 1, "{verdict:?}");
            assert!(verdict.pieces.iter().all(is_harmless), "{verdict:?}");
        }
    }
});
