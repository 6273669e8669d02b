//! The settings of `[databases.NAME]`, `[users.NAME]` and `[peers.ID]` that pools do not inherit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::kinds::{Int, Limit};
use super::lists::{Hosts, Parameters, Ports};
use super::resolved_tls::{Roots, ServerTlsSettings, SslMode};
use super::setting::{RELOAD, section_table};
use super::table_tls::RootsFile;
use super::words::{Inherited, OneOf, OptionalName, OptionalPath, OptionalSecret, Text};
use crate::secret::Secret;
use crate::types::{LoadBalance, Name};

/// The keys of a database as they are written; checked together they make a `Database`.
pub(super) struct DatabaseKeys {
    pub(super) host: Vec<String>,
    pub(super) port: Vec<u16>,
    pub(super) dbname: Option<Name>,
    pub(super) session_alias: Option<Name>,
    pub(super) user: Option<Name>,
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) auth_user: Option<Name>,
    pub(super) auth_query: Option<Name>,
    pub(super) auth_dbname: Option<Name>,
    pub(super) load_balance_hosts: LoadBalance,
    pub(super) connect_query: String,
    pub(super) server_tls_sslmode: Option<SslMode>,
    pub(super) server_tls_ca_file: Option<Roots>,
    pub(super) server_tls_cert_file: Option<PathBuf>,
    pub(super) server_tls_key_file: Option<PathBuf>,
    pub(super) startup_parameters: BTreeMap<String, String>,
    pub(super) max_db_connections: Option<usize>,
    pub(super) max_db_client_connections: Option<usize>,
}

impl DatabaseKeys {
    /// How the servers are reached by TLS, if not as [tls.server] says.
    pub(super) fn own_tls(&self, general: &ServerTlsSettings) -> Option<ServerTlsSettings> {
        let mut own = general.clone();
        if let Some(sslmode) = self.server_tls_sslmode {
            own.sslmode = sslmode;
        }
        if let Some(roots) = &self.server_tls_ca_file {
            own.ca_file = roots.clone();
        }
        if self.server_tls_cert_file.is_some() || self.server_tls_key_file.is_some() {
            own.cert_file.clone_from(&self.server_tls_cert_file);
            own.key_file.clone_from(&self.server_tls_key_file);
        }
        (own != *general).then_some(own)
    }
}

/// The keys of a user as they are written.
pub(super) struct UserKeys {
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) max_user_connections: Option<usize>,
    pub(super) max_user_client_connections: Option<usize>,
}

section_table! {
    /// `[databases.NAME]`, before the pool's settings.
    DATABASE for DatabaseKeys {
        host: Hosts = "/var/run/postgresql", RELOAD,
            "Host name or address of the server, or the folder of its unix socket; an array holds several.";
        port: Ports = "5432", RELOAD,
            "Port of the server, or an array with one for each host.";
        dbname: OptionalName = "", RELOAD,
            "Name of the database on the server. Without it, the name the client asks for.";
        session_alias: OptionalName = "", RELOAD,
            "Another name: clients that ask for it get a server of this pool for as long as they stay.";
        user: OptionalName = "", RELOAD,
            "Server user for all clients, who then share one pool. Without it, each client's own.";
        password: OptionalSecret = "", RELOAD,
            "Password of the server user.";
        password_file: OptionalPath = "", RELOAD,
            "File that holds the password of the server user.";
        auth_user: OptionalName = "", RELOAD,
            "Who looks up users of this database whom no file knows. Without it, the one of [pgusher].";
        auth_query: OptionalName = "", RELOAD,
            "The query of auth_user for this database. Without it, the one of [pgusher].";
        auth_dbname: OptionalName = "", RELOAD,
            "The database in which auth_user asks. Without it, the one of [pgusher].";
        load_balance_hosts: OneOf<LoadBalance> = "disable", RELOAD,
            "Where new servers are connected when `host` is an array: disable begins with its first, round-robin takes turns.";
        connect_query: Text = "", RELOAD,
            "SQL for every new server of this database, before anybody gets it. Without it nothing is sent.";
        server_tls_sslmode: Inherited<OneOf<SslMode>> = "", RELOAD,
            "`sslmode` for the servers of this database. Without it, the one of [tls.server].";
        server_tls_ca_file: Inherited<RootsFile> = "", RELOAD,
            "`ca_file` for the servers of this database. Without it, the one of [tls.server].";
        server_tls_cert_file: OptionalPath = "", RELOAD,
            "Certificate for the servers of this database. Without it, the one of [tls.server].";
        server_tls_key_file: OptionalPath = "", RELOAD,
            "Private key of that certificate.";
        startup_parameters: Parameters = "", RELOAD,
            "Parameters for the servers of this database, set when they are connected.";
        max_db_connections: Limit = "0", RELOAD,
            "Servers of this database over all users; 0 is no limit.";
        max_db_client_connections: Limit = "0", RELOAD,
            "Clients of this database; 0 is no limit.";
    }
}

section_table! {
    /// `[users.NAME]`, before the pool's settings.
    USER for UserKeys {
        password: OptionalSecret = "", RELOAD,
            "Password of the client, or its MD5 or SCRAM verifier; it wins over `auth_file`.";
        password_file: OptionalPath = "", RELOAD,
            "File that holds the password or the verifier.";
        max_user_connections: Limit = "0", RELOAD,
            "Servers of this user over all databases; 0 is no limit.";
        max_user_client_connections: Limit = "0", RELOAD,
            "Clients of this user; 0 is no limit.";
    }
}

/// The keys of a peer as they are written.
pub(super) struct PeerKeys {
    pub(super) host: Option<Name>,
    pub(super) port: u16,
    pub(super) pool_size: Option<usize>,
}

section_table! {
    /// `[peers.ID]`.
    PEER for PeerKeys {
        host: OptionalName = "", RELOAD,
            "Host name or address at which this peer alone listens, or the folder of its unix socket.";
        port: Int<u16, 1, 65535> = "6432", RELOAD,
            "Port at which the peer listens.";
        pool_size: Limit = "0", RELOAD,
            "Cancel requests on their way to the peer at the same time; 0 is the size of a pool.";
    }
}
