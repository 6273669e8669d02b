//! The conversation's bookkeeping: any requests, answered by anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgusher::server::Progress;
use pgusher::server::progress::{Entry, Origin, Request};
use pgusher::types::TransactionStatus;

const REQUESTS: [Request; 10] = [
    Request::Query,
    Request::FunctionCall,
    Request::Parse,
    Request::Bind,
    Request::Describe,
    Request::Execute,
    Request::Close,
    Request::Sync,
    Request::CopyData,
    Request::CopyEnd,
];

fuzz_target!(|data: &[u8]| {
    let mut progress = Progress::default();
    for pair in data.chunks_exact(2) {
        let [kind, choice] = [pair[0], pair[1]];
        let status = match choice % 3 {
            0 => TransactionStatus::Idle,
            1 => TransactionStatus::InTransaction,
            _ => TransactionStatus::Failed,
        };
        let before = progress.outstanding();
        match kind % 5 {
            0 | 1 => {
                let origin =
                    [Origin::Client, Origin::Injected, Origin::Local][usize::from(kind / 5 % 3)];
                let request = REQUESTS[usize::from(choice) % REQUESTS.len()];
                let local = matches!(request, Request::Parse | Request::Close);
                let origin =
                    if origin == Origin::Local && !local { Origin::Client } else { origin };
                progress.sent(Entry::new(request, origin));
            }
            2 => drop(progress.reply(choice)),
            3 => drop(progress.ready(status)),
            _ => {
                let mut undone = 0;
                progress.error(&mut |_| undone += 1);
                assert!(undone <= before, "more was undone than was asked");
            }
        }
        while progress.next_local().is_some() {}
        if progress.is_settled() {
            assert_eq!(progress.outstanding(), 0);
            assert!(!progress.is_lost() && !progress.is_skipping());
            assert_eq!(progress.status(), TransactionStatus::Idle);
        }
        assert!(!progress.is_out_of_sync() || progress.is_lost());
    }
});
