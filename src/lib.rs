//! pgusher, a PostgreSQL connection pooler: thousands of clients share a small, fixed pool of servers.
//!
//! # Bird's eye
//!
//! A client comes in at a worker, a thread with a runtime of its own, and logs in there; what would keep a processor busy,
//! a TLS handshake above all, is done at desks of their own that let workers go first. While it rests it is parked: it
//! has no task and no buffers, and one descriptor watches the sockets of all who rest. When it sends a request it is
//! given a task, which takes a server from the pool, or waits for one in the queue of its class, relays both ways until
//! the transaction is over, and gives the server back before the last reply is even sent. A busy client keeps its task.
//! As few workers are in service as carry the clients; when one is full, clients move to another between transactions.
//! Clients and servers of one conversation live on one thread; what threads share is the pool's small schedule, behind a
//! lock.
//!
//! # The road of a byte, and the rooms along it
//!
//! | room | its one idea |
//! |---|---|
//! | [`net`] | sockets, listeners, buffers that are borrowed while bytes are pending, deadlines from one tick |
//! | [`client`] | handshake → login → a client's life: idle, wants a server, holds one; parked while it rests |
//! | [`pool`] | who gets which server next ([`pool::core`] and its queues, pure), leases, dialling, shared limits, the keeper |
//! | [`server`] | one connection to PostgreSQL: its login, what is outstanding on it ([`server::progress`], pure), bringing it to rest |
//! | [`relay`] | whole runs of messages both ways, names of prepared statements |
//! | [`session`] | the virtual session: what a client believes its connection holds (pure) |
//!
//! Beside the road:
//!
//! | room | its one idea |
//! |---|---|
//! | [`sql`] | what a string of SQL does to a session, by its tokens (pure) |
//! | [`wire`] | frames and messages without I/O; the only importer of pgwire |
//! | [`auth`] | SCRAM from both sides, md5, userlists (pure) |
//! | [`hba`] | who may come in how: `pg_hba.conf`, `pg_ident.conf` (pure) |
//! | [`authority`] | those who judge passwords for us: LDAP, PAM; the operating system's users |
//! | [`config`] | from files to one checked, immutable configuration; the difference of two |
//! | [`tls`] | certificates, keys and settings to begin TLS with, what a handshake has settled (no I/O but reading files) |
//! | [`stats`] | counters held by their owners, records of who is there |
//! | [`cancel`] | cancel keys, and what they may strike |
//! | [`admin`] | the console: commands, orders, tables made from one snapshot ([`stats::Snapshot`]) |
//! | [`metrics`] | the same snapshot as Prometheus reads it |
//! | [`glance`] | what people look at: the load of each pool, its rates, who waits for whom |
//! | [`http`] | the port of `/metrics`, `/healthz` and `/readyz` |
//! | [`otlp`] | the same snapshot, and spans, on their way to an OpenTelemetry collector |
//! | [`web`] | the page for browsers on the same port: who may see what, and its history |
//! | [`app`] | the composition root: the only place that knows every room |
//! | [`top`] | `pgusher top`: the terminal view, a client of the console |
//! | [`cli`], [`telemetry`] | the command line, the log |
//!
//! Vocabulary that imports nothing of ours: [`types`], [`secret`], [`sqlstate`], [`control`], [`date`],
//! [`backstage`].
//!
//! # What must always hold
//!
//! 1. No reply reaches another client. Every request to a server is entered in its [`server::Progress`], every reply
//!    must fit the entry at the head, and a server is lent on only when nothing is outstanding and nothing is half
//!    sent in either direction. A conversation that cannot be accounted for ends with its server.
//! 2. A limit is never exceeded, and a place is never lost: places are guards ([`pool::Lease`], [`pool::Ticket`]), and
//!    dropping one is the only way back.
//! 3. Bytes from outside waste a bounded amount of memory and never panic: frames are bounded, views are checked,
//!    what is large streams through.
//! 4. What the operator sees has one source for each number.
//! 5. Errors tell the truth, in PostgreSQL's codes, from one table ([`client::replies`]).
//!
//! # Who may import whom
//!
//! Imports point one way: vocabulary ← wire, sql, config, stats ← tls ← glance, metrics, otlp, net, auth, hba, session ←
//! server, authority ← pool, relay, cancel, web, http (not each other) ← client, admin (not each other) ← app. A test
//! reads every `use crate::` and fails on one that points the other way.

pub mod admin;
pub mod app;
pub mod auth;
pub mod authority;
pub mod backstage;
pub mod cancel;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
mod date;
pub mod glance;
pub mod hba;
pub mod http;
pub mod metrics;
pub mod net;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod pool;
pub mod relay;
pub mod secret;
pub mod server;
pub mod session;
pub mod sql;
pub mod sqlstate;
pub mod stats;
pub mod telemetry;
pub mod tls;
pub mod top;
pub mod types;
pub mod web;
pub mod wire;
