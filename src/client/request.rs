//! What a start-up packet asks for.

use std::sync::Arc;

use super::login_counts::LoginResult;
use super::refusal::Refusal;
use super::replies;
use crate::session::params::{ParamSet, ParamSets, Values};
use crate::types::Name;
use crate::wire::startup::Startup;

/// What a start-up packet asks for, names lower case and values as the client wrote them.
pub(super) struct Request {
    pub(super) user: Name,
    pub(super) database: Name,
    pub(super) application_name: Name,
    pub(super) params: Arc<ParamSet>,
    /// `pgusher.pool_mode=session`: it wants a server of its own.
    pub(super) wants_session: bool,
    pub(super) minor: u16,
    pub(super) unknown_options: Vec<String>,
}

impl Request {
    /// Reads a start-up packet.
    pub(super) fn read(startup: &Startup, param_sets: &ParamSets) -> Result<Self, Refusal> {
        let parameter = |fields| Refusal::new(LoginResult::Protocol, fields);
        let text =
            |name: &str| startup.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let user: Name = text("user")
            .filter(|user| !user.is_empty())
            .ok_or_else(|| parameter(replies::no_user()))?
            .into();
        let database = text("database")
            .filter(|name| !name.is_empty())
            .map_or_else(|| Name::clone(&user), Into::into);
        let mut values = Values::new();
        let mut unknown_options = Vec::new();
        for (name, value) in &startup.parameters {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            match name.as_str() {
                "user" | "database" => {}
                "replication" if is_off(value) => {}
                "replication" => return Err(parameter(replies::no_replication())),
                "options" => read_options(value, &mut values)
                    .map_err(|error| parameter(replies::bad_parameter(error)))?,
                _ if name.starts_with("_pq_.") => unknown_options.push(name),
                _ => drop(values.insert(name.into(), value.as_slice().into())),
            }
        }
        let application_name = values.remove("application_name").unwrap_or_default();
        let mode = values.remove("pgusher.pool_mode");
        let wants_session = match mode.as_deref() {
            Some(b"session") => true,
            Some(b"transaction") | None => false,
            Some(other) => {
                return Err(parameter(replies::bad_pool_mode(&String::from_utf8_lossy(other))));
            }
        };
        Ok(Request {
            wants_session,
            user,
            database,
            application_name: String::from_utf8_lossy(&application_name).into(),
            params: param_sets.intern(values),
            minor: startup.minor,
            unknown_options,
        })
    }
}

fn read_options(value: &[u8], values: &mut Values) -> Result<(), String> {
    for (name, value) in crate::session::options::parse(value).map_err(|error| error.to_string())? {
        let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
        values.insert(name.into(), value.into());
    }
    Ok(())
}

/// PostgreSQL's spellings of false for `replication`.
fn is_off(value: &[u8]) -> bool {
    [&b"0"[..], b"off", b"false", b"no"].iter().any(|off| value.eq_ignore_ascii_case(off))
}
