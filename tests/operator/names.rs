//! Names of servers: what they stand for may change while everything runs. The C library's answers come from a file.

use std::path::Path;

use pgusher_testkit::{Cluster, Pgusher, RawClient};

use super::stage::{LIMIT, builder, login};

/// Has the C library read `/etc/hosts` from elsewhere.
fn wrapper() -> String {
    let place = format!("/usr/lib/{}-linux-gnu/libnss_wrapper.so", std::env::consts::ARCH);
    assert!(std::path::Path::new(&place).exists(), "{place} is missing: .ci/setup installs it");
    place
}

/// A pgusher whose server is called `db.test`, and the file that says where that is.
fn started(parameters: &str) -> (Pgusher, tempfile::TempPath) {
    let hosts = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&hosts, "127.0.0.1 db.test\n").unwrap();
    let port = Cluster::shared().port();
    let database = format!("app = host=db.test port={port} dbname=postgres user=postgres\n");
    let pgusher = builder(parameters, &database)
        .env("LD_PRELOAD", &wrapper())
        .env("NSS_WRAPPER_HOSTS", hosts.to_str().unwrap())
        .start();
    (pgusher, hosts)
}

/// Writes the file anew. What reads it looks at the second in which it was changed, so each change has its own.
fn write(hosts: &Path, text: &str) {
    let before = std::fs::metadata(hosts).unwrap().modified().unwrap();
    std::fs::write(hosts, text).unwrap();
    let file = std::fs::File::options().append(true).open(hosts).unwrap();
    file.set_modified(before + std::time::Duration::from_secs(2)).unwrap();
}

async fn address(client: &mut RawClient) -> String {
    client.query("select host(inet_server_addr())").await.value().to_owned()
}

/// Those who are busy keep their servers; whoever comes later finds the new address, and the old servers go.
#[tokio::test]
async fn a_name_that_moves_takes_its_servers_along() {
    let (pgusher, hosts) =
        started("pool_mode = transaction\ndns_max_ttl = 1\nserver_lifetime = 600");
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut busy = login(&pgusher, "app", "app").await;
    busy.query("begin").await;
    assert_eq!(address(&mut busy).await, "127.0.0.1");
    let known = console.query("SHOW DNS_HOSTS").await;
    assert_eq!(known.rows.len(), 1, "{known:?}");
    assert_eq!(known.rows[0][0].as_deref(), Some("db.test"));
    assert_eq!(known.rows[0][2].as_deref(), Some("127.0.0.1"));
    assert!(known.rows[0][1].as_deref().unwrap().parse::<u64>().unwrap() <= 1, "{known:?}");
    let lists = console.query("SHOW LISTS").await;
    let names = lists.rows.iter().find(|row| row[0].as_deref() == Some("dns_names")).unwrap();
    assert_eq!(names[1].as_deref(), Some("1"));
    let zones = console.query("SHOW DNS_ZONES").await.rows;
    assert_eq!(zones, [["test", "0", "1"].map(|cell| Some(cell.to_owned()))], "nobody asks for it");
    write(&hosts, "::1 db.test\n");
    // Each of them needs a server of its own, and the name is looked up for it when its time is over.
    let mut others = Vec::new();
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let mut other = login(&pgusher, "app", "app").await;
        other.query("begin").await;
        if address(&mut other).await == "::1" {
            break;
        }
        others.push(other);
        assert!(tokio::time::Instant::now() < deadline, "{}", pgusher.log());
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert_eq!(address(&mut busy).await, "127.0.0.1", "its transaction goes on");
    busy.query("commit").await;
    pgusher.wait_log("closing because: obsolete connection (age=", LIMIT);
    for mut other in others {
        other.query("commit").await;
        other.terminate().await;
    }
    assert_eq!(address(&mut busy).await, "::1");
}

/// A name that is none is asked for again when `dns_nxdomain_ttl` is over.
#[tokio::test]
async fn a_name_that_comes_up_later_is_found() {
    let (pgusher, hosts) = started("dns_nxdomain_ttl = 1\nserver_login_retry = 0.1");
    write(&hosts, "127.0.0.1 other.test\n");
    let refused = RawClient::try_login(pgusher.port(), "app", "app", "").await.err().unwrap();
    assert!(refused.message().contains("DNS lookup failed"), "{refused:?}");
    write(&hosts, "127.0.0.1 db.test\n");
    let deadline = tokio::time::Instant::now() + LIMIT;
    while let Err(error) = RawClient::try_login(pgusher.port(), "app", "app", "").await {
        assert!(tokio::time::Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
