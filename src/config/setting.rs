//! A setting: its entry in the settings table, and how a section's table is written down.

use super::kinds::{Kind, Reading};
use super::mistake::{Place, Report};
use super::tree::{Node, Value};

/// Takes effect with a reload.
pub(super) const RELOAD: bool = true;
/// Takes effect with a restart.
pub(super) const RESTART: bool = false;

/// A section of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `[pgusher]`: the process.
    Process,
    /// `[http]`: metrics and health.
    Http,
    /// `[otlp]`: metrics and spans for a collector.
    Otlp,
    /// `[tls.client]`: TLS with clients.
    TlsClient,
    /// `[tls.server]`: TLS with servers.
    TlsServer,
    /// `[defaults]`: what every pool inherits.
    Defaults,
    /// `[databases.NAME]`.
    Database,
    /// `[users.NAME]`.
    User,
    /// `[classes.NAME]`.
    Class,
    /// `[peers.ID]`.
    Peer,
}

impl Section {
    /// All sections.
    pub const ALL: [Section; 10] = [
        Section::Process,
        Section::Http,
        Section::Otlp,
        Section::TlsClient,
        Section::TlsServer,
        Section::Defaults,
        Section::Database,
        Section::User,
        Section::Class,
        Section::Peer,
    ];

    /// How the section's header is written.
    pub fn header(self) -> &'static str {
        match self {
            Section::Process => "[pgusher]",
            Section::Http => "[http]",
            Section::Otlp => "[otlp]",
            Section::TlsClient => "[tls.client]",
            Section::TlsServer => "[tls.server]",
            Section::Defaults => "[defaults]",
            Section::Database => "[databases.NAME]",
            Section::User => "[users.NAME]",
            Section::Class => "[classes.NAME]",
            Section::Peer => "[peers.ID]",
        }
    }

    /// The part of the header that is the same for all sections of this kind.
    pub(super) fn name(self) -> &'static str {
        let header = self.header().trim_matches(['[', ']']);
        header.trim_end_matches(".NAME").trim_end_matches(".ID")
    }
}

/// What is known about a setting, whatever the type of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingInfo {
    /// Where the setting stands.
    pub section: Section,
    /// Its name.
    pub key: &'static str,
    /// Another name for it.
    pub alias: Option<&'static str>,
    /// The default without quotes, as SHOW CONFIG shows it; empty when there is none.
    pub default: &'static str,
    /// What it does, with its unit.
    pub doc: &'static str,
    /// Whether a reload is enough to change it.
    pub reloadable: bool,
    /// What a file holds.
    pub unit: &'static str,
}

/// A setting of a section that is read into a `T`.
pub(super) struct Setting<T> {
    pub(super) key: &'static str,
    pub(super) alias: Option<&'static str>,
    /// Its name in SHOW CONFIG, where it has no section to stand in.
    pub(super) shown: &'static str,
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
    pub(super) reloadable: bool,
    pub(super) unit: &'static str,
    /// Reads a value into its field; `false` after a mistake was reported.
    pub(super) read: fn(&mut T, &Node, &mut Reading<'_>) -> bool,
    /// Shows the field; `None` when it inherits.
    pub(super) show: fn(&T) -> Option<String>,
}

impl<T> Setting<T> {
    /// The entry without its type.
    pub(super) fn info(&self, section: Section) -> SettingInfo {
        let Setting { key, alias, default, doc, reloadable, unit, .. } = *self;
        SettingInfo { section, key, alias, default, doc, reloadable, unit }
    }
}

/// Writes a table for a struct, and the struct's `Default`: the defaults of the table. SHOW CONFIG puts the prefix
/// before the name, unless the setting has another one there, in brackets.
macro_rules! section_table {
    ($(#[$meta:meta])* $name:ident for $target:ty { $($settings:tt)* }) => {
        $crate::config::setting::section_table! {
            $(#[$meta])* $name for $target, shown as "" { $($settings)* }
        }
    };
    ($(#[$meta:meta])* $name:ident for $target:ty, shown as $prefix:literal {
        $($field:ident $(($shown:literal))?: $kind:ty = $default:literal, $reload:ident, $doc:literal;)*
    }) => {
        $(#[$meta])*
        pub(super) const $name: &[$crate::config::setting::Setting<$target>] = &[$(
            $crate::config::setting::Setting {
                key: stringify!($field),
                alias: None,
                shown: $crate::config::setting::first(
                    &[$($shown,)? concat!($prefix, stringify!($field))],
                ),
                default: $default,
                doc: $doc,
                reloadable: $reload,
                unit: <$kind as $crate::config::kinds::Kind>::UNIT,
                read: |target, node, cx| {
                    <$kind as $crate::config::kinds::Kind>::read(node, cx)
                        .map(|value| target.$field = value)
                        .is_some()
                },
                show: |target| Some(<$kind as $crate::config::kinds::Kind>::show(&target.$field)),
            },
        )*];

        impl Default for $target {
            /// The defaults of the settings table.
            fn default() -> Self {
                Self { $($field: $crate::config::setting::built_in::<$kind>($default),)* }
            }
        }
    };
}
pub(super) use section_table;

/// The first of some names, of which there is at least one.
pub(super) const fn first(names: &[&'static str]) -> &'static str {
    match names {
        [first, ..] => first,
        [] => "",
    }
}

/// The value of a default in the table. The table is fixed, and a test reads all of it.
pub(super) fn built_in<K: Kind>(default: &str) -> K::Value {
    let mut report = Report::default();
    let file = report.open(std::path::Path::new("default"));
    let value = Value::Text { text: default.to_owned(), loose: true };
    let node = Node { at: Place::whole(file), value };
    let unset = if default.is_empty() { K::unset() } else { None };
    unset
        .or_else(|| K::read(&node, &mut Reading { report: &mut report, key: default }))
        .expect("every default in the settings table is valid")
}
