//! The SQL that turns one set of parameters into another.

use std::fmt::Write as _;

use super::params::ParamSet;

/// The parameter that `SET ROLE` sets. It comes last, since another role may not be allowed to set the others, and
/// goes first.
pub const ROLE: &str = "role";

/// SQL that turns a session with `from` into one with `to`; `None` when there is nothing to do.
///
/// Every value is written as an escape string of ASCII characters only, so that it means the same under every
/// `client_encoding` and every `standard_conforming_strings`, and cannot end its own quotes. Values go through
/// `set_config`, which reads them as a start-up packet's values are read (lists included).
pub fn replay_sql(from: &ParamSet, to: &ParamSet) -> Option<String> {
    changes(from, to, true)
}

/// The same inside of a transaction, where the role may be another one for as long as that lasts: it is left alone unless
/// it is what differs.
pub fn replay_inside(from: &ParamSet, to: &ParamSet) -> Option<String> {
    changes(from, to, from.get(ROLE) != to.get(ROLE))
}

fn changes(from: &ParamSet, to: &ParamSet, with_role: bool) -> Option<String> {
    let mut sql = String::new();
    if with_role && from.get(ROLE).is_some() {
        sql.push_str("RESET \"role\";");
    }
    let gone = from.values().keys().filter(|name| !to.values().contains_key(*name));
    for name in gone.filter(|name| ***name != *ROLE) {
        sql.push_str("RESET ");
        push_name(&mut sql, name);
        sql.push(';');
    }
    let changed = to.values().iter().filter(|(name, value)| from.get(name) != Some(value));
    let changed = changed.filter(|(name, _)| ***name != *ROLE);
    let role = to.values().get_key_value(ROLE).filter(|_| with_role);
    let mut separator = "SELECT ";
    for (name, value) in changed.chain(role) {
        sql.push_str(separator);
        sql.push_str("pg_catalog.set_config(");
        push_literal(&mut sql, name.as_bytes());
        sql.push(',');
        push_literal(&mut sql, value);
        sql.push_str(",false)");
        separator = ",";
    }
    (!sql.is_empty() && from != to).then_some(sql)
}

/// The same for a server that is not in a transaction: all of it or nothing, and with a refusal the server ends itself,
/// so that no query that was sent behind it runs in a session that is not its client's. A failed transaction would not
/// do: what is behind may begin with its end.
pub fn replay_whole(from: &ParamSet, to: &ParamSet) -> Option<String> {
    let sql = replay_sql(from, to)?;
    let sql = sql.trim_end_matches(';');
    Some(format!("BEGIN;SET LOCAL exit_on_error=on;{sql};COMMIT"))
}

/// SQL that asks for the values of parameters: one row, each value in hexadecimal digits of the server's encoding.
pub fn ask_sql(names: &[Box<str>]) -> String {
    let mut sql = String::from("SELECT ");
    for (index, name) in names.iter().enumerate() {
        sql.push_str(if index > 0 { "," } else { "" });
        sql.push_str("pg_catalog.encode(pg_catalog.convert_to(pg_catalog.current_setting(");
        push_literal(&mut sql, name.as_bytes());
        sql.push_str(",true),pg_catalog.getdatabaseencoding()),'hex')");
    }
    sql
}

/// An identifier, or several with dots between for a custom parameter, quoted.
fn push_name(sql: &mut String, name: &str) {
    for (index, part) in name.split('.').enumerate() {
        if index > 0 {
            sql.push('.');
        }
        // Infallible: the target is a String.
        let _ = write!(sql, "\"{}\"", part.replace('"', "\"\""));
    }
}

fn push_literal(sql: &mut String, value: &[u8]) {
    sql.push_str("E'");
    for &byte in value {
        match byte {
            b'\'' => sql.push_str("''"),
            b'\\' => sql.push_str("\\\\"),
            b' '..=b'~' => sql.push(char::from(byte)),
            // Infallible: the target is a String.
            _ => drop(write!(sql, "\\x{byte:02x}")),
        }
    }
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::params::{ParamSets, Values};

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect()
    }

    #[test]
    fn replay_resets_what_is_gone_and_sets_what_differs() {
        let sets = ParamSets::default();
        let from = sets.intern(values(&[("datestyle", "German"), ("jit", "off"), ("my.x", "1")]));
        let to = sets.intern(values(&[("jit", "off"), ("timezone", "UTC"), ("work_mem", "4MB")]));
        let sql = "RESET \"datestyle\";RESET \"my\".\"x\";\
                   SELECT pg_catalog.set_config(E'timezone',E'UTC',false),\
                   pg_catalog.set_config(E'work_mem',E'4MB',false)";
        assert_eq!(replay_sql(&from, &to).expect("a difference"), sql);
        assert_eq!(
            replay_whole(&from, &to),
            Some(format!("BEGIN;SET LOCAL exit_on_error=on;{sql};COMMIT"))
        );
        assert_eq!(replay_sql(&to, &to), None);
    }

    #[test]
    fn a_role_is_left_first_and_taken_last() {
        let sets = ParamSets::default();
        let from = sets.intern(values(&[("role", "a"), ("x.y", "1")]));
        let to = sets.intern(values(&[("role", "b"), ("work_mem", "1MB"), ("x.y", "1")]));
        assert_eq!(
            replay_sql(&from, &to).expect("a difference"),
            "RESET \"role\";SELECT pg_catalog.set_config(E'work_mem',E'1MB',false),\
             pg_catalog.set_config(E'role',E'b',false)"
        );
        let none = sets.intern(Values::new());
        assert_eq!(
            replay_whole(&from, &none).expect("a difference"),
            "BEGIN;SET LOCAL exit_on_error=on;RESET \"role\";RESET \"x\".\"y\";COMMIT"
        );
        assert_eq!(
            replay_inside(&from, &none).expect("a difference"),
            "RESET \"role\";RESET \"x\".\"y\";"
        );
        let same_role = sets.intern(values(&[("role", "a"), ("x.y", "2")]));
        assert_eq!(
            replay_inside(&from, &same_role).expect("a difference"),
            "SELECT pg_catalog.set_config(E'x.y',E'2',false)"
        );
        assert_eq!(
            replay_sql(&from, &same_role).expect("a difference"),
            "RESET \"role\";SELECT pg_catalog.set_config(E'x.y',E'2',false),\
             pg_catalog.set_config(E'role',E'a',false)"
        );
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let mut sql = String::new();
        push_literal(&mut sql, b"\x95\\'; DROP TABLE t; --\n\xe9");
        assert_eq!(sql, r"E'\x95\\''; DROP TABLE t; --\x0a\xe9'");
    }
}
