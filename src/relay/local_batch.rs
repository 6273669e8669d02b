//! The extended protocol's way of clearing a session: one batch, answered without a server.

use std::sync::Arc;

use super::locals::{self, Style};
use crate::session::VirtualSession;
use crate::session::params::Reported;
use crate::session::statement::sql_of;
use crate::sql::{self, Action, Piece, Verdict};
use crate::types::TransactionStatus;
use crate::wire::frontend::{BindNames, BindShape, Parse, Target, read_execute};
use crate::wire::tag::frontend as tag;
use crate::wire::{Header, backend, frame};

/// A batch of more messages, or of more bytes, is not looked at.
const MAX_MESSAGES: usize = 8;
const MAX_BYTES: usize = 4 * 1024;

/// One statement, from Parse or Bind to Sync.
struct Batch<'s, 'a> {
    session: &'s VirtualSession,
    defaults: &'s Reported,
    /// The unnamed statement it makes.
    unnamed: Option<&'a [u8]>,
    verdict: Option<Arc<Verdict>>,
    bound: bool,
    executed: bool,
    out: Vec<u8>,
}

/// What a batch comes to.
pub(super) struct Answer {
    /// Its bytes.
    pub(super) size: usize,
    /// What the client is told.
    pub(super) bytes: Vec<u8>,
}

/// Answers the batch at the front of `bytes` if it is whole and only clears the session; the first message was seen to
/// be a Parse or Bind.
pub(super) fn answer(
    bytes: &[u8],
    session: &mut VirtualSession,
    defaults: &Reported,
) -> Option<Answer> {
    let (out, unnamed, verdict, size) = {
        let mut batch = Batch::new(session, defaults);
        let size = batch.read(bytes)?;
        (batch.out, batch.unnamed, batch.verdict?, size)
    };
    if let Some(content) = unnamed {
        session.unnamed.replace(content);
        session.portals.get_or_insert_default().set_unnamed_statement(Some(Arc::clone(&verdict)));
    }
    let mut bytes = out;
    let style = Style::Extended;
    let done = locals::answer(&verdict, session, defaults, TransactionStatus::Idle, style);
    bytes.extend_from_slice(&done);
    Some(Answer { size, bytes })
}

impl<'s, 'a> Batch<'s, 'a> {
    fn new(session: &'s VirtualSession, defaults: &'s Reported) -> Self {
        Batch {
            session,
            defaults,
            unnamed: None,
            verdict: None,
            bound: false,
            executed: false,
            out: Vec::new(),
        }
    }

    /// Reads up to Sync; gives the size of it all.
    fn read(&mut self, bytes: &'a [u8]) -> Option<usize> {
        let mut at = 0;
        for _ in 0..MAX_MESSAGES {
            let rest = bytes.get(at..)?;
            let header = frame::header(rest).ok()??;
            let message = rest.get(..header.size).filter(|_| at + header.size <= MAX_BYTES)?;
            at += header.size;
            if header.tag == tag::SYNC {
                return self.executed.then_some(at);
            }
            self.message(header, message)?;
        }
        None
    }

    fn message(&mut self, header: Header, message: &'a [u8]) -> Option<()> {
        match header.tag {
            tag::PARSE if self.verdict.is_none() => self.parse(message),
            tag::BIND if !self.bound => self.bind(message),
            tag::DESCRIBE if !self.executed => self.describe(message),
            tag::EXECUTE if self.bound && !self.executed => {
                let (portal, limit) = read_execute(message).ok()?;
                self.executed = portal.is_empty() && limit == 0;
                self.executed.then_some(())
            }
            _ => None,
        }
    }

    fn parse(&mut self, message: &'a [u8]) -> Option<()> {
        let parse = Parse::read(message).ok().filter(|parse| parse.name.is_empty())?;
        let text = sql_of(parse.content);
        if sql::is_plain(text) {
            return None;
        }
        let verdict = sql::read(text, self.session.quoting(Some(self.defaults)));
        self.unnamed = Some(parse.content);
        self.out.extend_from_slice(&backend::PARSE_COMPLETE);
        self.accept(Arc::new(verdict))
    }

    fn accept(&mut self, verdict: Arc<Verdict>) -> Option<()> {
        let local = verdict.pieces.len() == 1
            && locals::are_local(&verdict, self.session, TransactionStatus::Idle);
        self.verdict = local.then_some(verdict);
        local.then_some(())
    }

    fn bind(&mut self, message: &[u8]) -> Option<()> {
        let names = BindNames::read(message)?;
        let shape = BindShape::read(message).ok()?;
        let known = names.statement.is_empty() || self.session.statement(names.statement).is_some();
        if !known {
            return None;
        }
        if self.verdict.is_none() {
            let quoting = || self.session.quoting(Some(self.defaults));
            let verdict = match self.session.statement(names.statement) {
                Some(statement) => statement.verdict(quoting)?,
                None => Arc::clone(self.session.portals.as_ref()?.unnamed_statement()?),
            };
            self.accept(verdict)?;
        } else if !names.statement.is_empty() {
            return None;
        }
        self.bound = names.portal.is_empty() && shape.parameters == 0 && !shape.is_binary(0);
        self.out.extend_from_slice(&backend::BIND_COMPLETE);
        self.bound.then_some(())
    }

    fn describe(&mut self, message: &[u8]) -> Option<()> {
        let target = Target::read(message).ok().filter(|target| target.name.is_empty())?;
        let piece = self.verdict.as_ref()?.pieces.first()?;
        match (target.is_statement, self.bound) {
            (true, false) => backend::put_no_parameters(&mut self.out),
            (false, true) => {}
            _ => return None,
        }
        put_description(piece, &mut self.out);
        Some(())
    }
}

fn put_description(piece: &Piece, out: &mut Vec<u8>) {
    match piece.action {
        Action::UnlockAll => locals::put_unlock_description(out),
        Action::ListeningChannels => locals::put_channels_description(out),
        _ => backend::put_no_data(out),
    }
}
