//! For people who look before they read: `pgusher top`, on a terminal and for scripts, and the page for browsers.

mod browser;
mod http;
mod page;
mod seen;
mod stage;
mod top;
