//! Where servers are: lists of hosts, names, sockets.

use std::collections::BTreeSet;

use pgusher_testkit::{Cluster, free_port};

use super::stage::{LIMIT, backend, login, start};

/// `text` is `host=… port=…`; the clients' servers tell which address they were reached at.
async fn addresses(text: &str, clients: usize) -> Vec<String> {
    let pgusher = start("", &format!("app = {text} dbname=postgres user=postgres\n"));
    let mut seen = Vec::new();
    let mut all = Vec::new();
    for _ in 0..clients {
        let mut client = login(&pgusher, "app", "app").await;
        seen.push(
            client
                .query("select coalesce(host(inet_server_addr()), 'unix')")
                .await
                .value()
                .to_owned(),
        );
        all.push(client);
    }
    seen
}

#[tokio::test]
async fn hosts_take_turns() {
    let port = Cluster::shared().port();
    let seen = addresses(&format!("host=127.0.0.1,::1 port={port}"), 4).await;
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 2, "{seen:?}");
}

#[tokio::test]
async fn the_first_host_is_enough() {
    let port = Cluster::shared().port();
    let text = format!("host=::1,127.0.0.1 port={port} load_balance_hosts=disable");
    assert_eq!(addresses(&text, 3).await, ["::1"; 3]);
}

#[tokio::test]
async fn a_dead_host_is_passed_over() {
    let (port, dead) = (Cluster::shared().port(), free_port());
    let folder = Cluster::shared().socket_dir();
    // Nobody listens at the first: its port is the same, its folder is empty.
    let empty = tempfile::tempdir().unwrap();
    let text = format!("host={},{} port={port}", empty.path().display(), folder.display());
    assert_eq!(addresses(&text, 2).await, ["unix"; 2]);
    assert_ne!(port, dead);
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let port = Cluster::shared().port();
    let seen = addresses(&format!("host=localhost port={port}"), 1).await;
    assert!(["127.0.0.1", "::1"].contains(&seen[0].as_str()), "{seen:?}");
    let pgusher =
        start("query_wait_timeout = 20", "app = host=no-such-host.invalid user=postgres\n");
    let refused = pgusher_testkit::RawClient::try_login(pgusher.port(), "app", "app", "").await;
    assert!(refused.err().unwrap().message().contains("DNS lookup failed"));
    pgusher.wait_log("server DNS lookup failed", LIMIT);
}

#[tokio::test]
async fn an_abstract_socket_is_listened_on() {
    let name = format!("@pgusher-{}-{}", std::process::id(), free_port());
    let line = super::stage::line("app", "user=postgres");
    let inner = super::stage::builder(&format!("unix_socket_dir = {name}"), &line).start();
    let outer = start("", &format!("app = host={name} port={} user=app\n", inner.port()));
    assert!(!backend(&mut login(&outer, "app", "app").await).await.is_empty());
}

/// Root may give the socket to any group, everybody else to one of their own.
#[tokio::test]
async fn the_socket_has_its_group() {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    let own = std::process::Command::new("id").arg("-gn").output().unwrap();
    let own = String::from_utf8(own.stdout).unwrap();
    let group = if own.trim() == "root" { "daemon" } else { own.trim() };
    let gid = std::fs::read_to_string("/etc/group").unwrap();
    let gid = gid.lines().find_map(|line| line.strip_prefix(&format!("{group}:"))).unwrap();
    let gid: u32 = gid.split(':').nth(1).unwrap().parse().unwrap();
    let parameters =
        format!("unix_socket_dir = {{dir}}\nunix_socket_mode = 0770\nunix_socket_group = {group}");
    let pgusher = super::stage::start(&parameters, &super::stage::line("app", ""));
    let socket = pgusher.dir().join(format!(".s.PGSQL.{}", pgusher.port()));
    // The port is open a little earlier.
    let has_both = || {
        std::fs::metadata(&socket).is_ok_and(|facts| {
            facts.file_type().is_socket()
                && (facts.gid(), facts.permissions().mode() & 0o777) == (gid, 0o770)
        })
    };
    super::stage::until("the socket has its mode and its group", has_both).await;
}
