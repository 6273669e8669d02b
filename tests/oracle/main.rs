//! The nonce oracle: many clients ask, in every style of the protocol, for values that only they know, while servers
//! die, clients vanish, queries are cancelled and pools change their size. A reply that reaches another client, or
//! none, fails with the conversation; so does a limit that is exceeded, a slot that is lost, and state that leaks.

mod actor;
mod conversation;
mod expect;
mod fake_servers;
mod leaks;
mod ledger;
mod nonces;
mod peer;
mod proxy;
mod regressions;
mod script;
mod stage;
mod vanish;
