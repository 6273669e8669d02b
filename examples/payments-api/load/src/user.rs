//! A user of the API: asks, thinks, and asks again when a transfer was not answered for.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::{Value, json};
use tokio::time;

use crate::api::{Api, Ask};
use crate::asks::{self, MIX, TRANSFER, Transfer};
use crate::crowd::Seat;

/// How often a transfer is asked for before its user gives up.
const ATTEMPTS: u32 = 6;
/// One in so many transfers is asked for once more although it was answered for: an impatient second click.
const SECOND_CLICK: u32 = 50;

/// A user's life.
pub async fn live(seat: Seat, address: &'static str) {
    let mut api = Api::new(address, &seat.person().token);
    while seat.think().await {
        let kind = asks::draw();
        if kind == TRANSFER {
            transfer(&seat, &mut api).await;
        } else {
            let _ = counted(&seat, &mut api, MIX[kind].0, &ask(kind, seat.person().account)).await;
        }
    }
}

/// A request that changes no balance.
fn ask(kind: usize, account: i64) -> Ask {
    let (method, path) = match MIX[kind].0 {
        "account" => (Method::GET, format!("/accounts/{account}/")),
        "history" => (Method::GET, "/transfers/".to_owned()),
        "statement" => (Method::GET, format!("/accounts/{account}/statement/")),
        "statement file" => (Method::POST, format!("/accounts/{account}/statement-file/")),
        _ => (Method::GET, "/reference/".to_owned()),
    };
    Ask { method, path, body: None, key: None }
}

async fn counted(seat: &Seat, api: &mut Api, kind: &'static str, ask: &Ask) -> Result<Value> {
    let begin = Instant::now();
    let answer = api.ask(ask).await;
    let error = answer.as_ref().err().map(|error| format!("{kind}: {error:#}"));
    seat.world.tally.ended(kind, begin, error);
    // A statement is no JSON, and nobody looks into it.
    Ok(serde_json::from_slice(&answer?).unwrap_or_default())
}

/// Sends money, once, however often it has to be asked for.
async fn transfer(seat: &Seat, api: &mut Api) {
    let wanted = Transfer::draw(seat.person(), &seat.world.people);
    let ask = Ask {
        method: Method::POST,
        path: "/transfers/".to_owned(),
        body: Some(json!({
            "sender": wanted.sender, "recipient": wanted.recipient, "amount": wanted.amount, "reference": "month-end",
        })),
        key: Some(wanted.key.clone()),
    };
    let tally = &seat.world.tally;
    for attempt in 0..ATTEMPTS {
        if let Ok(id) = transferred(seat, api, &ask).await {
            seat.world.journal.promised(&wanted, id);
            if attempt > 0 {
                tally.note("transfers done by asking again");
            }
            if fastrand::u32(..SECOND_CLICK) == 0 {
                second_click(seat, api, &ask, id).await;
            }
            return;
        }
        time::sleep(Duration::from_millis(250 << attempt)).await;
    }
    tally.note("transfers given up");
}

async fn transferred(seat: &Seat, api: &mut Api, ask: &Ask) -> Result<i64> {
    let answer = counted(seat, api, MIX[TRANSFER].0, ask).await?;
    answer["id"].as_i64().context("a transfer has a number")
}

/// The same key gets the same transfer.
async fn second_click(seat: &Seat, api: &mut Api, ask: &Ask, first: i64) {
    seat.world.tally.note("second clicks");
    if transferred(seat, api, ask).await.is_ok_and(|second| second != first) {
        seat.world.tally.note("second clicks with another result");
    }
}
