//! The console's language: what the commands are, and how they are read.

use super::ShutdownMode;
use super::show::Show;
use super::token::{Token, Unterminated, tokens};
use crate::types::Name;

/// Something the console is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A table.
    Show(Show),
    /// What a table says of one database.
    ShowOf(Show, Name),
    /// A parameter that clients of PostgreSQL ask for.
    ShowParameter(Parameter),
    /// SET of something; key and value as they were written.
    Set(String, String),
    /// SET of something that has no value, or several: chatter of clients, like `SET SESSION CHARACTERISTICS …`.
    SetOther,
    /// SHOW HELP.
    Help,
    Reload,
    Suspend,
    Pause(Option<Name>),
    Resume(Option<Name>),
    Reconnect(Option<Name>),
    Kill(Option<Name>),
    WaitClose(Option<Name>),
    /// Without a name it is refused, but only to somebody who has the right.
    Disable(Option<Name>),
    /// As [`Command::Disable`].
    Enable(Option<Name>),
    /// What is no number is refused in the same way.
    KillClient(Option<u64>),
    Shutdown(ShutdownMode),
}

/// A parameter with a fixed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
}

/// What the console says of itself where clients expect PostgreSQL.
pub(super) const PARAMETERS: [Parameter; 6] = [
    Parameter { name: "client_encoding", value: "UTF-8" },
    Parameter { name: "default_transaction_isolation", value: "read committed" },
    Parameter { name: "standard_conforming_strings", value: "on" },
    Parameter { name: "datestyle", value: "ISO" },
    Parameter { name: "timezone", value: "GMT" },
    Parameter { name: "extra_float_digits", value: "2" },
];

/// Longest command, argument and value that PgBouncer takes, quotes included.
const LONGEST: [usize; 3] = [15, 63, 255];

impl Command {
    /// True when nothing changes and nobody is told a secret: watching is enough of a right to give it.
    pub(super) fn only_looks(&self) -> bool {
        match self {
            Command::Show(show) => *show != Show::Fds,
            Command::ShowOf(..) | Command::ShowParameter(_) | Command::Help | Command::SetOther => {
                true
            }
            _ => false,
        }
    }
}

/// Why a text is no command; what the client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Nothing begins like this.
    Unknown(String),
    /// It begins well and goes on badly.
    Arguments(&'static str),
    /// Part of it is too long.
    TooLong,
    /// A quote without an end.
    Unterminated,
}

impl From<Unterminated> for Mistake {
    fn from(_: Unterminated) -> Self {
        Mistake::Unterminated
    }
}

/// Reads a query as PgBouncer does: it is one command of at most two words, or one SET, and nothing else.
pub(super) fn parse_strictly(text: &str) -> Result<Command, Mistake> {
    let wrong = || Mistake::Unknown(text.to_owned());
    let mut tokens = tokens(text).map_err(|_| wrong())?;
    if tokens.last() == Some(&Token::Other(';')) {
        tokens.pop();
    }
    let longest = |longest: &[usize]| {
        let too_long = |(token, longest): (&Token, &usize)| token.written() > *longest;
        match tokens.iter().filter(|token| token.is_text()).zip(longest).any(too_long) {
            true => Err(Mistake::TooLong),
            false => Ok(()),
        }
    };
    match tokens.as_slice() {
        [Token::Word(verb) | Token::Quoted(verb)] => {
            longest(&LONGEST[..1])?;
            command(text, verb, &[]).map_err(|_| wrong())
        }
        [
            Token::Word(verb) | Token::Quoted(verb),
            argument @ (Token::Word(_) | Token::Quoted(_)),
        ] => {
            longest(&LONGEST[..2])?;
            command(text, verb, std::slice::from_ref(argument)).map_err(|_| wrong())
        }
        [Token::Word(verb), rest @ ..] if verb.eq_ignore_ascii_case("set") => {
            longest(&[usize::MAX, LONGEST[1], LONGEST[2]])?;
            match set(rest) {
                Ok(set @ Command::Set(..)) => Ok(set),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

/// The commands of a query, without the empty ones. Quotes hide semicolons.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, ';') => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Reads one command, without its semicolon.
pub(super) fn parse(text: &str) -> Result<Command, Mistake> {
    let tokens = tokens(text)?;
    match tokens.split_first() {
        Some((Token::Word(verb), rest)) => command(text, verb, rest),
        _ => Err(unknown(text)),
    }
}

fn command(text: &str, verb: &str, rest: &[Token]) -> Result<Command, Mistake> {
    let verb = verb.to_ascii_uppercase();
    match verb.as_str() {
        "SHOW" | "SELECT" => show(text, rest),
        "SET" => set(rest),
        "RELOAD" => alone("RELOAD takes no arguments", rest, Command::Reload),
        "SUSPEND" => alone("SUSPEND takes no arguments", rest, Command::Suspend),
        "PAUSE" => database(rest).map(Command::Pause),
        "RESUME" => database(rest).map(Command::Resume),
        "RECONNECT" => database(rest).map(Command::Reconnect),
        "KILL" => database(rest).map(Command::Kill),
        "WAIT_CLOSE" => database(rest).map(Command::WaitClose),
        "DISABLE" => database(rest).map(Command::Disable),
        "ENABLE" => database(rest).map(Command::Enable),
        "KILL_CLIENT" => Ok(Command::KillClient(client(rest))),
        "SHUTDOWN" => shutdown(rest).map(Command::Shutdown),
        _ => Err(unknown(text)),
    }
}

/// A text may be long; an error repeats only its beginning.
fn unknown(text: &str) -> Mistake {
    const REPEATED: usize = 60;
    Mistake::Unknown(text.trim().chars().take(REPEATED).collect())
}

fn show(text: &str, rest: &[Token]) -> Result<Command, Mistake> {
    let (what, database) = match rest {
        [Token::Word(what) | Token::Quoted(what)] => (what, None),
        [Token::Word(what), Token::Word(name) | Token::Quoted(name)] => (what, Some(name)),
        _ => return Err(unknown(text)),
    };
    if what.eq_ignore_ascii_case("help") && database.is_none() {
        return Ok(Command::Help);
    }
    if let Some(show) = Show::ALL.into_iter().find(|show| show.name().eq_ignore_ascii_case(what)) {
        return match database {
            None => Ok(Command::Show(show)),
            Some(name) if show.is_by_database() => Ok(Command::ShowOf(show, name.as_str().into())),
            Some(_) => Err(unknown(text)),
        };
    }
    let is_it = |known: &Parameter| known.name.eq_ignore_ascii_case(what) && database.is_none();
    let parameter = PARAMETERS.into_iter().find(is_it);
    parameter.map(Command::ShowParameter).ok_or_else(|| unknown(text))
}

fn set(rest: &[Token]) -> Result<Command, Mistake> {
    let is_to = |token: &Token| match token {
        Token::Word(word) => word.eq_ignore_ascii_case("to"),
        other => *other == Token::Other('='),
    };
    match rest {
        [
            Token::Word(key) | Token::Quoted(key),
            to,
            Token::Word(value) | Token::Quoted(value) | Token::Literal(value),
        ] if is_to(to) && !key.is_empty() => Ok(Command::Set(key.clone(), value.clone())),
        [Token::Word(_) | Token::Quoted(_), _, ..] => Ok(Command::SetOther),
        _ => Err(Mistake::Arguments("SET needs a name and a value")),
    }
}

fn alone(message: &'static str, rest: &[Token], command: Command) -> Result<Command, Mistake> {
    if rest.is_empty() { Ok(command) } else { Err(Mistake::Arguments(message)) }
}

fn database(rest: &[Token]) -> Result<Option<Name>, Mistake> {
    match rest {
        [] => Ok(None),
        [Token::Word(name) | Token::Quoted(name)] if !name.is_empty() => {
            Ok(Some(name.as_str().into()))
        }
        _ => Err(Mistake::Arguments(
            "one database name is expected; put names of other characters than letters, digits and _ in double quotes",
        )),
    }
}

/// An id as in SHOW CLIENTS, or a `ptr`, which is the same number in hexadecimal.
fn client(rest: &[Token]) -> Option<u64> {
    match rest {
        [Token::Word(word) | Token::Quoted(word)] => match word.strip_prefix("0x") {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
            None => word.parse().ok(),
        },
        _ => None,
    }
}

fn shutdown(rest: &[Token]) -> Result<ShutdownMode, Mistake> {
    let mistake =
        Mistake::Arguments("SHUTDOWN takes WAIT_FOR_SERVERS, WAIT_FOR_CLIENTS or nothing");
    match rest {
        [] => Ok(ShutdownMode::Immediate),
        [Token::Word(word)] => match word.to_ascii_uppercase().as_str() {
            "WAIT_FOR_SERVERS" => Ok(ShutdownMode::WaitForServers),
            "WAIT_FOR_CLIENTS" => Ok(ShutdownMode::WaitForClients),
            _ => Err(mistake),
        },
        _ => Err(mistake),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Option<Name> {
        Some(text.into())
    }

    #[test]
    fn commands_are_read_in_any_case() {
        assert_eq!(parse("show pools"), Ok(Command::Show(Show::Pools)));
        assert_eq!(parse("show blockers"), Ok(Command::Show(Show::Blockers)));
        let of_one = Command::ShowOf(Show::Waiters, "other-db".into());
        assert_eq!(parse("show waiters \"other-db\""), Ok(of_one));
        assert!(parse("show pools app").is_err() && parse("show waiters a b").is_err());
        assert_eq!(parse("  ShOw  StAtS_totals "), Ok(Command::Show(Show::StatsTotals)));
        assert_eq!(parse("PAUSE"), Ok(Command::Pause(None)));
        assert_eq!(parse("pause MyDb"), Ok(Command::Pause(name("MyDb"))));
        assert_eq!(parse("kill \"a;b"), Err(Mistake::Unterminated));
        assert_eq!(parse(r#"kill "a;b ""c""""#), Ok(Command::Kill(name(r#"a;b "c""#))));
        assert_eq!(parse("kill_client 17"), Ok(Command::KillClient(Some(17))));
        assert_eq!(parse("KILL_CLIENT 0x1f"), Ok(Command::KillClient(Some(31))));
        assert_eq!(
            parse("shutdown wait_for_servers"),
            Ok(Command::Shutdown(ShutdownMode::WaitForServers))
        );
        assert_eq!(parse("SELECT version"), Ok(Command::Show(Show::Version)));
        let set = |key: &str, value: &str| Ok(Command::Set(key.into(), value.into()));
        assert_eq!(parse("SET client_encoding = 'a ''b'"), set("client_encoding", "a 'b"));
        assert_eq!(parse("set a to b"), set("a", "b"));
        assert_eq!(parse("SET SESSION CHARACTERISTICS AS x"), Ok(Command::SetOther));
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(parse("SHOW nonsense"), Err(Mistake::Unknown("SHOW nonsense".into())));
        assert_eq!(parse("SELECT 1"), Err(Mistake::Unknown("SELECT 1".into())));
        assert_eq!(parse("DISABLE"), Ok(Command::Disable(None)));
        assert_eq!(parse("KILL_CLIENT -1"), Ok(Command::KillClient(None)));
        for text in ["RELOAD now", "PAUSE a b", "PAUSE \"\"", "SHUTDOWN x", "SET a"] {
            assert!(matches!(parse(text), Err(Mistake::Arguments(_))), "{text}");
        }
    }

    #[test]
    fn pgbouncers_grammar_is_one_command() {
        for text in ["  \"show\"  \"version\" ; ", "select Version", "SHOW\tVERSION;\n"] {
            assert_eq!(parse_strictly(text), Ok(Command::Show(Show::Version)), "{text}");
        }
        assert_eq!(parse_strictly("set a='1';"), Ok(Command::Set("a".into(), "1".into())));
        for text in [
            "SHOW VERSION; SHOW STATE",
            "show nonsense;",
            "show",
            ";",
            "set a b",
            "set a=-1",
            "SET SESSION CHARACTERISTICS AS x",
            "reload x",
            "shutdown x",
            "pause a b",
            "show \"a",
        ] {
            assert_eq!(parse_strictly(text), Err(Mistake::Unknown(text.into())));
        }
        let (long, name) = ("n".repeat(16), "n".repeat(64));
        let (show, set) = (format!("show {name}"), format!("set a = '{}'", "n".repeat(254)));
        for text in [long, show, set, format!("set {name} = b")] {
            assert_eq!(parse_strictly(&text), Err(Mistake::TooLong), "{text}");
        }
    }

    #[test]
    fn semicolons_separate_outside_of_quotes() {
        assert_eq!(split("SHOW POOLS; ; KILL \"a;b\";"), ["SHOW POOLS", " KILL \"a;b\""]);
        assert!(split(" ;\n; ").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            for part in split(&text) {
                let _ = parse(part);
            }
            let _ = parse_strictly(&text);
        }

        #[test]
        fn anything_after_a_verb_is_read_or_refused(
            verb in "(?i)(show|set|kill|pause|kill_client|shutdown|disable)",
            rest in r#"[ a-z0-9_"'=;]{0,30}"#,
        ) {
            let text = format!("{verb} {rest}");
            for part in split(&text) {
                let _ = parse(part);
            }
        }

        #[test]
        fn a_quoted_name_survives(name in "[^\0]{1,20}") {
            let text = format!("KILL \"{}\"", name.replace('"', "\"\""));
            prop_assert_eq!(parse(&text), Ok(Command::Kill(Some(name.as_str().into()))));
            prop_assert_eq!(split(&text).len(), 1);
        }
    }
}
