//! One configuration in both modes: as the `pgbouncer.ini` it is, and as the `pool.toml` that `pgusher import` makes of
//! it, with its own manners.

use std::process::Command;

use pgusher_testkit::{ErrorFields, Pgusher};

use super::stage::{BINARY, builder, text};

/// How a pgusher speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As PgBouncer, but for its codes.
    DropIn,
    /// As itself.
    Native,
}

impl Mode {
    /// Compares an error: the code is the same in both modes, the words are not, and only one of them explains itself.
    #[track_caller]
    pub(crate) fn expect(self, error: &ErrorFields, code: &str, drop_in: &str, native: &str) {
        assert_eq!((error.code(), error.severity()), (code, "FATAL"), "{self:?} {error:?}");
        match self {
            Mode::DropIn => {
                assert_eq!(error.message(), drop_in);
                assert_eq!((error.detail(), error.hint()), (None, None), "{error:?}");
            }
            Mode::Native => assert!(error.message().contains(native), "{error:?}"),
        }
    }
}

/// A pgusher in either mode; `files` stand beside the configuration, which calls their folder `{dir}`.
pub(crate) fn both(
    parameters: &str,
    databases: &str,
    files: &[(&str, &str)],
) -> [(Mode, Pgusher); 2] {
    let toml = imported(parameters, databases, files);
    [(Mode::DropIn, builder(parameters, databases)), {
        let native = Pgusher::builder(BINARY, &toml).file("userlist.txt", super::stage::USERS);
        (Mode::Native, native)
    }]
    .map(|(mode, builder)| {
        let add = |builder: pgusher_testkit::PgusherBuilder, (name, text): &(&str, &str)| {
            builder.file(name, text)
        };
        (mode, files.iter().fold(builder, add).start())
    })
}

/// The `pool.toml` of a `pgbouncer.ini`, without what makes it behave as PgBouncer does.
fn imported(parameters: &str, databases: &str, files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("userlist.txt"), "").unwrap();
    for (name, text) in files {
        std::fs::write(file(name), text.replace("{dir}", &place)).unwrap();
    }
    let ini = text(parameters, databases).replace("{port}", "4711").replace("{dir}", &place);
    std::fs::write(file("pgbouncer.ini"), ini).unwrap();
    let output = Command::new(BINARY).arg("import").arg(file("pgbouncer.ini")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let toml = String::from_utf8(output.stdout).unwrap();
    let own = |line: &&str| !["compat = ", "log_format = "].iter().any(|key| line.starts_with(key));
    let toml: Vec<&str> = toml.lines().filter(own).collect();
    toml.join("\n").replace("listen_port = 4711", "listen_port = {port}").replace(&place, "{dir}")
}
