//! The drivers: fetched once, kept in the build folder for as long as the list of versions stays.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An interpreter with the drivers beside it.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// The program.
    pub(crate) program: PathBuf,
    /// Where it finds them.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
}

/// The folder of the scripts.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers")
}

/// Python with psycopg, asyncpg, SQLAlchemy and Django.
pub(crate) fn python() -> Runtime {
    let folder = fetched("drivers-python", "requirements.txt", |folder| {
        // Debian's own first: another in the path may have been built without what a virtual environment takes.
        let debian = Path::new("/usr/bin/python3");
        let python = if debian.exists() { debian } else { Path::new("python3") };
        run(Command::new(python).args(["-m", "venv"]).arg(folder), "python3-venv");
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(
            Command::new(folder.join("bin/python")).args(pip).arg(folder.join("requirements.txt")),
            "PyPI",
        );
    });
    Runtime {
        program: folder.join("bin/python"),
        environment: vec![("PYTHONDONTWRITEBYTECODE", "1".into())],
    }
}

/// Node.js with node-postgres.
pub(crate) fn node() -> Runtime {
    let folder = fetched("drivers-node", "package.json", |folder| {
        let npm = ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"];
        run(Command::new("npm").args(npm).current_dir(folder), "nodejs and npm");
    });
    Runtime {
        program: "node".into(),
        environment: vec![("NODE_PATH", folder.join("node_modules"))],
    }
}

/// The folder in which `fetch` has left what the list asks for. Other processes that want the same wait.
fn fetched(name: &str, list: &str, fetch: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let lock = File::create(folder.with_extension("lock")).expect("make a lock file");
    lock.lock().expect("lock the folder of the drivers");
    let wanted = fs::read_to_string(scripts().join(list)).expect("read the list of drivers");
    let stamp = folder.join("complete");
    if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return folder;
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("make a folder for drivers");
    fs::write(folder.join(list), &wanted).expect("write the list of drivers");
    fetch(&folder);
    fs::write(&stamp, &wanted).expect("note that all drivers are there");
    folder
}

fn run(command: &mut Command, needs: &str) {
    let said = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} ({needs}; see .ci/setup): {error}"));
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{command:?} failed ({needs}; see .ci/setup):\n{words}");
}
