//! PostgreSQL's programs, and the user they run as.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where PostgreSQL's programs are, and as whom its server runs.
#[derive(Debug, Clone)]
pub(crate) struct PgTools {
    folder: PathBuf,
    run_as: Option<(u32, u32)>,
}

impl PgTools {
    /// Finds the programs: `PGUSHER_PG_BIN`, else the newest of Debian's folders, else the search path.
    pub(crate) fn find() -> Self {
        let folder = std::env::var_os("PGUSHER_PG_BIN")
            .map(PathBuf::from)
            .or_else(newest_debian_folder)
            .or_else(folder_in_path)
            .expect("PostgreSQL not found: install it, or set PGUSHER_PG_BIN to the folder with initdb and postgres");
        PgTools { folder, run_as: unprivileged_user() }
    }

    /// The path of one program.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// User and group the server runs as, when these are not our own.
    pub(crate) fn run_as(&self) -> Option<(u32, u32)> {
        self.run_as
    }

    /// A command for a program that refuses to run as root, standing in a folder that its user may enter.
    pub(crate) fn server_command(&self, name: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.bin(name));
        command.current_dir(folder).env_remove("PGDATA");
        if let Some((uid, gid)) = self.run_as {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// What `postgres --version` says, as one word for a file name.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(self.bin("postgres"))
            .arg("--version")
            .output()
            .expect("run postgres --version");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect()
    }

    /// Gives a file or folder to the server's user.
    pub(crate) fn hand_over(&self, path: &Path) {
        if let Some((uid, gid)) = self.run_as {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .unwrap_or_else(|error| panic!("chown {}: {error}", path.display()));
        }
    }
}

fn newest_debian_folder() -> Option<PathBuf> {
    std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            is_complete(&folder).then_some((version, folder))
        })
        .max()
        .map(|(_, folder)| folder)
}

fn folder_in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| is_complete(folder))
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file())
}

/// PostgreSQL refuses to run as root: then `postgres`, else `nobody`, runs it.
fn unprivileged_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let found = ["postgres", "nobody"]
        .iter()
        .find_map(|name| Some((id_of(name, "-u")?, id_of(name, "-g")?)));
    Some(found.expect("root needs a user `postgres` or `nobody` to run PostgreSQL as"))
}

fn id_of(user: &str, option: &str) -> Option<u32> {
    let output = Command::new("id").args([option, user]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
