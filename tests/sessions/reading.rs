//! The tokenizer against PostgreSQL's own reading: thousands of strings with comments and quotes of all sorts.

use pgusher::sql::{self, Action, Quoting};
use pgusher_testkit::{QueryResult, RawClient};

use crate::stage::Stage;

/// Statements, and what they begin their command tags with.
const STATEMENTS: [(&str, &str); 20] = [
    ("select 1", "SELECT"),
    ("table t", "SELECT"),
    ("insert into t select 1 where false", "INSERT"),
    ("update t set a = 1 where false", "UPDATE"),
    ("set my.x = 1", "SET"),
    ("set local my.y to 'b'", "SET"),
    ("reset my.x", "RESET"),
    ("begin", "BEGIN"),
    ("commit", "COMMIT"),
    ("rollback", "ROLLBACK"),
    ("savepoint a", "SAVEPOINT"),
    ("listen a", "LISTEN"),
    ("unlisten *", "UNLISTEN"),
    ("notify a", "NOTIFY"),
    ("deallocate all", "DEALLOCATE ALL"),
    ("close all", "CLOSE CURSOR ALL"),
    ("discard plans", "DISCARD PLANS"),
    ("do $do$ begin; end $do$", "DO"),
    ("create temp table if not exists tt (a int)", "CREATE TABLE"),
    ("drop table if exists tt", "DROP TABLE"),
];

/// Texts that a reader may misread.
const TEXTS: [&str; 20] = [
    "';'",
    "'it''s; '",
    "E'\\'; '",
    "e'\\\\'",
    "$$;$$",
    "$a$ ; $$ ; $a$",
    "$_é$;'$_é$",
    "U&'\\0041;'",
    "N';'",
    "B'01'",
    "x'0f;'::text",
    "'a'\n  ';b'",
    "'a' -- ';\n ';b'",
    "1 /* ; ' */",
    "1 /* /* ; */ ' */",
    "1 -- ; '\n",
    "1.5e-3",
    "1+--;'\n 2",
    "1 + /* ; */ -2",
    "(select ';' as \"a;\"\"b\")",
];

/// What stands between words.
const BLANKS: [&str; 8] = [" ", "\n", "\t ", " /* ; */ ", " -- ;\n", "\r\n", "/**/", " /*'*/ "];

struct Writer {
    rng: fastrand::Rng,
}

impl Writer {
    fn blank(&mut self) -> &'static str {
        BLANKS[self.rng.usize(..BLANKS.len())]
    }

    /// Puts other blanks between the words of a statement, and other letters in them.
    fn noisy(&mut self, sql: &str) -> String {
        let keep = sql.contains('\'') || sql.contains('$');
        let mut noisy = String::new();
        for word in sql.split(' ') {
            let upper = !keep && self.rng.bool();
            noisy += &if upper { word.to_uppercase() } else { word.to_owned() };
            noisy += if keep { " " } else { self.blank() };
        }
        noisy
    }

    fn statement(&mut self) -> String {
        if self.rng.u32(..3) > 0 {
            let (sql, _) = STATEMENTS[self.rng.usize(..STATEMENTS.len())];
            return self.noisy(sql);
        }
        let (one, two) = (self.text(), self.text());
        let (first, second) = (self.blank(), self.blank());
        format!("select{first} {one}{second},{two}")
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.rng.usize(..TEXTS.len())]
    }

    fn string(&mut self) -> String {
        let mut all = self.blank().to_owned();
        for _ in 0..self.rng.usize(1..6) {
            all += &self.statement();
            all += [";", ";;", " ; "][self.rng.usize(..3)];
            all += self.blank();
        }
        all
    }
}

/// What a command tag says of the statement.
fn fits(action: &Action, tag: &str) -> bool {
    match action {
        Action::Set(_) => tag == "SET",
        Action::Reset(_) => tag == "RESET",
        Action::Begin => tag == "BEGIN",
        Action::Commit { .. } => matches!(tag, "COMMIT" | "ROLLBACK"),
        Action::Rollback { .. } => tag == "ROLLBACK",
        Action::Savepoint(_) => tag == "SAVEPOINT",
        Action::Listen(_) => tag == "LISTEN",
        Action::Unlisten(_) => tag == "UNLISTEN",
        Action::Notify(_) => tag == "NOTIFY",
        Action::Deallocate(None) => tag == "DEALLOCATE ALL",
        Action::Close(None) => tag == "CLOSE CURSOR ALL",
        Action::Discard(_) => tag == "DISCARD PLANS",
        Action::Do => tag == "DO",
        Action::Drop => tag == "DROP TABLE",
        Action::Other => ["SELECT", "INSERT", "UPDATE", "CREATE TABLE"]
            .iter()
            .any(|begin| tag.starts_with(begin)),
        _ => false,
    }
}

fn check(sql: &str, result: &QueryResult) {
    let verdict = sql::read(sql.as_bytes(), Quoting::default());
    let count = verdict.pieces.len();
    assert!(
        result.tags.len() == count || result.error.is_some() && result.tags.len() < count,
        "{sql:?}: {verdict:?}, but {result:?}"
    );
    for (piece, tag) in verdict.pieces.iter().zip(&result.tags) {
        assert!(fits(&piece.action, tag), "{sql:?}: {:?} is {tag}", piece.action);
    }
    if sql::is_plain(sql.as_bytes()) {
        assert!(count <= 1, "{sql:?} is not plain");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_read_as_postgresql_reads_them() {
    let stage = tokio::task::block_in_place(|| Stage::set("pool_size = 1"));
    let mut server: RawClient = stage.login(false, &[]).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut writer = Writer { rng: fastrand::Rng::with_seed(seed) };
    let mut whole = 0;
    for _ in 0..4_000 {
        let sql = writer.string();
        let result = server.query(&sql).await;
        whole += usize::from(result.error.is_none());
        check(&sql, &result);
        if result.status != b'I' {
            server.query("rollback").await;
        }
    }
    assert!(whole > 1_000, "only {whole} strings ran to their end");
}
