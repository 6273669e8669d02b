//! Requests of the extended protocol that name statements: Parse, Bind, Describe and Close.

use std::sync::Arc;

use super::prepared::ParseFate;
use super::requests::{Look, RequestError, Requests};
use super::shape::Fit;
use super::{Conversation, Names};
use crate::server::progress::{Entry, Origin, Request};
use crate::session::statement::sql_of;
use crate::session::{MAX_NAME, MAX_UNNAMED};
use crate::wire::frame::HEADER;
use crate::wire::frontend::{BindNames, Parse, TARGET_NAME_AT, Target};
use crate::wire::tag::frontend as tag;
use crate::wire::{FrameError, Header};

/// The largest message that is looked at whole, Parse excepted: Describe, Close and the names of a Bind.
const MAX_VIEW: usize = 16 * 1024;

impl Requests {
    pub(super) fn parse(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
    ) -> Result<Look, RequestError> {
        let limit = match talk.names {
            Names::Virtual { limit }
                if header.size <= MAX_UNNAMED && !talk.session.has_private_statements() =>
            {
                limit
            }
            Names::Virtual { .. } => {
                talk.requests_began();
                talk.parse_private();
                self.pass_on(header.size);
                return Ok(Look::Next);
            }
            Names::Raw => return self.parse_raw(header, talk),
        };
        if self.is_incomplete(header.size) {
            return Ok(Look::More);
        }
        let message = self.unseen().get(..header.size).unwrap_or_default();
        let view = Parse::read(message)?;
        if view.name.len() > MAX_NAME {
            return Err(RequestError::NameTooLong);
        }
        talk.requests_began();
        if view.name.is_empty() {
            talk.cells.client_parses.add(1);
            talk.cells.server_parses.add(1);
            talk.judge_unnamed(view.content);
            let (mut before, old) = (Vec::new(), sql_of(view.content).len());
            let renamed = talk.deallocation(limit, &mut before);
            talk.parse_unnamed(view.content);
            self.send_renamed(header, &before, renamed.as_deref(), HEADER + 1, old);
            return Ok(Look::Next);
        }
        if self.ends_on_wrong_names && talk.is_taken(view.name) {
            talk.log_name_in_use(view.name);
            return Err(RequestError::NameInUse);
        }
        let (mut before, old) = (Vec::new(), view.name.len());
        match talk.parse_named(limit, view.name, view.content, &mut before) {
            ParseFate::Wait => return Ok(self.postpone()),
            ParseFate::Answer => self.drop_message(header.size),
            ParseFate::Send(renamed) => {
                self.send_renamed(header, &before, renamed.as_deref(), HEADER, old);
            }
        }
        Ok(Look::Next)
    }

    pub(super) fn bind(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
    ) -> Result<Look, RequestError> {
        let Names::Virtual { limit } = talk.names else { return self.bind_raw(header, talk) };
        let visible = self.unseen();
        let visible = visible.get(..header.size).unwrap_or(visible);
        let Some(names) = BindNames::read(visible) else {
            if visible.len() == header.size {
                return Err(FrameError::Malformed { tag: tag::BIND }.into());
            }
            return self.wait_for_names(header);
        };
        if talk.must_wait(names.statement) {
            return Ok(self.postpone());
        }
        if self.ends_on_wrong_names && talk.is_unknown(names.statement) {
            return Err(RequestError::NoStatement);
        }
        let complete = visible.len() == header.size;
        if !complete && header.size <= MAX_UNNAMED && talk.wants_values(names.statement) {
            self.is_incomplete(header.size);
            return Ok(Look::More);
        }
        match talk.fit(names.statement) {
            Fit::Yes => {}
            // Its batch goes on to ask what the rows look like.
            Fit::No | Fit::Unknown if self.is_before(header, tag::DESCRIBE) => {}
            Fit::No => {
                self.refuse_bind(header, talk);
                return Ok(Look::Next);
            }
            Fit::Unknown => {
                let name = names.statement.to_owned();
                self.ask_shape(limit, &name, talk);
                return Ok(self.postpone());
            }
        }
        // Counted when it is sent: one that waits is looked at more than once.
        talk.cells.binds.add(1);
        talk.requests_began();
        let (at, old, mut before) = (names.statement_at, names.statement.len(), Vec::new());
        let named = talk.resolve(limit, names.statement, &mut before);
        let statement = named.statement();
        talk.judge_bind(statement, visible);
        talk.note_bound(statement.map(Arc::as_ref));
        if statement.is_some() && before.is_empty() && complete {
            self.keep_batch(header, talk);
        }
        talk.server
            .progress
            .sent(Entry { statement: statement.cloned(), ..Entry::client(Request::Bind) });
        self.last_bound = statement.cloned();
        self.send_renamed(header, &before, named.renamed(), at, old);
        Ok(Look::Next)
    }

    fn wait_for_names(&mut self, header: Header) -> Result<Look, RequestError> {
        if self.unseen().len() > MAX_VIEW {
            return Err(RequestError::NameTooLong);
        }
        self.is_incomplete(header.size.min(MAX_VIEW + 1));
        Ok(Look::More)
    }

    pub(super) fn describe_or_close(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
    ) -> Result<Look, RequestError> {
        let request = if header.tag == tag::CLOSE { Request::Close } else { Request::Describe };
        let Names::Virtual { limit } = talk.names else {
            self.forward(header, talk, Entry::client(request));
            return Ok(Look::Next);
        };
        if header.size > MAX_VIEW {
            return Err(RequestError::NameTooLong);
        }
        if self.is_incomplete(header.size) {
            return Ok(Look::More);
        }
        let target = Target::read(self.unseen().get(..header.size).unwrap_or_default())?;
        talk.requests_began();
        if !target.is_statement {
            self.forward(header, talk, Entry::client(request));
            return Ok(Look::Next);
        }
        if request == Request::Close {
            let name: Box<[u8]> = target.name.into();
            self.close(header, &name, talk);
            return Ok(Look::Next);
        }
        if talk.must_wait(target.name) {
            return Ok(self.postpone());
        }
        if self.ends_on_wrong_names && talk.is_unknown(target.name) {
            return Err(RequestError::NoStatement);
        }
        let (old, mut before) = (target.name.len(), Vec::new());
        let named = talk.resolve(limit, target.name, &mut before);
        let statement = named.statement().cloned();
        let name = statement.is_some().then(|| target.name.into());
        talk.server.progress.sent(Entry { statement, name, ..Entry::client(request) });
        self.send_renamed(header, &before, named.renamed(), TARGET_NAME_AT, old);
        Ok(Look::Next)
    }

    /// Closing a shared statement only takes its name away; the server keeps it for others.
    fn close(&mut self, header: Header, name: &[u8], talk: &mut Conversation<'_>) {
        let closed = talk.session.forget_statement(name);
        if closed.is_none() && (name.is_empty() || talk.session.has_private_statements()) {
            if name.is_empty() {
                talk.session.unnamed.forget();
                talk.server.unnamed = 0;
            }
            self.forward(header, talk, Entry::client(Request::Close));
            return;
        }
        let entry = Entry { statement: closed, ..Entry::new(Request::Close, Origin::Local) };
        talk.server.progress.sent(entry.named(name));
        self.drop_message(header.size);
    }
}
