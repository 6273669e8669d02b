//! A session at the console.

use std::sync::Arc;
use std::time::Duration;

use super::Host;
use super::extended::Extended;
use super::grammar::{self, Command};
use super::line::{Failure, Line};
use super::look::{View, look};
use super::orders::{Desk, check_rights, syntax_error};
use super::table::Cell;
use crate::cancel::SHORT_KEY;
use crate::net::{Buffer, Stream};
use crate::sqlstate;
use crate::types::Name;
use crate::wire::backend::{self, Column};
use crate::wire::tag::frontend as tag;
use crate::wire::{ErrorFields, Severity, frontend};

/// How long the last word may take to be sent.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Answers to a pipeline go out before its end when there are more bytes of them.
const MUCH: usize = 64 * 1024;

/// What clients are told about the server they think they talk to.
const STATUS: [(&str, &str); 7] = [
    ("server_version", concat!(env!("CARGO_PKG_VERSION"), "/pgusher")),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "on"),
];

/// Somebody who proved to be a user of the console, and has not been told so yet.
#[derive(Debug)]
pub struct Arrival {
    /// The socket, on the current runtime.
    pub stream: Stream,
    /// Bytes that came early.
    pub buffer: Buffer,
    /// Who it is.
    pub user: Name,
    /// Whether it may give orders.
    pub is_admin: bool,
}

/// Serves the console, from AuthenticationOk to the end.
pub async fn serve(arrival: Arrival, host: Arc<dyn Host>) {
    let Arrival { stream, buffer, user, is_admin } = arrival;
    let key = match host.cancel_keys().issue(SHORT_KEY, host.config().process.peer_id) {
        Ok(key) => key,
        Err(error) => return tracing::error!(%error, "no randomness for a cancel key"),
    };
    let line = Line::new(stream, buffer, key);
    let mut session = Session { line, host: Arc::clone(&host), user, is_admin };
    tracing::info!(user = %session.user, is_admin, "console opened");
    let failure = tokio::select! {
        failure = session.live() => failure,
        () = host.closing() => {
            let message = "terminating connection due to administrator command";
            let fields = ErrorFields::new(Severity::Fatal, sqlstate::ADMIN_SHUTDOWN, message);
            // An answer that is cut short must not be followed by anything.
            session.line.out.clear();
            Failure::Fatal(Box::new(fields))
        }
    };
    if let Failure::Fatal(fields) | Failure::Refused(fields) = failure {
        fields.put_error(&mut session.line.out);
        let _ = tokio::time::timeout(LAST_WORD, session.line.flush()).await;
    }
    tracing::info!(user = %session.user, "console closed");
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
        let out = &mut self.line.out;
        backend::put_auth_ok(out);
        for (name, value) in STATUS {
            backend::put_parameter_status(out, name, value);
        }
        let target = &self.line.key.target;
        backend::put_key_data(out, target.pid, &target.key);
        out.extend_from_slice(&backend::READY_IDLE);
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
            other => Err(Failure::fatal(format!("invalid frontend message type {other}"))),
        }
    }

    /// Answers a simple query: its commands in their order, up to the first that fails.
    async fn query(&mut self, text: &str) -> Result<(), Failure> {
        let commands = grammar::split(text);
        if commands.is_empty() {
            self.line.out.extend_from_slice(&backend::EMPTY_QUERY_RESPONSE);
        }
        for command in commands {
            match self.command(command).await {
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

    async fn command(&mut self, text: &str) -> Result<(), Failure> {
        let command = grammar::parse(text).map_err(syntax_error)?;
        if let Some(columns) = columns(&command) {
            backend::put_row_description(&mut self.line.out, &columns, |_| false);
            for row in self.rows(&command) {
                put_row(&mut self.line.out, &row, |_| false);
            }
        }
        let tag = self.run(&command).await?;
        backend::put_command_complete(&mut self.line.out, tag);
        Ok(())
    }

    /// Does what a command says, apart from its rows; gives its tag.
    pub(super) async fn run(&mut self, command: &Command) -> Result<&'static str, Failure> {
        check_rights(command, self.is_admin)?;
        if !command.only_looks() {
            tracing::info!(user = %self.user, ?command, "console command");
        }
        Desk { host: self.host.as_ref(), line: &mut self.line }.carry_out(command).await
    }

    /// The rows of a command that has any.
    pub(super) fn rows(&self, command: &Command) -> Vec<Vec<Cell>> {
        match command {
            Command::Show(show) => {
                let host = self.host.as_ref();
                (show.sheet().rows)(View { snapshot: look(host), host })
            }
            Command::ShowParameter(parameter) => vec![vec![parameter.value.into()]],
            _ => Vec::new(),
        }
    }
}

/// The columns of a command that has rows.
pub(super) fn columns(command: &Command) -> Option<Vec<Column>> {
    match command {
        Command::Show(show) => Some((show.sheet().columns)()),
        Command::ShowParameter(parameter) => {
            Some(vec![Column { name: parameter.name, is_number: false }])
        }
        _ => None,
    }
}

/// Appends a DataRow.
pub(super) fn put_row(out: &mut Vec<u8>, row: &[Cell], is_binary: impl Fn(usize) -> bool) {
    let values = row.iter().enumerate().map(|(at, cell)| match cell {
        Cell::Null => None,
        // A text is the same in both formats.
        Cell::Text(text) => Some(text.as_bytes().to_vec()),
        Cell::Number(number) if is_binary(at) => {
            Some(i64::try_from(*number).unwrap_or(i64::MAX).to_be_bytes().to_vec())
        }
        Cell::Number(number) => Some(number.to_string().into_bytes()),
    });
    backend::put_data_row(out, values);
}
