//! From the first byte to the first ReadyForQuery.

use pgusher_testkit::{Cluster, ErrorFields, RawClient, frontend};

use super::kit::{Site, site};

/// Logs in with protocol 3.`minor` and more parameters.
async fn login(
    site: &Site,
    port: u16,
    minor: u16,
    params: &[(&str, &str)],
) -> Result<RawClient, ErrorFields> {
    let mut client = RawClient::connect(port).await;
    let mut all = vec![("user", "postgres"), ("database", site.database.as_str())];
    all.extend(params);
    client.startup(minor, &all).await;
    client.authenticate("postgres", "").await.map(|()| client)
}

async fn pooled(site: &Site, params: &[(&str, &str)]) -> RawClient {
    login(site, site.pgusher.port(), 0, params).await.expect("a login")
}

#[tokio::test]
async fn encryption_is_refused_politely() {
    let site = site(1);
    let mut client = RawClient::connect(site.pgusher.port()).await;
    for request in [frontend::gss_request(), frontend::ssl_request()] {
        client.send(&request).await;
        assert_eq!(client.recv_byte().await, b'N');
    }
    let startup = frontend::startup(0, &[("user", "postgres"), ("database", &site.database)]);
    for byte in startup {
        client.send(&[byte]).await;
    }
    client.authenticate("postgres", "").await.unwrap();
    assert_eq!(client.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn what_follows_the_startup_packet_is_not_lost() {
    let site = site(1);
    // The pool has met a server, so that nothing keeps the login from being one turn.
    site.client().await;
    let startup = frontend::startup(0, &[("user", "postgres"), ("database", &site.database)]);
    let query = frontend::query("select 'early'");
    for early in 0..=query.len() {
        let mut client = RawClient::connect(site.pgusher.port()).await;
        client.send(&[&startup, &query[..early]].concat()).await;
        client.authenticate("postgres", "").await.unwrap();
        client.send(&query[early..]).await;
        assert_eq!(client.read_result().await.value(), "early", "{early} bytes early");
    }
}

#[tokio::test]
async fn the_server_says_the_same_at_login() {
    let site = site(1);
    let port = Cluster::shared().port();
    for params in [
        &[][..],
        &[("application_name", "a name")],
        &[("client_encoding", "utf-8"), ("datestyle", "german")],
        &[("TimeZone", "asia/tokyo"), ("options", "-c statement_timeout=77s --geqo=off")],
        &[("intervalstyle", "iso_8601"), ("search_path", "a, b"), ("extra_float_digits", "2")],
    ] {
        let mut straight = login(&site, port, 0, params).await.unwrap();
        let mut client = pooled(&site, params).await;
        assert_eq!(client.params(), straight.params(), "{params:?}");
        for name in ["statement_timeout", "geqo", "search_path", "extra_float_digits", "datestyle"]
        {
            let show = format!("show {name}");
            assert_eq!(client.query(&show).await, straight.query(&show).await, "{params:?}");
        }
        client.terminate().await;
    }
}

#[tokio::test]
async fn startup_parameters_are_for_their_client_alone() {
    let site = site(1);
    let mut plain = site.client().await;
    let default = plain.query("show statement_timeout").await.value().to_owned();
    let mut limited = pooled(&site, &[("statement_timeout", "50ms")]).await;
    let mut by_options = pooled(&site, &[("options", "-c statement_timeout=33s")]).await;
    for _ in 0..3 {
        assert_eq!(plain.query("show statement_timeout").await.value(), default);
        assert_eq!(limited.query("show statement_timeout").await.value(), "50ms");
        assert_eq!(by_options.query("show statement_timeout").await.value(), "33s");
        assert_eq!(limited.query("select pg_sleep(30)").await.unwrap_error().code(), "57014");
        assert!(plain.query("select pg_sleep(0.1)").await.error.is_none());
    }
    // A reported one that changes does not cost the client the others, nor does DISCARD ALL.
    limited.query("set timezone = 'Asia/Tokyo'").await;
    limited.query("discard all").await;
    assert_eq!(plain.query("show statement_timeout").await.value(), default);
    assert_eq!(limited.query("show statement_timeout").await.value(), "50ms");
    site.assert_calm();
}

#[tokio::test]
async fn bad_parameters_are_refused_in_the_servers_words() {
    let site = site(1);
    let port = Cluster::shared().port();
    for params in [
        [("statement_timeout", "soon")],
        [("no_such_parameter", "1")],
        [("client_encoding", "klingon")],
        [("DateStyle", "stardate")],
        [("max_connections", "5")],
        [("options", "-c work_mem=lots")],
    ] {
        let straight = login(&site, port, 0, &params).await.unwrap_err();
        let refused = login(&site, site.pgusher.port(), 0, &params).await.unwrap_err();
        assert_eq!(
            (refused.severity(), refused.code(), refused.message()),
            ("FATAL", straight.code(), straight.message()),
            "{params:?}"
        );
        // The server that was asked is none the worse.
        assert_eq!(site.client().await.query("select 1").await.value(), "1");
    }
    site.assert_calm();
}

#[tokio::test]
async fn versions_are_negotiated() {
    let site = site(1);
    let unknown = ("_pq_.teleport", "1");
    let cases = [
        (0, &[][..], None, 4),
        (2, &[], None, 32),
        (9999, &[], Some(2), 32),
        (0, &[unknown], Some(0), 4),
        (2, &[unknown], Some(2), 32),
    ];
    for (minor, params, negotiated, key) in cases {
        let mut client = login(&site, site.pgusher.port(), minor, params).await.unwrap();
        let found = client.negotiated().map(|negotiated| negotiated.minor);
        assert_eq!(found, negotiated.map(|minor| (3 << 16) | minor), "3.{minor} {params:?}");
        let options = client.negotiated().map_or(Vec::new(), |n| n.unknown_options.clone());
        let names: Vec<_> = params.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!((options, client.key().len()), (names, key), "3.{minor} {params:?}");
        assert_eq!(client.query("select 1").await.value(), "1");
    }
    // PostgreSQL 15 says the same, of the version it knows.
    let port = Cluster::shared().port();
    let straight = login(&site, port, 0, &[unknown]).await.unwrap();
    let through = login(&site, site.pgusher.port(), 0, &[unknown]).await.unwrap();
    assert_eq!(through.negotiated(), straight.negotiated());
}

/// The code and severity of the answer to bytes that open a connection.
async fn refusal(port: u16, bytes: &[u8]) -> (String, String) {
    let mut client = RawClient::connect(port).await;
    client.send(bytes).await;
    let error = client.expect_fatal().await;
    (error.severity().to_owned(), error.code().to_owned())
}

#[tokio::test]
async fn what_is_no_startup_is_refused() {
    let site = site(1);
    let port = site.pgusher.port();
    let database = site.database.as_str();
    let startup = |params: &[(&str, &str)]| frontend::startup(0, params);
    let version = |major: u8| [0, 0, 0, 9, 0, major, 0, 0, 0].to_vec();
    let cases = [
        (startup(&[("database", database)]), "28000"),
        (startup(&[("user", ""), ("database", database)]), "28000"),
        (version(2), "0A000"),
        (version(4), "0A000"),
        (startup(&[("user", "postgres"), ("database", "no such database")]), "3D000"),
        (startup(&[("user", "postgres"), ("database", database), ("options", "-F")]), "22023"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "08P01"),
        (vec![0, 0, 0, 7, 0, 3, 0], "08P01"),
        (vec![0, 0, 0x40, 0, 0, 3, 0, 0], "08P01"),
        (vec![0xff; 8], "08P01"),
        ([&[0, 0, 0, 12, 0, 3, 0, 0][..], b"user"].concat(), "08P01"),
    ];
    for (bytes, code) in cases {
        let found = refusal(port, &bytes).await;
        assert_eq!(found, ("FATAL".to_owned(), code.to_owned()), "{}", bytes.escape_ascii());
    }
    for cut in [0, 1, 3, 4, 7] {
        let mut client = RawClient::connect(port).await;
        client.send(&startup(&[("user", "postgres")])[..cut]).await;
        drop(client);
    }
    assert_eq!(site.client().await.query("select 1").await.value(), "1");
    site.assert_calm();
}

#[tokio::test]
async fn replication_that_is_off_is_no_replication() {
    let site = site(1);
    let mut client = pooled(&site, &[("replication", "off")]).await;
    assert_eq!(client.query("select 1").await.value(), "1");
}
