//! Requests of pgusher's own in the client's stead: what fails in place of a statement that is refused.

use super::Conversation;
use super::requests::Requests;
use crate::server::progress::{Entry, Origin, Request};
use crate::sqlstate::FEATURE_NOT_SUPPORTED;
use crate::wire::frontend::{put_bind, put_close_statement, put_execute, put_parse, put_query};
use crate::wire::{ErrorFields, Header, Severity};

impl Requests {
    /// Discards what sequences have left, in the middle of a batch.
    pub(super) fn discard_sequences(&mut self, talk: &mut Conversation<'_>) {
        let name = b"pgusher discard";
        let mut bytes = Vec::new();
        put_parse(&mut bytes, name, b"DISCARD SEQUENCES\0\0\0");
        put_bind(&mut bytes, name, name);
        put_execute(&mut bytes, name);
        put_close_statement(&mut bytes, name);
        for request in [Request::Parse, Request::Bind, Request::Execute, Request::Close] {
            talk.server.progress.sent(Entry::new(request, Origin::Injected));
        }
        self.insert(&bytes);
    }

    /// Sends what fails in place of a query, so that the error comes where the query's answer would, and does to a
    /// transaction what errors do.
    pub(super) fn refuse_query(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
        fields: Box<ErrorFields>,
    ) {
        let mut bytes = Vec::new();
        put_query(&mut bytes, "refused by the pooler");
        talk.session.unnamed.forget();
        talk.server.unnamed = 0;
        let entry = Entry { refusal: Some(fields), ..Entry::client(Request::Query) };
        self.send_instead(header, talk, entry, &bytes);
        self.barrier = true;
    }

    /// The same in place of an Execute.
    pub(super) fn refuse_execute(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
        fields: Box<ErrorFields>,
    ) {
        let mut bytes = Vec::new();
        put_execute(&mut bytes, b"refused by the pooler");
        let entry = Entry { refusal: Some(fields), ..Entry::client(Request::Execute) };
        self.send_instead(header, talk, entry, &bytes);
        self.changing = true;
    }

    /// The same in place of a Bind whose rows would look otherwise than the client was told.
    pub(super) fn refuse_bind(&mut self, header: Header, talk: &mut Conversation<'_>) {
        let mut bytes = Vec::new();
        put_bind(&mut bytes, b"", b"refused by the pooler");
        let message = "cached plan must not change result type";
        // By the routine, drivers know that it helps to prepare again.
        let fields = ErrorFields::new(Severity::Error, FEATURE_NOT_SUPPORTED, message)
            .routine("RevalidateCachedQuery");
        let entry = Entry { refusal: Some(Box::new(fields)), ..Entry::client(Request::Bind) };
        self.send_instead(header, talk, entry, &bytes);
    }

    fn send_instead(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
        entry: Entry,
        bytes: &[u8],
    ) {
        talk.requests_began();
        talk.server.progress.sent(entry);
        self.drop_message(header.size);
        self.insert(bytes);
    }
}
