//! The console's language: what the commands are, and how they are read.

use super::ShutdownMode;
use super::show::Show;
use crate::types::Name;

/// Something the console is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A table.
    Show(Show),
    /// A parameter that clients of PostgreSQL ask for.
    ShowParameter(Parameter),
    /// SET of something; the key as it was written.
    Set(String),
    /// SHOW HELP.
    Help,
    Reload,
    Suspend,
    Pause(Option<Name>),
    Resume(Option<Name>),
    Reconnect(Option<Name>),
    Kill(Option<Name>),
    WaitClose(Option<Name>),
    Disable(Name),
    Enable(Name),
    KillClient(u64),
    Shutdown(ShutdownMode),
}

/// A parameter with a fixed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
}

/// What the console says of itself where clients expect PostgreSQL.
pub(super) const PARAMETERS: [Parameter; 5] = [
    Parameter { name: "client_encoding", value: "UTF8" },
    Parameter { name: "default_transaction_isolation", value: "read committed" },
    Parameter { name: "standard_conforming_strings", value: "on" },
    Parameter { name: "datestyle", value: "ISO" },
    Parameter { name: "timezone", value: "GMT" },
];

impl Command {
    /// True when watching is enough of a right to give it.
    pub(super) fn only_looks(&self) -> bool {
        matches!(
            self,
            Command::Show(_) | Command::ShowParameter(_) | Command::Help | Command::Set(_)
        )
    }
}

/// Why a text is no command; what the client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Nothing begins like this.
    Unknown(String),
    /// It begins well and goes on badly.
    Arguments(&'static str),
    /// DISABLE and ENABLE need a name.
    NoDatabase,
    /// A quote without an end.
    Unterminated,
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
    let Some((Token::Word(verb), rest)) = tokens.split_first() else {
        return Err(unknown(text));
    };
    let verb = verb.to_ascii_uppercase();
    match verb.as_str() {
        "SHOW" => show(text, rest),
        "SET" => set(rest),
        "RELOAD" => alone("RELOAD takes no arguments", rest, Command::Reload),
        "SUSPEND" => alone("SUSPEND takes no arguments", rest, Command::Suspend),
        "PAUSE" => database(rest).map(Command::Pause),
        "RESUME" => database(rest).map(Command::Resume),
        "RECONNECT" => database(rest).map(Command::Reconnect),
        "KILL" => database(rest).map(Command::Kill),
        "WAIT_CLOSE" => database(rest).map(Command::WaitClose),
        "DISABLE" => database(rest)?.map(Command::Disable).ok_or(Mistake::NoDatabase),
        "ENABLE" => database(rest)?.map(Command::Enable).ok_or(Mistake::NoDatabase),
        "KILL_CLIENT" => client(rest).map(Command::KillClient),
        "SHUTDOWN" => shutdown(rest).map(Command::Shutdown),
        _ => Err(unknown(text)),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Literal,
    Other(char),
}

/// A text may be long; an error repeats only its beginning.
fn unknown(text: &str) -> Mistake {
    const REPEATED: usize = 60;
    Mistake::Unknown(text.trim().chars().take(REPEATED).collect())
}

fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            _ if c.is_whitespace() => {}
            '"' => tokens.push(Token::Quoted(quoted(&mut rest, '"')?)),
            '\'' => {
                quoted(&mut rest, '\'')?;
                tokens.push(Token::Literal);
            }
            _ if is_word(c) => {
                let mut word = String::from(c);
                while let Some(next) = rest.next_if(|&next| is_word(next)) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            other => tokens.push(Token::Other(other)),
        }
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The text up to the closing quote; a doubled quote stands for itself.
fn quoted(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    quote: char,
) -> Result<String, Mistake> {
    let mut text = String::new();
    loop {
        match rest.next() {
            None => return Err(Mistake::Unterminated),
            Some(c) if c == quote && rest.next_if_eq(&quote).is_none() => return Ok(text),
            Some(c) => text.push(c),
        }
    }
}

fn show(text: &str, rest: &[Token]) -> Result<Command, Mistake> {
    let [Token::Word(what)] = rest else { return Err(unknown(text)) };
    if what.eq_ignore_ascii_case("help") {
        return Ok(Command::Help);
    }
    if let Some(show) = Show::ALL.into_iter().find(|show| show.name().eq_ignore_ascii_case(what)) {
        return Ok(Command::Show(show));
    }
    let parameter = PARAMETERS.into_iter().find(|known| known.name.eq_ignore_ascii_case(what));
    parameter.map(Command::ShowParameter).ok_or_else(|| unknown(text))
}

fn set(rest: &[Token]) -> Result<Command, Mistake> {
    match rest {
        // `SET SESSION CHARACTERISTICS AS …` and the like have no `=`; they are client chatter, too.
        [Token::Word(key) | Token::Quoted(key), _, ..] => Ok(Command::Set(key.clone())),
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
fn client(rest: &[Token]) -> Result<u64, Mistake> {
    let number = match rest {
        [Token::Word(word) | Token::Quoted(word)] => match word.strip_prefix("0x") {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
            None => word.parse().ok(),
        },
        _ => None,
    };
    number.ok_or(Mistake::Arguments("KILL_CLIENT needs the id of a client, as in SHOW CLIENTS"))
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
        assert_eq!(parse("  ShOw  StAtS_totals "), Ok(Command::Show(Show::StatsTotals)));
        assert_eq!(parse("PAUSE"), Ok(Command::Pause(None)));
        assert_eq!(parse("pause MyDb"), Ok(Command::Pause(name("MyDb"))));
        assert_eq!(parse("kill \"a;b"), Err(Mistake::Unterminated));
        assert_eq!(parse(r#"kill "a;b ""c""""#), Ok(Command::Kill(name(r#"a;b "c""#))));
        assert_eq!(parse("kill_client 17"), Ok(Command::KillClient(17)));
        assert_eq!(parse("KILL_CLIENT 0x1f"), Ok(Command::KillClient(31)));
        assert_eq!(
            parse("shutdown wait_for_servers"),
            Ok(Command::Shutdown(ShutdownMode::WaitForServers))
        );
        assert_eq!(
            parse("SET client_encoding = 'UTF8'"),
            Ok(Command::Set("client_encoding".into()))
        );
        assert_eq!(parse("set a to b"), Ok(Command::Set("a".into())));
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(parse("SHOW nonsense"), Err(Mistake::Unknown("SHOW nonsense".into())));
        assert_eq!(parse("SELECT 1"), Err(Mistake::Unknown("SELECT 1".into())));
        assert_eq!(parse("DISABLE"), Err(Mistake::NoDatabase));
        for text in [
            "RELOAD now",
            "PAUSE a b",
            "PAUSE \"\"",
            "KILL_CLIENT",
            "KILL_CLIENT -1",
            "SHUTDOWN x",
            "SET a",
        ] {
            assert!(matches!(parse(text), Err(Mistake::Arguments(_))), "{text}");
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
