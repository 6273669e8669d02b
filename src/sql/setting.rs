//! `SET` and `RESET`, and the values in them as `set_config` takes them.

use super::cursor::{Cursor, ident};
use super::keywords::needs_quotes;
use super::lexer::Token;
use super::quoting::put_ident;
use super::verdict::{Action, Setting, Value};

/// What stands behind SET.
pub(super) fn set(mut cursor: Cursor<'_, '_>) -> Option<Action> {
    if cursor.takes(&["session", "characteristics", "as", "transaction"]) {
        return Some(Action::Characteristics(characteristics(cursor)));
    }
    let mut local = false;
    let is_name = cursor.rest.get(1..).is_some_and(|rest| {
        Cursor { rest }.sees_equals() || rest.first() == Some(&Token::Mark(b'.'))
    });
    if !is_name && !cursor.sees(&["session", "authorization"]) {
        local = cursor.takes(&["local"]);
        let _ = local || cursor.takes(&["session"]);
    }
    let is_generic = cursor.rest.get(1..).is_some_and(|rest| Cursor { rest }.sees_equals());
    if !is_generic && let Some(action) = special(&mut cursor, local) {
        return Some(action);
    }
    generic(cursor, local)
}

/// The forms with words of their own.
fn special(cursor: &mut Cursor<'_, '_>, local: bool) -> Option<Action> {
    let set = |name: &str, value| Setting { name: name.into(), value, local };
    if cursor.takes(&["session", "authorization"]) {
        let value = item(cursor, false);
        return Some(Action::SetSessionAuthorization(set("session_authorization", value)));
    }
    if cursor.takes(&["transaction"]) {
        return Some(Action::SetTransaction);
    }
    if cursor.takes(&["role"]) {
        return Some(Action::SetRole(set("role", item(cursor, false))));
    }
    let (name, value) = if cursor.takes(&["time", "zone"]) {
        let default = cursor.sees(&["local"]);
        ("timezone", if default { Value::Default } else { list(*cursor, false) })
    } else if cursor.takes(&["schema"]) {
        ("search_path", item(cursor, true))
    } else if cursor.takes(&["names"]) {
        ("client_encoding", if cursor.is_over() { Value::Default } else { item(cursor, false) })
    } else if cursor.takes(&["xml", "option"]) {
        ("xmloption", item(cursor, false))
    } else {
        return None;
    };
    Some(Action::Set(set(name, value)))
}

/// `name = value` and `name FROM CURRENT`.
fn generic(mut cursor: Cursor<'_, '_>, local: bool) -> Option<Action> {
    let name = name(&mut cursor)?;
    let value = if cursor.takes(&["from", "current"]) {
        Value::Unknown
    } else if cursor.sees_equals() {
        cursor.next();
        list(cursor, is_quoted_list(&name))
    } else {
        return None;
    };
    let setting = Setting { name, value, local };
    Some(match setting.name.as_ref() {
        "role" => Action::SetRole(setting),
        "session_authorization" => Action::SetSessionAuthorization(setting),
        name if is_transactions(name) => Action::SetTransaction,
        _ => Action::Set(setting),
    })
}

/// What stands behind RESET.
pub(super) fn reset(mut cursor: Cursor<'_, '_>) -> Option<Action> {
    Some(if cursor.takes(&["all"]) {
        Action::Reset(None)
    } else if cursor.takes(&["time", "zone"]) {
        Action::Reset(Some("timezone".into()))
    } else if cursor.takes(&["session", "authorization"]) {
        Action::Reset(Some("session_authorization".into()))
    } else if cursor.sees(&["transaction", "isolation", "level"]) {
        Action::SetTransaction
    } else {
        match name(&mut cursor)? {
            name if is_transactions(&name) => Action::SetTransaction,
            name => Action::Reset(Some(name)),
        }
    })
}

/// A parameter's name, which may have dots.
fn name(cursor: &mut Cursor<'_, '_>) -> Option<Box<str>> {
    let mut name = String::new();
    loop {
        let part = cursor.ident()?;
        name.push_str(&str::from_utf8(&part).ok()?.to_ascii_lowercase());
        if cursor.peek() != Some(&Token::Mark(b'.')) {
            return Some(current_name(&name).into());
        }
        cursor.next();
        name.push('.');
    }
}

/// Names that PostgreSQL still understands for others (`map_old_guc_names`).
fn current_name(name: &str) -> &str {
    match name {
        "sort_mem" => "work_mem",
        "vacuum_mem" => "maintenance_work_mem",
        name => name,
    }
}

/// Parameters that begin anew with each transaction.
fn is_transactions(name: &str) -> bool {
    matches!(name, "transaction_isolation" | "transaction_read_only" | "transaction_deferrable")
}

/// Parameters that are lists of names (flag `GUC_LIST_QUOTE`).
fn is_quoted_list(name: &str) -> bool {
    matches!(
        name,
        "search_path"
            | "temp_tablespaces"
            | "session_preload_libraries"
            | "local_preload_libraries"
            | "shared_preload_libraries"
            | "unix_socket_directories"
    )
}

/// The transaction modes of SET SESSION CHARACTERISTICS.
fn characteristics(mut cursor: Cursor<'_, '_>) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut set = |name: &str, value: &str| {
        let value = Value::Text(value.as_bytes().into());
        found.push(Setting { name: name.into(), value, local: false });
    };
    while !cursor.is_over() {
        if cursor.takes(&["isolation", "level"]) {
            let level = ["read uncommitted", "read committed", "repeatable read", "serializable"];
            let words = |level: &&str| cursor.takes(&level.split(' ').collect::<Vec<_>>());
            if let Some(level) = level.into_iter().find(words) {
                set("default_transaction_isolation", level);
            }
        } else if cursor.takes(&["read", "only"]) {
            set("default_transaction_read_only", "on");
        } else if cursor.takes(&["read", "write"]) {
            set("default_transaction_read_only", "off");
        } else if cursor.takes(&["not", "deferrable"]) {
            set("default_transaction_deferrable", "off");
        } else if cursor.takes(&["deferrable"]) {
            set("default_transaction_deferrable", "on");
        } else {
            cursor.next();
        }
    }
    found
}

/// A list of values, written as PostgreSQL writes it (`flatten_set_variable_args`).
fn list(mut cursor: Cursor<'_, '_>, quoted: bool) -> Value {
    let mut all = Vec::new();
    loop {
        match item(&mut cursor, quoted) {
            Value::Text(text) => all.extend_from_slice(&text),
            Value::Default if all.is_empty() && cursor.is_over() => return Value::Default,
            _ => return Value::Unknown,
        }
        match cursor.next() {
            None => return Value::Text(all.into()),
            Some(Token::Mark(b',')) => all.extend_from_slice(b", "),
            Some(_) => return Value::Unknown,
        }
    }
}

/// One value.
fn item(cursor: &mut Cursor<'_, '_>, quoted: bool) -> Value {
    match cursor.next() {
        Some(word) if word.is("default") => Value::Default,
        Some(token @ (Token::Word(_) | Token::Quoted(_))) => {
            ident(token).map_or(Value::Unknown, |name| text(&name, quoted))
        }
        Some(Token::Text(Some(value))) => text(value, quoted),
        Some(Token::Dollar(value)) => text(value, quoted),
        Some(Token::Number(number)) => numeric("", number),
        Some(Token::Operator(b"+")) => signed(cursor, ""),
        Some(Token::Operator(b"-")) => signed(cursor, "-"),
        _ => Value::Unknown,
    }
}

fn signed(cursor: &mut Cursor<'_, '_>, sign: &str) -> Value {
    match cursor.next() {
        Some(Token::Number(number)) => numeric(sign, number),
        _ => Value::Unknown,
    }
}

/// A number as PostgreSQL prints it: a whole one loses its leading zeros, any other stays as it was written.
fn numeric(sign: &str, number: &[u8]) -> Value {
    let Ok(text) = str::from_utf8(number) else { return Value::Unknown };
    if let Ok(whole) = text.parse::<u32>() {
        return Value::Text(format!("{sign}{whole}").into_bytes().into());
    }
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if decimal { Value::Text(format!("{sign}{text}").into_bytes().into()) } else { Value::Unknown }
}

fn text(value: &[u8], quoted: bool) -> Value {
    if !quoted || !needs_quotes(value) {
        return Value::Text(value.into());
    }
    let mut text = Vec::new();
    put_ident(&mut text, value);
    Value::Text(text.into())
}
