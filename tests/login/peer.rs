//! The operating system's word, on the unix socket.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use pgusher_testkit::{Pgusher, RawClient};
use tempfile::TempDir;

use crate::stage::{LIMIT, guarded, pgusher, pooled, words};

/// A folder that every user may enter.
fn open_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("pgl-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

fn start(process: &str, files: &[(&str, &str)], folder: &Path) -> Pgusher {
    let process = format!("unix_socket_dir = \"{}\"\n{process}", folder.display());
    let builder = pgusher(&process, &pooled("app"));
    let builder = files.iter().fold(builder, |builder, (name, text)| builder.file(name, text));
    let pgusher = builder.start();
    // The kit waits for TCP, which may be there a moment before the socket.
    pgusher.wait_log("pgusher is ready", LIMIT);
    pgusher
}

async fn enter(
    pgusher: &Pgusher,
    folder: &Path,
    database: &str,
    user: &str,
) -> Result<RawClient, String> {
    let mut client = RawClient::connect_unix(folder, pgusher.port()).await;
    client.set_time_limit(LIMIT);
    client.startup(0, &[("user", user), ("database", database)]).await;
    let entered = client.authenticate(user, "").await;
    entered.map(|()| client).map_err(|error| format!("{} {}", error.code(), error.message()))
}

/// Our own name, as the operating system knows it.
fn own_name() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn peer_knows_who_is_there() {
    let folder = open_folder();
    let own = own_name();
    let users = format!("\"{own}\" \"\"\n\"nobody\" \"\"\n\"somebody\" \"\"\n");
    let pgusher =
        start("auth_type = \"peer\"\nauth_file = \"users\"", &[("users", &users)], folder.path());
    let mut client = enter(&pgusher, folder.path(), "app", &own).await.unwrap();
    assert_eq!(client.query("select 6 * 7").await.value(), "42");
    let error = enter(&pgusher, folder.path(), "app", "somebody").await.unwrap_err();
    assert_eq!(error, "28000 Peer authentication failed for user \"somebody\"");
    // Over TCP there is nobody to ask.
    let error = RawClient::try_login(pgusher.port(), "app", &own, "").await.unwrap_err();
    assert_eq!(error.code(), "28000");
    if is_root() {
        let run = |user| psql_of_nobody(folder.path(), pgusher.port(), "app", user, "select 1");
        assert_eq!(words(&run("nobody")), "1");
        let refused = words(&run(&own));
        assert!(refused.contains("Peer authentication failed"), "{refused}");
    }
}

/// A real psql, run by `nobody`.
fn psql_of_nobody(socket: &Path, port: u16, database: &str, user: &str, sql: &str) -> Output {
    Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(guarded().bin("psql"))
        .args(["-XAtqw", "-U", user, "-d", database, "-c", sql])
        .args(["-p", &port.to_string(), "-h"])
        .arg(socket)
        .current_dir("/")
        .output()
        .unwrap()
}

#[tokio::test]
async fn maps_say_who_may_be_whom() {
    let folder = open_folder();
    let own = own_name();
    let maps = format!("ops {own} admin_app\nops /^(.+)$ svc_\\1\n");
    let users = format!("\"admin_app\" \"\"\n\"svc_{own}\" \"\"\n\"other\" \"\"\n");
    let files = [("users", &*users), ("ident", &*maps), ("hba", "local all all peer map=ops\n")];
    let process = "auth_type = \"hba\"\nauth_hba_file = \"hba\"\nauth_ident_file = \"ident\"\nauth_file = \"users\"";
    let pgusher = start(process, &files, folder.path());
    for user in ["admin_app".to_owned(), format!("svc_{own}")] {
        assert!(enter(&pgusher, folder.path(), "app", &user).await.is_ok(), "{}", pgusher.log());
    }
    for user in ["other", &own] {
        let error = enter(&pgusher, folder.path(), "app", user).await.unwrap_err();
        assert!(error.contains("Peer authentication failed"), "{error}");
    }
}

#[tokio::test]
async fn whoever_runs_pgusher_enters_its_console() {
    let folder = open_folder();
    let files = [("users", "\"pgusher\" \"secret\"\n\"dba\" \"secret\"\n")];
    let pgusher = start("auth_file = \"users\"\nadmin_users = [\"dba\"]", &files, folder.path());
    for user in ["pgusher", "pgbouncer"] {
        let mut console = enter(&pgusher, folder.path(), "pgusher", user).await.unwrap();
        assert!(!console.query("SHOW VERSION").await.value().is_empty());
        console.query("RELOAD").await;
    }
    // Others need their password, over TCP everybody does, and a database is no console.
    assert!(enter(&pgusher, folder.path(), "pgusher", "dba").await.is_err());
    assert!(RawClient::try_login(pgusher.port(), "pgusher", "pgusher", "").await.is_err());
    assert!(enter(&pgusher, folder.path(), "app", "pgusher").await.is_err());
    if is_root() {
        let show = "SHOW VERSION";
        let output = psql_of_nobody(folder.path(), pgusher.port(), "pgusher", "pgusher", show);
        assert!(!output.status.success(), "somebody else's process: {}", words(&output));
    }
}

#[tokio::test]
async fn the_socket_has_its_mode_and_group() {
    let folder = open_folder();
    let process =
        "auth_file = \"users\"\nunix_socket_mode = \"0750\"\nunix_socket_group = \"{group}\"";
    let group = if is_root() { 65534 } else { rustix::process::getegid().as_raw() };
    let process = process.replace("{group}", &group.to_string());
    let pgusher = start(&process, &[("users", "\"a\" \"b\"\n")], folder.path());
    let socket = folder.path().join(format!(".s.PGSQL.{}", pgusher.port()));
    let about = std::fs::metadata(socket).unwrap();
    assert_eq!((about.mode() & 0o777, about.gid()), (0o750, group));
}
