//! From text to verdict: statements are cut apart, and each is judged by its first words and by what it calls.

use super::calls;
use super::cursor::{Cursor, ident};
use super::lexer::{Lexer, Token};
use super::quoting::Quoting;
use super::setting;
use super::verdict::{Action, Discard, Ident, Piece, Traits, Value, Verdict};

/// Reads a string of SQL.
pub fn read(sql: &[u8], quoting: Quoting) -> Verdict {
    let mut verdict = Verdict::default();
    let mut tokens = Vec::new();
    let mut nesting = Nesting::default();
    for token in Lexer::new(sql, quoting) {
        if token == Token::Mark(b';') && !nesting.is_inside() {
            verdict.pieces.extend(judge(&tokens, quoting));
            tokens.clear();
            nesting = Nesting::default();
        } else {
            let broken = token == Token::Broken;
            nesting.pass(&tokens, &token);
            tokens.push(token);
            if broken {
                break;
            }
        }
    }
    verdict.pieces.extend(judge(&tokens, quoting));
    verdict
}

/// Where a semicolon does not end a statement.
#[derive(Default)]
struct Nesting {
    parentheses: usize,
    /// BEGIN ATOMIC and CASE in the body of a function.
    blocks: usize,
}

impl Nesting {
    fn is_inside(&self) -> bool {
        self.parentheses > 0 || self.blocks > 0
    }

    fn pass(&mut self, before: &[Token<'_>], token: &Token<'_>) {
        match token {
            Token::Mark(b'(') => self.parentheses += 1,
            Token::Mark(b')') => self.parentheses = self.parentheses.saturating_sub(1),
            Token::Word(_) if makes_routine(before) => {
                let begins = token.is("atomic") && before.last().is_some_and(|t| t.is("begin"));
                if begins || (self.blocks > 0 && token.is("case")) {
                    self.blocks += 1;
                } else if token.is("end") {
                    self.blocks = self.blocks.saturating_sub(1);
                }
            }
            _ => {}
        }
    }
}

fn makes_routine(tokens: &[Token<'_>]) -> bool {
    let mut cursor = Cursor { rest: tokens };
    if !cursor.takes(&["create"]) {
        return false;
    }
    cursor.takes(&["or", "replace"]);
    cursor.sees(&["function"]) || cursor.sees(&["procedure"])
}

/// Judges one statement; `None` for an empty one.
fn judge(tokens: &[Token<'_>], quoting: Quoting) -> Option<Piece> {
    if tokens.is_empty() {
        return None;
    }
    let mut traits = calls::traits(tokens);
    let calls =
        if traits.has(Traits::SET_CONFIG) { calls::set_configs(tokens) } else { Vec::new() };
    let action = action(Cursor { rest: tokens }).unwrap_or_else(|| {
        traits |= Traits::UNSURE;
        Action::Other
    });
    match &action {
        Action::Do => traits |= Traits::OPAQUE | body(tokens, quoting),
        Action::Call => traits |= Traits::OPAQUE,
        Action::Set(set) if set.name.as_ref() == "seed" => traits |= Traits::SETSEED,
        // Whatever is made without a schema is temporary from now on.
        Action::Set(set) if set.name.as_ref() == "search_path" => {
            let temporary = matches!(&set.value, Value::Text(path) if path.starts_with(b"pg_temp"));
            traits |= if temporary { Traits::TEMP } else { Traits::NONE };
        }
        _ => {}
    }
    Some(Piece { action, traits, calls })
}

/// What the body of a DO block calls.
fn body(tokens: &[Token<'_>], quoting: Quoting) -> Traits {
    let text = tokens.iter().find_map(|token| match token {
        Token::Dollar(body) => Some(body.to_vec()),
        Token::Text(body) => body.as_ref().map(|body| body.to_vec()),
        _ => None,
    });
    let Some(text) = text else { return Traits::UNSURE };
    calls::traits(&Lexer::new(&text, quoting).collect::<Vec<_>>())
}

/// The kind of a statement; `None` when it begins as one that matters and cannot be read.
fn action(mut cursor: Cursor<'_, '_>) -> Option<Action> {
    let whole = cursor;
    let Some(Token::Word(first)) = cursor.next() else { return Some(Action::Other) };
    Some(match first.to_ascii_lowercase().as_slice() {
        b"set" => return setting::set(cursor),
        b"reset" => return setting::reset(cursor),
        b"discard" => Action::Discard(discard(&mut cursor)?),
        b"begin" | b"start" => Action::Begin,
        b"commit" | b"end" | b"rollback" | b"abort" => return end(first, cursor),
        b"savepoint" => Action::Savepoint(cursor.ident()?),
        b"release" => {
            cursor.takes_noise("savepoint");
            Action::Release(cursor.ident()?)
        }
        b"prepare" if matches!(cursor.rest, [word, Token::Text(_), ..] if word.is("transaction")) => {
            Action::PrepareTransaction
        }
        b"prepare" => Action::Prepare(cursor.ident()?),
        b"execute" => Action::Execute(cursor.ident()?),
        b"explain" => executed(whole, None).map_or(Action::Other, Action::Execute),
        b"deallocate" => {
            cursor.takes_noise("prepare");
            Action::Deallocate(one_or_all(&mut cursor)?)
        }
        b"listen" => Action::Listen(cursor.ident()?),
        b"unlisten" => Action::Unlisten(one_or_all(&mut cursor)?),
        b"notify" => Action::Notify(cursor.ident()?),
        b"declare" => declare(cursor)?,
        b"close" => Action::Close(one_or_all(&mut cursor)?),
        b"load" => Action::Load,
        b"select" if is_call(cursor, "pg_advisory_unlock_all") => Action::UnlockAll,
        b"select" if is_call(behind_star(cursor), "pg_listening_channels") => {
            Action::ListeningChannels
        }
        b"create" => create(cursor)?,
        b"drop" if cursor.takes(&["database"]) => {
            cursor.takes(&["if", "exists"]);
            Action::DropDatabase(cursor.ident()?)
        }
        b"drop" => Action::Drop,
        b"alter" if cursor.takes(&["database"]) => alter_database(cursor)?,
        b"do" => Action::Do,
        b"call" => Action::Call,
        _ => Action::Other,
    })
}

/// A name, or ALL or `*`.
fn one_or_all(cursor: &mut Cursor<'_, '_>) -> Option<Option<Ident>> {
    if cursor.sees(&["all"]) || matches!(cursor.peek(), Some(Token::Operator(b"*"))) {
        return Some(None);
    }
    cursor.ident().map(Some)
}

fn discard(cursor: &mut Cursor<'_, '_>) -> Option<Discard> {
    let token = cursor.next()?;
    Some(match token {
        all if all.is("all") => Discard::All,
        plans if plans.is("plans") => Discard::Plans,
        sequences if sequences.is("sequences") => Discard::Sequences,
        temp if temp.is("temp") || temp.is("temporary") => Discard::Temp,
        _ => return None,
    })
}

/// COMMIT, END, ROLLBACK, ABORT.
fn end(first: &[u8], mut cursor: Cursor<'_, '_>) -> Option<Action> {
    let commit = first.eq_ignore_ascii_case(b"commit") || first.eq_ignore_ascii_case(b"end");
    if cursor.sees(&["prepared"]) {
        return Some(Action::FinishPrepared);
    }
    let _ = cursor.takes(&["work"]) || cursor.takes(&["transaction"]);
    if cursor.takes(&["to"]) {
        cursor.takes_noise("savepoint");
        return cursor.ident().map(Action::RollbackTo);
    }
    let chain = cursor.sees(&["and", "chain"]);
    Some(if commit { Action::Commit { chain } } else { Action::Rollback { chain } })
}

fn declare(mut cursor: Cursor<'_, '_>) -> Option<Action> {
    let name = cursor.ident()?;
    let options = cursor.rest.split(|token| token.is("for")).next().unwrap_or_default();
    Some(Action::Declare { name, hold: Cursor { rest: options }.holds(&["with", "hold"]) })
}

/// A call of this function without arguments, with or without its schema, and nothing behind it.
fn is_call(mut cursor: Cursor<'_, '_>, function: &str) -> bool {
    if matches!(cursor.rest, [schema, Token::Mark(b'.'), ..] if schema.is("pg_catalog")) {
        cursor.next();
        cursor.next();
    }
    matches!(cursor.rest, [name, Token::Mark(b'('), Token::Mark(b')')] if name.is(function))
}

/// What is behind `* FROM`, if that is there.
fn behind_star<'t, 'a>(cursor: Cursor<'t, 'a>) -> Cursor<'t, 'a> {
    match cursor.rest {
        [Token::Operator(b"*"), from, rest @ ..] if from.is("from") => Cursor { rest },
        _ => cursor,
    }
}

fn create(mut cursor: Cursor<'_, '_>) -> Option<Action> {
    if !cursor.takes(&["database"]) {
        let executed = executed(cursor, Some("as"));
        return Some(executed.map_or(Action::Other, Action::Execute));
    }
    let name = cursor.ident()?;
    let mut template = None;
    while let Some(token) = cursor.next() {
        if token.is("template") {
            if cursor.sees_equals() {
                cursor.next();
            }
            template = match cursor.next()? {
                Token::Text(Some(name)) => Some(name.as_ref().into()),
                default if default.is("default") => None,
                name => Some(ident(name)?),
            };
        }
    }
    Some(Action::CreateDatabase { name, template })
}

fn alter_database(mut cursor: Cursor<'_, '_>) -> Option<Action> {
    let name = cursor.ident()?;
    let alone = cursor.sees(&["rename"]) || cursor.sees(&["set", "tablespace"]);
    Some(if alone { Action::DropDatabase(name) } else { Action::Other })
}

/// The statement that is executed inside another, behind this word if one is given.
fn executed(cursor: Cursor<'_, '_>, behind: Option<&str>) -> Option<Ident> {
    let at = cursor.rest.iter().position(|token| token.is("execute"))?;
    let before = at.checked_sub(1).and_then(|at| cursor.rest.get(at))?;
    behind.is_none_or(|word| before.is(word)).then_some(())?;
    cursor.rest.get(at + 1).and_then(ident)
}
