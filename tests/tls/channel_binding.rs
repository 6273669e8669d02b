//! SCRAM-SHA-256-PLUS on both sides.

use pgusher_testkit::{FakeServer, Pair, RawClient, backend, frontend, self_signed};

use crate::stage::{LIMIT, ON, alice, cluster, own, pgusher, psql};
use crate::tunnel::Tunnel;

#[test]
fn libpq_binds_its_login_to_the_channel() {
    let pgusher = pgusher(cluster().port(), ON, "").start();
    for (more, expected) in [
        ("sslmode=require channel_binding=require", true),
        ("sslmode=require channel_binding=prefer", true),
        ("sslmode=require channel_binding=disable", true),
        ("sslmode=disable channel_binding=require", false),
        ("sslmode=disable channel_binding=prefer", true),
    ] {
        let said = psql(&alice(&pgusher, more), "select 1");
        assert_eq!(said.is_ok(), expected, "{more}: {said:?}");
    }
}

#[test]
fn certificates_of_every_signature_are_bound_as_libpq_binds_them() {
    let sha384 = self_signed("localhost", &["-sha384"]);
    let ecdsa = self_signed(
        "localhost",
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha256"],
    );
    // PostgreSQL's own library cannot say what to hash here, so there must be no offer.
    let ed25519 = self_signed("localhost", &["-newkey", "ed25519"]);
    for (what, pair, bound) in
        [("sha384", sha384, true), ("ecdsa", ecdsa, true), ("ed25519", ed25519, false)]
    {
        let pgusher = crate::stage::pgusher(cluster().port(), ON, "")
            .file("own.crt", &pair.certificate)
            .file("own.key", &pair.key)
            .start();
        let with = |binding: &str| {
            psql(
                &alice(&pgusher, &format!("sslmode=require channel_binding={binding}")),
                "select 1",
            )
        };
        let required = with("require");
        assert_eq!(required.is_ok(), bound, "{what}: {required:?}\n{}", pgusher.log());
        with("disable").unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

/// Somebody in between who has a certificate of his own, and speaks TLS with both sides.
#[tokio::test]
async fn somebody_in_between_is_found_out() {
    let pgusher = pgusher(cluster().port(), ON, "").start();
    let inner = Tunnel::to(pgusher.port()).await;
    let outer = Tunnel::before(inner.port(), &self_signed("localhost", &[])).await;
    let port = outer.port();
    let with = async |binding: &'static str| {
        let connection = format!(
            "host=localhost port={port} user=alice dbname=postgres sslmode=require channel_binding={binding}"
        );
        tokio::task::spawn_blocking(move || psql(&connection, "select 1")).await.unwrap()
    };
    let error = with("require").await.unwrap_err();
    assert!(error.contains("authentication failed"), "{error}");
    with("disable").await.expect("without binding nobody notices");
}

#[test]
fn logins_to_servers_are_bound() {
    let server = cluster();
    let with = |settings: &str| {
        let pgusher = pgusher(server.port(), ON, settings).start();
        psql(&alice(&pgusher, "sslmode=require"), "select 1")
    };
    let require = "channel_binding = \"require\"";
    with(&format!("sslmode = \"require\"\n{require}")).unwrap();
    with("sslmode = \"require\"\nchannel_binding = \"disable\"").unwrap();
    // On a server that trusts everybody there is nothing to bind.
    let pgusher = pgusher(server.port(), "", &format!("sslmode = \"require\"\n{require}")).start();
    let connection =
        format!("host=localhost port={} user=postgres dbname=postgres", pgusher.port());
    let error = psql(&connection, "select 1").unwrap_err();
    assert!(error.contains("channel binding is required"), "{error}");
}

/// What a server hears that offers these mechanisms inside of TLS: the mechanism, and the message's first letter.
async fn choice(
    mechanisms: &'static [&'static str],
    settings: &str,
    pair: &Pair,
) -> Option<String> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = FakeServer::start(move |mut conn| {
        let tell = tell.clone();
        async move {
            conn.send(&backend::authentication_sasl(mechanisms)).await;
            let Some(message) = conn.recv().await else { return };
            let text = String::from_utf8_lossy(&message.body).into_owned();
            let (mechanism, rest) = text.split_once('\0').unwrap();
            let header = rest.get(4..).and_then(|rest| rest.split(',').next()).unwrap_or_default();
            let _ = tell.send(format!("{mechanism} {header}"));
        }
    })
    .await;
    let tunnel = Tunnel::before(server.port(), pair).await;
    let pgusher = pgusher(tunnel.port(), "", &format!("sslmode = \"require\"\n{settings}")).start();
    let login = RawClient::try_login(pgusher.port(), "postgres", "alice", "secret").await;
    login.unwrap_err();
    told.try_recv().ok()
}

#[tokio::test]
async fn the_choice_among_a_servers_mechanisms() {
    const BOTH: &[&str] = &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
    const PLAIN: &[&str] = &["SCRAM-SHA-256"];
    let bound = Some("SCRAM-SHA-256-PLUS p=tls-server-end-point");
    for (offered, settings, expected) in [
        (BOTH, "", bound),
        (PLAIN, "", Some("SCRAM-SHA-256 y")),
        (BOTH, "channel_binding = \"disable\"", Some("SCRAM-SHA-256 n")),
        (BOTH, "channel_binding = \"require\"", bound),
        (PLAIN, "channel_binding = \"require\"", None),
        (&["SCRAM-SHA-1"][..], "", None),
    ] {
        let heard = choice(offered, settings, own()).await;
        assert_eq!(heard.as_deref(), expected, "{offered:?} {settings}");
    }
    let hashless = self_signed("localhost", &["-newkey", "ed25519"]);
    assert_eq!(choice(BOTH, "", &hashless).await.as_deref(), Some("SCRAM-SHA-256 n"));
}

/// A client that says it could bind, but was offered nothing, has been lied to.
#[tokio::test]
async fn a_client_whose_offer_was_taken_away_gets_no_further() {
    let pgusher = pgusher(cluster().port(), ON, "").start();
    let tunnel = Tunnel::to(pgusher.port()).await;
    for (header, expected) in [("y,,", false), ("n,,", true)] {
        let mut client = RawClient::connect(tunnel.port()).await;
        client.startup(0, &[("user", "alice"), ("database", "postgres")]).await;
        let offer = client.recv().await;
        assert_eq!(offer.body[4..], b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"[..]);
        let first = format!("{header}n=,r=abcdefghijklmnop");
        client.send(&frontend::sasl_initial("SCRAM-SHA-256", first.as_bytes())).await;
        assert_eq!(client.recv().await.tag == b'R', expected, "{header}");
    }
    pgusher.wait_log("took the offer away", LIMIT);
}
