//! The page of all parameters, made of the settings tables.

use std::fmt::Write;

use super::ini_table::{CHANGED, DATABASE_KEYS, Fate, PARAMETERS, PEER_KEYS, Parameter, USER_KEYS};
use super::setting::{Section, SettingInfo};
use super::settings::settings;

const HEAD: &str = "# Parameters\n\n\
Every setting of a `pool.toml`, and what it is called in a `pgbouncer.ini`. Durations and sizes carry units in a \
`pool.toml`; a `pgbouncer.ini` has seconds and bytes, and 0 where there is no limit. A database or user may override \
everything of `[defaults]`; users win over databases. This page is made of the tables that the program reads its \
files by: `pgusher parameters`.\n";

/// Every parameter with its default, unit, reloadability and meaning, as Markdown.
pub fn parameters_page() -> String {
    let mut page = HEAD.to_owned();
    let all = settings();
    for section in Section::ALL {
        // Writing to a text cannot fail.
        let _ = write!(
            page,
            "\n## `{}`\n\n| setting | default | unit | changed by | pgbouncer.ini | default there | meaning |\n\
             |---|---|---|---|---|---|---|\n",
            section.header()
        );
        let inherited = |info: &&SettingInfo| {
            section > Section::Defaults
                && all.iter().any(|one| one.section == Section::Defaults && one.doc == info.doc)
        };
        let own = all.iter().filter(|info| info.section == section);
        own.filter(|info| !inherited(info)).for_each(|info| page.push_str(&row(info)));
    }
    page.push_str(&without_setting());
    page
}

fn row(info: &SettingInfo) -> String {
    let theirs = named_there(info);
    let (name, default) =
        theirs.map_or(("", ""), |found| (found.name, found.default.unwrap_or("")));
    let changed = if info.reloadable { "reload" } else { "restart" };
    let SettingInfo { key, unit, doc, .. } = *info;
    format!(
        "| {} | {} | {unit} | {changed} | {} | {} | {} |\n",
        code(key),
        code(info.default),
        code(name),
        code(default),
        doc.replace('|', "\\|")
    )
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
}

/// The parameter of a `pgbouncer.ini` that becomes this setting.
fn named_there(info: &SettingInfo) -> Option<&'static Parameter> {
    let keys = match info.section {
        Section::Database => DATABASE_KEYS,
        Section::User => USER_KEYS,
        Section::Peer => PEER_KEYS,
        _ => PARAMETERS,
    };
    let is_same = |name: &str| name == info.key || info.alias == Some(name);
    let all = keys.iter().filter(|parameter| match parameter.fate {
        Fate::Setting(section, key, _) => section == info.section && is_same(key),
        _ => false,
    });
    // Some have an alias there.
    all.max_by_key(|parameter| is_same(parameter.name))
}

/// What a `pgbouncer.ini` may say beside that.
fn without_setting() -> String {
    let mut text = "\n## Only in a `pgbouncer.ini`\n\n| parameter | default | what becomes of it |\n|---|---|---|\n".to_owned();
    for parameter in PARAMETERS.iter().chain(DATABASE_KEYS) {
        let fate = match parameter.fate {
            Fate::Moot(why) => format!("no effect: {why}"),
            Fate::Startup => "one of `startup_parameters`".to_owned(),
            Fate::Inherited(section, key, _) => {
                format!("`{key}` of every {} that has none of its own", section.header())
            }
            Fate::Setting(..) => continue,
        };
        let default = code(parameter.default.unwrap_or(""));
        let _ = writeln!(text, "| {} | {default} | {fate} |", code(parameter.name));
    }
    text.push_str("\n## The same with a difference\n\n| parameter | difference |\n|---|---|\n");
    for (name, how) in CHANGED {
        let _ = writeln!(text, "| {} | {how} |", code(name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../config/PARAMETERS.md");

    #[test]
    fn the_page_is_what_the_tables_say() {
        assert!(
            PAGE == parameters_page(),
            "config/PARAMETERS.md is old: pgusher parameters > config/PARAMETERS.md"
        );
    }

    #[test]
    fn every_parameter_is_on_the_page() {
        for parameter in PARAMETERS.iter().chain(DATABASE_KEYS).chain(USER_KEYS).chain(PEER_KEYS) {
            let is_alias = parameter.name == "reserve_pool";
            assert!(PAGE.contains(&code(parameter.name)) || is_alias, "{}", parameter.name);
        }
        for info in settings() {
            assert!(PAGE.contains(&code(info.key)) && !info.unit.is_empty(), "{}", info.key);
        }
    }
}
