//! One outstanding request.

use std::sync::Arc;

use crate::session::statement::Statement;
use crate::sql;
use crate::wire::ErrorFields;

/// A request, by how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Simple query: anything, then ReadyForQuery.
    Query,
    /// FunctionCall: a response or an error, then ReadyForQuery.
    FunctionCall,
    /// ParseComplete.
    Parse,
    /// BindComplete.
    Bind,
    /// RowDescription or NoData.
    Describe,
    /// Rows, then CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute,
    /// CloseComplete.
    Close,
    /// ReadyForQuery.
    Sync,
    /// CopyData sent before the server said it wants any; not answered.
    CopyData,
    /// CopyDone or CopyFail sent before the server said it wants data; not answered.
    CopyEnd,
}

impl Request {
    /// True for what ends with ReadyForQuery.
    pub fn ends_batch(self) -> bool {
        matches!(self, Request::Query | Request::FunctionCall | Request::Sync)
    }
}

/// On whose account a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client's own: the answer goes to the client.
    Client,
    /// pgusher's: the answer is swallowed.
    Injected,
    /// The client's, but never sent: pgusher answers in the server's place when its turn comes.
    Local,
}

/// An outstanding request.
#[derive(Debug)]
pub struct Entry {
    /// What was asked.
    pub request: Request,
    /// By whom.
    pub origin: Origin,
    /// The statement it is about.
    pub statement: Option<Arc<Statement>>,
    /// The client's name for that statement, where the request changed what the name means.
    pub name: Option<Box<[u8]>>,
    /// The version of the unnamed statement that the request leaves on the server; 0: none.
    pub unnamed: u64,
    /// The [batch](Progress::batch) it belongs to.
    pub batch: u64,
    /// What it does to the session; `None`: nothing.
    pub verdict: Option<Arc<sql::Verdict>>,
    /// How many of the verdict's statements are over.
    pub over: usize,
    /// What pgusher wants with it, if it is pgusher's.
    pub purpose: Purpose,
    /// It was sent to fail, in place of a request that is refused: what the client is told instead.
    pub refusal: Option<Box<ErrorFields>>,
}

/// What pgusher wants with a request of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing that needs a look at the answer.
    #[default]
    Other,
    /// To give the server the client's parameters.
    Replay,
    /// To learn values of parameters.
    Ask,
    /// To learn whether what ties the client to the server is still there.
    Confirm,
}

impl Entry {
    /// A request without a statement.
    pub fn new(request: Request, origin: Origin) -> Self {
        Entry {
            request,
            origin,
            statement: None,
            name: None,
            unnamed: 0,
            batch: 0,
            verdict: None,
            over: 0,
            purpose: Purpose::Other,
            refusal: None,
        }
    }

    /// A client's request that is sent as it is.
    pub fn client(request: Request) -> Self {
        Entry::new(request, Origin::Client)
    }

    /// The same about a statement.
    #[must_use]
    pub fn about(mut self, statement: &Arc<Statement>) -> Self {
        self.statement = Some(Arc::clone(statement));
        self
    }

    /// The same, for the unnamed statement of this version.
    #[must_use]
    pub fn unnamed(mut self, version: u64) -> Self {
        self.unnamed = version;
        self
    }

    /// The same with the client's name for the statement.
    #[must_use]
    pub fn named(mut self, name: &[u8]) -> Self {
        self.name = Some(name.into());
        self
    }
}
