//! Configuration: from files to one checked, immutable [`Config`].
//!
//! The way of a value: `files` gathers TOML and its includes into a `tree` whose values know their
//! places (`ini*` does the same for PgBouncer's files); `read` gives each value to its entry in the settings table (`setting`, `table_*`), which
//! knows its kind (`kinds`, `words`, `lists`); `check` looks at what is wrong only in combination. Every step reports to one
//! `Report`, so all mistakes are told at once. `show` and `diff` look at the result.

mod check;
mod check_otlp;
mod check_tls;
mod diff;
mod env;
mod files;
mod import;
mod ini;
mod ini_forms;
mod ini_sections;
mod ini_shown;
mod ini_table;
mod ini_text;
mod kinds;
mod lists;
mod live;
mod load;
mod mistake;
mod notes;
mod page;
mod read;
mod resolved;
mod resolved_auth;
mod resolved_class;
mod resolved_http;
mod resolved_names;
mod resolved_otlp;
mod resolved_pool;
mod resolved_tls;
mod setting;
mod settings;
mod show;
mod suggest;
mod table_class;
mod table_names;
mod table_otlp;
mod table_pool;
mod table_process;
mod table_tls;
mod tree;
mod units;
mod whence;
mod words;

pub use diff::{Changes, diff};
pub use import::{Imported, import};
pub use ini_shown::DEFAULT_AUTH_QUERY;
pub use kinds::UNLIMITED;
pub use live::Origin;
pub use load::{Loaded, load};
pub use mistake::{Mistake, Mistakes};
pub use page::parameters_page;
pub use resolved::*;
pub use resolved_auth::{AuthLookup, AuthType};
pub use resolved_class::{Class, ClassMarks, ClassSettings};
pub use resolved_http::{Http, MetricsCompat, PageMode};
pub use resolved_names::{Database, Peer, User};
pub use resolved_otlp::Otlp;
pub use resolved_pool::{PoolOverrides, PoolSettings};
pub use resolved_tls::*;
pub use setting::{Section, SettingInfo};
pub use settings::{canonical, settings};
pub use show::{ShownSetting, show};
pub use whence::Whence;

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod ini_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tests;
