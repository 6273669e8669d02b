//! PgBouncer's parameters: what each is called in a `pool.toml`, with PgBouncer's defaults.

use std::time::Duration;

use super::ini_forms::{Form, Zero};
use super::setting::Section;

/// A parameter of `[pgbouncer]`, or a key of a database, a user or a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// PgBouncer's default; `None` where it has none, which also keeps the value over a second `[pgbouncer]`.
    pub(super) default: Option<&'static str>,
    pub(super) fate: Fate,
}

/// What becomes of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// A setting of `pool.toml`.
    Setting(Section, &'static str, Form),
    /// A setting of every database or user that does not have it itself.
    Inherited(Section, &'static str, Form),
    /// A parameter of the server's sessions.
    Startup,
    /// It has no meaning here; the text says why.
    Moot(&'static str),
}

const fn setting(
    name: &'static str,
    default: &'static str,
    section: Section,
    form: Form,
) -> Parameter {
    Parameter { name, default: Some(default), fate: Fate::Setting(section, name, form) }
}

impl Parameter {
    /// The same under another name in `pool.toml`.
    const fn called(self, key: &'static str) -> Self {
        let fate = match self.fate {
            Fate::Setting(section, _, form) => Fate::Setting(section, key, form),
            Fate::Inherited(section, _, form) => Fate::Inherited(section, key, form),
            other => other,
        };
        Parameter { fate, ..self }
    }

    const fn without_default(self) -> Self {
        Parameter { default: None, ..self }
    }
}

const fn process(name: &'static str, default: &'static str, form: Form) -> Parameter {
    setting(name, default, Section::Process, form)
}

const fn pool(name: &'static str, default: &'static str, form: Form) -> Parameter {
    setting(name, default, Section::Defaults, form)
}

const fn client_tls(name: &'static str, default: &'static str, form: Form) -> Parameter {
    setting(name, default, Section::TlsClient, form)
}

const fn server_tls(name: &'static str, default: &'static str, form: Form) -> Parameter {
    setting(name, default, Section::TlsServer, form)
}

const fn inherited(name: &'static str, default: &'static str, section: Section) -> Parameter {
    Parameter { name, default: Some(default), fate: Fate::Inherited(section, name, Form::Count) }
}

const fn moot(name: &'static str, default: &'static str, why: &'static str) -> Parameter {
    Parameter { name, default: Some(default), fate: Fate::Moot(why) }
}

const SECONDS: Form = Form::Seconds(Zero::Off);
/// A busy loop is nobody's wish.
const RETRY: Form = Form::Seconds(Zero::Least(Duration::from_millis(1)));
/// PgBouncer closes such a server after its first use; here it is too old as soon as it is free.
const LIFETIME: Form = Form::Seconds(Zero::Least(Duration::from_micros(1)));

const BUFFERS: &str = "buffers grow and shrink with the traffic";

/// Every parameter of `[pgbouncer]`, in PgBouncer's alphabetical order.
pub(super) const PARAMETERS: &[Parameter] = &[
    process("admin_users", "", Form::Names),
    process("application_name_add_host", "0", Form::Flag),
    process("auth_dbname", "", Form::Text).without_default(),
    process("auth_file", "", Form::Path).without_default(),
    process("auth_hba_file", "", Form::Path),
    process("auth_ident_file", "", Form::Path).without_default(),
    process("auth_ldap_options", "", Form::Text).without_default(),
    process("auth_query", "", Form::Text).without_default(),
    process("auth_type", "md5", Form::Word),
    process("auth_user", "", Form::Text).without_default(),
    process("autodb_idle_timeout", "3600", SECONDS),
    process("cancel_wait_timeout", "10", SECONDS),
    pool("client_idle_timeout", "0", SECONDS),
    process("client_login_timeout", "60", SECONDS),
    client_tls("client_tls13_ciphers", "", Form::Text).called("tls13_ciphers").without_default(),
    client_tls("client_tls_ca_file", "", Form::Path).called("ca_file"),
    client_tls("client_tls_cert_file", "", Form::Path).called("cert_file"),
    client_tls("client_tls_ciphers", "default", Form::Ciphers).called("ciphers"),
    moot("client_tls_dheparams", "auto", "the key exchange uses elliptic curves"),
    client_tls("client_tls_ecdhcurve", "auto", Form::Text).called("ecdhcurve"),
    client_tls("client_tls_key_file", "", Form::Path).called("key_file"),
    client_tls("client_tls_protocols", "secure", Form::Protocols).called("protocols"),
    client_tls("client_tls_sslmode", "disable", Form::Word).called("sslmode"),
    moot("conffile", "", "the file is the one of the command line").without_default(),
    pool("default_pool_size", "20", Form::Size),
    process("disable_pqexec", "0", Form::Flag),
    process("dns_max_ttl", "15", Form::Seconds(Zero::Now)),
    process("dns_nxdomain_ttl", "15", Form::Seconds(Zero::Now)),
    process("dns_zone_check_period", "0", SECONDS),
    pool("idle_transaction_timeout", "0", SECONDS),
    process("ignore_startup_parameters", "", Form::Names),
    moot("job_name", "pgbouncer", "it is the name of a Windows service"),
    process("listen_addr", "", Form::List),
    process("listen_backlog", "128", Form::Positive),
    process("listen_port", "6432", Form::Integer),
    process("log_connections", "1", Form::Flag),
    process("log_disconnections", "1", Form::Flag),
    process("log_pooler_errors", "1", Form::Flag),
    process("log_stats", "1", Form::Flag),
    process("logfile", "", Form::Path),
    process("login_notify_message", "", Form::Text),
    process("max_client_conn", "100", Form::Positive),
    inherited("max_db_client_connections", "0", Section::Database),
    inherited("max_db_connections", "0", Section::Database),
    pool("max_packet_size", "2147483647", Form::Bytes),
    pool("max_prepared_statements", "200", Form::Count),
    inherited("max_user_client_connections", "0", Section::User),
    inherited("max_user_connections", "0", Section::User),
    pool("min_pool_size", "0", Form::Count),
    process("peer_id", "0", Form::Integer),
    process("pidfile", "", Form::Path),
    moot("pkt_buf", "4096", BUFFERS),
    process("pool_idle_timeout", "0", SECONDS),
    pool("pool_mode", "session", Form::Word),
    pool("query_timeout", "0", SECONDS),
    pool("query_wait_notify", "5", SECONDS),
    pool("query_wait_timeout", "120", SECONDS),
    pool("reserve_pool_size", "0", Form::Count),
    pool("reserve_pool_timeout", "5", SECONDS),
    process("resolv_conf", "", Form::Path),
    moot("sbuf_loopcnt", "5", BUFFERS),
    process("scram_iterations", "4096", Form::Integer),
    pool("server_check_delay", "30", Form::Seconds(Zero::Now)),
    pool("server_check_query", "<empty>", Form::Text),
    pool("server_connect_timeout", "15", SECONDS),
    pool("server_fast_close", "0", Form::Flag),
    pool("server_idle_timeout", "600", SECONDS),
    pool("server_lifetime", "3600", LIFETIME),
    pool("server_login_retry", "15", RETRY),
    pool("server_reset_query", "DISCARD ALL", Form::Text),
    pool("server_reset_query_always", "0", Form::Flag),
    pool("server_round_robin", "0", Form::Flag),
    server_tls("server_tls13_ciphers", "", Form::Text).called("tls13_ciphers").without_default(),
    server_tls("server_tls_ca_file", "", Form::Path).called("ca_file"),
    server_tls("server_tls_cert_file", "", Form::Path).called("cert_file"),
    server_tls("server_tls_ciphers", "default", Form::Ciphers).called("ciphers"),
    server_tls("server_tls_key_file", "", Form::Path).called("key_file"),
    server_tls("server_tls_protocols", "secure", Form::Protocols).called("protocols"),
    server_tls("server_tls_sslmode", "prefer", Form::Word).called("sslmode"),
    moot("service_name", "", "it is the name of a Windows service").without_default(),
    process("so_reuseport", "0", Form::Flag),
    process("stats_period", "60", RETRY),
    process("stats_users", "", Form::Names),
    process("suspend_timeout", "10", SECONDS),
    process("syslog", "0", Form::Flag),
    process("syslog_facility", "daemon", Form::Word),
    process("syslog_ident", "pgbouncer", Form::Text),
    process("tcp_defer_accept", "1", Form::DeferAccept),
    process("tcp_keepalive", "1", Form::Flag),
    process("tcp_keepcnt", "0", Form::Integer),
    process("tcp_keepidle", "0", SECONDS),
    process("tcp_keepintvl", "0", SECONDS),
    process("tcp_socket_buffer", "0", Form::Bytes),
    process("tcp_user_timeout", "0", Form::Millis),
    process("track_extra_parameters", "IntervalStyle", Form::Names),
    pool("transaction_timeout", "0", SECONDS),
    process("unix_socket_dir", "/tmp", Form::Path),
    process("unix_socket_group", "", Form::Text),
    process("unix_socket_mode", "0777", Form::Mode),
    process("user", "", Form::Text).without_default(),
    process("verbose", "0", Form::Verbosity).called("log_level"),
];

/// A key of a line in `[databases]`; none has a default.
const fn database(name: &'static str, form: Form) -> Parameter {
    setting(name, "", Section::Database, form).without_default()
}

const fn startup(name: &'static str) -> Parameter {
    Parameter { name, default: None, fate: Fate::Startup }
}

/// Keys of `[databases]`.
pub(super) const DATABASE_KEYS: &[Parameter] = &[
    startup("application_name"),
    database("auth_dbname", Form::Text),
    database("auth_query", Form::Text),
    database("auth_user", Form::Text),
    startup("client_encoding"),
    database("connect_query", Form::Text),
    startup("datestyle"),
    database("dbname", Form::Text),
    database("host", Form::List),
    database("load_balance_hosts", Form::Word),
    database("max_db_client_connections", Form::Count),
    database("max_db_connections", Form::Count),
    database("min_pool_size", Form::Count),
    database("password", Form::Text),
    database("pool_mode", Form::Word),
    database("pool_size", Form::Size),
    database("port", Form::Integer),
    database("query_wait_timeout", SECONDS),
    database("reserve_pool", Form::Count).called("reserve_pool_size"),
    database("reserve_pool_size", Form::Count),
    database("server_lifetime", LIFETIME),
    startup("timezone"),
    database("user", Form::Text),
];

const fn user(name: &'static str, form: Form) -> Parameter {
    setting(name, "", Section::User, form).without_default()
}

/// Keys of `[users]`.
pub(super) const USER_KEYS: &[Parameter] = &[
    user("client_idle_timeout", SECONDS),
    user("idle_transaction_timeout", SECONDS),
    user("max_user_client_connections", Form::Count),
    user("max_user_connections", Form::Count),
    user("pool_mode", Form::Word),
    user("pool_size", Form::Size),
    user("query_timeout", SECONDS),
    user("query_wait_timeout", SECONDS),
    user("reserve_pool_size", Form::Count),
    user("transaction_timeout", SECONDS),
];

const fn peer(name: &'static str, form: Form) -> Parameter {
    setting(name, "", Section::Peer, form).without_default()
}

/// Keys of `[peers]`.
pub(super) const PEER_KEYS: &[Parameter] =
    &[peer("host", Form::Text), peer("pool_size", Form::Integer), peer("port", Form::Integer)];

/// What pgusher sets that PgBouncer has no parameter for, so that it behaves as PgBouncer does, and why.
pub(super) const DROP_IN: &[(Section, &str, &str, &str)] = &[
    (
        Section::Process,
        "compat",
        "pgbouncer",
        "PgBouncer lets `trust` in from everywhere, and more.",
    ),
    (
        Section::TlsServer,
        "allow_cleartext_password",
        "true",
        "PgBouncer sends passwords as the server asks for them.",
    ),
    (
        Section::Process,
        "auth_failure_limit",
        "0",
        "PgBouncer does not hold up addresses that fail.",
    ),
    (Section::Process, "log_format", "pgbouncer", "Tools that read PgBouncer's log read this one."),
    (
        Section::Process,
        "drain_timeout",
        "off",
        "PgBouncer waits for transactions as long as they take.",
    ),
];

/// Parameters that mean the same and act in another way.
pub(super) const CHANGED: &[(&str, &str)] = &[
    ("auth_file", "it is read again with every reload, and has to be there"),
    ("client_tls_protocols", "TLS 1.0 and 1.1 are not spoken"),
    ("listen_addr", "`*` is IPv4 and IPv6, with a socket each"),
    ("max_client_conn", "clients that are logging in count"),
    ("server_login_retry", "the pause doubles with each failure, up to 16 times this"),
    ("server_lifetime", "ends are spread by up to a tenth"),
    ("server_tls_protocols", "TLS 1.0 and 1.1 are not spoken"),
    ("unix_socket_mode", "bits beyond 0777 are ignored"),
];

#[cfg(test)]
mod tests {
    use super::super::settings::settings;
    use super::*;

    #[test]
    fn every_parameter_is_there_once_and_leads_somewhere() {
        assert!(PARAMETERS.len() >= 101, "only {}", PARAMETERS.len());
        for table in [PARAMETERS, DATABASE_KEYS, USER_KEYS, PEER_KEYS] {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name), "in order");
            for parameter in table {
                let (Fate::Setting(section, key, _) | Fate::Inherited(section, key, _)) =
                    parameter.fate
                else {
                    continue;
                };
                let home = settings().into_iter().find(|info| {
                    info.section == section && (info.key == key || info.alias == Some(key))
                });
                assert!(home.is_some(), "{parameter:?}");
            }
        }
    }
}
