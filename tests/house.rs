//! The house stays easy to see: imports point one way, rooms are on the map, nothing unfinished is left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor. A room may import rooms of lower floors only; rooms that share a floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["types", "secret", "sqlstate", "control", "date", "backstage"],
    &["wire", "sql", "config", "stats"],
    &["tls", "advise"],
    &["glance", "metrics", "otlp", "net", "auth", "hba", "session"],
    &["server", "authority"],
    &["pool", "relay", "cancel", "http", "web"],
    &["client", "admin"],
    &["top"],
    &["cli", "consult", "telemetry"],
    &["app"],
];

/// Imports within a floor, or up, that are there for a reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(Path::new("src"), &mut found);
    assert!(found.len() > 80, "saw only {} files", found.len());
    found
}

fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").expect("under src");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Rooms named after `crate::` in code, the parts of `use crate::{a::…, b::…}` included.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let names: Vec<&str> = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![after],
        };
        for name in names {
            let room: String =
                name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            rooms.insert(room);
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn imports_point_one_way() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for path in all_sources() {
        let room = room_of(&path);
        if matches!(room.as_str(), "lib" | "main") {
            continue;
        }
        let floor = floor_of(&room).unwrap_or_else(|| panic!("{} is on no floor", path.display()));
        for import in imports(&fs::read_to_string(&path).expect("readable")) {
            if import == room {
                continue;
            }
            let Some(target) = floor_of(&import) else {
                panic!("{}: crate::{import} is no room", path.display())
            };
            seen += 1;
            let excused = EXCEPTIONS
                .iter()
                .any(|(from, to, _)| (*from, *to) == (room.as_str(), import.as_str()));
            if target >= floor && !excused {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(seen > 150, "saw only {seen} imports");
    assert!(wrong.is_empty(), "imports that point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_is_on_the_map() {
    let map = fs::read_to_string("src/lib.rs").expect("readable");
    let head = map.split("\npub mod").next().expect("a map");
    for path in all_sources() {
        let room = room_of(&path);
        if !matches!(room.as_str(), "lib" | "main") {
            assert!(head.contains(&format!("[`{room}`]")), "{room} is not on the map in lib.rs");
        }
    }
}

#[test]
fn only_one_room_imports_pgwire() {
    let importers: BTreeSet<String> = all_sources()
        .into_iter()
        .filter(|path| fs::read_to_string(path).expect("readable").contains("use pgwire"))
        .map(|path| room_of(&path))
        .collect();
    assert_eq!(importers, BTreeSet::from(["wire".to_owned()]));
}

#[test]
fn unsafe_code_is_where_it_is_explained() {
    let (mut places, mark) = (Vec::new(), concat!("unsafe", " {"));
    for path in all_sources() {
        if fs::read_to_string(&path).expect("readable").contains(mark) {
            places.push(path);
        }
    }
    places.sort();
    let allowed = [
        "src/app/memory.rs",
        "src/net/engine.rs",
        "src/net/option.rs",
        "src/net/stream.rs",
        "src/tls/ffi.rs",
    ]
    .map(PathBuf::from);
    assert_eq!(places, allowed);
}
