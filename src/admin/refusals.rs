//! What the console says to what it does not do.

use super::grammar::Mistake;
use crate::sqlstate::{self, SqlState};
use crate::wire::{ErrorFields, Severity};

/// An error that leaves the console open.
pub(super) fn error(code: SqlState, message: impl Into<String>) -> ErrorFields {
    ErrorFields::new(Severity::Error, code, message)
}

/// An order that has to wait for another one.
pub(super) fn wrong_state(message: impl Into<String>) -> ErrorFields {
    error(sqlstate::NOT_IN_PREREQUISITE_STATE, message)
}

/// What a text gets that is no command.
pub(super) fn syntax_error(mistake: Mistake) -> ErrorFields {
    let error = |message: &str| error(sqlstate::SYNTAX_ERROR, message);
    match mistake {
        Mistake::Unknown(text) => error(&format!("invalid command '{text}', use SHOW HELP;"))
            .hint("SHOW HELP lists the commands of the console."),
        Mistake::Arguments(message) => error(message),
        Mistake::TooLong => error("bad arguments"),
        Mistake::Unterminated => error("unterminated quoted text"),
    }
}

/// The same in PgBouncer's dialect: one SQLSTATE for nearly everything, and a message alone. What has no counterpart
/// there keeps its own code, and the mistakes of a file are worth their DETAIL.
pub(super) fn as_pgbouncer(mut fields: ErrorFields) -> ErrorFields {
    let keeps_code = [sqlstate::CONFIG_FILE_ERROR, sqlstate::QUERY_CANCELED];
    if !keeps_code.iter().any(|code| code.0 == &*fields.code) {
        fields.code = sqlstate::PROTOCOL_VIOLATION.0.into();
        fields.detail = None;
    }
    fields.hint = None;
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbouncers_dialect_has_one_code() {
        let said = as_pgbouncer(syntax_error(Mistake::Unknown("x".into())));
        assert_eq!((&*said.code, said.hint), ("08P01", None));
        assert_eq!(said.message, "invalid command 'x', use SHOW HELP;");
        let reload = error(sqlstate::CONFIG_FILE_ERROR, "RELOAD failed").detail("line 1");
        assert_eq!(as_pgbouncer(reload.clone()), reload);
        let cancelled = as_pgbouncer(error(sqlstate::QUERY_CANCELED, "x"));
        assert_eq!(&*cancelled.code, "57014");
    }
}
