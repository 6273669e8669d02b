//! How a [`Cluster`] shall be.

use crate::cluster::Cluster;
use crate::pg_tools::PgTools;
use crate::ports::{ATTEMPTS, free_port, has_ipv6};
use crate::template::make_data_folder;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// PostgreSQL's limit on a socket path is about 107 bytes; the socket's own name takes a part of it.
const LONGEST_FOLDER: usize = 60;

/// Settings of a [`Cluster`] to be.
#[derive(Debug)]
pub struct ClusterBuilder {
    settings: Vec<(String, String)>,
    hba: String,
    auth: String,
    files: Vec<(String, String)>,
}

impl ClusterBuilder {
    pub(crate) fn new() -> Self {
        let defaults = [
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("listen_addresses", if has_ipv6() { "127.0.0.1,::1" } else { "127.0.0.1" }),
            ("unix_socket_permissions", "0777"),
            ("log_line_prefix", "%m [%p] %q%u@%d "),
            ("timezone", "UTC"),
        ];
        let settings = defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        ClusterBuilder { settings, hba: String::new(), auth: "trust".to_owned(), files: Vec::new() }
    }

    /// How many backends there may be.
    #[must_use]
    pub fn max_connections(self, count: u32) -> Self {
        self.setting("max_connections", &count.to_string())
    }

    /// A line of `postgresql.conf`; the last one of a name wins.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lines of `pg_hba.conf`, before the ones made from [`ClusterBuilder::auth`].
    #[must_use]
    pub fn hba(mut self, lines: &str) -> Self {
        let _ = writeln!(self.hba, "{lines}");
        self
    }

    /// How everybody proves who they are: `trust`, `md5`, `scram-sha-256`... Only the superuser on the unix socket is
    /// always trusted. With a password method the superuser's password is `postgres`.
    #[must_use]
    pub fn auth(mut self, method: &str) -> Self {
        self.auth = method.to_owned();
        self
    }

    /// A file in the data folder, such as a certificate or a key, readable by the server's user alone.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Makes the cluster and waits until it accepts connections.
    pub fn build(self) -> Cluster {
        let tools = PgTools::find();
        let folder = make_folder();
        let data = folder.path().join("data");
        let sockets = folder.path().join("s");
        std::fs::create_dir(&sockets).expect("make the socket folder");
        // Everybody may connect, whichever user runs the pooler under test.
        set_mode(&sockets, 0o777);
        set_mode(folder.path(), 0o755);
        tools.hand_over(folder.path());
        make_data_folder(&tools, &data);
        self.write_files(&tools, &data);
        let mut cluster = Cluster::new(tools, folder);
        for _ in 0..ATTEMPTS {
            if cluster.start_on(free_port()) {
                self.set_superuser_password(&cluster);
                return cluster;
            }
        }
        panic!("PostgreSQL found no free port; its log:\n{}", cluster.log());
    }

    fn write_files(&self, tools: &PgTools, data: &Path) {
        let mut conf =
            std::fs::read_to_string(data.join("postgresql.conf")).expect("read postgresql.conf");
        if self.auth == "md5" {
            conf.push_str("\npassword_encryption = 'md5'\n");
        }
        for (name, value) in &self.settings {
            let _ = writeln!(conf, "{name} = '{}'", value.replace('\'', "''"));
        }
        write(tools, data.join("postgresql.conf"), &conf);
        write(tools, data.join("pg_hba.conf"), &self.hba_text());
        for (name, text) in &self.files {
            write(tools, data.join(name), text);
        }
    }

    fn hba_text(&self) -> String {
        let auth = &self.auth;
        let mut text = format!("local all postgres trust\n{}", self.hba);
        for database in ["all", "replication"] {
            let _ = writeln!(text, "local {database} all {auth}");
            let _ = writeln!(text, "host {database} all 127.0.0.1/32 {auth}");
            let _ = writeln!(text, "host {database} all ::1/128 {auth}");
        }
        text
    }

    fn set_superuser_password(&self, cluster: &Cluster) {
        if self.auth != "trust" {
            cluster.psql("alter role postgres password 'postgres'");
        }
    }
}

fn make_folder() -> TempDir {
    let usual = std::env::temp_dir();
    let place =
        if usual.as_os_str().len() <= LONGEST_FOLDER { usual } else { PathBuf::from("/tmp") };
    tempfile::Builder::new().prefix("pgk-").tempdir_in(place).expect("make a temporary folder")
}

fn write(tools: &PgTools, path: PathBuf, text: &str) {
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    set_mode(&path, 0o600);
    tools.hand_over(&path);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("chmod {}: {error}", path.display()));
}
