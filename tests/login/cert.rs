//! Client certificates, and lines that ask for TLS.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pgusher_testkit::{Authority, Pgusher};
use tempfile::TempDir;

use crate::stage::{guarded, pgusher, pooled, until, words};

/// An authority, pgusher's certificate and those of two clients.
struct Papers(TempDir);

impl Papers {
    fn make() -> Self {
        let folder = tempfile::Builder::new().prefix("pgl-").tempdir_in("/tmp").unwrap();
        let authority = Authority::new("authority");
        std::fs::copy(authority.path(), folder.path().join("ca.crt")).unwrap();
        authority.issue("localhost").write(folder.path(), "server");
        for name in ["ann", "bob"] {
            let (_, key) =
                authority.issue_to(&format!("/O=example/CN={name}")).write(folder.path(), name);
            // libpq refuses a key that others may read.
            std::fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        }
        Papers(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A real psql over TLS, with the certificate of `who` if there is one.
    fn psql(&self, pgusher: &Pgusher, who: Option<&str>, user: &str, sslmode: &str) -> Output {
        self.command(pgusher, who, user, sslmode).args(["-c", "select 6 * 7"]).output().unwrap()
    }

    fn command(&self, pgusher: &Pgusher, who: Option<&str>, user: &str, sslmode: &str) -> Command {
        let absent = Path::new("/nonexistent").to_owned();
        let (certificate, key) = match who {
            Some(who) => (self.at(&format!("{who}.crt")), self.at(&format!("{who}.key"))),
            None => (absent.clone(), absent),
        };
        let mut command = Command::new(guarded().bin("psql"));
        command
            .args(["-XAtqw", "-h", "127.0.0.1", "-U", user, "-d", "app"])
            .args(["-p", &pgusher.port().to_string()])
            .env("PGSSLMODE", sslmode)
            .env("PGSSLROOTCERT", self.at("ca.crt"))
            .env("PGSSLCERT", certificate)
            .env("PGSSLKEY", key)
            .env("PGPASSWORD", "right");
        command
    }

    fn start(&self, process: &str, files: &[(&str, &str)]) -> Pgusher {
        let dir = self.0.path().display();
        let tls = format!(
            "[tls.client]\nsslmode = \"prefer\"\ncert_file = \"{dir}/server.crt\"\n\
             key_file = \"{dir}/server.key\"\nca_file = \"{dir}/ca.crt\"\n"
        );
        let builder = pgusher(process, &(pooled("app") + &tls));
        files.iter().fold(builder, |builder, (name, text)| builder.file(name, text)).start()
    }
}

const USERS: &str = "\"ann\" \"right\"\n\"bob\" \"right\"\n\"svc_ann\" \"right\"\n";

#[test]
fn the_certificate_names_the_user() {
    let papers = Papers::make();
    let process = "auth_type = \"cert\"\nauth_file = \"users\"";
    let pgusher = papers.start(process, &[("users", USERS)]);
    assert_eq!(words(&papers.psql(&pgusher, Some("ann"), "ann", "verify-ca")), "42");
    for (who, user, sslmode, why) in [
        (Some("ann"), "bob", "verify-ca", "certificate authentication failed for user \"bob\""),
        (
            Some("bob"),
            "stranger",
            "verify-ca",
            "certificate authentication failed for user \"stranger\"",
        ),
        (None, "ann", "verify-ca", "connection requires a valid client certificate"),
        (None, "ann", "disable", "connection requires a valid client certificate"),
    ] {
        let said = words(&papers.psql(&pgusher, who, user, sslmode));
        assert!(said.contains(why), "{said}\n{}", pgusher.log());
    }
    let log = pgusher.log();
    assert!(log.contains("tls=\"TLSv1.3\" method=\"cert\""), "{log}");
}

/// A client that is gone without TLS's goodbye is a client that is gone.
#[tokio::test]
async fn an_abrupt_end_of_tls_is_no_error_of_tls() {
    let papers = Papers::make();
    let process = "auth_type = \"cert\"\nauth_file = \"users\"\nlog_format = \"pgbouncer\"";
    let pgusher = papers.start(process, &[("users", USERS)]);
    let mut command = papers.command(&pgusher, Some("ann"), "ann", "verify-ca");
    let mut client = command.args(["-c", "select pg_sleep(600)"]).spawn().unwrap();
    until("the client is in", || pgusher.log().contains("new connection to server")).await;
    client.kill().unwrap();
    client.wait().unwrap();
    until("it is gone", || pgusher.log().contains("closing because: client unexpected eof")).await;
    assert!(!pgusher.log().contains("unexpected eof while reading"), "{}", pgusher.log());
}

/// In PgBouncer's mode the words are PgBouncer's, the codes are not.
#[test]
fn pgbouncers_words_for_certificates() {
    let papers = Papers::make();
    let process = "auth_type = \"cert\"\nauth_file = \"users\"\ncompat = \"pgbouncer\"";
    let pgusher = papers.start(process, &[("users", USERS)]);
    assert_eq!(words(&papers.psql(&pgusher, Some("ann"), "ann", "verify-ca")), "42");
    for (who, user) in [(Some("ann"), "bob"), (Some("bob"), "stranger"), (None, "ann")] {
        let said = words(&papers.psql(&pgusher, who, user, "verify-ca"));
        assert!(said.ends_with("FATAL:  certificate authentication failed"), "{said}");
    }
}

#[test]
fn lines_for_tls_maps_and_certificates_beside_passwords() {
    let papers = Papers::make();
    let rules = "hostssl all ann all cert\n\
        hostssl all svc_ann all cert map=svc clientname=DN\n\
        hostssl all bob all scram-sha-256 clientcert=verify-full\n\
        hostnossl all all all reject\n";
    let maps = "svc \"/^CN=(ann),O=example$\" svc_\\1\n";
    let process = "auth_type = \"hba\"\nauth_hba_file = \"hba\"\nauth_ident_file = \"ident\"\nauth_file = \"users\"";
    let pgusher = papers.start(process, &[("users", USERS), ("hba", rules), ("ident", maps)]);
    for (who, user) in [("ann", "ann"), ("ann", "svc_ann"), ("bob", "bob")] {
        let said = words(&papers.psql(&pgusher, Some(who), user, "verify-ca"));
        assert_eq!(said, "42", "{}", pgusher.log());
    }
    for (who, user, sslmode, why) in [
        (Some("bob"), "svc_ann", "require", "certificate authentication failed"),
        (Some("ann"), "bob", "require", "authentication failed for user \"bob\""),
        (None, "bob", "require", "connection requires a valid client certificate"),
        (
            None,
            "ann",
            "disable",
            "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"ann\", database \"app\", no encryption",
        ),
        (
            None,
            "stranger",
            "require",
            "no pg_hba.conf entry for host \"127.0.0.1\", user \"stranger\", database \"app\", SSL encryption",
        ),
    ] {
        let said = words(&papers.psql(&pgusher, who, user, sslmode));
        assert!(said.contains(why), "{said}\n{}", pgusher.log());
    }
}
