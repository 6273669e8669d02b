//! Clients that ask at fixed times, or again and again.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// What became of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// From the moment it was due to the answer.
    pub(crate) took: Duration,
    /// Whether it was served; else it was refused for want of a server.
    pub(crate) served: bool,
}

/// Sends requests at a fixed rate, whatever becomes of those before, as far as there are clients that wait for nothing.
/// Latency counts from the moment a request was due, so that it shows when they come too late.
pub(crate) async fn at_rate(
    clients: Vec<Client>,
    sql: &'static str,
    rate: f64,
    time: Duration,
) -> Vec<Answer> {
    let next = Rc::new(std::cell::Cell::new(0_u32));
    let start = Instant::now();
    let one = |client: Client| {
        let next = Rc::clone(&next);
        async move {
            let mut answers = Vec::new();
            loop {
                let number = next.replace(next.get() + 1);
                let due = Duration::from_secs_f64(f64::from(number) / rate);
                // What was due before the end but could not even be sent by then is not waited for.
                if due >= time || start.elapsed() >= time {
                    return answers;
                }
                tokio::time::sleep_until(start + due).await;
                let served = ask(&client, sql).await;
                answers.push(Answer { took: start.elapsed() - due, served });
            }
        }
    };
    gather(clients.into_iter().map(one)).await
}

/// Every client asks again as soon as it has its answer and has thought.
pub(crate) async fn again_and_again(
    clients: Vec<Client>,
    sql: &'static str,
    think: Duration,
    time: Duration,
) -> Vec<Answer> {
    let start = Instant::now();
    let one = |client: Client| async move {
        let mut answers = Vec::new();
        while start.elapsed() < time {
            let asked = Instant::now();
            let served = ask(&client, sql).await;
            answers.push(Answer { took: asked.elapsed(), served });
            // Between a half and three halves, so that clients do not march in step.
            tokio::time::sleep(think.mul_f64(0.5 + fastrand::f64())).await;
        }
        answers
    };
    gather(clients.into_iter().map(one)).await
}

async fn gather(
    all: impl Iterator<Item = impl Future<Output = Vec<Answer>> + 'static>,
) -> Vec<Answer> {
    let set = LocalSet::new();
    let tasks: Vec<_> = all.map(|one| set.spawn_local(one)).collect();
    let mut answers = Vec::new();
    set.run_until(async {
        for task in tasks {
            answers.extend(task.await.expect("a client"));
        }
    })
    .await;
    answers
}

async fn ask(client: &Client, sql: &str) -> bool {
    match client.simple_query(sql).await {
        Ok(_) => true,
        Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => false,
        Err(error) => panic!("{error}"),
    }
}

/// The value that so many percent do not exceed; zero of nothing.
pub(crate) fn percentile(times: impl Iterator<Item = Duration>, percent: usize) -> Duration {
    let mut all: Vec<_> = times.collect();
    all.sort_unstable();
    let at = (all.len() * percent).div_ceil(100).max(1) - 1;
    all.get(at).copied().unwrap_or_default()
}
