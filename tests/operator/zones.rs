//! Name servers of our own choice: how long their answers hold, and zones whose serial number changes.

use std::net::IpAddr;

use pgusher_testkit::{Cluster, NameServer, Pgusher, RawClient};

use super::stage::{LIMIT, builder, login, text, until};

const NAME: &str = "db.moving.test";
const ZONE: &str = "moving.test";

/// A name server where pgusher looks for one: only root may open its port.
async fn name_server() -> Option<NameServer> {
    match NameServer::start().await {
        Ok(server) => Some(server),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            println!("skipped: port 53 is for root: {error}");
            None
        }
        Err(error) => panic!("no name server: {error}"),
    }
}

fn v4() -> IpAddr {
    [127, 0, 0, 1].into()
}

fn v6() -> IpAddr {
    std::net::Ipv6Addr::LOCALHOST.into()
}

fn database() -> String {
    let port = Cluster::shared().port();
    format!("app = host={NAME} port={port} dbname=postgres user=postgres\n")
}

fn parameters(more: &str) -> String {
    format!("pool_mode = transaction\nresolv_conf = {{dir}}/resolv.conf\n{more}")
}

fn start(server: &NameServer, more: &str) -> Pgusher {
    builder(&parameters(more), &database()).file("resolv.conf", &server.resolv_conf()).start()
}

/// Where a client's server is. The client keeps it.
async fn address(pgusher: &Pgusher) -> (RawClient, String) {
    let mut client = login(pgusher, "app", "app").await;
    client.query("begin").await;
    let address = client.query("select host(inet_server_addr())").await.value().to_owned();
    (client, address)
}

async fn zone(console: &mut RawClient) -> Vec<Option<String>> {
    let zones = console.query("SHOW DNS_ZONES").await;
    assert_eq!((zones.columns.join(" ").as_str(), zones.rows.len()), ("zonename serial count", 1));
    zones.rows[0].clone()
}

fn row(serial: &str) -> Vec<Option<String>> {
    [ZONE, serial, "1"].map(|cell| Some(cell.to_owned())).into()
}

/// The names of a zone are looked up again when its serial number differs, however long they could be believed.
#[tokio::test]
async fn a_zone_that_changes_takes_its_servers_along() {
    let Some(server) = name_server().await else { return };
    server.set(NAME, &[v4()], 600);
    server.set_serial(ZONE, 20_260_101);
    let settings = "dns_max_ttl = 600\nserver_lifetime = 600";
    let pgusher = start(&server, settings);
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let (mut first, before) = address(&pgusher).await;
    assert_eq!(before, "127.0.0.1");
    assert_eq!(zone(&mut console).await, row("0"));
    let lists = console.query("SHOW LISTS").await.rows;
    assert!(lists.contains(&["dns_zones", "1"].map(|cell| Some(cell.to_owned())).into()));
    assert_eq!(server.serials_asked(), 0, "nobody wants to know");
    let checking =
        text(&parameters(&format!("{settings}\ndns_zone_check_period = 1")), &database())
            .replace("{dir}", &pgusher.dir().display().to_string());
    pgusher.rewrite_config(&checking);
    assert_eq!(console.query("RELOAD").await.error, None);
    until("the zone is asked for", || server.serials_asked() > 0).await;
    server.set(NAME, &[v6()], 600);
    // It has moved, and its zone says nothing of that.
    let asked = server.serials_asked();
    until("the zone is asked for again", || server.serials_asked() > asked + 1).await;
    assert_eq!(zone(&mut console).await, row("20260101"));
    let (second, before) = address(&pgusher).await;
    assert_eq!(before, "127.0.0.1", "it is still believed");
    server.set_serial(ZONE, 20_260_102);
    // The name server is of this thread: it answers while the log is waited for.
    until("the zone has changed", || pgusher.log().contains("zone has changed")).await;
    drop(second);
    let obsolete = "closing because: obsolete connection (age=";
    until("its servers have gone", || pgusher.log().contains(obsolete)).await;
    assert_eq!(zone(&mut console).await, row("20260102"));
    let (_third, after) = address(&pgusher).await;
    assert_eq!(after, "::1");
    let still = first.query("select host(inet_server_addr())").await;
    assert_eq!(still.value(), "127.0.0.1", "its transaction goes on");
}

/// A name server says how long its answers hold; `dns_max_ttl` only shortens that.
#[tokio::test]
async fn answers_hold_as_long_as_they_say() {
    let Some(server) = name_server().await else { return };
    server.set(NAME, &[v4(), v6()], 1);
    let pgusher = start(&server, "dns_max_ttl = 600");
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let (_first, _) = address(&pgusher).await;
    let hosts = console.query("SHOW DNS_HOSTS").await.rows;
    assert_eq!(hosts[0][0].as_deref(), Some(NAME));
    assert!(["0", "1"].contains(&hosts[0][1].as_deref().unwrap()), "{hosts:?}");
    assert_eq!(hosts[0][2].as_deref(), Some("127.0.0.1,::1"));
    server.set(NAME, &[v6()], 1);
    let deadline = tokio::time::Instant::now() + LIMIT;
    let mut others = Vec::new();
    // Whoever came before has a server at either address.
    while others.iter().filter(|address: &&String| *address == "::1").count() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "{others:?}\n{}", pgusher.log());
        let (client, address) = address(&pgusher).await;
        others.push(address);
        client.terminate().await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let now = console.query("SHOW DNS_HOSTS").await.rows;
    assert_eq!(now[0][2].as_deref(), Some("::1"));
}

/// A name is not lost because nobody answered once; where to ask is read again each time.
#[tokio::test]
async fn a_name_server_that_was_silent_is_asked_again() {
    let Some(server) = name_server().await else { return };
    let Some(other) = name_server().await else { return };
    server.set(NAME, &[v4()], 60);
    other.set(NAME, &[v6()], 60);
    let more = "dns_nxdomain_ttl = 1\nserver_login_retry = 0.1\nserver_connect_timeout = 4";
    for expected in ["127.0.0.1", "::1"] {
        server.set_silent(true);
        let pgusher = start(&server, more);
        let refused = RawClient::try_login(pgusher.port(), "app", "app", "").await;
        let refused = refused.err().unwrap();
        assert!(refused.message().contains("server DNS lookup failed"), "{refused:?}");
        pgusher.wait_log("closing because: server DNS lookup failed", LIMIT);
        if expected == "::1" {
            pgusher.rewrite_file("resolv.conf", &other.resolv_conf());
        } else {
            server.set_silent(false);
        }
        let deadline = tokio::time::Instant::now() + LIMIT;
        while let Err(error) = RawClient::try_login(pgusher.port(), "app", "app", "").await {
            assert!(tokio::time::Instant::now() < deadline, "{error:?}\n{}", pgusher.log());
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        assert_eq!(address(&pgusher).await.1, expected);
    }
}
