//! Kinds of settings that are words: texts, choices, names, paths and passwords.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::kinds::{Kind, Reading};
use super::resolved::{Compat, Facility, LogFormat, SendEngine};
use super::resolved_auth::AuthType;
use super::resolved_http::PageMode;
use super::suggest::closest;
use super::tree::{Node, Value};
use crate::secret::Secret;
use crate::types::{LoadBalance, Name, PoolMode, Unsharable};

/// Any text.
pub(super) struct Text;

impl Kind for Text {
    type Value = String;

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<String> {
        cx.text(node, "a string").map(str::to_owned)
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// A type whose values are words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Every word with its value.
    const WORDS: &'static [(&'static str, Self)];
}

impl Choice for PageMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", PageMode::Off), ("read", PageMode::Read), ("admin", PageMode::Admin)];
}

impl Choice for PoolMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("transaction", PoolMode::Transaction),
        ("session", PoolMode::Session),
        ("statement", PoolMode::Statement),
    ];
}

impl Choice for Unsharable {
    const WORDS: &'static [(&'static str, Self)] =
        &[("pin", Unsharable::Pin), ("error", Unsharable::Error), ("warn", Unsharable::Warn)];
}

impl Choice for AuthType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("scram-sha-256", AuthType::ScramSha256),
        ("md5", AuthType::Md5),
        ("plain", AuthType::Plain),
        ("trust", AuthType::Trust),
        ("any", AuthType::Any),
        ("cert", AuthType::Cert),
        ("peer", AuthType::Peer),
        ("hba", AuthType::Hba),
        ("ldap", AuthType::Ldap),
        ("pam", AuthType::Pam),
    ];
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("pgbouncer", LogFormat::PgBouncer),
    ];
}

impl Choice for Compat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Compat::Off), ("pgbouncer", Compat::PgBouncer)];
}

impl Choice for LoadBalance {
    const WORDS: &'static [(&'static str, Self)] =
        &[("disable", LoadBalance::Disable), ("round-robin", LoadBalance::RoundRobin)];
}

impl Choice for Facility {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auth", Facility::Auth),
        ("authpriv", Facility::AuthPriv),
        ("daemon", Facility::Daemon),
        ("user", Facility::User),
        ("local0", Facility::Local0),
        ("local1", Facility::Local1),
        ("local2", Facility::Local2),
        ("local3", Facility::Local3),
        ("local4", Facility::Local4),
        ("local5", Facility::Local5),
        ("local6", Facility::Local6),
        ("local7", Facility::Local7),
    ];
}

impl Choice for SendEngine {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", SendEngine::Auto),
        ("io_uring", SendEngine::IoUring),
        ("plain", SendEngine::Plain),
    ];
}

/// One of a few words.
pub(super) struct OneOf<T>(PhantomData<T>);

impl<T: Choice> Kind for OneOf<T> {
    type Value = T;

    const UNIT: &'static str = "word";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<T> {
        let words: Vec<String> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let expected = format!("one of {}", words.join(", "));
        let text = cx.text(node, &expected)?;
        let found = T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let close = closest(text, T::WORDS.iter().map(|(word, _)| *word));
            let help = close.map(|word| format!("did you mean \"{word}\"?"));
            cx.wrong(node.at, &format!("expected {expected}, found \"{text}\""), help);
        }
        found
    }

    fn show(value: &T) -> String {
        let word = T::WORDS.iter().find(|(_, candidate)| candidate == value);
        word.map(|(word, _)| (*word).to_owned()).unwrap_or_default()
    }
}

/// A value that may be missing, and then is another section's; empty is missing.
pub(super) struct Inherited<K>(PhantomData<K>);

impl<K: Kind> Kind for Inherited<K> {
    type Value = Option<K::Value>;

    fn unset() -> Option<Self::Value> {
        Some(None)
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Self::Value> {
        match &node.value {
            Value::Text { text, .. } if text.is_empty() => Some(None),
            _ => K::read(node, cx).map(Some),
        }
    }

    fn show(value: &Self::Value) -> String {
        value.as_ref().map(K::show).unwrap_or_default()
    }
}

/// A name that may be missing; empty is missing.
pub(super) struct OptionalName;

impl Kind for OptionalName {
    type Value = Option<Name>;

    const UNIT: &'static str = "name";

    fn unset() -> Option<Self::Value> {
        Some(None)
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Option<Name>> {
        let text = cx.text(node, "a name in quotes")?;
        Some((!text.is_empty()).then(|| text.into()))
    }

    fn show(value: &Option<Name>) -> String {
        value.as_deref().unwrap_or_default().to_owned()
    }
}

/// A path that may be missing; empty is missing. Relative paths start at the folder of the file they stand in.
pub(super) struct OptionalPath;

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;

    const UNIT: &'static str = "path";

    fn unset() -> Option<Self::Value> {
        Some(None)
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Option<PathBuf>> {
        let text = cx.text(node, "a path in quotes")?;
        // An abstract socket stands in no folder.
        if text.starts_with('@') {
            return Some(Some(PathBuf::from(text)));
        }
        Some((!text.is_empty()).then(|| cx.report.folder(node.at.file).join(Path::new(text))))
    }

    fn show(value: &Option<PathBuf>) -> String {
        value.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

/// A password that may be missing. Its value is never repeated, not even in a mistake.
pub(super) struct OptionalSecret;

impl Kind for OptionalSecret {
    type Value = Option<Secret>;

    const UNIT: &'static str = "password";

    fn unset() -> Option<Self::Value> {
        Some(None)
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Option<Secret>> {
        match &node.value {
            Value::Text { text, .. } if text.is_empty() => {
                cx.wrong(
                    node.at,
                    "the password is empty",
                    Some("remove the key for no password".into()),
                );
                None
            }
            Value::Text { .. } => cx.text(node, "").map(|text| Some(Secret::new(text))),
            Value::Broken => None,
            _ => {
                cx.wrong(node.at, "expected a password in quotes", None);
                None
            }
        }
    }

    fn show(value: &Option<Secret>) -> String {
        value.as_ref().map(|_| "***".to_owned()).unwrap_or_default()
    }
}

/// What is logged.
pub(super) struct LogFilter;

impl Kind for LogFilter {
    type Value = String;

    const UNIT: &'static str = "level or filter";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let text = cx.text(node, "a level such as \"info\"")?;
        // The filter itself takes a misspelt level for the name of a module, and then logs nothing.
        let odd = |part: &&str| !part.contains(['=', '[']) && !LEVELS.contains(part);
        if let Some(word) = text.split(',').map(str::trim).find(odd) {
            let close = closest(word, LEVELS.into_iter());
            let help = close.map(|level| format!("did you mean \"{level}\"?"));
            cx.wrong(
                node.at,
                &format!("unknown level \"{word}\"; expected one of {}", LEVELS.join(", ")),
                help,
            );
            return None;
        }
        if let Err(why) = tracing_subscriber::EnvFilter::try_new(text) {
            cx.wrong(node.at, &why.to_string(), None);
            return None;
        }
        Some(text.to_owned())
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}
