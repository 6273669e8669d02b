//! The configuration as SHOW CONFIG lists it.

use super::resolved::Config;
use super::setting::Setting;
use super::table_pool::DEFAULTS;
use super::table_process::{HTTP, PROCESS};

/// A row of SHOW CONFIG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// The name; that of `[http]`'s settings begins with `http.`, as they have no PgBouncer counterpart.
    pub key: &'static str,
    /// The value in force, as a file would have it without the quotes.
    pub value: String,
    /// The value when no file sets it.
    pub default: &'static str,
    /// Whether a reload is enough to change it.
    pub changeable: bool,
}

/// The settings of `[pgusher]`, `[http]` and `[defaults]`. None of them is secret.
pub fn show(config: &Config) -> Vec<ShownSetting> {
    let mut rows = process(config);
    rows.extend(http(config));
    rows.extend(DEFAULTS.iter().map(|setting| row(setting, setting.key, Some(&*config.defaults))));
    rows
}

/// Rows of `[pgusher]`.
pub(super) fn process(config: &Config) -> Vec<ShownSetting> {
    PROCESS.iter().map(|setting| row(setting, setting.key, Some(&config.process))).collect()
}

/// Rows of `[http]`; their values are empty when it is not configured.
pub(super) fn http(config: &Config) -> Vec<ShownSetting> {
    let rows = HTTP.iter().map(|setting| {
        // The table's keys are short; a row has no section to stand in.
        let key = if setting.key == "listen" { "http.listen" } else { "http.queue_buckets" };
        row(setting, key, config.http.as_ref())
    });
    rows.collect()
}

fn row<T>(setting: &Setting<T>, key: &'static str, from: Option<&T>) -> ShownSetting {
    ShownSetting {
        key,
        value: from.and_then(setting.show).unwrap_or_default(),
        default: setting.default,
        changeable: setting.reloadable,
    }
}

#[cfg(test)]
mod tests {
    use super::super::table_process::HTTP;
    use super::show;
    use crate::config::{Config, Http, PoolSettings, Process};

    fn config(http: Option<Http>) -> Config {
        Config {
            process: Process::default(),
            http,
            databases: Default::default(),
            fallback: None,
            users: Default::default(),
            defaults: PoolSettings::default().into(),
        }
    }

    #[test]
    fn defaults_are_shown_as_the_table_writes_them() {
        let rows = show(&config(Some(Http::default())));
        assert!(rows.len() > 35, "only {} rows", rows.len());
        for row in rows {
            assert_eq!(row.value, row.default, "{}", row.key);
        }
    }

    #[test]
    fn http_has_names_of_its_own() {
        let rows = show(&config(None));
        let shown: Vec<_> = rows.iter().filter_map(|row| row.key.strip_prefix("http.")).collect();
        let keys: Vec<_> = HTTP.iter().map(|setting| setting.key).collect();
        assert_eq!(shown, keys);
        assert!(
            rows.iter().filter(|row| row.key.starts_with("http.")).all(|row| row.value.is_empty())
        );
    }
}
