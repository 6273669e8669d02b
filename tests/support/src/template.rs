//! A data folder made once and copied afterwards: `initdb` takes a second or more, a copy a tenth of one.

use crate::pg_tools::PgTools;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Puts a fresh data folder at `data`, whose parent belongs to the server's user.
pub(crate) fn make_data_folder(tools: &PgTools, data: &Path) {
    let template = template_path(tools);
    if let Some(template) = &template
        && template.is_dir()
        && copy(template, data).is_ok()
    {
        return;
    }
    // Half a copy may be there, from a template that somebody cleaned away meanwhile.
    let _ = std::fs::remove_dir_all(data);
    initdb(tools, data);
    if let Some(template) = &template {
        keep(data, template);
    }
}

fn initdb(tools: &PgTools, data: &Path) {
    let folder = data.parent().expect("a data folder has a parent");
    let output = tools
        .server_command("initdb", folder)
        .args(["--no-sync", "-E", "UTF8", "--locale=C", "-U", "postgres", "-A", "trust", "-D"])
        .arg(data)
        .output()
        .expect("run initdb");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// Keeps a copy as the template. Whoever renames first wins; losing or failing costs only time.
fn keep(data: &Path, template: &Path) {
    let Some(cache) = template.parent() else { return };
    if std::fs::create_dir_all(cache).is_err() {
        return;
    }
    let Ok(own) = tempfile::Builder::new().prefix("new-").tempdir_in(cache) else { return };
    let fresh = own.path().join("data");
    if copy(data, &fresh).is_ok() {
        let _ = std::fs::rename(&fresh, template);
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let output = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// In Cargo's target folder, known by its tag, so that `cargo clean` takes the template along.
fn template_path(tools: &PgTools) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file())?;
    let owner = tools.run_as().map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
    Some(target.join("pgusher-testkit").join(format!("{}-uid{owner}", tools.version())))
}
