//! A line of `pg_hba.conf`.

use std::net::IpAddr;

use super::address::{Addresses, Net};
use super::demand::Demand;
use super::names::{Entry, Wrong, list};
use super::options;
use super::source::Line;
use super::token::{Field, Token};
use crate::config::Mistake;

/// Somebody who wants to come in.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The address; `None` on a unix socket.
    pub address: Option<IpAddr>,
    /// Whether the connection is encrypted by TLS.
    pub is_encrypted: bool,
    /// The database asked for.
    pub database: &'a str,
    /// The user.
    pub user: &'a str,
    /// Whether it is a physical replication connection, which has no database.
    pub is_replication: bool,
}

/// Which connections a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Host,
    HostSsl,
    HostNoSsl,
    /// `hostgssenc`: there is no GSSAPI encryption here, so it is for nobody.
    Nobody,
}

impl Kind {
    fn read(token: &Token) -> Option<Self> {
        Some(match token.text.as_str() {
            "local" => Kind::Local,
            // Without GSSAPI encryption, everything is without GSSAPI encryption.
            "host" | "hostnogssenc" => Kind::Host,
            "hostssl" => Kind::HostSsl,
            "hostnossl" => Kind::HostNoSsl,
            "hostgssenc" => Kind::Nobody,
            _ => return None,
        })
    }
}

/// A line of `pg_hba.conf`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    kind: Kind,
    databases: Vec<Entry>,
    users: Vec<Entry>,
    addresses: Addresses,
    pub(super) demand: Demand,
    /// Where the line names a map, for those who check that there is one.
    pub(super) line: Line,
}

impl Rule {
    /// Reads a line, or reports every mistake in it.
    pub(super) fn read(line: Line, own: &[Net]) -> Result<Self, Vec<Mistake>> {
        let mut wrong = Vec::new();
        let parts = parts(&line, own, &mut wrong);
        match parts {
            Some((kind, databases, users, addresses, demand)) if wrong.is_empty() => {
                Ok(Rule { kind, databases, users, addresses, demand, line })
            }
            _ => Err(wrong.into_iter().map(|(column, why)| line.mistake(column, why)).collect()),
        }
    }

    pub(super) fn fits(&self, visit: &Visit<'_>) -> bool {
        let kind_fits = match (self.kind, visit.address) {
            (Kind::Local, address) => address.is_none(),
            (Kind::Nobody, _) | (_, None) => false,
            (Kind::Host, _) => true,
            (Kind::HostSsl, _) => visit.is_encrypted,
            (Kind::HostNoSsl, _) => !visit.is_encrypted,
        };
        kind_fits
            && visit.address.is_none_or(|address| self.addresses.contain(address.to_canonical()))
            && self.databases.iter().any(|entry| entry.fits_database(visit))
            && self.users.iter().any(|entry| entry.fits_user(visit))
    }
}

type Parts = (Kind, Vec<Entry>, Vec<Entry>, Addresses, Demand);

/// The parts of a line in their order. What is wrong goes to `wrong`; `None` when the rest cannot be made out.
fn parts(line: &Line, own: &[Net], wrong: &mut Vec<Wrong>) -> Option<Parts> {
    let mut fields = line.fields.iter();
    let kind = single(fields.next(), line, "a type", wrong)?;
    let Some(kind) = Kind::read(kind) else {
        let message = format!(
            "unknown type \"{}\"; expected local, host, hostssl, hostnossl, hostgssenc or hostnogssenc",
            kind.text
        );
        wrong.push((kind.column, message));
        return None;
    };
    let databases = several(fields.next(), line, "the databases", wrong)?;
    let databases = list(databases, Entry::database, wrong);
    let users = several(fields.next(), line, "the users", wrong)?;
    let users = list(users, Entry::user, wrong);
    let mut addresses = Addresses::All;
    if kind != Kind::Local {
        let address = single(fields.next(), line, "the address", wrong)?;
        let mask = match Addresses::wants_mask(address) {
            true => Some(single(fields.next(), line, "the mask, or a length such as /32,", wrong)?),
            false => None,
        };
        match Addresses::read(address, mask, own) {
            Ok(read) => addresses = read,
            Err(why) => wrong.push(why),
        }
    }
    let method = single(fields.next(), line, "the method", wrong)?;
    let given = options::read(fields.as_slice(), wrong);
    let demand = options::demand(kind, method, given, wrong)?;
    Some((kind, databases, users, addresses, demand))
}

fn several<'a>(
    field: Option<&'a Field>,
    line: &Line,
    what: &str,
    wrong: &mut Vec<Wrong>,
) -> Option<&'a Field> {
    if field.is_none() {
        let last = line.fields.iter().flatten().last();
        let column = last.map_or(1, |token| token.column);
        wrong.push((column, format!("the line ends before {what}")));
    }
    field
}

/// The only word of a field.
fn single<'a>(
    field: Option<&'a Field>,
    line: &Line,
    what: &str,
    wrong: &mut Vec<Wrong>,
) -> Option<&'a Token> {
    match several(field, line, what, wrong)?.as_slice() {
        [token] => Some(token),
        [first, ..] => {
            wrong.push((first.column, format!("{what} must be one word")));
            None
        }
        // A file named with @ was empty.
        [] => {
            wrong.push((1, format!("{what} must be one word")));
            None
        }
    }
}
