//! Certificates and keys, made by the `openssl` program as PostgreSQL's manual makes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// An authority, in a folder of its own.
pub(crate) struct Authority {
    folder: TempDir,
}

impl Authority {
    /// The authority of most tests.
    pub(crate) fn shared() -> &'static Authority {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(|| Authority::new("root.example.com"))
    }

    /// A new authority.
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tls-").tempdir().unwrap();
        let authority = Authority { folder };
        authority.request("root", name);
        authority.openssl(&[
            "x509",
            "-req",
            "-in",
            "root.csr",
            "-days",
            "3650",
            "-extfile",
            "/etc/ssl/openssl.cnf",
            "-extensions",
            "v3_ca",
            "-signkey",
            "root.key",
            "-out",
            "root.crt",
        ]);
        authority
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> String {
        self.read("root.crt")
    }

    /// The path of the authority's certificate.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("root.crt")
    }

    /// A certificate without extensions, which makes it X.509 version 1: the name is the subject's.
    pub(crate) fn issue(&self, name: &str) -> Pair {
        self.sign(name, "", &["-days", "365"])
    }

    /// A certificate with `subjectAltName`, such as `DNS:localhost,IP:127.0.0.1`.
    pub(crate) fn issue_with_names(&self, name: &str, names: &str) -> Pair {
        self.sign(name, &format!("subjectAltName={names}"), &["-days", "365"])
    }

    /// A certificate that has expired.
    pub(crate) fn issue_expired(&self, name: &str) -> Pair {
        self.sign(name, "", &["-days", "-1"])
    }

    fn sign(&self, name: &str, extensions: &str, how_long: &[&str]) -> Pair {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let stem = format!("leaf{number}");
        self.request(&stem, name);
        let [request, out, serial] =
            [format!("{stem}.csr"), format!("{stem}.crt"), number.to_string()];
        let mut arguments =
            vec!["x509", "-req", "-in", &request, "-CA", "root.crt", "-CAkey", "root.key"];
        arguments.extend(["-set_serial", &serial, "-out", &out]);
        arguments.extend(how_long);
        if !extensions.is_empty() {
            std::fs::write(self.folder.path().join("ext"), extensions).unwrap();
            arguments.extend(["-extfile", "ext"]);
        }
        self.openssl(&arguments);
        Pair { certificate: self.read(&out), key: self.read(&format!("{stem}.key")) }
    }

    /// A request for a certificate, and its key.
    fn request(&self, stem: &str, name: &str) {
        let [request, key, subject] =
            [format!("{stem}.csr"), format!("{stem}.key"), format!("/CN={name}")];
        self.openssl(&[
            "req", "-new", "-nodes", "-text", "-out", &request, "-keyout", &key, "-subj", &subject,
        ]);
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn openssl(&self, arguments: &[&str]) {
        openssl_in(self.folder.path(), arguments);
    }
}

/// A certificate that has signed itself, by PostgreSQL's quick recipe; other arguments may change it.
pub(crate) fn self_signed(name: &str, more: &[&str]) -> Pair {
    let folder = tempfile::Builder::new().prefix("tls-").tempdir().unwrap();
    let subject = format!("/CN={name}");
    let mut arguments = vec!["req", "-new", "-x509", "-days", "365", "-nodes", "-text"];
    arguments.extend(["-out", "server.crt", "-keyout", "server.key", "-subj", &subject]);
    arguments.extend(more);
    openssl_in(folder.path(), &arguments);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    Pair { certificate: read("server.crt"), key: read("server.key") }
}

fn openssl_in(folder: &Path, arguments: &[&str]) {
    let done = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {arguments:?}: {said}");
}
