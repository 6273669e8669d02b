//! The configuration as SHOW CONFIG lists it.

use super::resolved::Config;
use super::setting::Setting;
use super::table_otlp::OTLP;
use super::table_pool::DEFAULTS;
use super::table_process::{HTTP, PROCESS};
use super::table_tls::{TLS_CLIENT, TLS_SERVER};
use super::whence::Whence;

/// A row of SHOW CONFIG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// The name; that of `[http]`'s settings begins with `http.` and that of `[otlp]`'s with `otlp.`, as they have no
    /// PgBouncer counterpart.
    pub key: &'static str,
    /// The value in force, as a file would have it without the quotes; `None` where PgBouncer has none.
    pub value: Option<String>,
    /// The value when no file sets it.
    pub default: Option<&'static str>,
    /// Whether a reload is enough to change it.
    pub changeable: bool,
    /// Where the value comes from, as far as that is known here.
    pub whence: Whence,
}

/// The settings of `[pgusher]`, `[http]`, `[otlp]`, `[tls]` and `[defaults]`. None of them is secret.
pub fn show(config: &Config) -> Vec<ShownSetting> {
    let mut rows = process(config);
    rows.extend(http(config));
    rows.extend(otlp(config));
    rows.extend(tls(config));
    rows.extend(section(DEFAULTS, Some(&*config.defaults)));
    rows
}

/// Rows of `[pgusher]`.
pub(super) fn process(config: &Config) -> Vec<ShownSetting> {
    section(PROCESS, Some(&config.process))
}

/// Rows of `[http]`; their values are empty when it is not configured.
pub(super) fn http(config: &Config) -> Vec<ShownSetting> {
    section(HTTP, config.http.as_ref())
}

/// Rows of `[otlp]`, likewise.
pub(super) fn otlp(config: &Config) -> Vec<ShownSetting> {
    section(OTLP, config.otlp.as_ref())
}

/// Rows of `[tls.client]` and `[tls.server]`.
pub(super) fn tls(config: &Config) -> Vec<ShownSetting> {
    let client = section(TLS_CLIENT, Some(&config.tls_client));
    [client, section(TLS_SERVER, Some(&config.tls_server))].concat()
}

fn section<T>(table: &[Setting<T>], values: Option<&T>) -> Vec<ShownSetting> {
    let row = |setting: &Setting<T>| ShownSetting {
        key: setting.shown,
        value: Some(values.and_then(setting.show).unwrap_or_default()),
        default: Some(setting.default),
        changeable: setting.reloadable,
        whence: Whence::Default,
    };
    table.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Http, Otlp, PoolSettings, Process};

    fn config(http: Option<Http>, otlp: Option<Otlp>) -> Config {
        Config {
            process: Process::default(),
            http,
            otlp,
            tls_client: Default::default(),
            tls_server: Default::default(),
            databases: Default::default(),
            classes: Default::default(),
            fallback: None,
            users: Default::default(),
            peers: Default::default(),
            defaults: PoolSettings::default().into(),
        }
    }

    #[test]
    fn defaults_are_shown_as_the_table_writes_them() {
        let rows = show(&config(Some(Http::default()), Some(Otlp::default())));
        assert!(rows.len() > 35, "only {} rows", rows.len());
        for row in rows {
            assert_eq!(row.value.as_deref(), row.default, "{}", row.key);
        }
    }

    #[test]
    fn names_are_pgbouncers_or_tell_the_section() {
        let rows = show(&config(None, None));
        for name in [
            "listen_port",
            "http.queue_buckets",
            "otlp.span_queue",
            "client_tls_sslmode",
            "client_tls13_ciphers",
            "server_tls_ca_file",
            "server_tls13_ciphers",
            "default_pool_size",
        ] {
            assert_eq!(rows.iter().filter(|row| row.key == name).count(), 1, "{name}");
        }
        let names: BTreeSet<_> = rows.iter().map(|row| row.key).collect();
        assert_eq!(names.len(), rows.len(), "a name stands for two settings");
    }

    #[test]
    fn what_is_not_configured_is_empty() {
        let rows = show(&config(None, None));
        let is_away =
            |row: &&ShownSetting| ["http.", "otlp."].iter().any(|at| row.key.starts_with(at));
        let away: Vec<_> = rows.iter().filter(is_away).collect();
        assert_eq!(away.len(), HTTP.len() + OTLP.len());
        assert!(away.iter().all(|row| row.value.as_deref() == Some("")), "{away:?}");
    }
}
