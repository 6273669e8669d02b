//! The settings of `[databases.NAME]` and `[users.NAME]` that pools do not inherit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::kinds::Limit;
use super::lists::{Hosts, Parameters, Ports};
use super::resolved_tls::{Roots, ServerTlsSettings, SslMode};
use super::setting::{RELOAD, section_table};
use super::table_tls::RootsFile;
use super::words::{Inherited, OneOf, OptionalName, OptionalPath, OptionalSecret};
use crate::secret::Secret;
use crate::types::Name;

/// The keys of a database as they are written; checked together they make a `Database`.
pub(super) struct DatabaseKeys {
    pub(super) host: Vec<String>,
    pub(super) port: Vec<u16>,
    pub(super) dbname: Option<Name>,
    pub(super) user: Option<Name>,
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) auth_user: Option<Name>,
    pub(super) auth_query: Option<Name>,
    pub(super) auth_dbname: Option<Name>,
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
            "Host name or address of the server, or the folder of its unix socket; an array is tried in order.";
        port: Ports = "5432", RELOAD,
            "Port of the server, or an array with one for each host.";
        dbname: OptionalName = "", RELOAD,
            "Name of the database on the server. Without it, the name the client asks for.";
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
