//! What the page is made of. It belongs to the binary: nothing is fetched from elsewhere.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// The page.
pub(super) async fn html() -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("page/page.html")).into_response()
}

/// How it looks.
pub(super) async fn css() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page/page.css")).into_response()
}

/// What it does.
pub(super) async fn js() -> Response {
    let kind = "text/javascript; charset=utf-8";
    ([(CONTENT_TYPE, kind)], include_str!("page/page.js")).into_response()
}
