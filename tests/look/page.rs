//! The page's data: that it is what the console says, and who may see and do what.

use pgusher_testkit::{Authority, Pgusher, RawClient, wait_for};
use serde_json::{Value, json};

use crate::http::{Reply, Request};
use crate::stage::{Jam, LIMIT, start};

fn http(more: &str) -> String {
    format!("[http]\nlisten = \"127.0.0.1:{{http_port}}\"\n{more}")
}

fn get(pgusher: &Pgusher, path: &str) -> Reply {
    Request::get(pgusher.http_port(), path).send()
}

/// As somebody from elsewhere, through a proxy on this machine.
fn get_from_afar(pgusher: &Pgusher, path: &str) -> Reply {
    Request::get(pgusher.http_port(), path).with("x-forwarded-for", "192.0.2.1").send()
}

/// Somebody who has signed in.
struct SignedIn {
    port: u16,
    cookie: String,
    guard: String,
}

impl SignedIn {
    fn new(pgusher: &Pgusher, user: &str) -> Self {
        let port = pgusher.http_port();
        let body = json!({ "user": user, "password": format!("{user}-word") });
        let reply = Request::post(port, "/api/sign-in", &body).send();
        assert_eq!(reply.status, 204, "{reply:?}");
        let cookie = reply.header("set-cookie").expect("a cookie");
        for part in ["HttpOnly", "SameSite=Strict"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let session = Request::get(port, "/api/session").with("cookie", &cookie).send().json();
        assert_eq!(session["user"], user);
        let guard = session["guard"].as_str().expect("a guard").to_owned();
        SignedIn { port, cookie, guard }
    }

    fn ask(&self, path: &str) -> Request {
        Request::get(self.port, path).with("cookie", &self.cookie)
    }

    fn tell(&self, path: &str, body: &Value) -> Request {
        Request::post(self.port, path, body)
            .with("cookie", &self.cookie)
            .with("x-pgusher-guard", &self.guard)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_the_console_says() {
    let pgusher = start("look_page_numbers", &http(""));
    let jam = Jam::make(&pgusher).await;
    let mut console = RawClient::login(pgusher.port(), "pgusher", "watcher", "watcher-word").await;
    let mut look = Value::Null;
    let came = wait_for(LIMIT, || {
        look = get(&pgusher, "/api/snapshot").json();
        look["pools"][0]["waiting"] == 1
    });
    assert!(came.await, "{look}");
    let load = console.query("SHOW LOAD").await;
    assert_eq!(load.rows.len(), 1);
    for (column, cell) in load.columns.iter().zip(&load.rows[0]) {
        // What goes on while somebody waits.
        if column.ends_with("_us") || column.ends_with("_seconds") {
            continue;
        }
        let cell = pgusher::glance::value(column, cell.as_deref().expect("a value"));
        let number = cell.as_str().and_then(|text| text.parse::<u64>().ok()).map(Value::from);
        assert_eq!(look["pools"][0][column], number.unwrap_or(cell), "{column}");
    }
    let blockers = console.query("SHOW BLOCKERS").await;
    let of = |column: &str| blockers.column(column)[0].to_owned();
    let blocker = &look["blockers"][0];
    for column in ["database", "user", "application_name", "state", "statement", "addr"] {
        assert_eq!(blocker[column], of(column), "{column}");
    }
    assert_eq!(blocker["client"].to_string(), of("client"));
    let settings = get(&pgusher, "/api/settings").json();
    let config = console.query("SHOW CONFIG").await;
    assert_eq!(settings["settings"].as_array().map(Vec::len), Some(config.rows.len()));
    assert_eq!(config.columns, ["key", "value", "default", "changeable"], "as PgBouncer has them");
    let log = || get(&pgusher, "/api/log").json().to_string();
    assert!(wait_for(LIMIT, || log().contains("pgusher is ready")).await, "{}", log());
    assert!(!log().contains("-word"), "{}", log());
    jam.solve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_says_where_it_comes_from() {
    let pgusher = start("look_page_origins", &http("[defaults]\nserver_lifetime = \"7m\"\n"));
    let origin = |key: &str| {
        let settings = get(&pgusher, "/api/settings").json();
        let rows = settings["settings"].as_array().expect("rows").clone();
        assert!(rows.iter().all(|row| row["origin"].is_string()), "{settings}");
        let row = rows.into_iter().find(|row| row["key"] == key).expect(key);
        (row["value"].clone(), row["origin"].as_str().expect("an origin").to_owned())
    };
    let path = pgusher.dir().join("pgusher.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let line = |start: &str| {
        let at = text.lines().position(|line| line.starts_with(start)).expect(start);
        format!("{}:{}", path.display(), at + 1)
    };
    assert_eq!(origin("listen_backlog").1, "default");
    assert_eq!(origin("admin_users").1, line("admin_users"));
    assert_eq!(origin("http.listen").1, line("listen = "));
    assert_eq!(origin("server_lifetime"), (json!("7m"), line("server_lifetime")));

    let mut console = RawClient::login(pgusher.port(), "pgusher", "boss", "boss-word").await;
    assert_eq!(console.query("SET server_lifetime = '9m'").await.error, None);
    assert_eq!(console.query("SET reserve_pool_size = 3").await.error, None);
    assert_eq!(origin("server_lifetime"), (json!("9m"), "SET at the console".to_owned()));
    assert_eq!(origin("reserve_pool_size").1, "SET at the console");
    assert_eq!(console.query("RELOAD").await.error, None);
    assert_eq!(origin("server_lifetime"), (json!("7m"), line("server_lifetime")));
    assert_eq!(origin("reserve_pool_size").1, "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_there_before_the_page_is_opened() {
    let pgusher = start("look_page_history", &http(""));
    Jam::make(&pgusher).await.solve().await;
    let mut samples = Value::Null;
    let came = wait_for(LIMIT, || {
        samples = get(&pgusher, "/api/history").json();
        samples["samples"].as_array().is_some_and(|samples| {
            samples.iter().any(|sample| !sample["pools"].as_array().is_none_or(Vec::is_empty))
        })
    });
    assert!(came.await, "{samples}");
    let last = samples["samples"].as_array().and_then(|all| all.last()).expect("a sample");
    let after = format!("/api/history?after={}", last["number"]);
    let more = get(&pgusher, &after).json();
    assert!(more["samples"].as_array().expect("samples").len() <= 1, "{more}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_numbers_and_change_nothing() {
    let pgusher = start("look_page_strangers", &http("page_hosts = [\"pool.example.org\"]"));
    let jam = Jam::make(&pgusher).await;
    let port = pgusher.http_port();
    let evil = Request::get(port, "/api/snapshot").host("evil.example").send();
    assert_eq!((evil.status, evil.body.contains("billing")), (421, false));
    for reply in [
        get_from_afar(&pgusher, "/api/snapshot"),
        Request::get(port, "/api/snapshot").host("pool.example.org").send(),
    ] {
        assert_eq!((reply.status, &reply.json()["pools"][0]["waiting"]), (200, &json!(1)));
        assert_eq!(reply.json()["blockers"][0]["state"], "idle_in_transaction");
        for secret in ["billing", "alice", "bob", "select", "127.0.0.1"] {
            assert!(!reply.body.contains(secret), "{secret}: {}", reply.body);
        }
    }
    for path in ["/api/settings", "/api/log"] {
        assert_eq!(get_from_afar(&pgusher, path).status, 403, "{path}");
    }
    let body = json!({ "user": "boss", "password": "boss-word" });
    assert_eq!(Request::post(port, "/api/sign-in", &body).send().status, 403, "page = \"read\"");
    let order = Request::post(port, "/api/order", &json!({ "order": "pause" })).send();
    assert_eq!(order.status, 403);
    let page = get(&pgusher, "/");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.body.contains("style=") && !page.body.contains("onclick"));
    assert!(get(&pgusher, "/metrics").body.contains("pgusher_build_info"));
    assert!(get(&pgusher, "/metrics").header("content-security-policy").is_none());
    jam.solve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_page_where_none_is_wanted() {
    let pgusher = start("look_page_off", &http("page = \"off\""));
    assert_eq!(get(&pgusher, "/").status, 404);
    assert_eq!(get(&pgusher, "/api/snapshot").status, 404);
    assert_eq!(get(&pgusher, "/readyz").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_give_orders_and_nobody_else_does() {
    let pgusher = start("look_page_orders", &http("page = \"admin\""));
    let port = pgusher.http_port();
    let sign_in = |user: &str, password: &str| {
        let body = json!({ "user": user, "password": password });
        Request::post(port, "/api/sign-in", &body)
    };
    let wrong = sign_in("boss", "wrong").send();
    assert_eq!(wrong.status, 401, "{wrong:?}");
    assert!(wrong.body.contains("password authentication failed"), "{wrong:?}");
    assert_eq!(sign_in("alice", "alice-word").send().status, 401, "no user of the console");
    let elsewhere = sign_in("boss", "boss-word").with("origin", "http://evil.example").send();
    assert_eq!(elsewhere.status, 403);
    let form = sign_in("boss", "boss-word").with("content-type", "text/plain").send();
    assert_eq!(form.status, 403);

    let boss = SignedIn::new(&pgusher, "boss");
    let afar = boss.ask("/api/log").with("x-forwarded-for", "192.0.2.1").send();
    assert_eq!(afar.status, 200, "signed in");
    let pause = json!({ "order": "pause", "database": "app" });
    let unguarded = boss.tell("/api/order", &pause).with("x-pgusher-guard", "x").send();
    assert_eq!(unguarded.status, 403);
    let watcher = SignedIn::new(&pgusher, "watcher");
    let refused = watcher.tell("/api/order", &pause).send();
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("admin access needed"), "{refused:?}");

    let mut console = RawClient::login(pgusher.port(), "pgusher", "watcher", "watcher-word").await;
    let mut is_paused = async || {
        let databases = console.query("SHOW DATABASES").await;
        databases.column("paused")[0] == "1"
    };
    assert_eq!(boss.tell("/api/order", &pause).send().status, 200);
    assert!(is_paused().await);
    let resume = json!({ "order": "resume", "database": "app" });
    assert_eq!(boss.tell("/api/order", &resume).send().status, 200);
    assert!(!is_paused().await);
    let again = boss.tell("/api/order", &resume).send();
    assert_eq!(again.status, 409);
    assert!(again.body.contains("database app is not paused"), "{again:?}");
    assert_eq!(boss.tell("/api/order", &json!({ "order": "shutdown" })).send().status, 400);

    let jam = Jam::make(&pgusher).await;
    let waiting = boss.tell("/api/order", &pause).send();
    assert_eq!(waiting.status, 202, "a server is in use: {waiting:?}");
    assert!(is_paused().await);
    let reload = boss.tell("/api/order", &json!({ "order": "reload" })).send();
    assert_eq!(reload.status, 200, "{reload:?}");
    assert!(!is_paused().await, "another order takes back what waits");
    jam.solve().await;

    assert_eq!(boss.tell("/api/sign-out", &json!({})).send().status, 204);
    assert_eq!(boss.tell("/api/order", &pause).send().status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_without_tls_is_refused_where_clients_must_have_it() {
    let pair = Authority::shared().issue("localhost");
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = pair.write(folder.path(), "own");
    let tls = format!(
        "page = \"admin\"\n[tls.client]\nsslmode = \"require\"\ncert_file = {certificate:?}\nkey_file = {key:?}\n"
    );
    let pgusher = start("look_page_tls", &http(&tls));
    let body = json!({ "user": "boss", "password": "boss-word" });
    let refused = Request::post(pgusher.http_port(), "/api/sign-in", &body).send();
    assert_eq!(refused.status, 401, "{refused:?}");
    let why = refused.json()["error"].as_str().expect("a reason").to_owned();
    assert!(why.contains("clients must use TLS here") && why.contains("psql"), "{why}");
    assert_eq!(get(&pgusher, "/api/snapshot").status, 200, "the rest of the page is as ever");
}

/// Answers are made where they are in nobody's way, as /metrics is.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_made_by_a_thread_that_steps_back() {
    let pgusher = start("look_page_backstage", &http(""));
    let worked = || -> u64 {
        let folder = std::fs::read_dir(format!("/proc/{}/task", pgusher.pid())).expect("threads");
        let paths = folder.filter_map(|entry| Some(entry.ok()?.path()));
        let is_it = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "backstage")
        };
        let times = paths.filter(is_it).filter_map(|path| {
            let times = std::fs::read_to_string(path.join("schedstat")).ok()?;
            times.split_whitespace().next()?.parse::<u64>().ok()
        });
        times.sum()
    };
    for path in ["/api/settings", "/api/history", "/api/log"] {
        let before = worked();
        for _ in 0..50 {
            assert_eq!(get(&pgusher, path).status, 200);
        }
        // Samples of the history are its only other work, one in five seconds.
        let answer = (worked() - before) / 50;
        assert!(answer > 5_000, "{path}: {answer} ns for an answer");
    }
}
