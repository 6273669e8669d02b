//! What a start-up packet asks for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::login_counts::LoginResult;
use super::refusal::Refusal;
use super::replies;
use crate::config::{Compat, Process};
use crate::net::Peer;
use crate::session::params::{ParamSet, ParamSets, Values};
use crate::stats::Replicates;
use crate::types::Name;
use crate::wire::ErrorFields;
use crate::wire::startup::Startup;

/// What a start-up packet asks for, names lower case and values as the client wrote them.
pub(super) struct Request {
    pub(super) user: Name,
    pub(super) database: Name,
    pub(super) application_name: Name,
    pub(super) params: Arc<ParamSet>,
    /// `pgusher.pool_mode=session`: it wants a server of its own.
    pub(super) wants_session: bool,
    /// It wants a walsender.
    pub(super) replication: Replication,
    pub(super) minor: u16,
    pub(super) unknown_options: Vec<String>,
}

/// `replication` in a start-up packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replication {
    /// None.
    Off,
    /// Physical, or logical: these are the parameters for the server.
    On { is_physical: bool, parameters: BTreeMap<String, String> },
}

impl Replication {
    /// For the record.
    pub(super) fn replicates(&self) -> Replicates {
        match self {
            Replication::Off => Replicates::Nothing,
            Replication::On { is_physical: true, .. } => Replicates::Physical,
            Replication::On { is_physical: false, .. } => Replicates::Logical,
        }
    }

    /// PgBouncer's word.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Replication::Off => "no",
            Replication::On { is_physical: true, .. } => "yes",
            Replication::On { is_physical: false, .. } => "database",
        }
    }
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) process: &'a Process,
    pub(super) peer: &'a Peer,
}

impl Request {
    /// Reads a start-up packet.
    pub(super) fn read(
        startup: &Startup,
        asker: Asker<'_>,
        param_sets: &ParamSets,
    ) -> Result<Self, Refusal> {
        let parameter = |fields| Refusal::new(LoginResult::Protocol, fields);
        let said = |name: &str| startup.get(name).filter(|value| !value.is_empty());
        let name = |value: &[u8]| Name::from(&*String::from_utf8_lossy(value));
        let user = said("user").map(name).ok_or_else(|| parameter(replies::no_user()))?;
        let database = said("database").map_or_else(|| Name::clone(&user), name);
        let replication = replication(startup);
        let mut values = match replication {
            Replication::Off => asker.values(startup).map_err(parameter)?,
            Replication::On { .. } => application_name_of(startup),
        };
        let application_name = values.remove("application_name").unwrap_or_default();
        let application_name = asker.named(String::from_utf8_lossy(&application_name).into());
        let mode = values.remove("pgusher.pool_mode");
        let wants_session = match mode.as_deref() {
            Some(b"session") => true,
            Some(b"transaction") | None => false,
            Some(other) => {
                return Err(parameter(replies::bad_pool_mode(&String::from_utf8_lossy(other))));
            }
        };
        let options = startup.parameters().map(|(name, _)| name).filter(|name| is_option(name));
        let lower = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
        Ok(Request {
            wants_session,
            user,
            database,
            application_name,
            params: param_sets.intern(values),
            replication,
            minor: startup.minor,
            unknown_options: options.map(lower).collect(),
        })
    }
}

impl Asker<'_> {
    /// The parameters that a client's session begins with.
    fn values(&self, startup: &Startup) -> Result<Values, ErrorFields> {
        let mut values = Values::new();
        for (name, value) in startup.parameters() {
            let name = lower_case(name);
            match &*name {
                "user" | "database" | "replication" => {}
                "options" => self.read_options(value, &mut values)?,
                _ if is_option(name.as_bytes()) => {}
                _ if self.keeps(&name) => drop(values.insert(name.into(), value.into())),
                _ if self.ignores(&name) => {}
                _ => return Err(replies::unsupported_parameter(&name)),
            }
        }
        Ok(values)
    }

    fn read_options(&self, value: &[u8], values: &mut Values) -> Result<(), ErrorFields> {
        let options = match crate::session::options::parse(value) {
            Ok(options) => options,
            Err(_) if self.ignores("options") => return Ok(()),
            Err(error) => return Err(replies::bad_options(&error)),
        };
        for (name, value) in options {
            let name = lower_case(&name);
            if self.keeps(&name) {
                values.insert(name.into(), value.into());
            } else if !self.ignores(&name) && !self.ignores("options") {
                return Err(replies::unsupported_option(&name));
            }
        }
        Ok(())
    }

    /// Every parameter is kept for its client, unless PgBouncer's rules bind.
    fn keeps(&self, name: &str) -> bool {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        self.process.compat == Compat::Off
            || KEPT.into_iter().any(is)
            || self.process.track_extra_parameters.iter().any(|known| is(known))
    }

    fn ignores(&self, name: &str) -> bool {
        let mut ignored = self.process.ignore_startup_parameters.iter();
        ignored.any(|known| known.eq_ignore_ascii_case(name))
    }

    /// `application_name_add_host`.
    fn named(&self, name: Name) -> Name {
        if !self.process.application_name_add_host {
            return name;
        }
        let name = if name.is_empty() { "app" } else { &*name };
        format!("{name} - {}:{}", self.peer.host(), self.peer.port()).into()
    }
}

/// A parameter's name as PostgreSQL compares it. Nearly all are written so.
fn lower_case(name: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(name);
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        text
    }
}

/// Options of the protocol begin so; a session has none of them.
fn is_option(name: &[u8]) -> bool {
    let prefix = b"_pq_.";
    name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

/// What PgBouncer keeps of every client, and what pgusher asks for itself.
const KEPT: [&str; 6] = [
    "application_name",
    "client_encoding",
    "datestyle",
    "pgusher.pool_mode",
    "standard_conforming_strings",
    "timezone",
];

/// What a walsender is made of: everything as the client wrote it.
fn replication(startup: &Startup) -> Replication {
    let Some(wanted) = startup.get("replication").filter(|value| !is_off(value)) else {
        return Replication::Off;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let passes = |name: &str| !matches!(name, "user" | "database") && !name.starts_with("_pq_.");
    let all = startup.parameters().map(|(name, value)| (text(name), text(value)));
    Replication::On {
        is_physical: !wanted.eq_ignore_ascii_case(b"database"),
        parameters: all.filter(|(name, _)| passes(name)).collect(),
    }
}

fn application_name_of(startup: &Startup) -> Values {
    let name = startup.get("application_name").unwrap_or_default();
    Values::from([("application_name".into(), name.into())])
}

/// PostgreSQL's spellings of false for `replication`.
fn is_off(value: &[u8]) -> bool {
    [&b"0"[..], b"off", b"false", b"no"].iter().any(|off| value.eq_ignore_ascii_case(off))
}
