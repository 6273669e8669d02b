//! Streams with TLS over pairs of sockets.

use std::task::{Context, Waker};

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslMethod};
use openssl::x509::X509;
use socket2::{Domain, Socket, Type};

use super::{Buffer, BufferPool, Stream};

/// A handshake to be of the side that has a certificate.
fn acceptor() -> Ssl {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("group");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("key")).expect("key");
    let mut certificate = X509::builder().expect("builder");
    certificate.set_pubkey(&key).expect("key");
    certificate.set_not_before(&Asn1Time::days_from_now(0).expect("time")).expect("time");
    certificate.set_not_after(&Asn1Time::days_from_now(1).expect("time")).expect("time");
    certificate.sign(&key, MessageDigest::sha256()).expect("signature");
    let mut context = SslContext::builder(SslMethod::tls()).expect("context");
    context.set_certificate(&certificate.build()).expect("certificate");
    context.set_private_key(&key).expect("key");
    let mut ssl = Ssl::new(&context.build()).expect("ssl");
    ssl.set_accept_state();
    ssl
}

/// Both ends of a connection with TLS.
async fn pair() -> (Stream, Stream) {
    let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("pair");
    let mut ssl =
        Ssl::new(&SslContext::builder(SslMethod::tls()).expect("context").build()).expect("ssl");
    ssl.set_connect_state();
    let stream = |socket| Stream::new(socket).expect("stream");
    let (one, other) = tokio::join!(stream(one).secure(acceptor()), stream(other).secure(ssl));
    (one.expect("handshake"), other.expect("handshake"))
}

#[tokio::test]
async fn what_tls_holds_is_received_though_the_socket_is_empty() {
    let (mut ours, mut theirs) = pair().await;
    let sent: Vec<u8> = (0..30_000_u32).map(|n| (n % 251) as u8).collect();
    theirs.send_all(&sent).await.expect("send");
    let (mut got, mut pieces) = (Vec::new(), 0);
    while got.len() < sent.len() {
        // It holds less than a record, so that the rest stays inside.
        let mut buffer = Buffer::new();
        ours.recv(&mut buffer).await.expect("recv");
        got.extend_from_slice(buffer.filled());
        pieces += 1;
    }
    assert!(got == sent && pieces > 2, "{pieces}");
    assert!(ours.can_suspend() && !ours.has_news());
}

#[tokio::test]
async fn what_is_held_is_news_and_goes_along() {
    let (mut ours, mut theirs) = pair().await;
    theirs.send_all(&[1; 3_000]).await.expect("send");
    let mut buffer = Buffer::new();
    let first = ours.recv(&mut buffer).await.expect("recv");
    assert!(first < 3_000 && ours.has_news() && !ours.can_suspend());
    let mut ours = ours.rehome(None).expect("rehome");
    let mut rest = Buffer::new();
    let mut cx = Context::from_waker(Waker::noop());
    let more = ours.poll_recv(&mut cx, &mut rest, &BufferPool::default());
    assert!(matches!(more, std::task::Poll::Ready(Ok(count)) if first + count == 3_000));
}

#[tokio::test]
async fn what_the_kernel_refuses_is_sent_later_and_in_order() {
    let (mut ours, mut theirs) = pair().await;
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let copy = sent.clone();
    let sender = tokio::spawn(async move {
        ours.send_all(&copy).await.expect("send");
        ours.end_sending();
        ours
    });
    let mut got = Vec::new();
    let mut buffer = Buffer::new();
    while theirs.recv(&mut buffer).await.expect("recv") > 0 {
        got.extend_from_slice(buffer.filled());
        buffer.consume(buffer.len());
    }
    assert!(got == sent, "{} bytes", got.len());
    drop(sender.await.expect("sender"));
}
