//! SET on the console: TLS settings change at once.

use crate::stage::{LIMIT, alice, cluster, pgusher, psql};

#[test]
fn tls_is_switched_on_while_running() {
    let pgusher = pgusher(cluster().port(), "sslmode = \"disable\"", "").start();
    let console = format!("host=localhost port={} user=postgres dbname=pgusher", pgusher.port());
    let with_tls = alice(&pgusher, "sslmode=require");
    psql(&with_tls, "select 1").expect_err("there is no TLS yet");
    let set = psql(&console, "SET client_tls_sslmode = 'require'");
    assert_eq!(set.as_deref(), Ok("SET client_tls_sslmode=require"));
    assert_eq!(psql(&with_tls, "select 1").as_deref(), Ok("1"));
    psql(&alice(&pgusher, "sslmode=disable"), "select 1").expect_err("TLS is required now");
    let console = format!("{console} sslmode=require");
    let set = psql(&console, "SET client_tls_cert_file = '/nonexistent'");
    assert_eq!(set.as_deref(), Ok("SET client_tls_cert_file=/nonexistent"));
    pgusher.wait_log("TLS setup failed", LIMIT);
    assert_eq!(psql(&with_tls, "select 1").as_deref(), Ok("1"), "the old one stays");
}
