use proptest::prelude::*;

use super::*;

fn verdict(sql: &str) -> Verdict {
    read(sql.as_bytes(), Quoting::default())
}

fn piece(sql: &str) -> Piece {
    let verdict = verdict(sql);
    assert_eq!(verdict.pieces.len(), 1, "{sql}: {verdict:?}");
    let judged = judge(sql.as_bytes(), Quoting::default);
    let first = verdict.pieces.into_iter().next().expect("one");
    let ends = matches!(
        first.action,
        Action::Begin | Action::Commit { .. } | Action::Rollback { .. } | Action::FinishPrepared
    );
    assert!(judged.is_some() || first.is_plain() || ends, "{sql} was taken for a plain statement");
    first
}

fn action(sql: &str) -> Action {
    piece(sql).action
}

fn traits(sql: &str) -> Traits {
    piece(sql).traits
}

fn ident(name: &str) -> Ident {
    name.as_bytes().into()
}

fn text(value: &str) -> Value {
    Value::Text(value.as_bytes().into())
}

fn set(name: &str, value: &str) -> Setting {
    Setting { name: name.into(), value: text(value), local: false }
}

#[test]
fn plain_statements_pass_the_quick_look() {
    for sql in [
        "SELECT abalance FROM pgbench_accounts WHERE aid = 1",
        "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 1;",
        "INSERT INTO \"t\" (\"a\", \"b\") VALUES ($1, count(*)) RETURNING \"id\"",
        "/* app: x */ select coalesce(a, lower(b))\nfrom t -- nothing\nwhere c in (1, 2) ; ",
        "select pg_advisory_xact_lock(1)",
        "select 'set_config' from t where a = (select 1)",
        "BEGIN",
        "COMMIT;",
        "ROLLBACK ;",
        "",
        "(select 1)",
    ] {
        assert!(is_plain(sql.as_bytes()), "{sql}");
        assert_eq!(verdict(sql).traits(), Traits::NONE, "{sql}");
    }
}

#[test]
fn settings_are_read_as_set_config_takes_them() {
    for (sql, name, value) in [
        ("SET search_path TO a, \"B c\", 'user', $$x$$", "search_path", "a, \"B c\", \"user\", x"),
        ("set session statement_timeout = 5000", "statement_timeout", "5000"),
        ("set statement_timeout = '5s'", "statement_timeout", "5s"),
        ("SET work_mem TO 0064", "work_mem", "64"),
        ("set seq_page_cost = - 1.50", "seq_page_cost", "-1.50"),
        ("set my.Var = e'it\\'s\\n'", "my.var", "it's\n"),
        ("set \"my\".x to 'a' \n 'b'", "my.x", "ab"),
        ("set enable_sort = ON", "enable_sort", "on"),
        ("set datestyle to iso, dmy", "datestyle", "iso, dmy"),
        ("set time zone 'UTC'", "timezone", "UTC"),
        ("SET TIME ZONE -7", "timezone", "-7"),
        ("set names 'latin1'", "client_encoding", "latin1"),
        ("set schema 'a b'", "search_path", "\"a b\""),
        ("set sort_mem = 100", "work_mem", "100"),
        ("set session.x = 'v'", "session.x", "v"),
        ("set xml option document", "xmloption", "document"),
    ] {
        assert_eq!(action(sql), Action::Set(set(name, value)), "{sql}");
    }
    let unknown = |sql| match action(sql) {
        Action::Set(set) => set.value,
        other => panic!("{sql}: {other:?}"),
    };
    assert_eq!(unknown("set time zone local"), Value::Default);
    assert_eq!(unknown("set jit to default"), Value::Default);
    assert_eq!(unknown("set jit from current"), Value::Unknown);
    assert_eq!(unknown("set time zone interval '1' hour"), Value::Unknown);
    assert_eq!(unknown("set my.x = U&'\\0041'"), Value::Unknown);
    assert_eq!(unknown("set my.x = e'\\x41'"), Value::Unknown);
    let local = Setting { local: true, ..set("jit", "off") };
    assert_eq!(action("SET LOCAL jit = off"), Action::Set(local));
}

#[test]
fn roles_and_transactions_have_words_of_their_own() {
    assert_eq!(action("set role \"A b\""), Action::SetRole(set("role", "A b")));
    assert_eq!(action("SET SESSION ROLE none"), Action::SetRole(set("role", "none")));
    assert_eq!(action("set role = bob"), Action::SetRole(set("role", "bob")));
    let authorization = |sql| matches!(action(sql), Action::SetSessionAuthorization(_));
    assert!(authorization("SET SESSION AUTHORIZATION DEFAULT"));
    assert!(authorization("set session session authorization bob"));
    assert!(authorization("set session_authorization to bob"));
    assert_eq!(action("set transaction isolation level serializable"), Action::SetTransaction);
    assert_eq!(action("set transaction_read_only = on"), Action::SetTransaction);
    assert_eq!(
        action(
            "set session characteristics as transaction isolation level read committed, read only not deferrable"
        ),
        Action::Characteristics(vec![
            set("default_transaction_isolation", "read committed"),
            set("default_transaction_read_only", "on"),
            set("default_transaction_deferrable", "off"),
        ])
    );
}

#[test]
fn resets_and_discards_are_told_apart() {
    assert_eq!(action("RESET ALL"), Action::Reset(None));
    assert_eq!(action("reset Search_Path"), Action::Reset(Some("search_path".into())));
    assert_eq!(action("reset \"all\""), Action::Reset(Some("all".into())));
    assert_eq!(action("reset time zone"), Action::Reset(Some("timezone".into())));
    let authorization = Action::Reset(Some("session_authorization".into()));
    assert_eq!(action("reset session authorization"), authorization);
    assert_eq!(action("discard all"), Action::Discard(Discard::All));
    assert_eq!(action("DISCARD TEMPORARY"), Action::Discard(Discard::Temp));
    assert_eq!(action("DISCARD SEQUENCES"), Action::Discard(Discard::Sequences));
    assert_eq!(action("discard plans"), Action::Discard(Discard::Plans));
}

#[test]
fn transaction_statements_are_told_apart() {
    assert_eq!(action("start transaction read only"), Action::Begin);
    assert_eq!(action("end"), Action::Commit { chain: false });
    assert_eq!(action("commit work and chain"), Action::Commit { chain: true });
    assert_eq!(action("abort"), Action::Rollback { chain: false });
    assert_eq!(action("rollback and no chain"), Action::Rollback { chain: false });
    assert_eq!(action("rollback to a"), Action::RollbackTo(ident("a")));
    assert_eq!(action("ROLLBACK WORK TO SAVEPOINT \"A\""), Action::RollbackTo(ident("A")));
    assert_eq!(action("rollback to savepoint"), Action::RollbackTo(ident("savepoint")));
    assert_eq!(action("savepoint S1"), Action::Savepoint(ident("s1")));
    assert_eq!(action("release s1"), Action::Release(ident("s1")));
    assert_eq!(action("release savepoint s1"), Action::Release(ident("s1")));
    assert_eq!(action("prepare transaction 'x'"), Action::PrepareTransaction);
    assert_eq!(action("commit prepared 'x'"), Action::FinishPrepared);
}

#[test]
fn what_only_one_server_has_is_seen() {
    assert_eq!(action("prepare P (int) as select $1"), Action::Prepare(ident("p")));
    assert_eq!(action("execute p(1)"), Action::Execute(ident("p")));
    assert_eq!(action("explain (analyze) execute p(1)"), Action::Execute(ident("p")));
    assert_eq!(action("create table t as execute p"), Action::Execute(ident("p")));
    let trigger = "create trigger t after insert on x for each row execute function f()";
    assert_eq!(action(trigger), Action::Other);
    assert_eq!(action("deallocate prepare \"S_1\""), Action::Deallocate(Some(ident("S_1"))));
    assert_eq!(action("DEALLOCATE ALL"), Action::Deallocate(None));
    assert_eq!(action("deallocate prepare all"), Action::Deallocate(None));
    assert_eq!(action("deallocate prepare"), Action::Deallocate(Some(ident("prepare"))));
    assert_eq!(action("LISTEN \"A\""), Action::Listen(ident("A")));
    assert_eq!(action("unlisten *"), Action::Unlisten(None));
    assert_eq!(action("unlisten a"), Action::Unlisten(Some(ident("a"))));
    assert_eq!(action("notify a, 'x'"), Action::Notify(ident("a")));
    let hold = |name: &str, hold| Action::Declare { name: ident(name), hold };
    assert_eq!(
        action("declare \"_django_curs_1\" no scroll cursor with hold for select 1"),
        hold("_django_curs_1", true)
    );
    assert_eq!(action("declare c cursor for select 'with hold' from with_hold"), hold("c", false));
    assert_eq!(action("close all"), Action::Close(None));
    assert_eq!(action("close c"), Action::Close(Some(ident("c"))));
    assert_eq!(action("load 'x'"), Action::Load);
    for sql in [
        "create temp table t (a int)",
        "CREATE LOCAL TEMPORARY TABLE t AS SELECT 1",
        "create or replace temp view v as select 1",
        "select 1 into temp t",
        "with a as (select 1) select * into local temporary t from a",
        "create table pg_temp.t (a int)",
        "set search_path = pg_temp, public",
    ] {
        assert!(traits(sql).has(Traits::TEMP), "{sql}");
    }
    assert_eq!(traits("select temp, temporary from sensors"), Traits::NONE);
    assert_eq!(traits("set search_path = public, pg_temp"), Traits::NONE);
}

#[test]
fn calls_are_seen_wherever_they_stand() {
    for sql in [
        "select pg_advisory_lock(1)",
        "select 1 from t where a = (select pg_try_advisory_lock($1, $2)::int)",
        "select PG_CATALOG.\"pg_advisory_lock_shared\" /* key */ (hashtext('a'))",
        "insert into t values (1, case when pg_try_advisory_lock(2) then 1 end)",
        "select pg_advisory_lock -- (\n (1)",
        "do $$ begin perform pg_advisory_lock(1); end $$",
    ] {
        assert!(traits(sql).has(Traits::ADVISORY_LOCK), "{sql}");
    }
    assert!(traits("select pg_advisory_unlock(1)").has(Traits::ADVISORY_UNLOCK));
    assert!(traits("select 1, pg_advisory_unlock_all()").has(Traits::ADVISORY_UNLOCK_ALL));
    assert_eq!(action("select pg_catalog.pg_advisory_unlock_all ( ) "), Action::UnlockAll);
    for channels in [
        "select pg_listening_channels()",
        "/*a*/ SELECT * FROM pg_catalog.pg_listening_channels ( )",
    ] {
        assert_eq!(action(channels), Action::ListeningChannels, "{channels}");
    }
    assert_eq!(action("select count(*) from pg_listening_channels()"), Action::Other);
    assert!(traits("select nextval('s')").has(Traits::NEXTVAL));
    assert!(traits("select currval('s'), lastval()").has(Traits::LASTVAL));
    assert!(traits("select setval('s', 1)").has(Traits::SETVAL));
    assert!(traits("select setseed(0.5)").has(Traits::SETSEED));
    assert!(traits("set seed = 0.5").has(Traits::SETSEED));
    assert!(
        traits("select pg_replication_origin_session_setup('x')").has(Traits::REPLICATION_ORIGIN)
    );
    assert!(traits("call p()").has(Traits::OPAQUE));
    assert!(traits("do 'begin end'").has(Traits::OPAQUE));
    assert!(traits("select U&\"set\\005fconfig\"('a', 'b', false)").has(Traits::UNSURE));
    let escape = "select U&\"set!005fconfig\" uescape '!' ('a', 'b', false)";
    assert!(traits(escape).has(Traits::UNSURE) && !is_plain(escape.as_bytes()));
    assert_eq!(traits("select 'pg_advisory_lock(1)' /* setval(1) */ -- lastval()"), Traits::NONE);
}

#[test]
fn calls_of_set_config_are_certain_only_as_items_of_their_own() {
    let calls = |sql| piece(sql).calls;
    assert_eq!(
        calls(
            "SELECT current_setting('jit') AS cur, pg_catalog.set_config('jit', 'off'::text, false) AS new"
        ),
        vec![SetConfig {
            name: text("jit"),
            value: text("off"),
            local: text("false"),
            certain: true
        }]
    );
    let bound = calls("select set_config($1, $2, 'f'), set_config('a', null, true)");
    assert_eq!(bound[0].name, Value::Parameter(1));
    assert_eq!((bound[0].is_local(), bound[0].certain), (Some(false), true));
    assert_eq!((&bound[1].value, bound[1].is_local()), (&Value::Default, Some(true)));
    for sql in [
        "select length(set_config('a', 'b', false))",
        "select set_config('a', 'b', false) from t",
        "select set_config('a', 'b', false) || 'x'",
        "select case when true then set_config('a', 'b', false) end",
        "select 1 where set_config('a', 'b', false) = 'b'",
        "with x as (select set_config('a', 'b', false)) select 1",
    ] {
        assert_eq!(calls(sql).len(), 1, "{sql}");
        assert!(!calls(sql)[0].certain, "{sql}");
    }
    assert_eq!(calls("select set_config('a' || 'b', lower('c'), 1 = 2)")[0].name, Value::Unknown);
}

#[test]
fn statements_are_cut_where_postgresql_cuts_them() {
    for (sql, count) in [
        ("select ';'; select $a$;$b$;$a$ ; ;", 2),
        ("select 1 /* ; /* ; */ ; */; -- ;\nselect 2", 2),
        ("select \";\"\"\" from t; select E'\\';'; select 3", 3),
        ("create rule r as on insert to t do (select 1; select 2); select 3", 2),
        (
            "create function f() returns int begin atomic select 1; select case when true then 1 end; end; select 2",
            2,
        ),
        ("select a$b$c from t; select 1", 2),
        ("select 'a'\n';'; select 'a' ';'", 2),
        ("select 1--;\n;select 1+--;\n2", 2),
        (" ; ; ", 0),
    ] {
        assert_eq!(verdict(sql).pieces.len(), count, "{sql}");
    }
    assert!(verdict("select 1; select 'open").traits().has(Traits::UNSURE));
    assert!(verdict("select 1 /* open").traits().has(Traits::UNSURE));
}

#[test]
fn a_session_decides_how_texts_end() {
    let off = Quoting::new(Some(b"off"), None);
    assert_eq!(read(br"select '\'; set jit = off --'", off).pieces.len(), 1);
    assert_eq!(read(br"select '\'; set jit = off --'", Quoting::default()).pieces.len(), 2);
    // The second byte of a character may look like a backslash or a quoting character.
    let sjis = Quoting::new(None, Some(b"SJIS"));
    assert_eq!(read(b"select e'\x95\x5c'; select 1", sjis).pieces.len(), 2);
    assert_eq!(read(b"select e'\x95\x5c'; select 1", Quoting::default()).pieces.len(), 1);
    assert_eq!(read(b"select e'\xb1\\''; select 1", sjis).pieces.len(), 2);
    let gb18030 = Quoting::new(None, Some(b"gb18030"));
    assert_eq!(read(b"select e'\x81\x30\x81\x30\x95\x5c'; select 1", gb18030).pieces.len(), 2);
}

#[test]
fn databases_that_must_be_out_of_use_are_named() {
    assert_eq!(action("drop database if exists \"A\""), Action::DropDatabase(ident("A")));
    assert_eq!(action("alter database a rename to b"), Action::DropDatabase(ident("a")));
    assert_eq!(action("alter database a set jit = off"), Action::Other);
    let made = |template: Option<&str>| Action::CreateDatabase {
        name: ident("b"),
        template: template.map(ident),
    };
    assert_eq!(action("create database b"), made(None));
    assert_eq!(action("create database b with owner x template = a"), made(Some("a")));
    assert_eq!(action("create database b template 'A'"), made(Some("A")));
    assert_eq!(action("drop table t"), Action::Drop);
}

/// Pieces that, put together at random, make what a reader may misread.
const SOUP: [&str; 44] = [
    "select",
    "set",
    "set_config",
    "(",
    ")",
    "'a'",
    "'",
    "\"",
    "$$",
    "$a$",
    ";",
    ",",
    " ",
    "\n",
    "--",
    "/*",
    "*/",
    "e'",
    "U&\"",
    "pg_advisory_lock",
    "nextval",
    "\"setval\"",
    ".",
    "::",
    "$1",
    "1",
    "temp",
    "into",
    "pg_temp",
    "rollback",
    "to",
    "begin",
    "commit",
    "with",
    "update",
    "\\",
    "-",
    "/",
    "=",
    "a",
    "\u{e9}",
    "insert into t values",
    "false",
    "U&'",
];

proptest! {
    #[test]
    fn the_quick_look_overlooks_nothing(words in proptest::collection::vec(0..SOUP.len(), 0..12)) {
        let sql: String = words.iter().map(|&word| SOUP[word]).collect();
        let verdict = verdict(&sql);
        if is_plain(sql.as_bytes()) && !verdict.traits().has(Traits::UNSURE) {
            prop_assert!(verdict.pieces.len() <= 1, "{}: {:?}", sql, verdict);
            for piece in &verdict.pieces {
                prop_assert!(piece.traits.is_empty() && piece.calls.is_empty(), "{}: {:?}", sql, piece);
            }
        }
    }

    #[test]
    fn whatever_it_is_it_is_read_to_its_end(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for encoding in [Encoding::Plain, Encoding::Pairs, Encoding::ShiftJis, Encoding::Gb18030] {
            for conforming in [true, false] {
                let _ = read(&bytes, Quoting { conforming, encoding });
            }
        }
    }
}
