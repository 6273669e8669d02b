//! The configuration as SHOW CONFIG lists it.

use super::resolved::Config;
use super::setting::Setting;
use super::table_otlp::{OTLP, OTLP_SHOWN};
use super::table_pool::DEFAULTS;
use super::table_process::{HTTP, HTTP_SHOWN, PROCESS};
use super::table_tls::{TLS_CLIENT, TLS_CLIENT_SHOWN, TLS_SERVER, TLS_SERVER_SHOWN};
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
    rows.extend(DEFAULTS.iter().map(|setting| row(setting, setting.key, Some(&*config.defaults))));
    rows
}

/// Rows of `[pgusher]`.
pub(super) fn process(config: &Config) -> Vec<ShownSetting> {
    PROCESS.iter().map(|setting| row(setting, setting.key, Some(&config.process))).collect()
}

/// Rows of `[http]`; their values are empty when it is not configured.
pub(super) fn http(config: &Config) -> Vec<ShownSetting> {
    let rows = HTTP.iter().zip(HTTP_SHOWN);
    rows.map(|(setting, key)| row(setting, key, config.http.as_ref())).collect()
}

/// Rows of `[otlp]`, likewise.
pub(super) fn otlp(config: &Config) -> Vec<ShownSetting> {
    let rows = OTLP.iter().zip(OTLP_SHOWN);
    rows.map(|(setting, key)| row(setting, key, config.otlp.as_ref())).collect()
}

/// Rows of `[tls.client]` and `[tls.server]`.
pub(super) fn tls(config: &Config) -> Vec<ShownSetting> {
    let client = TLS_CLIENT
        .iter()
        .zip(TLS_CLIENT_SHOWN)
        .map(|(setting, key)| row(setting, key, Some(&config.tls_client)));
    let server = TLS_SERVER
        .iter()
        .zip(TLS_SERVER_SHOWN)
        .map(|(setting, key)| row(setting, key, Some(&*config.tls_server)));
    client.chain(server).collect()
}

fn row<T>(setting: &Setting<T>, key: &'static str, from: Option<&T>) -> ShownSetting {
    ShownSetting {
        key,
        value: Some(from.and_then(setting.show).unwrap_or_default()),
        default: Some(setting.default),
        changeable: setting.reloadable,
        whence: Whence::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table_process::HTTP;
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
    fn tls_has_pgbouncers_names() {
        for (setting, shown) in TLS_CLIENT.iter().zip(TLS_CLIENT_SHOWN) {
            assert!(
                shown.starts_with("client_tls") && shown.ends_with(tail(setting.key)),
                "{shown}"
            );
        }
        for (setting, shown) in TLS_SERVER.iter().zip(TLS_SERVER_SHOWN) {
            assert!(
                shown.starts_with("server_tls") && shown.ends_with(tail(setting.key)),
                "{shown}"
            );
        }
        assert_eq!(
            (TLS_CLIENT.len(), TLS_SERVER.len()),
            (TLS_CLIENT_SHOWN.len(), TLS_SERVER_SHOWN.len())
        );
    }

    fn tail(key: &str) -> &str {
        key.trim_start_matches("tls13")
    }

    #[test]
    fn http_has_names_of_its_own() {
        let rows = show(&config(None, None));
        let shown: Vec<_> = rows.iter().filter_map(|row| row.key.strip_prefix("http.")).collect();
        let keys: Vec<_> = HTTP.iter().map(|setting| setting.key).collect();
        assert_eq!(shown, keys);
        assert!(
            rows.iter()
                .filter(|row| row.key.starts_with("http."))
                .all(|row| row.value.as_deref() == Some(""))
        );
    }
}
