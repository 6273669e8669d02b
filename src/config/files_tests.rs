//! Several files: what includes put together, and where they go wrong.

use std::fs;
use std::path::Path;

use super::Loaded;
use super::load::load_with;
use super::tests::{START, load_files, mistakes};

#[test]
fn files_that_cannot_be_read() {
    assert_eq!(mistakes(&[]), "pool.toml: cannot read the file: No such file or directory");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), b"[pgusher]\nx = \"\xff\"").unwrap();
    let why = load_with(&folder.path().join("a"), &|_| None).unwrap_err();
    assert_eq!(why.as_slice().len(), 1);
    assert_eq!((why.as_slice()[0].line, why.as_slice()[0].column), (2, 6));
    assert!(why.to_string().ends_with("a:2:6: the file is not UTF-8"), "{why}");
    let why = load_with(folder.path(), &|_| None).unwrap_err();
    assert!(why.to_string().ends_with(": cannot read the file: Is a directory"), "{why}");
}

#[test]
fn includes_are_put_together() {
    let main = format!("include = [\"d[1]/*.toml\", \"none/*.toml\"]\n{START}[databases.a]\n");
    let (loaded, folder) = load_files(&[
        ("pool.toml", &main),
        ("d1/2.toml", "[databases.b]\nuser = \"u\"\npassword_file = \"pw\"\n"),
        ("d1/1.toml", "include = \"deep/x.toml\"\n[pgusher]\nlisten_port = 7\n[users.u]\n"),
        ("d1/deep/x.toml", "[defaults]\npool_size = 9\n[databases.\"*\"]\n"),
        ("d1/pw", "secret"),
    ]);
    let Loaded { config, files, .. } = loaded.map_err(|m| m.to_string()).unwrap();
    let names: Vec<_> = config.databases.keys().map(|name| &**name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!((config.process.listen_port, config.defaults.pool_size), (7, 9));
    assert!(config.fallback.is_some() && config.users.contains_key("u"));
    let files: Vec<_> =
        files.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
    let expected = ["pool.toml", "d1/1.toml", "d1/deep/x.toml", "d1/2.toml", "d1/pw"];
    assert_eq!(files, expected.map(Path::new));
}

#[test]
fn a_folder_is_not_a_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("pg[1]*");
    fs::create_dir_all(odd.join("d")).unwrap();
    fs::write(odd.join("pool.toml"), format!("include = \"d/*.toml\"\n{START}")).unwrap();
    fs::write(odd.join("d/a.toml"), "[databases.a]\n").unwrap();
    let loaded = load_with(&odd.join("pool.toml"), &|_| None).unwrap();
    assert_eq!(loaded.config.databases.len(), 1);
}

#[test]
fn duplicates_name_both_places() {
    let main = format!(
        "include = [\"a.toml\", \"b.toml\", \"a.toml\", \"gone.toml\", 5]\n{START}[databases.x]\n"
    );
    assert_eq!(
        mistakes(&[
            ("pool.toml", &main),
            ("a.toml", "[databases.x]\n[users.u]\n[pgusher]\nlisten_addr = \"::1\"\n"),
            ("b.toml", "[users.u]\n[databases.y]\nport = 0\n"),
        ]),
        "pool.toml:1:32: a.toml is included twice; first at pool.toml:1:12\n\
         pool.toml:1:42: cannot read gone.toml: No such file or directory\n\
         pool.toml:1:55: `include`: expected a file or a pattern in quotes, found the number 5\n\
         a.toml:1:12: duplicate database `x`; first at pool.toml:5:12\n\
         a.toml:4:1: duplicate key `listen_addr` in [pgusher]; first at pool.toml:3:1\n\
         b.toml:1:8: duplicate user `u`; first at a.toml:2:8\n\
         b.toml:3:8: `port`: 0 is out of range; it must be from 1 to 65535"
    );
}

#[test]
fn includes_end() {
    let start = |include: &str| format!("include = \"{include}\"\n{START}");
    assert_eq!(
        mistakes(&[("pool.toml", &start("*.toml"))]),
        "pool.toml:1:11: pool.toml includes itself"
    );
    assert_eq!(
        mistakes(&[
            ("pool.toml", &start("a.toml")),
            ("a.toml", "include = \"b.toml\""),
            ("b.toml", "include = \"a.toml\"")
        ]),
        "b.toml:1:11: a.toml includes itself"
    );
    let names: Vec<String> = (0..=11).map(|i| format!("{i}.toml")).collect();
    let texts: Vec<String> = (1..=12).map(|i| format!("include = \"{i}.toml\"")).collect();
    let main = start("0.toml");
    let mut files = vec![("pool.toml", main.as_str())];
    files.extend(names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)));
    assert_eq!(mistakes(&files), "9.toml:1:11: \"10.toml\" is included more than 10 files deep");
}
