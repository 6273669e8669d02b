//! Both sides of SCRAM, each with a peer that says anything.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pgusher::auth::{
    ChannelBinding, ClientBinding, MAX_ITERATIONS, Nonce, ScramClient, ScramCredential, ScramServer, ScramSubject,
    ScramVerifier,
};
use pgusher::secret::Secret;

static VERIFIER: LazyLock<Arc<ScramVerifier>> =
    LazyLock::new(|| Arc::new(ScramVerifier::from_password("secret", 1, b"salt")));

fn nonce() -> Nonce {
    Nonce::parse("fyko+d2lbbFgONRv9qkxdawL").expect("a nonce")
}

/// Whether a server asks for so many iterations that the fuzzer would only compute.
fn is_slow(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message);
    let count = text.split("i=").nth(1).and_then(|rest| rest.split(',').next()?.parse::<u32>().ok());
    count.is_some_and(|count| count > 10 && count <= MAX_ITERATIONS)
}

fuzz_target!(|data: &[u8]| {
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (first, last) = data.split_at(cut);
    let last = last.get(1..).unwrap_or_default();
    let end_point = ChannelBinding::EndPoint(Box::from(&b"end point"[..]));
    for binding in [ChannelBinding::NotOffered, ChannelBinding::Declined, end_point] {
        let subject = ScramSubject::real(Arc::clone(&VERIFIER));
        let server = ScramServer::with_nonce(subject, binding, nonce());
        if let Ok((server, _)) = server.client_first(first) {
            assert!(server.client_final(last).is_err(), "let in without the password");
        }
    }
    if is_slow(first) {
        return;
    }
    let credential = ScramCredential::Password(Secret::new("secret"));
    let client = ScramClient::with_nonce(credential, ClientBinding::Unable, nonce());
    if let Ok((client, _)) = client.server_first(first) {
        let _ = client.server_final(last);
    }
});
