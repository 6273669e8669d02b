//! The page for browsers: served from the binary, fed by the same look as the console's tables.
//!
//! `hosts` says who may ask and who sees what, `sessions` who has signed in; `board` takes one look for everybody who
//! asks within a second, `history` keeps what was before. What the process is asked for stands in [`House`].

mod api;
mod board;
mod history;
mod hosts;
mod house;
mod pages;
mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use board::Board;
use hosts::Hosts;
pub use house::{Answer, Desk, House};
use sessions::Sessions;

use crate::config::{Http, PageMode};
use crate::types::Name;

/// Longest body of a request.
const LONGEST_BODY: usize = 4 * 1024;

/// So many may be signing in at a time: failed logins are held up for a while.
const AT_ONCE: usize = 8;

/// What every request of the page is answered from.
struct Web {
    house: Arc<dyn House>,
    board: Arc<Board>,
    hosts: Hosts,
    sessions: Sessions,
    listen: SocketAddr,
    may_sign_in: bool,
    /// Where answers are made.
    apart: Handle,
    /// People who are just signing in.
    signing_in: Semaphore,
}

/// The page's routes, and what keeps its history while it is served; `None` when there is to be no page. Answers are made
/// `apart`, as they may be long.
pub fn page(
    house: Arc<dyn House>,
    http: &Http,
    apart: Handle,
) -> Option<(Router, impl Future<Output = ()> + Send + 'static)> {
    let may_sign_in = match http.page {
        PageMode::Off => return None,
        PageMode::Read => false,
        PageMode::Admin => true,
    };
    let board = Arc::new(Board::new(Arc::clone(&house)));
    let web = Arc::new(Web {
        house,
        board: Arc::clone(&board),
        hosts: Hosts::new(http.page_hosts.iter().map(Name::to_string)),
        sessions: Sessions::default(),
        listen: http.listen,
        may_sign_in,
        apart: apart.clone(),
        signing_in: Semaphore::new(AT_ONCE),
    });
    if may_sign_in && !http.listen.ip().is_loopback() {
        tracing::warn!(listen = %http.listen, "people sign in at the page without TLS, unless a proxy adds it");
    }
    let router = Router::new()
        .route("/", get(pages::html))
        .route("/page.css", get(pages::css))
        .route("/page.js", get(pages::js))
        .route("/api/snapshot", get(api::snapshot))
        .route("/api/history", get(api::history))
        .route("/api/settings", get(api::settings))
        .route("/api/log", get(api::log))
        .route("/api/session", get(api::session))
        .route("/api/sign-in", post(api::sign_in))
        .route("/api/sign-out", post(api::sign_out))
        .route("/api/order", post(api::order))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&web), hosts::guard))
        .with_state(web);
    Some((router, board.keep(apart)))
}
