//! The extended protocol at the console: statements without parameters, and their portals.

use std::collections::{HashMap, VecDeque};

use super::grammar::Command;
use super::line::Failure;
use super::refusals::error;
use super::session::{Session, columns, put_row};
use super::table::Cell;
use crate::sqlstate;
use crate::wire::frontend::{self, BindNames, BindShape, Parse, Target};
use crate::wire::tag::frontend as tag;
use crate::wire::{ErrorFields, backend};

/// Statements and portals one session may have; nobody needs more of them here.
const MAX_NAMES: usize = 1_000;

/// A statement; `None` is the empty one.
type Statement = Option<Command>;

/// Names in use, and whether messages are skipped.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<Vec<u8>, Statement>,
    portals: HashMap<Vec<u8>, Portal>,
    /// After an error, up to the next Sync.
    skipping: bool,
    /// Answers wait for Sync or Flush.
    in_pipeline: bool,
}

/// A statement that is being executed.
struct Portal {
    statement: Statement,
    shape: BindShape,
    /// Rows not sent yet; `None` before the first Execute.
    rows: Option<VecDeque<Vec<Cell>>>,
    is_done: bool,
}

fn no_statement(name: &[u8]) -> ErrorFields {
    let name = String::from_utf8_lossy(name);
    error(sqlstate::UNDEFINED_STATEMENT, format!("prepared statement \"{name}\" does not exist"))
}

fn no_portal(name: &[u8]) -> ErrorFields {
    let name = String::from_utf8_lossy(name);
    error(sqlstate::UNDEFINED_PORTAL, format!("portal \"{name}\" does not exist"))
}

impl Extended {
    /// True while messages are skipped.
    pub(super) fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// False in the middle of a pipeline: its answers go out together.
    pub(super) fn may_flush(&self) -> bool {
        !self.in_pipeline
    }

    /// A Sync has come.
    pub(super) fn sync(&mut self) {
        self.skipping = false;
        self.in_pipeline = false;
        // They live as long as the transaction, and each is one here.
        self.portals.clear();
    }

    /// A simple query replaces the unnamed ones.
    pub(super) fn forget_unnamed(&mut self) {
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
    }

    /// Answers a message; an error makes it skip the rest of the pipeline.
    pub(super) async fn answer(
        &mut self,
        session: &mut Session,
        message: &[u8],
    ) -> Result<(), Failure> {
        self.in_pipeline = true;
        let answered = match message.first().copied().unwrap_or_default() {
            tag::PARSE => self.parse(session, message),
            tag::BIND => self.bind(session, message),
            tag::DESCRIBE => self.describe(session, message),
            tag::EXECUTE => self.execute(session, message).await,
            _ => self.close(session, message),
        };
        match answered {
            Err(Failure::Refused(fields)) => {
                self.skipping = true;
                fields.put_error(&mut session.line.out);
                Ok(())
            }
            other => other,
        }
    }

    fn parse(&mut self, session: &mut Session, message: &[u8]) -> Result<(), Failure> {
        let Parse { name, content } = Parse::read(message)?;
        if !name.is_empty() && self.statements.contains_key(name) {
            let name = String::from_utf8_lossy(name);
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(error(sqlstate::DUPLICATE_STATEMENT, message).into());
        }
        if self.statements.len() >= MAX_NAMES {
            let message = "too many prepared statements at the console";
            return Err(error(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).into());
        }
        let sql = content.split(|&byte| byte == 0).next().unwrap_or_default();
        let sql = String::from_utf8_lossy(sql);
        let statement = session.read_one(&sql)?;
        self.statements.insert(name.to_vec(), statement);
        session.line.out.extend_from_slice(&backend::PARSE_COMPLETE);
        Ok(())
    }

    fn bind(&mut self, session: &mut Session, message: &[u8]) -> Result<(), Failure> {
        let shape = BindShape::read(message)?;
        let Some(BindNames { portal, statement, .. }) = BindNames::read(message) else {
            return Err(Failure::fatal("malformed Bind"));
        };
        let known = self.statements.get(statement).ok_or_else(|| no_statement(statement))?.clone();
        if shape.parameters > 0 {
            let message = format!(
                "bind message supplies {} parameters, but commands of the console have none",
                shape.parameters
            );
            return Err(error(sqlstate::PROTOCOL_VIOLATION, message).into());
        }
        if self.portals.len() >= MAX_NAMES {
            let message = "too many portals at the console";
            return Err(error(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).into());
        }
        let opened = Portal { statement: known, shape, rows: None, is_done: false };
        self.portals.insert(portal.to_vec(), opened);
        session.line.out.extend_from_slice(&backend::BIND_COMPLETE);
        Ok(())
    }

    fn describe(&mut self, session: &mut Session, message: &[u8]) -> Result<(), Failure> {
        let Target { is_statement, name } = Target::read(message)?;
        let out = &mut session.line.out;
        let (statement, shape) = if is_statement {
            let statement = self.statements.get(name).ok_or_else(|| no_statement(name))?;
            backend::put_no_parameters(out);
            (statement, None)
        } else {
            let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
            (&portal.statement, Some(&portal.shape))
        };
        match statement.as_ref().and_then(columns) {
            Some(columns) => backend::put_row_description(out, &columns, |at| {
                shape.is_some_and(|shape| shape.is_binary(at))
            }),
            None => backend::put_no_data(out),
        }
        Ok(())
    }

    async fn execute(&mut self, session: &mut Session, message: &[u8]) -> Result<(), Failure> {
        let (name, limit) = frontend::read_execute(message)?;
        let portal = self.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        let Some(command) = portal.statement.clone() else {
            session.line.out.extend_from_slice(&backend::EMPTY_QUERY_RESPONSE);
            return Ok(());
        };
        if std::mem::replace(&mut portal.is_done, true) {
            let message = "the portal has been run to its end";
            return Err(error(sqlstate::NOT_IN_PREREQUISITE_STATE, message).into());
        }
        session.allow(&command)?;
        let columns = columns(&command).unwrap_or_default();
        let rows = portal.rows.get_or_insert_with(|| session.rows(&command).into());
        let count = if limit == 0 { rows.len() } else { rows.len().min(limit as usize) };
        for row in rows.drain(..count) {
            put_row(&mut session.line.out, &columns, &row, |at| portal.shape.is_binary(at));
        }
        if !rows.is_empty() {
            portal.is_done = false;
            session.line.out.extend_from_slice(&backend::PORTAL_SUSPENDED);
            return Ok(());
        }
        let tag = session.run(&command).await?;
        backend::put_command_complete(&mut session.line.out, &tag);
        Ok(())
    }

    fn close(&mut self, session: &mut Session, message: &[u8]) -> Result<(), Failure> {
        let Target { is_statement, name } = Target::read(message)?;
        if is_statement {
            self.statements.remove(name);
        } else {
            self.portals.remove(name);
        }
        session.line.out.extend_from_slice(&backend::CLOSE_COMPLETE);
        Ok(())
    }
}
