//! The ready-made script: answers each query with its own text.

use crate::backend;
use crate::error_fields::ErrorFields;
use crate::fake_conn::FakeConn;
use crate::message::Message;
use std::collections::HashMap;
use std::time::Duration;

const PARAMS: [(&str, &str); 6] = [
    ("server_version", "16.0"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("standard_conforming_strings", "on"),
];

/// Serves one connection until the client goes.
pub(crate) async fn serve(mut conn: FakeConn) {
    let pid = 1000 + u32::try_from(conn.index()).expect("few connections");
    let key = [0x5a, 0, 0xff, (pid % 256) as u8];
    conn.login_trust(&PARAMS, pid, &key).await;
    let mut echo = Echo {
        conn,
        pid,
        key,
        status: b'I',
        failed: false,
        statements: HashMap::new(),
        portal: String::new(),
    };
    while let Some(message) = echo.conn.recv().await {
        if message.tag == b'X' {
            return;
        }
        echo.answer(&message).await;
    }
}

struct Echo {
    conn: FakeConn,
    pid: u32,
    key: [u8; 4],
    status: u8,
    /// An extended query failed: everything up to Sync is skipped.
    failed: bool,
    statements: HashMap<String, String>,
    /// The text behind the latest Bind; one portal at a time is enough for an echo.
    portal: String,
}

impl Echo {
    async fn answer(&mut self, message: &Message) {
        match message.tag {
            b'Q' => {
                let sql = message.texts().remove(0);
                let reply = self.run(&sql, true).await;
                self.conn.send(&reply).await;
                self.conn.ready(self.status).await;
            }
            b'S' => {
                self.failed = false;
                self.conn.ready(self.status).await;
            }
            _ if self.failed => {}
            b'E' => {
                let sql = self.portal.clone();
                let reply = self.run(&sql, false).await;
                self.failed = reply[0] == b'E';
                self.conn.send(&reply).await;
            }
            _ => {
                let reply = self.prepare(message);
                self.conn.send(&reply).await;
            }
        }
    }

    fn prepare(&mut self, message: &Message) -> Vec<u8> {
        let mut texts = message.texts();
        match message.tag {
            b'P' => {
                let sql = texts.remove(1);
                self.statements.insert(texts.remove(0), sql);
                backend::parse_complete()
            }
            b'B' => {
                self.portal = self.statements.get(&texts[1]).cloned().unwrap_or_default();
                backend::bind_complete()
            }
            b'D' if message.body[0] == b'S' => {
                [backend::parameter_description(&[]), backend::row_description(&["query"])].concat()
            }
            b'D' => backend::row_description(&["query"]),
            b'C' => {
                if message.body[0] == b'S' {
                    self.statements.remove(&texts[0][1..]);
                }
                backend::close_complete()
            }
            _ => Vec::new(),
        }
    }

    /// The answer to one query, after its delay.
    async fn run(&mut self, sql: &str, describe: bool) -> Vec<u8> {
        let delay = self.conn.echo_delay() + sleep_in(sql);
        let cancelled = tokio::select! {
            biased;
            () = self.conn.cancelled(self.pid, &self.key) => true,
            () = tokio::time::sleep(delay) => false,
        };
        if cancelled {
            return self.fail("57014", "canceling statement due to user request");
        }
        if sql.contains("fail") {
            return self.fail("22000", "told to fail");
        }
        self.succeed(sql, describe)
    }

    fn fail(&mut self, code: &str, message: &str) -> Vec<u8> {
        if self.status == b'T' {
            self.status = b'E';
        }
        backend::error_response(&ErrorFields::new("ERROR", code, message))
    }

    fn succeed(&mut self, sql: &str, describe: bool) -> Vec<u8> {
        let verb = sql
            .split(|c: char| !c.is_ascii_alphabetic())
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            // A whole transaction in one string: none is open before or behind it.
            "BEGIN" if sql.ends_with("COMMIT") => {}
            "BEGIN" => self.status = b'T',
            "COMMIT" | "ROLLBACK" => self.status = b'I',
            "" => return backend::empty_query(),
            "SET" | "RESET" | "DISCARD" | "DEALLOCATE" => {}
            _ => {
                let head = if describe { backend::row_description(&["query"]) } else { Vec::new() };
                return [
                    head,
                    backend::data_row(&[Some(sql)]),
                    backend::command_complete("SELECT 1"),
                ]
                .concat();
            }
        }
        backend::command_complete(&verb)
    }
}

fn sleep_in(sql: &str) -> Duration {
    let seconds = sql
        .split_once("pg_sleep(")
        .and_then(|(_, rest)| rest.split_once(')')?.0.trim().parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(0.0))
}
