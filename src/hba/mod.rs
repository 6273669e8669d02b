//! Who may come in how: PostgreSQL's `pg_hba.conf` and `pg_ident.conf`, as PostgreSQL 16 reads them.
//!
//! [`Rules`] are the lines of a `pg_hba.conf`; [`Rules::decide`] finds the [`Demand`] of the first one that fits a
//! [`Visit`]. [`IdentMaps`] say which users somebody may be whom a certificate or the operating system names. What
//! pgusher cannot know or do is refused when the file is read, so that no line silently never matches.
//!
//! Nothing here asks anybody: text and facts in, verdicts out. Files are read through [`Files`].

mod address;
mod demand;
mod ident;
mod interfaces;
mod ldap_options;
mod ldap_url;
mod names;
mod options;
mod rule;
mod rules;
mod source;
mod token;

pub use address::Net;
pub use demand::{CertName, ClientCert, Demand, Method};
pub use ident::IdentMaps;
pub use interfaces::own_networks;
pub use ldap_options::{LdapLookup, LdapOptions, LdapScope, LdapTls};
pub use rule::Visit;
pub use rules::Rules;
pub use source::{Disk, Files};

#[cfg(test)]
mod rules_tests;
