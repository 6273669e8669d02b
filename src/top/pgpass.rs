//! Passwords in libpq's file: `host:port:database:user:password`, where `*` is any, and `\` escapes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The password for a host, port, database and user. A file that others may read is not used, as libpq does not.
pub(super) fn read(path: &Path, wanted: [&str; 4]) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        eprintln!("{}: others may read it (mode {:o}): not used", path.display(), mode & 0o777);
        return None;
    }
    find(&fs::read_to_string(path).ok()?, wanted)
}

fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, keys) = fields.split_last()?;
        let fits = keys.len() == wanted.len()
            && keys.iter().zip(wanted).all(|(key, wanted)| key == "*" || key == wanted);
        fits.then(|| password.clone())
    })
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ':' => fields.push(String::new()),
            letter => {
                let letter = if letter == '\\' { letters.next() } else { Some(letter) };
                if let (Some(field), Some(letter)) = (fields.last_mut(), letter) {
                    field.push(letter);
                }
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# mine\nother:*:*:*:no\n*:6432:pgusher:dba:a\\:b\\\\c\n*:*:*:*:last\n";
        let find = |wanted| find(text, wanted);
        assert_eq!(find(["h", "6432", "pgusher", "dba"]).as_deref(), Some("a:b\\c"));
        assert_eq!(find(["h", "1", "pgusher", "dba"]).as_deref(), Some("last"));
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        fs::write(&path, "*:*:*:*:x\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path, ["", "", "", ""]), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path, ["", "", "", ""]).as_deref(), Some("x"));
    }
}
