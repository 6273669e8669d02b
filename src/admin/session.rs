//! A session at the console.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Host;
use super::extended::Extended;
use super::grammar::{self, Command};
use super::line::{Failure, Line};
use super::look::View;
use super::orders::{Desk, check_rights, is_setting};
use super::refusals::{as_pgbouncer, error, syntax_error};
use super::table::Cell;
use crate::cancel::SHORT_KEY;
use crate::control::Order;
use crate::net::{Buffer, Stream};
use crate::sqlstate;
use crate::stats::{ClientRecord, Ends};
use crate::types::{LoginMethod, Name};
use crate::wire::tag::frontend as tag;
use crate::wire::{Column, ColumnKind, ErrorFields, Severity, backend, frontend};

/// How long the last word may take to be sent.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Answers to a pipeline go out before its end when there are more bytes of them.
const MUCH: usize = 64 * 1024;

/// What clients are told about the server they think they talk to, beside its version.
const STATUS: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "on"),
];

/// Our version.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/pgusher");
/// The version of PgBouncer whose console scripts find here.
const PGBOUNCERS_VERSION: &str = "1.25.2/bouncer";

/// Somebody who proved to be a user of the console, and has not been told so yet.
#[derive(Debug)]
pub struct Arrival {
    /// The socket, on the current runtime.
    pub stream: Stream,
    /// Bytes that came early.
    pub buffer: Buffer,
    /// Who it is.
    pub user: Name,
    /// What it calls itself.
    pub application_name: Name,
    /// Whether it may give orders.
    pub is_admin: bool,
}

/// Serves the console, from AuthenticationOk to the end.
pub async fn serve(arrival: Arrival, host: Arc<dyn Host>) {
    let Arrival { stream, buffer, user, application_name, is_admin } = arrival;
    let (peer, id) = (host.config().process.peer_id, host.pools().context.records.ids.next());
    let key = match host.cancel_keys().issue(SHORT_KEY, peer, id) {
        Ok(key) => key,
        Err(error) => return tracing::error!(%error, "no randomness for a cancel key"),
    };
    let present = host.consoles().enter(ClientRecord::new(
        id,
        super::own::NAME.into(),
        Name::clone(&user),
        application_name,
        Ends::of(stream.socket()),
        stream.tls().map(crate::tls::label),
        LoginMethod::default(),
    ));
    let line = Line::new(stream, buffer, key);
    let mut session = Session { line, host: Arc::clone(&host), user, is_admin };
    tracing::info!(user = %session.user, is_admin, "console opened");
    let failure = tokio::select! {
        failure = session.live() => failure,
        () = host.closing() => session.cut_off(),
        () = poll_fn(|cx| poll_order(&present.record, cx)) => session.cut_off(),
    };
    session.part(failure).await;
    tracing::info!(user = %session.user, "console closed");
    drop(present);
    if host.consoles().is_empty() && host.pools().context.records.is_suspended() {
        tracing::info!("admin disappeared when suspended, doing RESUME");
        host.pools().context.records.resume();
    }
}

/// Comes back when somebody wants the session to end.
fn poll_order(record: &ClientRecord, cx: &Context<'_>) -> Poll<()> {
    record.control.watch(cx);
    if record.control.order() == Order::None { Poll::Pending } else { Poll::Ready(()) }
}

/// The session.
pub(super) struct Session {
    pub(super) line: Line,
    host: Arc<dyn Host>,
    user: Name,
    is_admin: bool,
}

impl Session {
    /// Answers until the client leaves; says why it ended.
    async fn live(&mut self) -> Failure {
        self.welcome();
        let mut extended = Extended::default();
        loop {
            if let Err(failure) = self.answer(&mut extended).await {
                return failure;
            }
        }
    }

    fn welcome(&mut self) {
        let version = if self.host.is_drop_in() { PGBOUNCERS_VERSION } else { VERSION };
        let out = &mut self.line.out;
        out.extend_from_slice(&backend::AUTH_OK);
        for (name, value) in std::iter::once(("server_version", version)).chain(STATUS) {
            backend::put_parameter_status(out, name.as_bytes(), value.as_bytes());
        }
        let target = &self.line.key.target;
        backend::put_key_data(out, target.pid, &target.key);
        out.extend_from_slice(&backend::READY_IDLE);
    }

    /// The session ends for reasons that are not its own.
    fn cut_off(&mut self) -> Failure {
        // An answer that is cut short must not be followed by anything.
        self.line.out.clear();
        if self.host.is_drop_in() {
            return Failure::Gone;
        }
        let message = "terminating connection due to administrator command";
        let fields = ErrorFields::new(Severity::Fatal, sqlstate::ADMIN_SHUTDOWN, message);
        Failure::Fatal(Box::new(fields))
    }

    /// Says the last word, if there is anybody to hear it.
    async fn part(&mut self, failure: Failure) {
        if let Failure::Fatal(fields) | Failure::Refused(fields) = failure {
            fields.put_error(&mut self.line.out);
            let _ = tokio::time::timeout(LAST_WORD, self.line.flush()).await;
        }
    }

    /// Answers one message.
    async fn answer(&mut self, extended: &mut Extended) -> Result<(), Failure> {
        if extended.may_flush() || self.line.out.len() > MUCH {
            self.line.flush().await?;
        }
        let message = self.line.next().await?;
        match message.first().copied().unwrap_or_default() {
            tag::TERMINATE => Err(Failure::Gone),
            tag::SYNC => {
                extended.sync();
                self.line.out.extend_from_slice(&backend::READY_IDLE);
                Ok(())
            }
            _ if extended.is_skipping() => Ok(()),
            tag::QUERY => {
                extended.forget_unnamed();
                let text = String::from_utf8_lossy(frontend::read_query(&message)?).into_owned();
                self.query(&text).await
            }
            tag::FLUSH => self.line.flush().await,
            tag::FUNCTION_CALL => {
                let message = "the console has no functions";
                let code = sqlstate::FEATURE_NOT_SUPPORTED;
                let fields = ErrorFields::new(Severity::Error, code, message);
                fields.put_error(&mut self.line.out);
                self.line.out.extend_from_slice(&backend::READY_IDLE);
                Ok(())
            }
            // As PostgreSQL does after a COPY that failed.
            tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL => Ok(()),
            tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE => {
                extended.answer(self, &message).await
            }
            _ if self.host.is_drop_in() => Err(Failure::fatal("unknown pkt")),
            other => Err(Failure::fatal(format!("invalid frontend message type {other}"))),
        }
    }

    /// Answers a simple query: its commands in their order, up to the first that fails.
    async fn query(&mut self, text: &str) -> Result<(), Failure> {
        let commands = self.read(text);
        if commands.is_empty() {
            self.line.out.extend_from_slice(&backend::EMPTY_QUERY_RESPONSE);
        }
        for command in commands {
            let answered = match command {
                Ok(command) => self.answer_command(&command).await,
                Err(refused) => Err(refused),
            };
            match answered {
                Ok(()) => {}
                Err(Failure::Refused(fields)) => {
                    fields.put_error(&mut self.line.out);
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        self.line.out.extend_from_slice(&backend::READY_IDLE);
        Ok(())
    }

    /// The commands of a text, up to the first that is none. In the drop-in mode a text is a single command; an empty
    /// one, by which drivers see whether anybody is there, is no mistake in either.
    fn read(&self, text: &str) -> Vec<Result<Command, Failure>> {
        let refusal = |mistake| self.refusal(syntax_error(mistake));
        let commands = grammar::split(text);
        if self.host.is_drop_in() && !commands.is_empty() {
            return vec![grammar::parse_strictly(text).map_err(refusal)];
        }
        commands.into_iter().map(|command| grammar::parse(command).map_err(refusal)).collect()
    }

    /// The command of a statement; `None` is the empty one. PgBouncer has none of these, so there is nothing to be
    /// like: what drivers SET for themselves is let pass.
    pub(super) fn read_one(&self, text: &str) -> Result<Option<Command>, Failure> {
        let mut commands = self.read(text);
        match (commands.pop(), commands.is_empty()) {
            (None, _) => Ok(None),
            (Some(Ok(Command::Set(key, _))), true) if !is_setting(&key, self.host.as_ref()) => {
                Ok(Some(Command::SetOther))
            }
            (Some(command), true) => command.map(Some),
            (Some(_), false) => {
                let message = "cannot insert multiple commands into a prepared statement";
                Err(self.refusal(error(sqlstate::SYNTAX_ERROR, message)))
            }
        }
    }

    /// An error in the operators' dialect.
    fn refusal(&self, fields: ErrorFields) -> Failure {
        if self.host.is_drop_in() { as_pgbouncer(fields) } else { fields }.into()
    }

    async fn answer_command(&mut self, command: &Command) -> Result<(), Failure> {
        self.allow(command)?;
        if let Some(columns) = columns(command) {
            backend::put_row_description(&mut self.line.out, &columns, |_| false);
            for row in self.rows(command) {
                put_row(&mut self.line.out, &columns, &row, |_| false);
            }
        }
        let tag = self.run(command).await?;
        backend::put_command_complete(&mut self.line.out, &tag);
        Ok(())
    }

    /// Refuses a command that is not for everybody. To be asked before anything of it is done or shown.
    pub(super) fn allow(&self, command: &Command) -> Result<(), Failure> {
        check_rights(command, self.is_admin, self.host.as_ref())
            .map_err(|fields| self.refusal(fields))
    }

    /// Does what an allowed command says, apart from its rows; gives its tag.
    pub(super) async fn run(&mut self, command: &Command) -> Result<Cow<'static, str>, Failure> {
        if !command.only_looks() {
            tracing::info!(user = %self.user, ?command, "console command");
        }
        let host = Arc::clone(&self.host);
        let ended = Desk { host: host.as_ref(), line: &mut self.line }.carry_out(command).await;
        ended.map_err(|failure| match failure {
            Failure::Refused(fields) => self.refusal(*fields),
            other => other,
        })
    }

    /// The rows of a command that has any.
    pub(super) fn rows(&self, command: &Command) -> Vec<Vec<Cell>> {
        match command {
            Command::Show(show) => (show.sheet().rows)(View::now(self.host.as_ref())),
            Command::ShowOf(show, database) => {
                let database = Some(Name::clone(database));
                (show.sheet().rows)(View { database, ..View::now(self.host.as_ref()) })
            }
            Command::ShowParameter(parameter) => vec![vec![parameter.value.into()]],
            _ => Vec::new(),
        }
    }
}

/// The columns of a command that has rows.
pub(super) fn columns(command: &Command) -> Option<Vec<Column>> {
    match command {
        Command::Show(show) | Command::ShowOf(show, _) => Some((show.sheet().columns)()),
        Command::ShowParameter(parameter) => {
            Some(vec![Column { name: parameter.name, kind: ColumnKind::Text }])
        }
        _ => None,
    }
}

/// Appends a DataRow.
pub(super) fn put_row(
    out: &mut Vec<u8>,
    columns: &[Column],
    row: &[Cell],
    is_binary: impl Fn(usize) -> bool,
) {
    let values = row.iter().zip(columns).enumerate().map(|(at, (cell, column))| match cell {
        Cell::Null => None,
        // A text is the same in both formats.
        Cell::Text(text) => Some(text.as_bytes().to_vec()),
        Cell::Number(number) if is_binary(at) => Some(column.kind.binary(*number)),
        Cell::Number(number) => Some(number.to_string().into_bytes()),
    });
    backend::put_data_row(out, values);
}
