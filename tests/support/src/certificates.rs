//! Certificates and keys, made by the `openssl` program as PostgreSQL's manual makes them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Pair {
    /// Writes both as files that anybody may read, called `STEM.crt` and `STEM.key`, and returns their paths.
    pub fn write(&self, folder: &Path, stem: &str) -> (PathBuf, PathBuf) {
        let write = |extension: &str, text: &str| {
            let path = folder.join(format!("{stem}.{extension}"));
            std::fs::write(&path, text).expect("write a certificate or key");
            std::fs::set_permissions(&path, Permissions::from_mode(0o644))
                .expect("let others read it");
            path
        };
        (write("crt", &self.certificate), write("key", &self.key))
    }
}

/// An authority, in a folder of its own.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// The authority of most tests.
    pub fn shared() -> &'static Authority {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(|| Authority::new("root.example.com"))
    }

    /// A new authority.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tls-").tempdir().expect("make a folder");
        let authority = Authority { folder };
        authority.request("root", &format!("/CN={name}"));
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
    pub fn certificate(&self) -> String {
        self.read("root.crt")
    }

    /// The path of the authority's certificate.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("root.crt")
    }

    /// A certificate for a whole subject, such as `/O=example/CN=ann`.
    pub fn issue_to(&self, subject: &str) -> Pair {
        self.sign(subject, "", &["-days", "365"])
    }

    /// A certificate without extensions, which makes it X.509 version 1: the name is the subject's.
    pub fn issue(&self, name: &str) -> Pair {
        self.sign(&format!("/CN={name}"), "", &["-days", "365"])
    }

    /// A certificate with `subjectAltName`, such as `DNS:localhost,IP:127.0.0.1`.
    pub fn issue_with_names(&self, name: &str, names: &str) -> Pair {
        self.sign(&format!("/CN={name}"), &format!("subjectAltName={names}"), &["-days", "365"])
    }

    /// A certificate that has expired.
    pub fn issue_expired(&self, name: &str) -> Pair {
        self.sign(&format!("/CN={name}"), "", &["-days", "-1"])
    }

    fn sign(&self, subject: &str, extensions: &str, how_long: &[&str]) -> Pair {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let stem = format!("leaf{number}");
        self.request(&stem, subject);
        let [request, out, serial] =
            [format!("{stem}.csr"), format!("{stem}.crt"), number.to_string()];
        let mut arguments =
            vec!["x509", "-req", "-in", &request, "-CA", "root.crt", "-CAkey", "root.key"];
        arguments.extend(["-set_serial", &serial, "-out", &out]);
        arguments.extend(how_long);
        if !extensions.is_empty() {
            std::fs::write(self.folder.path().join("ext"), extensions).expect("write extensions");
            arguments.extend(["-extfile", "ext"]);
        }
        self.openssl(&arguments);
        Pair { certificate: self.read(&out), key: self.read(&format!("{stem}.key")) }
    }

    /// A request for a certificate, and its key.
    fn request(&self, stem: &str, subject: &str) {
        let [request, key] = [format!("{stem}.csr"), format!("{stem}.key")];
        self.openssl(&[
            "req", "-new", "-nodes", "-text", "-out", &request, "-keyout", &key, "-subj", subject,
        ]);
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect("openssl has made it")
    }

    fn openssl(&self, arguments: &[&str]) {
        openssl_in(self.folder.path(), arguments);
    }
}

/// A certificate that has signed itself, by PostgreSQL's quick recipe; other arguments may change it.
pub fn self_signed(name: &str, more: &[&str]) -> Pair {
    let folder = tempfile::Builder::new().prefix("tls-").tempdir().expect("make a folder");
    let subject = format!("/CN={name}");
    let mut arguments = vec!["req", "-new", "-x509", "-days", "365", "-nodes", "-text"];
    arguments.extend(["-out", "server.crt", "-keyout", "server.key", "-subj", &subject]);
    arguments.extend(more);
    openssl_in(folder.path(), &arguments);
    let read = |name: &str| {
        std::fs::read_to_string(folder.path().join(name)).expect("openssl has made it")
    };
    Pair { certificate: read("server.crt"), key: read("server.key") }
}

/// Runs `openssl` with these arguments in a folder.
fn openssl_in(folder: &Path, arguments: &[&str]) {
    let done =
        Command::new("openssl").args(arguments).current_dir(folder).output().expect("run openssl");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {arguments:?}: {said}");
}
