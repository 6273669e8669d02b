//! Where clients connect, and where servers are.

use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use pgusher_testkit::{Cluster, Pgusher, RawClient, Signal, free_port, wait_for};

use crate::stage::{BINARY, LIMIT, database, login, trusting, trusting_config};

async fn one_plus_one(mut client: RawClient) {
    client.startup(0, &[("user", "postgres"), ("database", "postgres")]).await;
    client.authenticate("postgres", "").await.unwrap();
    assert_eq!(client.query("select 1 + 1").await.value(), "2");
    client.terminate().await;
}

#[tokio::test]
async fn listens_on_ipv4_ipv6_and_a_unix_socket() {
    let cluster = Cluster::shared();
    let config = format!(
        "[pgusher]\nlisten_addr = [\"127.0.0.1\", \"::1\"]\nlisten_port = {{port}}\n\
         unix_socket_dir = \"{{dir}}\"\nunix_socket_mode = \"0750\"\nauth_type = \"trust\"\n{}",
        database("postgres", cluster.port(), "")
    );
    let mut pgusher = Pgusher::start(BINARY, &config);
    let port = pgusher.port();
    one_plus_one(RawClient::connect(port).await).await;
    one_plus_one(RawClient::connect_to((Ipv6Addr::LOCALHOST, port)).await).await;
    one_plus_one(RawClient::connect_unix(pgusher.dir(), port).await).await;
    let socket = pgusher.dir().join(format!(".s.PGSQL.{port}"));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o750, "the mode of the unix socket");
    pgusher.signal(Signal::TERM);
    assert!(pgusher.wait_exit(LIMIT).success());
    assert!(!socket.exists(), "the socket is removed in the end");
}

#[tokio::test]
async fn a_unix_socket_left_by_a_crash_is_replaced() {
    let cluster = Cluster::shared();
    let sections = database("postgres", cluster.port(), "");
    let process = "unix_socket_dir = \"{dir}\"";
    let mut dead = trusting(process, &sections).start();
    let leftover = dead.dir().to_owned();
    dead.kill();
    let own = format!("unix_socket_dir = \"{}\"", leftover.display());
    let stale = leftover.join(format!(".s.PGSQL.{}", dead.port()));
    assert!(stale.exists(), "a crash leaves the socket");
    let path = leftover.join("again.toml");
    let config = trusting_config(&own, &sections).replace("{port}", &dead.port().to_string());
    std::fs::write(&path, config).unwrap();
    let mut child = Command::new(BINARY).arg(&path).stderr(Stdio::null()).spawn().unwrap();
    let came = wait_for(LIMIT, || std::os::unix::net::UnixStream::connect(&stale).is_ok()).await;
    if came {
        one_plus_one(RawClient::connect_unix(&leftover, dead.port()).await).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(came, "the new process listens on the old one's socket");
}

#[tokio::test]
async fn a_server_may_be_the_folder_of_a_unix_socket() {
    let cluster = Cluster::shared();
    let section = format!(
        "[databases.postgres]\nhost = \"{}\"\nport = {}\n",
        cluster.socket_dir().display(),
        cluster.port()
    );
    let pgusher = trusting("", &section).start();
    let mut client = login(&pgusher, "postgres").await;
    let over = client.query("select coalesce(host(inet_client_addr()), 'unix')").await;
    assert_eq!(over.value(), "unix");
}

#[tokio::test]
async fn the_next_host_serves_when_the_first_is_down() {
    let cluster = Cluster::shared();
    let section = format!(
        "[databases.postgres]\nhost = [\"127.0.0.1\", \"localhost\"]\nport = [{}, {}]\n",
        free_port(),
        cluster.port()
    );
    let pgusher = trusting("", &section).start();
    let mut client = login(&pgusher, "postgres").await;
    let port = client.query("select inet_server_port()").await;
    assert_eq!(port.value(), cluster.port().to_string());
}

#[tokio::test]
async fn names_and_ipv6_addresses_of_servers_work() {
    let cluster = Cluster::shared();
    let port = cluster.port();
    let sections = format!(
        "[databases.name]\nhost = \"localhost\"\nport = {port}\ndbname = \"postgres\"\n\
         [databases.six]\nhost = \"::1\"\nport = {port}\ndbname = \"postgres\"\n"
    );
    let pgusher = trusting("", &sections).start();
    for (database, family) in [("name", None), ("six", Some("6"))] {
        let mut client = login(&pgusher, database).await;
        let found = client.query("select family(inet_server_addr())").await;
        assert!(family.is_none_or(|family| family == found.value()), "{database}: {found:?}");
    }
}
