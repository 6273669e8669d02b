//! Under a limit that pools share nobody starves because of a name or a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::stage::{line, login, start, until};

/// PgBouncer visits its pools in the order of their names, so the last one starves.
#[tokio::test]
async fn every_pool_is_served_under_a_shared_limit() {
    let users = ["app", "other", "postgres"];
    super::stage::publisher();
    let cluster = pgusher_testkit::Cluster::shared();
    cluster.psql("create role app login; create role other login");
    let parameters = "pool_mode = transaction\nmax_client_conn = 200\nquery_wait_timeout = 0";
    let pgusher = start(parameters, &line("shared", "max_db_connections=2"));
    let stop = Arc::new(AtomicBool::new(false));
    let done: Vec<_> = users.iter().map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let mut tasks = Vec::new();
    for (user, count) in users.iter().zip(&done) {
        for _ in 0..4 {
            let mut client = login(&pgusher, "shared", user).await;
            let (stop, count) = (Arc::clone(&stop), Arc::clone(count));
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.query("select pg_sleep(0.002)").await.value();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
    }
    // Everybody, wherever it stands in the alphabet, comes round again and again.
    let least = || done.iter().map(|count| count.load(Ordering::Relaxed)).min().unwrap_or(0);
    until("every pool has been served often", || least() >= 40).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
}
