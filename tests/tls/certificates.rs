//! Certificates and keys that cannot be used: said at the start, and by `pgusher check`, with file and reason.

use crate::stage::{LIMIT, ON, own, pgusher};
use pgusher_testkit::Authority;

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let other = Authority::shared().issue("localhost");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (name, text, client, server, parts) in [
        ("own.crt", "nothing", ON, "", ["client_tls_cert_file", "no certificate"]),
        ("own.key", "nothing", ON, "", ["client_tls_key_file", "no private key"]),
        ("own.key", encrypted, ON, "", ["client_tls_key_file", "own.key"]),
        ("own.key", &other.key, ON, "", ["client_tls_key_file", "does not belong"]),
        (
            "root.crt",
            "nothing",
            "sslmode = \"verify-ca\"\nca_file = \"root.crt\"",
            "",
            ["client_tls_ca_file", "no certificate"],
        ),
        (
            "root.crt",
            "nothing",
            "",
            "sslmode = \"verify-ca\"\nca_file = \"root.crt\"",
            ["server_tls_ca_file", "no certificate"],
        ),
        (
            "x",
            "",
            "sslmode = \"prefer\"\nciphers = \"nonsense\"",
            "",
            ["client_tls_ciphers", "nonsense"],
        ),
        (
            "x",
            "",
            "sslmode = \"prefer\"\ntls13_ciphers = \"nonsense\"",
            "",
            ["client_tls13_ciphers", "nonsense"],
        ),
        (
            "x",
            "",
            "sslmode = \"prefer\"\necdhcurve = \"nonsense\"",
            "",
            ["client_tls_ecdhcurve", "nonsense"],
        ),
        ("x", "", "", "tls13_ciphers = \"nonsense\"", ["server_tls13_ciphers", "nonsense"]),
    ] {
        for start in [&["check"][..], &[]] {
            let mut builder = pgusher(1, client, server).file(name, text);
            for argument in start {
                builder = builder.arg(argument);
            }
            let exited = builder.run_to_exit(LIMIT);
            assert!(!exited.status.success(), "{name} {text}: {}", exited.log);
            for part in parts {
                assert!(exited.log.contains(part), "{part} not in {}", exited.log);
            }
        }
    }
}

#[test]
fn an_encrypted_key_is_told_from_a_broken_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plain"), &own().key).unwrap();
    let made = std::process::Command::new("openssl")
        .args(["rsa", "-aes256", "-passout", "pass:x", "-in", "plain", "-out", "locked"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let locked = std::fs::read_to_string(folder.path().join("locked")).unwrap();
    let exited = pgusher(1, ON, "").file("own.key", &locked).arg("check").run_to_exit(LIMIT);
    assert!(exited.log.contains("encrypted"), "{}", exited.log);
}
