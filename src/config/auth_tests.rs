//! Settings of authentication that need each other.

use super::tests::{load_files, mistakes};

/// A beginning that can be listened on.
const START: &str = "[pgusher]\nlisten_addr = \"127.0.0.1\"\n";

#[test]
fn methods_need_what_they_need() {
    for (lines, why) in [
        ("auth_type = \"hba\"", "`auth_type` \"hba\" needs `auth_hba_file`"),
        ("auth_type = \"ldap\"", "`auth_type` \"ldap\" needs `auth_ldap_options`"),
        ("auth_type = \"peer\"", "works only over a unix socket: it needs `unix_socket_dir`"),
        (
            "auth_type = \"any\"\n[databases.a]\nuser = \"u\"\n[databases.b]",
            "every database needs a `user` of its own; \"b\" has none",
        ),
        ("auth_type = \"plain\"", "with `auth_type` \"plain\" nobody can log in"),
        ("auth_type = \"cert\"", "`auth_type` \"cert\" needs TLS and a `ca_file` in [tls.client]"),
        ("auth_failure_window = \"off\"", "it cannot be off"),
        ("max_concurrent_logins = 0", "is out of range"),
    ] {
        let text = format!("{START}{lines}\n");
        let found = mistakes(&[("pool.toml", &text)]);
        assert!(found.contains(why), "{lines}: {found}");
    }
    for lines in
        ["auth_type = \"any\"\n[databases.a]\nuser = \"u\"", "[databases.a]\nauth_user = \"asker\""]
    {
        let text = format!("{START}{lines}\n");
        assert!(load_files(&[("pool.toml", &text)]).0.is_ok(), "{lines}");
    }
}
