//! PAM, with the real library and rules of a folder of our own (libpam-wrapper). Needs the feature `pam`:
//! `cargo test --features pam --test login -- pam`.

use pgusher_testkit::Pgusher;

use crate::stage::{pgusher, pooled, refused, until, whoami};

/// Where Debian has the library that takes PAM's rules from another folder, and its module with a list of passwords.
const WRAPPER: &str = if cfg!(target_arch = "aarch64") {
    "/usr/lib/aarch64-linux-gnu"
} else {
    "/usr/lib/x86_64-linux-gnu"
};

/// A pgusher whose PAM has two services, each with one user.
fn start(process: &str, files: &[(&str, &str)]) -> (Pgusher, tempfile::TempDir) {
    let rules = tempfile::Builder::new().prefix("pam-").tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(rules.path().join(name), text).unwrap();
    let path = rules.path().display();
    write("passwords", "ann:right:pgusher\nbob:right:other\n".to_owned());
    for service in ["pgusher", "other"] {
        let module = format!("{WRAPPER}/pam_wrapper/pam_matrix.so passdb={path}/passwords");
        write(service, format!("auth required {module}\naccount required {module}\n"));
    }
    write("closed", "auth required pam_deny.so\naccount required pam_deny.so\n".to_owned());
    let builder = pgusher(process, &pooled("app"))
        .env("LD_PRELOAD", &format!("{WRAPPER}/libpam_wrapper.so"))
        .env("PAM_WRAPPER", "1")
        .env("PAM_WRAPPER_SERVICE_DIR", &path.to_string());
    let builder = files.iter().fold(builder, |builder, (name, text)| builder.file(name, text));
    (builder.start(), rules)
}

fn rejected(user: &str) -> (String, String) {
    ("28000".into(), format!("PAM authentication failed for user \"{user}\""))
}

#[tokio::test]
async fn pam_tries_the_password() {
    let (pgusher, _rules) = start("auth_type = \"pam\"", &[]);
    assert_eq!(whoami(&pgusher, "app", "ann", "right").await, "pooled");
    for (user, password) in [("ann", "wrong"), ("ann", ""), ("bob", "right"), ("nobody", "right")] {
        let refused = refused(&pgusher, "app", user, password).await;
        assert_eq!(refused, rejected(user), "{password:?}\n{}", pgusher.log());
    }
    until("the reason", || pgusher.log().contains("the password was not accepted")).await;
    assert!(!pgusher.log().contains("wrong"), "no password in the log");
}

#[tokio::test]
async fn lines_of_hba_name_services() {
    let rules = "host all ann all pam\nhost all bob all pam pamservice=other\n\
        host all all all pam pamservice=closed\n";
    let process = "auth_type = \"hba\"\nauth_hba_file = \"hba\"";
    let (pgusher, _rules) = start(process, &[("hba", rules)]);
    assert_eq!(whoami(&pgusher, "app", "ann", "right").await, "pooled");
    assert_eq!(whoami(&pgusher, "app", "bob", "right").await, "pooled");
    assert_eq!(refused(&pgusher, "app", "eve", "right").await, rejected("eve"));
}
