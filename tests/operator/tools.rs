//! The operator's programs, as they are.

use std::io::Write;
use std::process::{Command, Stdio};

use pgusher_testkit::{Cluster, Pgusher};

use super::stage::{start, succeeds};

fn psql(pgusher: &Pgusher, database: &str, script: &str) -> String {
    let mut child = Command::new(Cluster::shared().bin("psql"))
        .args(["-X", "-h", "127.0.0.1", "-U", "postgres", "-d", database])
        .args(["-p", &pgusher.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", pgusher.log());
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn psql_looks_at_everything() {
    let pgusher = start("pool_mode = transaction", &super::stage::line("app", ""));
    let text = psql(&pgusher, "app", "\\x\nselect 1 as one, 'zwei' as two;\n\\conninfo\n\\gset\n");
    assert!(text.contains("-[ RECORD 1 ]") && text.contains("two | zwei"), "{text}");
    let console = psql(
        &pgusher,
        "pgbouncer",
        "\\x\nSHOW POOLS;\nSHOW VERSION;\nSHOW CONFIG;\nSHOW LISTS;\nSHOW NONSENSE;\n",
    );
    assert!(console.contains("cl_active") && console.contains("pool_mode"), "{console}");
    assert!(console.contains("ERROR:"), "{console}");
}

#[tokio::test]
async fn a_dump_is_restored() {
    let cluster = Cluster::shared();
    for database in ["dumped", "restored"] {
        cluster.create_database(database);
    }
    cluster.psql_in(
        "dumped",
        "create table t (id serial primary key, name text default 'x'); \
         insert into t (name) select 'row ' || n from generate_series(1, 2000) n; \
         create view v as select count(*) from t; create index on t (name)",
    );
    let lines: Vec<_> = ["dumped", "restored"]
        .map(|name| format!("{name} = host=127.0.0.1 port={}\n", cluster.port()))
        .into();
    let folder = tempfile::tempdir().unwrap();
    for mode in ["session", "transaction"] {
        let pgusher = start(&format!("pool_mode = {mode}"), &lines.concat());
        let (port, file) = (pgusher.port().to_string(), folder.path().join(mode));
        let file = file.to_str().unwrap();
        let ends = ["-h", "127.0.0.1", "-U", "postgres", "-p", &port];
        let with = |more: &[&str]| -> Vec<String> {
            ends.iter().chain(more).map(|&argument| argument.to_owned()).collect()
        };
        let run = |name: &str, arguments: Vec<String>| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            succeeds(name, &arguments, &pgusher);
        };
        run("pg_dump", with(&["-Fc", "-f", file, "dumped"]));
        let restore = ["--clean", "--if-exists", "--no-owner", "-d", "restored", file];
        run("pg_restore", with(&restore));
        assert_eq!(cluster.psql_in("restored", "select count from v"), "2000", "{mode}");
    }
}
