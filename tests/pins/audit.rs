//! What functions do to a session is found by audits, named, and discarded.

use crate::stage::Stage;

#[tokio::test]
async fn what_a_function_leaves_is_found_and_discarded() {
    let stage = Stage::new("audit_function", "pool_size = 1\naudit_sample = 1");
    let mut client = stage.client_with(&[("application_name", "sly")]).await;
    let body =
        "begin perform pg_advisory_lock(99); set work_mem = '77MB'; execute 'listen sly'; end";
    let made = client
        .query(&format!("create function sly() returns void language plpgsql as $$ {body} $$"))
        .await;
    assert_eq!(made.error, None);
    // Whether a transaction is looked at is decided by the one before it.
    for _ in 0..2 {
        assert_eq!(client.query("select sly()").await.error, None);
    }
    let mut other = stage.client().await;
    assert_ne!(other.query("show work_mem").await.value(), "77MB");
    let left = "select (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) \
                + (select count(*) from pg_listening_channels())";
    assert_eq!(other.query(left).await.value(), "0");
    let audit = stage.show("audit").await;
    for cause in ["leak: advisory_lock", "leak: parameter work_mem", "leak: listen"] {
        let found = audit
            .iter()
            .any(|row| row.contains(&format!("audit_function|sly|select sly()|{cause}|")));
        assert!(found, "{cause}: {audit:?}");
    }
    let name =
        "pgusher_state_leaks_total{database=\"audit_function\",user=\"postgres\",kind=\"listen\"}";
    assert!(stage.metric(name) >= 1.0);
}

#[tokio::test]
async fn what_pgusher_knows_of_is_no_leak() {
    let stage = Stage::new("audit_known", "pool_size = 1\naudit_sample = 1");
    let mut client = stage.client_with(&[("options", "-c work_mem=77MB")]).await;
    for sql in [
        "set statement_timeout = '5s'",
        "set datestyle = 'German'",
        "set role pg_read_all_data",
        "reset role",
        "begin isolation level serializable; select 1; commit",
        "listen c",
        "select pg_advisory_lock(1)",
        "select pg_advisory_unlock(1)",
        "select 1",
        "select 2",
    ] {
        assert_eq!(client.query(sql).await.error, None, "{sql}");
    }
    assert!(stage.metric("pgusher_state_audits_total{database=\"audit_known\"") >= 1.0);
    let leaks: Vec<_> =
        stage.show("audit").await.into_iter().filter(|row| row.contains("|leak")).collect();
    assert_eq!(leaks, [""; 0]);
}
