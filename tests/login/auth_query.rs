//! Users that no file knows are looked up on the server.

use std::sync::Once;
use std::time::{Duration, Instant};

use pgusher_testkit::{FakeServer, Pgusher, RawClient};

use crate::credentials::drop_servers;
use crate::stage::{
    LIMIT, database, guarded, pgusher, pooled, psql, refused, until, whoami, words, wrong_password,
};

/// The function README recommends, which counts how often it is asked.
const FUNCTION: &str = "\
    create role asker login password 'asking'; create schema pgusher; create sequence pgusher.asked;\n\
    create function pgusher.user_lookup(wanted text, out name text, out secret text) returns setof record\n\
    language sql security definer set search_path = pg_catalog as $$\n\
      select rolname::text, case when rolvaliduntil < now() then null else rolpassword end\n\
      from pg_authid, nextval('pgusher.asked') where rolname = wanted and rolcanlogin and not rolsuper\n\
    $$;\n\
    revoke all on function pgusher.user_lookup(text) from public; grant usage on schema pgusher to asker;\n\
    grant execute on function pgusher.user_lookup(text) to asker;";

fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(guarded().psql(FUNCTION)));
}

const QUERY: &str = "auth_query = \"SELECT * FROM pgusher.user_lookup($1)\"";

/// A pgusher that knows nobody but who asks.
fn start(process: &str, settings: &str) -> Pgusher {
    prepare();
    let process = format!("auth_user = \"asker\"\n{QUERY}\n{process}");
    let own = database("postgres", guarded().port(), settings);
    let sections = format!("{own}{}[users.asker]\npassword = \"asking\"\n", pooled("app"));
    pgusher(&process, &sections).start()
}

#[tokio::test]
async fn users_of_the_server_come_in_as_themselves() {
    guarded().psql(
        "create role q_user login password 'right'; create role q_group nologin password 'x'",
    );
    guarded().psql("create role q_old login password 'right' valid until '2001-01-01'");
    guarded().psql("create role q_none login; create role q_md5 login");
    guarded().psql("set password_encryption = 'md5'; alter role q_md5 password 'right'");
    for auth_type in ["scram-sha-256", "md5", "plain"] {
        let pgusher = start(&format!("auth_type = \"{auth_type}\""), "");
        assert_eq!(whoami(&pgusher, "postgres", "q_user", "right").await, "q_user");
        for user in ["q_user", "q_group", "q_old", "q_none", "q_stranger", "postgres"] {
            assert_eq!(refused(&pgusher, "postgres", user, "wrong").await, wrong_password(user));
        }
        for user in ["q_group", "q_old", "q_none"] {
            assert_eq!(refused(&pgusher, "postgres", user, "right").await, wrong_password(user));
        }
        // The server itself wants SCRAM, so a hash gets nobody in there; here it does.
        let md5 = refused(&pgusher, "app", "q_md5", "x").await;
        assert_eq!(md5, wrong_password("q_md5"));
        if auth_type != "scram-sha-256" {
            assert_eq!(whoami(&pgusher, "app", "q_md5", "right").await, "pooled");
        }
        assert_eq!(words(&psql(pgusher.port(), "app", "q_user", "right", "select 6 * 7")), "42");
    }
}

#[tokio::test]
async fn the_default_query_honours_valid_until_and_nologin() {
    prepare();
    guarded().psql(
        "create role d_user login password 'right'; create role d_group nologin password 'right'",
    );
    guarded().psql("create role d_old login password 'right' valid until '2001-01-01'");
    guarded().psql("create role reader superuser login password 'reading'");
    let process = "auth_user = \"reader\"";
    let sections = format!("{}[users.reader]\npassword = \"reading\"\n", pooled("app"));
    let pgusher = pgusher(process, &sections).start();
    assert_eq!(whoami(&pgusher, "app", "d_user", "right").await, "pooled");
    for user in ["d_group", "d_old"] {
        assert_eq!(refused(&pgusher, "app", user, "right").await, wrong_password(user));
    }
}

#[tokio::test]
async fn a_new_password_counts_at_once() {
    guarded().psql("create role r_user login password 'first'");
    for (auth_type, cache) in
        [("scram-sha-256", "off"), ("md5", "off"), ("plain", "off"), ("plain", "1h")]
    {
        guarded().psql("alter role r_user password 'first'");
        let process = format!("auth_type = \"{auth_type}\"\nauth_query_cache_ttl = \"{cache}\"");
        let pgusher = start(&process, "");
        assert_eq!(whoami(&pgusher, "postgres", "r_user", "first").await, "r_user");
        guarded().psql("alter role r_user password 'second'");
        // The new one works here, and logs in to servers from now on.
        assert_eq!(whoami(&pgusher, "postgres", "r_user", "second").await, "r_user");
        drop_servers(&pgusher, "r_user").await;
        assert_eq!(whoami(&pgusher, "postgres", "r_user", "second").await, "r_user");
        assert_eq!(
            refused(&pgusher, "postgres", "r_user", "first").await,
            wrong_password("r_user")
        );
        guarded().psql("alter role r_user nologin");
        if cache == "off" {
            assert_eq!(
                refused(&pgusher, "app", "r_user", "second").await,
                wrong_password("r_user")
            );
        }
        guarded().psql("alter role r_user login");
    }
}

#[tokio::test]
async fn an_answer_may_be_used_again_and_a_failure_asks_again() {
    guarded().psql("create role c_user login password 'first'");
    let pgusher = start("auth_query_cache_ttl = \"1h\"", "");
    assert_eq!(whoami(&pgusher, "app", "c_user", "first").await, "pooled");
    guarded().psql("alter role c_user password 'second'");
    assert_eq!(
        whoami(&pgusher, "app", "c_user", "first").await,
        "pooled",
        "the old one, from the answer"
    );
    // The proof fails against the old verifier, which makes the next login find the new one.
    assert_eq!(refused(&pgusher, "app", "c_user", "second").await, wrong_password("c_user"));
    assert_eq!(whoami(&pgusher, "app", "c_user", "second").await, "pooled");
    assert_eq!(refused(&pgusher, "app", "c_user", "first").await, wrong_password("c_user"));
}

#[tokio::test]
async fn what_clients_say_never_reaches_the_query() {
    guarded().psql("create role s_user login password 'right'");
    guarded().psql(
        "create schema evil; grant all on schema evil to public; \
        create function evil.rolname_eq(name, text) returns bool language sql as 'select true'; \
        create operator evil.= (leftarg = name, rightarg = text, procedure = evil.rolname_eq)",
    );
    let pgusher = start("", "");
    for name in ["s_user' or true --", "s_user\"; drop role s_user; --", "$1", "\\", "s_usér"] {
        assert_eq!(refused(&pgusher, "app", name, "right").await, wrong_password(name));
    }
    for parameters in [
        [("search_path", "evil"), ("application_name", "x")],
        [("options", "-c search_path=evil,pg_catalog -c role=postgres"), ("application_name", "x")],
    ] {
        let mut client = RawClient::connect(pgusher.port()).await;
        let user = [("user", "s_stranger"), ("database", "app")];
        client.startup(0, &[&user[..], &parameters].concat()).await;
        assert_eq!(client.authenticate("s_stranger", "x").await.unwrap_err().code(), "28P01");
    }
    // The connection that asks is its own: nobody's parameters, nobody's role.
    let asking = "select current_user || ' ' || usename from pg_stat_activity where application_name = 'pgusher auth_query' and usename = 'asker' limit 1";
    assert!(guarded().psql(asking).contains("asker"));
    assert_eq!(whoami(&pgusher, "app", "s_user", "right").await, "pooled");
}

#[tokio::test]
async fn a_broken_query_is_told_in_the_log_and_not_to_strangers() {
    prepare();
    for (query, why) in [
        (
            "SELECT rolname FROM nowhere WHERE rolname = $1",
            "relation \\\"nowhere\\\" does not exist",
        ),
        ("SELECT $1::text", "1 columns, not 2"),
        ("SELECT 'other', 'x' WHERE $1::text IS NOT NULL", "another name"),
        ("SELECT $1::text, 'x' UNION ALL SELECT $1::text, 'y'", "more than one row"),
        ("COPY (SELECT 1) TO STDOUT", "auth_query failed"),
    ] {
        let sections = format!("{}[users.asker]\npassword = \"asking\"\n", pooled("app"));
        let process = format!("auth_user = \"asker\"\nauth_query = \"{query}\"");
        let pgusher = pgusher(&process, &sections).start();
        let (code, message) = refused(&pgusher, "app", "anybody", "x").await;
        assert_eq!((&*code, &*message), ("57P03", "authentication is not possible at the moment"));
        let why = why.replace("\\\"", "\"");
        until("a reason", || pgusher.log().contains("auth_query failed")).await;
        assert!(pgusher.log().contains(&why), "{why}\n{}", pgusher.log());
        assert!(!pgusher.log().contains("asking"), "no password in the log");
    }
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_nobody_else() {
    guarded().psql("create role h_user login password 'right'");
    prepare();
    let silent = FakeServer::start(|_conn| std::future::pending()).await;
    let sections = format!(
        "{}{}[users.asker]\npassword = \"asking\"\n[users.local]\npassword = \"own\"\n",
        pooled("app"),
        database("silent", silent.port(), "")
    );
    let process = format!(
        "auth_user = \"asker\"\n{QUERY}\nauth_query_timeout = \"2s\"\nmax_concurrent_logins = 1"
    );
    let pgusher = pgusher(&process, &sections).start();
    let port = pgusher.port();
    let begun = Instant::now();
    let stuck: Vec<_> = (0..5)
        .map(|n| {
            tokio::spawn(async move {
                RawClient::try_login(port, "silent", &format!("u{n}"), "x").await
            })
        })
        .collect();
    assert_eq!(whoami(&pgusher, "app", "h_user", "right").await, "pooled");
    assert_eq!(whoami(&pgusher, "app", "local", "own").await, "pooled");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for login in stuck {
        let error = tokio::time::timeout(LIMIT, login).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.code(), "57P03");
    }
}

#[tokio::test]
async fn logins_at_the_same_time_share_an_answer() {
    let cluster = guarded();
    prepare();
    cluster.psql("create role m_user login password 'right'; create sequence pgusher.mine; \
        create function pgusher.slow(wanted text, out name text, out secret text) returns setof record \
        language sql security definer as $$ select rolname::text, rolpassword from pg_catalog.pg_authid, \
        pg_sleep(0.3), nextval('pgusher.mine') where rolname = wanted $$");
    cluster.psql("grant execute on function pgusher.slow(text) to asker");
    let sections = format!("{}[users.asker]\npassword = \"asking\"\n", pooled("app"));
    let process = "auth_user = \"asker\"\nauth_query = \"SELECT * FROM pgusher.slow($1)\"";
    let pgusher = pgusher(process, &sections).start();
    let port = pgusher.port();
    let logins: Vec<_> = (0..30)
        .map(|_| {
            tokio::spawn(async move { RawClient::login(port, "app", "m_user", "right").await })
        })
        .collect();
    for login in logins {
        tokio::time::timeout(LIMIT, login).await.unwrap().unwrap();
    }
    let asked: u32 = cluster.psql("select last_value from pgusher.mine").parse().unwrap();
    assert!((1..=6).contains(&asked), "30 logins asked {asked} times");
}

#[tokio::test]
async fn the_console_and_databases_elsewhere() {
    prepare();
    guarded().psql("create role e_dba login password 'right'");
    let sections =
        format!("{}{}[users.asker]\npassword = \"asking\"\n", pooled("app"), pooled("other"));
    let process =
        format!("auth_user = \"asker\"\n{QUERY}\nauth_dbname = \"app\"\nadmin_users = [\"e_dba\"]");
    let pgusher = pgusher(&process, &sections).start();
    let mut console = RawClient::login(pgusher.port(), "pgusher", "e_dba", "right").await;
    assert!(!console.query("SHOW VERSION").await.value().is_empty());
    assert_eq!(whoami(&pgusher, "other", "e_dba", "right").await, "pooled");
    // They are shown, though no pool has them.
    let shown = console.query("SHOW SERVERS").await;
    let place = |name: &str| shown.columns.iter().position(|column| column == name).unwrap();
    let [user, name, state] = ["user", "application_name", "state"].map(place);
    let text = |row: &[Option<String>], at: usize| row[at].clone().unwrap_or_default();
    let asking = shown.rows.iter().filter(|row| text(row, name) == "pgusher auth_query");
    let asking: Vec<_> = asking.map(|row| (text(row, user), text(row, state))).collect();
    assert!(matches!(asking.len(), 1..=2), "{shown:?}");
    assert!(asking.iter().all(|found| *found == ("asker".to_owned(), "idle".to_owned())));
    assert_eq!(refused(&pgusher, "pgusher", "e_dba", "wrong").await, wrong_password("e_dba"));
}
