//! How clients get a task, and what becomes of them when it ends.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::OptionFuture;

use super::entry::{Admitted, Resident, Visit};
use super::late::Hearing;
use super::limits::{Guest, Present};
use super::parking::{Parked, Who};
use super::replica;
use super::serve::{Client, Stay};
use super::transfer::Mover;
use super::worker::Worker;

/// Hears a visitor out, and serves it if it stays: until its first long rest it has one task.
pub(super) fn come_in(
    worker: Rc<Worker>,
    visit: Visit,
    present: Present,
) -> impl Future<Output = Option<()>> {
    // Not an async block: that would have room for the client twice.
    Hearing::begin(visit, &worker.deadlines).then(move |resident| {
        let client = match resident {
            Some(Resident::Client(client)) => arrive(&worker, *client, present),
            Some(Resident::Replica(client)) => {
                tokio::task::spawn_local(replica::serve(worker, *client, present));
                None
            }
            None => None,
        };
        OptionFuture::from(client.map(live))
    })
}

/// Gives a client of another worker a task here.
pub(super) fn move_in(worker: &Rc<Worker>, client: Mover, present: Present) {
    let mut client = client.arrive(worker.deadlines.elapsed());
    client.who.present = present;
    tracing::debug!(client = client.who.record.client.id, to = worker.id.0, "client moved");
    serve(worker, client);
}

/// Lets a client in. `None`: it rests without a task until its first request.
fn arrive(worker: &Rc<Worker>, admitted: Admitted, present: Present) -> Option<Client> {
    let Admitted { line, buffer, session, pool, record, key, counted } = admitted;
    let pool = Guest::new(pool);
    pool.stats.of(worker.id).logins.add(1);
    let name = Arc::clone(&record.client.application_name.lock());
    record.client.set_application(pool.applications.number(&name));
    let resting_since = worker.deadlines.elapsed();
    let who = Who { session, pool, record, key, counted, present, resting_since, had_task: None };
    let newcomer = worker.newcomers.enter();
    if newcomer.is_none() && buffer.is_empty() && !line.holds_bytes() {
        let socket = line.suspend().ok()?;
        rest(worker, Parked { socket, who });
        return None;
    }
    // A socket that cannot be registered is a client that cannot be served.
    let stream = line.into_stream(Some(&worker.sends)).ok()?;
    let mut client = Client::new(worker, stream, who);
    client.introduce(newcomer, buffer.filled());
    Some(client)
}

/// Sends a client to another worker if one has called for it; gives it a task here otherwise.
pub(super) fn move_or_serve(worker: &Rc<Worker>, client: Parked) {
    match worker.departures.next() {
        Some(to) => to.seat().take_mover(Mover::leave(client, worker.deadlines.elapsed())),
        None => serve(worker, client),
    }
}

/// Gives a client a task.
pub(super) fn serve(worker: &Rc<Worker>, client: Parked) {
    let Parked { socket, who } = client;
    // A socket that cannot be registered is a client that cannot be served.
    if let Ok(stream) = socket.resume(Some(&worker.sends)) {
        tokio::task::spawn_local(live(Client::new(worker, stream, who)));
    }
}

/// Parks a client, or lets it rest in a task of its own if that cannot be.
fn rest(worker: &Rc<Worker>, client: Parked) {
    if let Err(client) = worker.lot.park(client) {
        serve(worker, *client);
    }
}

/// Serves a client until it leaves, or needs no task here any more.
#[allow(clippy::manual_async_fn, reason = "an async fn would have room for its argument twice")]
fn live(mut client: Client) -> impl Future<Output = ()> {
    async move {
        match client.converse().await {
            Ok(stay) => {
                let worker = Rc::clone(&client.worker);
                match stay {
                    Stay::Parked => rest(&worker, client.suspend()),
                    Stay::Moved => move_or_serve(&worker, client.suspend()),
                }
            }
            Err(goodbye) => {
                client.pool.departures.count(goodbye.departure());
                client.log_departure(&goodbye);
                if client.conclude(goodbye) {
                    // Boxed, so that the task of a client that stays does not carry the room for it.
                    Box::pin(client.speak_last()).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_output<F: Future>(_: impl Fn(Client) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    fn size_of_first<F: Future>(_: impl Fn(Rc<Worker>, Visit, Present) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// Thousands of clients are parked, and thousands may ask for something within a second: what each takes counts.
    /// Measured 248 and 1064 when this was written.
    #[test]
    fn a_client_stays_small() {
        let (parked, task) = (std::mem::size_of::<Parked>(), size_of_output(live));
        let first = size_of_first(come_in);
        assert!(parked <= 248, "a parked client has grown to {parked} bytes");
        assert!(task <= 1064, "a client's task has grown to {task} bytes");
        assert!(first <= 1088, "a client's first task has grown to {first} bytes");
    }
}
