//! The page's data, and what signed-in people may do, as JSON.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{
    CONTENT_TYPE, COOKIE as COOKIES, ETAG, HeaderMap, IF_NONE_MATCH, SET_COOKIE,
};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::board::Page;
use super::hosts::{From, is_near};
use super::sessions::{COOKIE, Session};

type Shared = State<Arc<Web>>;

/// Who asks: somebody who has signed in, somebody at this machine, or anybody.
struct Asker {
    session: Option<Arc<Session>>,
    is_near: bool,
}

impl Asker {
    fn of(web: &Web, ConnectInfo(from): From, headers: &HeaderMap) -> Self {
        let cookies = headers.get(COOKIES).and_then(|value| value.to_str().ok());
        Asker {
            session: cookies.and_then(|cookies| web.sessions.find(cookies, Instant::now())),
            is_near: is_near(web.listen, from, headers),
        }
    }

    /// True when names of people and what they say may be shown.
    fn sees_everything(&self) -> bool {
        self.is_near || self.session.is_some()
    }
}

/// The answer, or that nothing has changed since the browser last asked.
fn marked(page: Page, headers: &HeaderMap) -> Response {
    if headers.get(IF_NONE_MATCH).and_then(|mark| mark.to_str().ok()) == Some(page.mark.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, page.mark)]).into_response();
    }
    ([(CONTENT_TYPE, "application/json".to_owned()), (ETAG, page.mark)], page.body).into_response()
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    answer(status, &json!({ "error": why }))
}

fn sign_in_first() -> Response {
    refuse(StatusCode::FORBIDDEN, "only people who have signed in may see this")
}

/// Makes an answer where it is in nobody's way.
async fn apart(web: &Arc<Web>, make: impl FnOnce(&Web) -> Response + Send + 'static) -> Response {
    let shared = Arc::clone(web);
    web.apart.spawn(async move { make(&shared) }).await.unwrap_or_else(|_| {
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made")
    })
}

/// The number after `after=`.
fn after(query: Option<&str>) -> u64 {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let after = pairs.collect::<HashMap<_, _>>().remove("after");
    after.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Pools, waiters, blockers, pins and audit.
pub(super) async fn snapshot(State(web): Shared, from: From, headers: HeaderMap) -> Response {
    apart(&web, move |web| {
        let shot = web.board.look();
        let sees_everything = Asker::of(web, from, &headers).sees_everything();
        marked(if sees_everything { shot.whole } else { shot.public }, &headers)
    })
    .await
}

/// Queue times of the last half hour.
pub(super) async fn history(State(web): Shared, RawQuery(query): RawQuery) -> Response {
    apart(&web, move |web| answer(StatusCode::OK, &web.board.history(after(query.as_deref()))))
        .await
}

/// The settings.
pub(super) async fn settings(State(web): Shared, from: From, headers: HeaderMap) -> Response {
    if !Asker::of(&web, from, &headers).sees_everything() {
        return sign_in_first();
    }
    let settings = |web: &Web| Page::of(&json!({ "settings": web.house.settings() }));
    apart(&web, move |web| marked(settings(web), &headers)).await
}

/// The last lines of the log.
pub(super) async fn log(
    State(web): Shared,
    from: From,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if !Asker::of(&web, from, &headers).sees_everything() {
        return sign_in_first();
    }
    apart(&web, move |web| {
        let (lines, seen) = web.house.log(after(query.as_deref()));
        answer(StatusCode::OK, &json!({ "lines": lines, "seen": seen }))
    })
    .await
}

/// Who asks, and what they may do.
pub(super) async fn session(State(web): Shared, from: From, headers: HeaderMap) -> Response {
    let asker = Asker::of(&web, from, &headers);
    let session = asker.session.as_ref();
    answer(
        StatusCode::OK,
        &json!({
            "user": session.map(|session| &session.user),
            "is_admin": session.is_some_and(|session| session.desk.is_admin()),
            "guard": session.map(|session| &session.guard),
            "may_sign_in": web.may_sign_in,
            "sees_everything": asker.sees_everything(),
        }),
    )
}

#[derive(Deserialize)]
struct SignIn {
    user: String,
    password: String,
}

/// Logs in at the console, as psql would from the browser's address: by the same rules, and as slowly after mistakes.
pub(super) async fn sign_in(State(web): Shared, ConnectInfo(from): From, body: Bytes) -> Response {
    if !web.may_sign_in {
        return refuse(
            StatusCode::FORBIDDEN,
            "nobody may sign in: page is not \"admin\" in [http]",
        );
    }
    let Ok(SignIn { user, password }) = serde_json::from_slice(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "user and password are needed");
    };
    let Ok(_place) = web.signing_in.try_acquire() else {
        return refuse(StatusCode::TOO_MANY_REQUESTS, "too many people are signing in, try again");
    };
    let desk = match web.house.enter(from, &user, &password).await {
        Ok(desk) => desk,
        Err(why) => {
            tracing::info!(%from, user, why, "sign-in at the page failed");
            return refuse(StatusCode::UNAUTHORIZED, &why);
        }
    };
    match web.sessions.enter(&user, desk, Instant::now()) {
        Ok(token) => {
            // It goes with the browser; how long it is good for is for the sessions to say.
            let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/");
            tracing::info!(%from, user, "signed in at the page");
            (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
        }
        Err(why) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}

/// The session of somebody who proves to be the page, and not another one.
fn guarded(web: &Web, from: From, headers: &HeaderMap) -> Option<Arc<Session>> {
    let guard = headers.get("x-pgusher-guard").and_then(|guard| guard.to_str().ok())?;
    let session = Asker::of(web, from, headers).session?;
    session.is_guarded_by(guard).then_some(session)
}

/// Ends a session, and the console with it.
pub(super) async fn sign_out(State(web): Shared, from: From, headers: HeaderMap) -> Response {
    let Some(session) = guarded(&web, from, &headers) else { return sign_in_first() };
    web.sessions.leave(&session);
    let cookie = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
}

/// An order, and whom it is for.
#[derive(Deserialize)]
struct Order {
    order: String,
    database: Option<String>,
    client: Option<u64>,
}

impl Order {
    /// As the console reads it.
    fn text(&self) -> Result<String, &'static str> {
        let verb = match self.order.as_str() {
            "pause" => "PAUSE",
            "resume" => "RESUME",
            "reconnect" => "RECONNECT",
            "reload" => return Ok("RELOAD".to_owned()),
            "kill_client" => {
                let client = self.client.ok_or("kill_client needs a client")?;
                return Ok(format!("KILL_CLIENT {client}"));
            }
            _ => return Err("no such order"),
        };
        match &self.database {
            None => Ok(verb.to_owned()),
            Some(name) if name.contains('"') => Err("give this order at the console"),
            Some(name) => Ok(format!("{verb} \"{name}\"")),
        }
    }
}

/// Gives an order to the console.
pub(super) async fn order(
    State(web): Shared,
    from: From,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(session) = guarded(&web, from, &headers) else { return sign_in_first() };
    let order = serde_json::from_slice::<Order>(&body).map_err(|_| "no order");
    let text = match order.and_then(|order| order.text()) {
        Ok(text) => text,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, why),
    };
    match session.desk.order(&text).await {
        Ok(true) => answer(StatusCode::OK, &json!({ "done": true })),
        Ok(false) => answer(StatusCode::ACCEPTED, &json!({ "done": false })),
        Err(why) => refuse(StatusCode::CONFLICT, &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_those_of_the_console_and_quoted() {
        let text = |json: &str| serde_json::from_str::<Order>(json).unwrap().text();
        assert_eq!(text(r#"{"order":"pause","database":"a b"}"#).unwrap(), "PAUSE \"a b\"");
        assert_eq!(text(r#"{"order":"resume"}"#).unwrap(), "RESUME");
        assert_eq!(text(r#"{"order":"kill_client","client":7}"#).unwrap(), "KILL_CLIENT 7");
        for wrong in [
            r#"{"order":"shutdown"}"#,
            r#"{"order":"pause; SHUTDOWN"}"#,
            r#"{"order":"pause","database":"a\"; SHUTDOWN"}"#,
            r#"{"order":"kill_client"}"#,
        ] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn after_is_a_number_or_the_beginning() {
        assert_eq!(after(Some("x=1&after=12")), 12);
        assert_eq!((after(None), after(Some("after=x"))), (0, 0));
    }
}
