//! Conversations that a pooler must not get wrong, replayed against [`Progress`].

use proptest::prelude::*;

use super::*;

/// Sends requests by letter: Q F P B D E C S, d (CopyData), c (CopyDone); `i` before a letter injects it.
fn send(progress: &mut Progress, letters: &str) {
    let mut origin = Origin::Client;
    for letter in letters.chars() {
        let request = match letter {
            'i' => {
                origin = Origin::Injected;
                continue;
            }
            'l' => {
                origin = Origin::Local;
                continue;
            }
            'Q' => Request::Query,
            'F' => Request::FunctionCall,
            'P' => Request::Parse,
            'B' => Request::Bind,
            'D' => Request::Describe,
            'E' => Request::Execute,
            'C' => Request::Close,
            'S' => Request::Sync,
            'd' => Request::CopyData,
            'c' => Request::CopyEnd,
            other => panic!("no request {other}"),
        };
        progress.sent(Entry::new(request, origin));
        origin = Origin::Client;
    }
}

/// Receives replies by type byte; ReadyForQuery is written as its status (`i` idle, `x` in transaction). Returns the
/// type bytes that were forwarded.
fn receive(progress: &mut Progress, tags: &str) -> String {
    let mut forwarded = String::new();
    for tag in tags.chars() {
        let verdict = match tag {
            'i' | 'x' => {
                let status = if tag == 'i' {
                    TransactionStatus::Idle
                } else {
                    TransactionStatus::InTransaction
                };
                match progress.ready(status) {
                    Some(entry) if entry.origin == Origin::Injected => Verdict::Swallow,
                    _ => Verdict::Forward,
                }
            }
            'E' => progress.error(&mut |_| {}),
            other => progress.reply(other as u8),
        };
        if verdict == Verdict::Forward {
            forwarded.push(tag);
        }
    }
    forwarded
}

fn settled_after(requests: &str, replies: &str) -> bool {
    let mut progress = Progress::default();
    send(&mut progress, requests);
    receive(&mut progress, replies);
    progress.is_settled()
}

#[test]
fn simple_queries_settle_when_idle_and_only_then() {
    assert!(settled_after("Q", "TDDCi"));
    assert!(!settled_after("Q", "TDDC"));
    assert!(!settled_after("Q", "Cx"));
    assert!(!settled_after("QQ", "TDCi"), "two queries, one answer");
    assert!(settled_after("QQ", "TDCiEi"));
    assert!(settled_after("Q", "Ii"), "empty query");
    assert!(settled_after("F", "Vi"));
}

#[test]
fn a_batch_settles_with_its_sync() {
    assert!(settled_after("PBDES", "12TDCi"));
    assert!(!settled_after("PBDE", "12TDC"), "flushed, not synced");
    assert!(settled_after("PDS", "1tni"));
    assert!(settled_after("PBES", "12DDsi"), "portal suspended");
    assert!(!settled_after("PBESPBES", "12Ci"));
    assert!(settled_after("PBEQ", "12CTDCi"), "a query ends the batch");
}

#[test]
fn an_error_skips_to_the_next_sync() {
    assert!(settled_after("PBESPBES", "Ei12Ci"));
    assert!(settled_after("PBEQS", "Ei"), "a query inside a skipped batch is ignored");
    let mut progress = Progress::default();
    send(&mut progress, "PB");
    receive(&mut progress, "E");
    assert!(progress.is_skipping() && !progress.is_quiet());
    send(&mut progress, "S");
    assert!(!progress.is_skipping());
    receive(&mut progress, "i");
    assert!(progress.is_settled());
}

#[test]
fn an_error_at_sync_does_not_skip() {
    assert!(settled_after("PBES", "12CEi"), "a deferred constraint fails at commit");
}

#[test]
fn a_batch_is_open_from_its_sync_to_its_ready_for_query() {
    let mut progress = Progress::default();
    send(&mut progress, "PBE");
    assert!(progress.batch() == 0 && !progress.is_open(0), "its own requests may count on it");
    send(&mut progress, "SQP");
    assert_eq!(progress.batch(), 2);
    assert_eq!([0, 1, 2].map(|batch| progress.is_open(batch)), [true, true, false]);
    receive(&mut progress, "12Ci");
    assert_eq!([0, 1, 2].map(|batch| progress.is_open(batch)), [false, true, false]);
    receive(&mut progress, "Ci");
    assert!(!progress.awaits_ready());
}

#[test]
fn undo_names_what_never_happened_last_first() {
    let mut progress = Progress::default();
    send(&mut progress, "PBES");
    let mut undone = Vec::new();
    progress.error(&mut |entry| undone.push(entry.request));
    assert_eq!(undone, [Request::Execute, Request::Bind, Request::Parse]);
}

#[test]
fn copy_in_simple() {
    assert!(!settled_after("Q", "G"));
    let mut progress = Progress::default();
    send(&mut progress, "Q");
    receive(&mut progress, "G");
    send(&mut progress, "dddc");
    assert!(!progress.is_settled());
    receive(&mut progress, "Ci");
    assert!(progress.is_settled());
}

#[test]
fn copy_in_pipelined_without_waiting() {
    assert!(settled_after("Qddc", "GCi"));
    assert!(settled_after("QddcQ", "GCiTDCi"));
    assert!(settled_after("Qddc", "Ei"), "the COPY itself was refused");
}

#[test]
fn copy_that_fails_early_leaves_late_data_harmless() {
    let mut progress = Progress::default();
    send(&mut progress, "Q");
    receive(&mut progress, "G");
    send(&mut progress, "dd");
    receive(&mut progress, "Ei");
    assert!(progress.is_settled());
    send(&mut progress, "ddc");
    assert!(progress.is_settled(), "data after the error is ignored by the server");
}

#[test]
fn copy_in_extended_ignores_the_sync_before_its_data() {
    let mut progress = Progress::default();
    send(&mut progress, "PBES");
    receive(&mut progress, "12G");
    send(&mut progress, "ddcS");
    receive(&mut progress, "Ci");
    assert!(progress.is_settled());
}

#[test]
fn copy_in_extended_all_at_once() {
    assert!(settled_after("PBESddcS", "12GCi"));
    assert!(settled_after("PBEddcS", "12GCi"));
}

#[test]
fn a_copy_that_fails_may_have_honoured_the_sync_before_its_data() {
    // Bad data: the first Sync was ignored. An empty query tells.
    let mut progress = Progress::default();
    send(&mut progress, "PBESddcS");
    receive(&mut progress, "12GEi");
    assert!(progress.wants_probe() && !progress.is_settled());
    send(&mut progress, "iQ");
    assert_eq!(receive(&mut progress, "Ii"), "");
    assert!(progress.is_settled());
    // It failed before it read that Sync: two answers come, the second one before, or instead of, the probe's.
    for extra_first in [true, false] {
        let mut progress = Progress::default();
        send(&mut progress, "PBESddcS");
        receive(&mut progress, if extra_first { "12GEii" } else { "12GEi" });
        send(&mut progress, "iQ");
        let expected = if extra_first { "" } else { "i" };
        assert_eq!(receive(&mut progress, if extra_first { "Ii" } else { "iIi" }), expected);
        assert!(progress.is_settled() && !progress.is_lost());
    }
    // The same while the client has not sent its second Sync: the server does not skip.
    let mut progress = Progress::default();
    send(&mut progress, "PBES");
    receive(&mut progress, "12G");
    send(&mut progress, "d");
    receive(&mut progress, "E");
    assert!(progress.is_skipping());
    receive(&mut progress, "i");
    assert!(!progress.is_skipping() && progress.wants_probe());
    // Whatever is asked next tells as well.
    send(&mut progress, "Q");
    assert_eq!(receive(&mut progress, "Ci"), "Ci");
    assert!(progress.is_settled());
}

#[test]
fn a_sync_amid_copy_data_cannot_be_accounted_for() {
    let mut progress = Progress::default();
    send(&mut progress, "PBEdSdcS");
    receive(&mut progress, "12G");
    assert!(progress.is_lost());
}

#[test]
fn injected_requests_are_swallowed_and_local_ones_wait_their_turn() {
    let mut progress = Progress::default();
    send(&mut progress, "iQ");
    send(&mut progress, "iPBE");
    send(&mut progress, "lPBES");
    assert_eq!(receive(&mut progress, "CCi12DC"), "2DC");
    assert_eq!(progress.next_local().map(|entry| entry.request), Some(Request::Parse));
    assert!(progress.next_local().is_none());
    assert_eq!(receive(&mut progress, "2Ci"), "2Ci");
    assert!(progress.is_settled());
}

#[test]
fn an_injected_parse_that_fails_is_the_clients_error() {
    let mut progress = Progress::default();
    send(&mut progress, "iPBES");
    assert_eq!(receive(&mut progress, "Ei"), "Ei");
    assert!(progress.is_settled());
}

#[test]
fn replies_nobody_asked_for_lose_the_conversation() {
    for reply in ["1", "2", "3", "T", "D", "C", "i", "E", "V", "G"] {
        let mut progress = Progress::default();
        receive(&mut progress, reply);
        assert!(progress.is_lost(), "{reply}");
    }
    let mut progress = Progress::default();
    assert_eq!(receive(&mut progress, "NSA"), "NSA", "asynchronous messages come any time");
    assert!(progress.is_settled());
}

/// A naive model of PostgreSQL's main loop: executes requests one after the other and answers them.
fn serve(requests: &[char], fails: &[bool]) -> String {
    let (mut replies, mut skipping) = (String::new(), false);
    for (index, request) in requests.iter().enumerate() {
        let fail = fails.get(index).copied().unwrap_or(false);
        match request {
            'S' => {
                skipping = false;
                replies.push('i');
            }
            _ if skipping => {}
            'Q' => replies.push_str(if fail { "Ei" } else { "TDCi" }),
            'F' => replies.push_str(if fail { "Ei" } else { "Vi" }),
            _ if fail => {
                replies.push('E');
                skipping = true;
            }
            'P' => replies.push('1'),
            'B' => replies.push('2'),
            'C' => replies.push('3'),
            'D' => replies.push_str("tT"),
            'E' => replies.push_str("DDC"),
            other => panic!("no request {other}"),
        }
    }
    replies
}

proptest! {
    /// Whatever is pipelined and whatever fails, after the server's answers nothing is left and nothing is lost; and
    /// before the last ReadyForQuery the server is never settled.
    #[test]
    fn pipelines_agree_with_a_model_of_the_server(
        mut requests in proptest::collection::vec(proptest::sample::select(vec!['Q', 'F', 'P', 'B', 'D', 'E', 'C', 'S']), 0..40),
        fails in proptest::collection::vec(proptest::bool::weighted(0.2), 40),
    ) {
        requests.push('S');
        let replies = serve(&requests, &fails);
        let mut progress = Progress::default();
        send(&mut progress, &requests.iter().collect::<String>());
        let last = replies.len() - 1;
        for (index, reply) in replies.chars().enumerate() {
            prop_assert!(!progress.is_settled(), "settled before {index} of {replies}");
            receive(&mut progress, &reply.to_string());
            prop_assert!(!progress.is_lost(), "lost at {index} of {replies}");
            prop_assert_eq!(progress.is_settled(), index == last);
        }
    }

    /// No order of replies panics, and what is settled owes nothing.
    #[test]
    fn hostile_replies_never_panic(
        requests in proptest::collection::vec(proptest::sample::select(vec!["Q", "F", "P", "B", "D", "E", "C", "S", "d", "c", "iQ", "iP", "lP"]), 0..20),
        replies in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut progress = Progress::default();
        send(&mut progress, &requests.concat());
        for reply in replies {
            match reply {
                b'E' => drop(progress.error(&mut |_| {})),
                b'Z' => drop(progress.ready(TransactionStatus::Idle)),
                other => drop(progress.reply(other)),
            }
            drop(progress.next_local());
        }
        prop_assert!(!progress.is_settled() || progress.outstanding() == 0);
    }
}
