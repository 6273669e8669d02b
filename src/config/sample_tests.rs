//! The sample files: valid as they stand, whole, and never broken beyond an error message.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::load::load_with;
use super::setting::{Section, SettingInfo};
use super::settings::settings;

const SAMPLE: &str = include_str!("../../config/pool.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

/// A `key = value` line of the sample.
struct Line<'a> {
    section: Section,
    key: &'a str,
    value: &'a str,
    set: bool,
    /// The comment above it.
    about: String,
}

/// The lines of the sample, with those that are commented out: `#key = value`, without a space.
fn lines() -> Vec<Line<'static>> {
    let mut section = None;
    let mut about = String::new();
    let mut out = Vec::new();
    for line in SAMPLE.lines() {
        let text = line.strip_prefix('#').unwrap_or(line);
        if let Some(comment) = text.strip_prefix(' ') {
            about.push_str(comment);
            about.push(' ');
        } else if let Some(header) = text.strip_prefix('[') {
            // The fallback's section is an example: it repeats keys of the one before.
            section = (!header.contains('*')).then(|| section_of(header));
        } else if let (Some((key, value)), Some(section)) = (text.split_once(" = "), section) {
            out.push(Line {
                section,
                key,
                value,
                set: !line.starts_with('#'),
                about: about.clone(),
            });
        } else if text.is_empty() {
            about.clear();
        }
    }
    out
}

fn section_of(header: &str) -> Section {
    let is_it = |section: &Section| {
        header.strip_prefix(section.name()).is_some_and(|rest| rest.starts_with([']', '.']))
    };
    let found = Section::ALL.into_iter().find(is_it);
    found.unwrap_or_else(|| panic!("[{header}"))
}

#[test]
fn the_samples_load() {
    for name in ["pool.toml", "minimal.toml"] {
        let loaded = load_with(&sample(name), &|_| None);
        let config = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).config;
        assert!(config.databases.len() + usize::from(config.fallback.is_some()) > 0, "{name}");
    }
    assert!(MINIMAL.lines().count() <= 12);
}

#[test]
fn the_sample_is_as_if_nothing_were_set() {
    let config = load_with(&sample("pool.toml"), &|_| None).unwrap().config;
    let is_optional = |key: &str| key.starts_with("http.") || key.starts_with("otlp.");
    let moved: Vec<_> = super::show(&config)
        .into_iter()
        .filter(|row| row.value.as_deref() != row.default && !is_optional(row.key))
        .map(|row| row.key)
        .collect();
    assert_eq!(moved, ["listen_addr"]);
}

/// Every setting of the table stands in the sample; a pool's settings stand in `[defaults]` only.
#[test]
fn the_sample_shows_every_setting() {
    let shown: BTreeSet<_> = lines().iter().map(|line| (line.section, line.key)).collect();
    let defaults: BTreeSet<_> = settings()
        .into_iter()
        .filter(|info| info.section == Section::Defaults)
        .flat_map(|info| std::iter::once(info.key).chain(info.alias))
        .collect();
    let inherited =
        |info: &SettingInfo| info.section > Section::Defaults && defaults.contains(info.key);
    let missing: Vec<_> = settings()
        .into_iter()
        .filter(|info| !inherited(info) && !shown.contains(&(info.section, info.key)))
        .map(|info| info.key)
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(shown.len() > 50, "only {} lines were understood", shown.len());
}

#[test]
fn the_sample_shows_the_defaults_of_the_table() {
    let all = settings();
    let mut compared = 0;
    for line in lines() {
        let Line { section, key, value, set, about } = line;
        let info = all.iter().find(|info| info.section == section && info.key == key);
        let info =
            info.unwrap_or_else(|| panic!("`{key}` is not a setting of {}", section.header()));
        if info.default.is_empty() {
            let own = section > Section::Defaults
                && all.iter().any(|i| i.section == Section::Defaults && i.doc == info.doc);
            assert!(own || about.contains("No default"), "`{key}` has no default: {about}");
        } else if !set {
            assert_eq!(value.trim_matches('"'), info.default, "{key}");
            compared += 1;
        }
        let restart = section <= Section::Otlp && !info.reloadable;
        assert_eq!(about.contains("(restart)"), restart, "{key}: {about}");
    }
    assert!(compared > 40, "only {compared} defaults were compared");
}

/// With every comment that hides a setting taken away, the sample has no mistake but the files of its examples.
#[test]
fn the_examples_of_the_sample_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pool.toml");
    let bare = |line: &str| {
        let text = line.strip_prefix('#').unwrap_or(line);
        let hidden = line.starts_with('#') && !text.starts_with([' ', '#']);
        if hidden { text.to_owned() } else { line.to_owned() }
    };
    let text: Vec<_> = SAMPLE.lines().map(bare).collect();
    fs::write(&path, text.join("\n")).unwrap();
    let mistakes = load_with(&path, &|_| Some("x".into())).unwrap_err();
    let messages: Vec<_> = mistakes.as_slice().iter().map(|m| m.message.as_str()).collect();
    let expected = [
        "`auth_file`: cannot read",
        "`resolv_conf`: cannot read",
        "`headers_file` and `headers` exclude",
        "`cert_file`: cannot read",
        "`key_file`: cannot read",
        "`ca_file`: cannot read",
        "`ca_file`: cannot read",
        "`cert_file`: cannot read",
        "`key_file`: cannot read",
        "`password_file` and `password` exclude",
        "`server_tls_ca_file`: cannot read",
        "`server_tls_cert_file`: cannot read",
        "`server_tls_key_file`: cannot read",
        "`password_file` and `password` exclude",
    ];
    assert_eq!(messages.len(), expected.len(), "{mistakes}");
    for (message, start) in messages.iter().zip(expected) {
        assert!(message.starts_with(start), "{message}");
    }
}

/// A change to a text: a piece removed, doubled, or replaced by something that means something to TOML.
fn mutate(text: &str, cuts: &[(usize, usize, u8)]) -> String {
    const PIECES: [&str; 16] = [
        "",
        "\"",
        "[",
        "]",
        "=",
        "\n",
        "{",
        "}",
        "#",
        "'''",
        "0",
        "-1",
        "${",
        "é",
        "[databases.",
        "[[",
    ];
    let mut chars: Vec<char> = text.chars().collect();
    for (at, len, piece) in cuts {
        let from = at % (chars.len() + 1);
        let to = (from + len).min(chars.len());
        let old: Vec<char> =
            chars.splice(from..to, PIECES[usize::from(piece % 16)].chars()).collect();
        if piece % 3 == 0 {
            let at = (at / 7) % (chars.len() + 1);
            chars.splice(at..at, old);
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_file_panics_the_loader(
        cuts in prop::collection::vec((any::<usize>(), 0usize..30, any::<u8>()), 1..8),
        minimal in any::<bool>(),
        hidden in any::<bool>(),
    ) {
        let text = if minimal { MINIMAL.to_owned() } else { SAMPLE.to_owned() };
        let text = if hidden { text.replace("\n#", "\n") } else { text };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.toml");
        fs::write(&path, mutate(&text, &cuts)).unwrap();
        if let Err(mistakes) = load_with(&path, &|_| None) {
            prop_assert!(!mistakes.as_slice().is_empty());
            prop_assert!(!mistakes.to_string().is_empty());
        }
    }
}
