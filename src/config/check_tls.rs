//! Rules between the settings of `[tls.client]` and of `[tls.server]`.

use std::path::Path;

use super::check::{known, readable};
use super::mistake::Report;
use super::resolved_tls::{
    ClientSslMode, ClientTlsSettings, Roots, ServerTlsSettings, SslMode, SslNegotiation,
};
use super::tree::Table;

/// Rules of `[tls.client]`.
pub(super) fn client(settings: &ClientTlsSettings, table: &Table, report: &mut Report) {
    let ClientTlsSettings { sslmode, cert_file, key_file, ca_file, .. } = settings;
    if *sslmode != ClientSslMode::Disable && known(table, &["sslmode", "cert_file"], report) {
        for (key, file) in [("cert_file", cert_file), ("key_file", key_file)] {
            if file.is_none() && !table.doubtful.contains(key) {
                let message = format!("TLS with clients needs `{key}`");
                report.add(table.place("sslmode"), message, None);
            }
        }
    }
    if sslmode.requires_certificate()
        && ca_file.is_none()
        && known(table, &["sslmode", "ca_file"], report)
    {
        let message = "clients have to show a certificate, but no authority is trusted";
        report.add(table.place("sslmode"), message, Some("set `ca_file`".into()));
    }
    files(&[("cert_file", cert_file), ("key_file", key_file), ("ca_file", ca_file)], table, report);
}

/// Names of `sslmode`, `ca_file`, `cert_file` and `key_file` in a section.
type Keys = [&'static str; 4];

/// Rules of `[tls.server]`.
pub(super) fn server(settings: &ServerTlsSettings, table: &Table, report: &mut Report) {
    servers(settings, ["sslmode", "ca_file", "cert_file", "key_file"], table, report);
}

/// The same rules for what a database has of its own.
pub(super) fn of_database(settings: &ServerTlsSettings, table: &Table, report: &mut Report) {
    let keys =
        ["server_tls_sslmode", "server_tls_ca_file", "server_tls_cert_file", "server_tls_key_file"];
    servers(settings, keys, table, report);
}

fn servers(settings: &ServerTlsSettings, keys: Keys, table: &Table, report: &mut Report) {
    let ServerTlsSettings { sslmode, ca_file, cert_file, key_file, sslnegotiation, .. } = settings;
    let [mode_key, roots_key, certificate_key, private_key] = keys;
    let trust = known(table, &[mode_key, roots_key], report);
    if trust && *sslmode >= SslMode::VerifyCa && *ca_file == Roots::None {
        let message = "certificates of servers are to be verified, but no authority is trusted";
        let help = format!("set `{roots_key}` to a file, or to \"system\"");
        report.add(table.place(mode_key), message, Some(help));
    }
    if trust && *sslmode != SslMode::VerifyFull && *ca_file == Roots::System {
        let message = "everybody can have a certificate of the system's authorities: it proves nothing without the name in it";
        let help = format!("set `{mode_key}` to \"verify-full\"");
        report.add(table.place(roots_key), message, Some(help));
    }
    if *sslnegotiation == SslNegotiation::Direct
        && *sslmode < SslMode::Require
        && known(table, &[mode_key, "sslnegotiation"], report)
    {
        let message = "TLS that begins directly cannot be optional";
        let help = format!("set `{mode_key}` to \"require\" or stronger");
        let place = if table.has(mode_key) { mode_key } else { "sslnegotiation" };
        report.add(table.place(place), message, Some(help));
    }
    if cert_file.is_some() != key_file.is_some()
        && known(table, &[certificate_key, private_key], report)
    {
        let there = if cert_file.is_some() { certificate_key } else { private_key };
        let message = "a certificate and its key belong together";
        let help = format!("set both `{certificate_key}` and `{private_key}`");
        report.add(table.place(there), message, Some(help));
    }
    let roots = match ca_file {
        Roots::File(path) => Some(path.clone()),
        Roots::None | Roots::System => None,
    };
    let named = [(certificate_key, cert_file), (private_key, key_file), (roots_key, &roots)];
    files(&named, table, report);
}

/// What is in the files is looked at by those who use them; here they must only be there.
fn files(named: &[(&'static str, &Option<impl AsRef<Path>>)], table: &Table, report: &mut Report) {
    for (key, path) in named {
        if let Some(path) = path
            && let Err(why) = readable(path.as_ref())
        {
            let message = format!("`{key}`: cannot read {}: {why}", path.as_ref().display());
            report.add_tls(table.place(key), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::load::load_with;

    /// The mistakes of a section; `{file}` is a file that is there.
    fn mistakes(section: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.toml");
        fs::write(folder.path().join("file"), "x").unwrap();
        let start = "[pgusher]\nlisten_addr = \"127.0.0.1\"\nauth_type = \"trust\"\n";
        fs::write(&path, format!("{start}{section}")).unwrap();
        match load_with(&path, &|_| None) {
            Ok(_) => Vec::new(),
            Err(all) => all.as_slice().iter().map(|one| one.message.clone()).collect(),
        }
    }

    #[test]
    fn what_fits_together_is_accepted() {
        for section in [
            "[tls.client]\n",
            "[tls.client]\nsslmode = \"require\"\ncert_file = \"file\"\nkey_file = \"file\"\n",
            "[tls.client]\nsslmode = \"verify-ca\"\ncert_file = \"file\"\nkey_file = \"file\"\nca_file = \"file\"\n",
            "[tls.server]\nsslmode = \"verify-full\"\nca_file = \"system\"\n",
            "[tls.server]\nsslmode = \"require\"\nsslnegotiation = \"direct\"\n",
            "[tls.server]\nprotocols = \"tlsv1.2,tlsv1.3\"\ncert_file = \"file\"\nkey_file = \"file\"\n",
        ] {
            assert_eq!(mistakes(section), Vec::<String>::new(), "{section}");
        }
    }

    #[test]
    fn what_does_not_is_told() {
        for (section, expected) in [
            (
                "[tls.client]\nsslmode = \"prefer\"\ncert_file = \"file\"",
                "TLS with clients needs `key_file`",
            ),
            (
                "[tls.client]\nsslmode = \"verify-ca\"\ncert_file = \"file\"\nkey_file = \"file\"",
                "no authority is trusted",
            ),
            ("[tls.client]\ncert_file = \"none\"", "`cert_file`: cannot read"),
            ("[tls.client]\nprotocols = \"tlsv1.1\"", "\"tlsv1.1\" is not safe any more"),
            ("[tls.client]\nprotocols = \"ssl\"", "\"ssl\" is not a version of TLS"),
            ("[tls.server]\nsslmode = \"verify-ca\"", "no authority is trusted"),
            ("[tls.server]\nsslmode = \"require\"\nca_file = \"system\"", "it proves nothing"),
            ("[tls.server]\nsslnegotiation = \"direct\"", "cannot be optional"),
            ("[tls.server]\nkey_file = \"file\"", "belong together"),
            ("[databases.a]\nserver_tls_key_file = \"file\"", "belong together"),
            ("[databases.a]\nserver_tls_sslmode = \"verify-ca\"", "no authority is trusted"),
            ("[databases.a]\nserver_tls_ca_file = \"none\"", "`server_tls_ca_file`: cannot read"),
            ("[databases.a]\nserver_tls_sslmode = \"on\"", "expected one of"),
            ("[tls.server]\nsslmode = \"verify_full\"", "expected one of"),
            ("[tls.both]\n", "unknown section [tls.both]"),
            ("[tls]\nsslmode = \"require\"", "`sslmode` stands in [tls]"),
        ] {
            let found = mistakes(section);
            assert!(found.len() == 1 && found[0].contains(expected), "{section}: {found:?}");
        }
    }
}
