//! Configuration: from files to one checked, immutable [`Config`].
//!
//! The way of a value: `files` gathers TOML and its includes into a `tree` whose values know their
//! places; `read` gives each value to its entry in the settings table (`setting`, `table_*`), which
//! knows its kind (`kinds`, `words`, `lists`); `check` looks at what is wrong only in combination. Every step reports to one
//! `Report`, so all mistakes are told at once. `show` and `diff` look at the result.

mod check;
mod check_tls;
mod diff;
mod env;
mod files;
mod kinds;
mod lists;
mod load;
mod mistake;
mod read;
mod resolved;
mod resolved_tls;
mod setting;
mod settings;
mod show;
mod suggest;
mod table_names;
mod table_pool;
mod table_process;
mod table_tls;
mod tree;
mod units;
mod words;

pub use diff::{Changes, diff};
pub use load::{Loaded, load};
pub use mistake::{Mistake, Mistakes};
pub use resolved::*;
pub use resolved_tls::*;
pub use setting::{Section, SettingInfo};
pub use settings::settings;
pub use show::{ShownSetting, show};

#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tests;
