//! The settings table of all sections: what gives parsing, defaults, documentation and SHOW CONFIG.

use super::setting::{Section, SettingInfo};
use super::table_class::CLASS;
use super::table_names::{DATABASE, PEER, USER};
use super::table_otlp::OTLP;
use super::table_pool::{DEFAULTS, POOL};
use super::table_process::{HTTP, PROCESS};
use super::table_tls::{TLS_CLIENT, TLS_SERVER};

/// Every setting of every section, in the order of the sample file.
pub fn settings() -> Vec<SettingInfo> {
    let process = PROCESS.iter().map(|s| s.info(Section::Process));
    let http = HTTP.iter().map(|s| s.info(Section::Http));
    let otlp = OTLP.iter().map(|s| s.info(Section::Otlp));
    let tls_client = TLS_CLIENT.iter().map(|s| s.info(Section::TlsClient));
    let tls_server = TLS_SERVER.iter().map(|s| s.info(Section::TlsServer));
    let defaults = DEFAULTS.iter().map(|s| s.info(Section::Defaults));
    let database = DATABASE.iter().map(|s| s.info(Section::Database));
    let user = USER.iter().map(|s| s.info(Section::User));
    let peer = PEER.iter().map(|s| s.info(Section::Peer));
    // A pool's setting has no default of its own in a database or a user: it inherits.
    let inherited =
        |section| POOL.iter().map(move |s| SettingInfo { default: "", ..s.info(section) });
    process
        .chain(http)
        .chain(otlp)
        .chain(tls_client)
        .chain(tls_server)
        .chain(defaults)
        .chain(database)
        .chain(inherited(Section::Database))
        .chain(user)
        .chain(inherited(Section::User))
        .chain(peer)
        .chain(CLASS.iter().map(|s| s.info(Section::Class)))
        .collect()
}

/// The name of a setting of `[defaults]` that has two, and of every other one as it is.
pub fn canonical(key: &str) -> &str {
    let alias = DEFAULTS.iter().find(|setting| setting.alias.is_some_and(|alias| alias == key));
    alias.map_or(key, |setting| setting.key)
}

/// Where a setting stands that is unknown here.
pub(super) fn homes(key: &str) -> Option<String> {
    let homes: Vec<_> = settings()
        .into_iter()
        .filter(|info| info.key == key || info.alias == Some(key))
        .map(|info| info.section.header())
        .collect();
    match homes.split_last() {
        Some((last, [])) => Some(format!("it belongs in {last}")),
        Some((last, others)) => Some(format!("it belongs in {} or {last}", others.join(", "))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let all = settings();
        assert!(all.len() > 80, "only {} settings", all.len());
        for info in &all {
            assert!(info.doc.ends_with('.') && info.doc.len() > 20, "{info:?}");
            let twins = all.iter().filter(|o| (o.section, o.key) == (info.section, info.key));
            assert_eq!(twins.count(), 1, "{info:?}");
        }
    }
}
