//! `unsharable_state` and `max_pinned`.

use crate::stage::Stage;

#[tokio::test]
async fn error_refuses_before_the_statement_reaches_a_server() {
    let stage = Stage::new("policy_error", "pool_size = 1\nunsharable_state = \"error\"");
    let mut client = stage.client().await;
    for sql in
        ["create temp table x (a int)", "select pg_advisory_lock(1)", "prepare p as select 1"]
    {
        for extended in [false, true] {
            let result = if extended {
                client.query_extended(sql, &[]).await
            } else {
                client.query(sql).await
            };
            let error = result.unwrap_error();
            assert_eq!((error.code(), error.severity()), ("0A000", "ERROR"), "{sql}: {error:?}");
            assert!(
                error.hint().is_some_and(|hint| hint.contains("unsharable_state")),
                "{error:?}"
            );
            assert_eq!(result.status, b'I');
        }
    }
    assert_eq!(client.query("begin").await.status, b'T');
    assert_eq!(client.query("load 'x'").await.status, b'E', "an error fails the transaction");
    assert_eq!(client.query("prepare p as select 1").await.unwrap_error().code(), "25P02");
    assert_eq!(client.query("rollback").await.status, b'I');
    let temp = "select count(*) from pg_class where relname = 'x'";
    assert_eq!(client.query(temp).await.value(), "0");
    let audit = stage.show("audit").await;
    assert!(
        audit.iter().any(|row| row.ends_with("create temp table x(a int)|temp_object|2")),
        "{audit:?}"
    );
}

#[tokio::test]
async fn a_user_may_have_another_policy_than_its_database() {
    let settings = "pool_size = 2\nunsharable_state = \"error\"\n[users.postgres]\nunsharable_state = \"pin\"\nmax_pinned = 1";
    let stage = Stage::new("policy_user", settings);
    let (mut client, mut second) = (stage.client().await, stage.client().await);
    assert_eq!(client.query("prepare p as select 1").await.error, None);
    stage.expect_pins(1).await;
    let refused = second.query("prepare p as select 1").await;
    assert_eq!(refused.unwrap_error().code(), "53300", "its own limit");
    let mut other = pgusher_testkit::RawClient::connect(stage.pgusher.port()).await;
    stage.cluster.psql("create role policy_other login");
    other.startup(0, &[("user", "policy_other"), ("database", "policy_user")]).await;
    other.authenticate("policy_other", "").await.expect("let in");
    let refused = other.query("prepare p as select 1").await;
    assert_eq!(refused.unwrap_error().code(), "0A000", "the database's policy");
}

#[tokio::test]
async fn warn_lets_it_through_and_discards_it() {
    let stage = Stage::new("policy_warn", "pool_size = 1\nunsharable_state = \"warn\"");
    let (mut client, mut other) = (stage.client().await, stage.client().await);
    let result = client.query("prepare p as select 1").await;
    assert_eq!((result.error, result.tags), (None, vec!["PREPARE".to_owned()]));
    let [notice] = &result.notices[..] else { panic!("{:?}", result.notices) };
    assert_eq!((notice.severity(), notice.code()), ("WARNING", "01000"), "{notice:?}");
    let left = "select count(*) from pg_prepared_statements where from_sql";
    assert_eq!(other.query(left).await.value(), "0", "nobody else finds it");
    assert_eq!(stage.pins().await, 0);
    let name = "pgusher_state_discarded_total{database=\"policy_warn\",user=\"postgres\",cause=\"prepare\"}";
    assert!((stage.metric(name) - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn max_pinned_is_a_clear_error_and_not_starvation() {
    let stage = Stage::new("policy_max", "pool_size = 4\nmax_pinned = \"50%\"");
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = stage.client().await;
        assert_eq!(client.query("prepare p as select 1").await.error, None);
        clients.push(client);
    }
    let mut third = stage.client().await;
    let result = third.query("prepare p as select 1").await;
    let error = result.unwrap_error();
    assert_eq!((error.code(), error.severity()), ("53300", "ERROR"), "{error:?}");
    assert!(error.detail().is_some_and(|detail| detail.contains("max_pinned is 2")), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("SHOW PINS")), "{error:?}");
    assert_eq!(third.query("select 1").await.value(), "1", "others are served");
    assert_eq!(clients[0].query("deallocate p").await.error, None);
    stage.expect_pins(1).await;
    assert_eq!(third.query("prepare p as select 1").await.error, None, "the place came back");
    assert_eq!(third.query("prepare q as select 1").await.error, None, "a pinned client is in");
}
