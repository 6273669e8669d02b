//! Files in memory, and who gets in by them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::*;

/// Files in memory.
struct Shelf(HashMap<PathBuf, String>);

impl Shelf {
    fn new(files: &[(&str, &str)]) -> Self {
        Shelf(files.iter().map(|(name, text)| (name.into(), (*text).to_owned())).collect())
    }
}

impl Files for Shelf {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.get(path).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.0.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
    }
}

fn own() -> Vec<Net> {
    vec![Net::new("10.9.8.7".parse().unwrap(), 24).unwrap()]
}

fn load(files: &[(&str, &str)]) -> Result<Rules, String> {
    Rules::load(Path::new("/hba"), &Shelf::new(files), &own())
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn rules(text: &str) -> Rules {
    load(&[("/hba", text)]).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// Whom `user@database` from an address (`local` is the unix socket, a leading `s` is TLS) meets.
fn meets(rules: &Rules, who: &str, from: &str) -> &'static str {
    let (user, database) = who.split_once('@').unwrap();
    let (is_encrypted, address) = match from.strip_prefix('s') {
        Some(rest) => (true, rest),
        None => (false, from),
    };
    let address = (address != "local").then(|| address.parse().unwrap());
    let visit = Visit { address, is_encrypted, database, user, is_replication: false };
    rules.decide(&visit).map_or("none", |demand| demand.method.as_str())
}

#[test]
fn the_first_line_that_fits_decides() {
    let rules = rules(
        "# comment\n\
         local  all        all                 trust\n\
         hostssl all       all   0.0.0.0/0     scram-sha-256\n\
         hostnossl secret  all   all           reject\n\
         host   sameuser   all   10.0.0.0 255.0.0.0 md5\n\
         host   a,b        x,\"y z\" 10.1.0.0/16 password\n\
         hostgssenc all    all   all           trust\n\
         host   all        all   samehost      trust\n\
         host   all        all   samenet       reject\n\
         host   all        \"all\" ::/0        trust\n",
    );
    for (who, from, method) in [
        ("u@d", "local", "trust"),
        ("u@d", "s1.2.3.4", "scram-sha-256"),
        ("u@secret", "1.2.3.4", "reject"),
        ("u@u", "10.200.0.1", "md5"),
        ("u@d", "10.200.0.1", "none"),
        ("x@a", "10.1.2.3", "password"),
        ("y z@b", "10.1.2.3", "password"),
        ("y@b", "10.1.2.3", "none"),
        ("u@d", "10.9.8.7", "trust"),
        ("u@d", "10.9.8.8", "reject"),
        ("u@d", "::1", "none"),
        ("all@d", "::1", "trust"),
        ("u@d", "s::1", "none"),
    ] {
        assert_eq!(meets(&rules, who, from), method, "{who} from {from}");
    }
}

#[test]
fn keywords_lose_their_meaning_in_quotes() {
    let rules = rules("host \"all\" \"all\" all trust\nhost \"sameuser\" all all md5\n");
    assert_eq!(meets(&rules, "u@d", "1.1.1.1"), "none");
    assert_eq!(meets(&rules, "all@all", "1.1.1.1"), "trust");
    assert_eq!(meets(&rules, "d@d", "1.1.1.1"), "none");
    assert_eq!(meets(&rules, "d@sameuser", "1.1.1.1"), "md5");
}

#[test]
fn patterns() {
    let rules = rules("host /^app_\\d+$ \"/^a{1,3}$\" all trust\nhost all /svc all md5\n");
    assert_eq!(meets(&rules, "aa@app_12", "1.1.1.1"), "trust");
    assert_eq!(meets(&rules, "aaaa@app_12", "1.1.1.1"), "none");
    assert_eq!(meets(&rules, "aa@app_x", "1.1.1.1"), "none");
    assert_eq!(meets(&rules, "mysvc1@x", "1.1.1.1"), "md5");
}

#[test]
fn replication_is_a_database_of_its_own() {
    let rules = rules("host replication all all md5\nhost all all all trust\n");
    let visit = |is_replication| Visit {
        address: Some("1.1.1.1".parse().unwrap()),
        is_encrypted: false,
        database: "replication",
        user: "u",
        is_replication,
    };
    assert_eq!(rules.decide(&visit(true)).unwrap().method, Method::Md5);
    assert_eq!(rules.decide(&visit(false)).unwrap().method, Method::Trust);
    let all = load(&[("/hba", "host all all all trust")]).unwrap();
    assert!(all.decide(&visit(true)).is_none(), "`all` is not for replication");
}

#[test]
fn files_in_files() {
    let rules = load(&[
        ("/hba", "include sub/one\ninclude_if_exists nowhere\ninclude_dir d\nhost @dbs @/users \\\n all md5"),
        ("/sub/one", "host one all all trust\n"),
        ("/d/b.conf", "host two all all reject\n"),
        ("/d/a.conf", "host two all all password\n"),
        ("/d/.c.conf", "nonsense"),
        ("/d/c.txt", "nonsense"),
        ("/dbs", "x, y # and\n\"z z\"\n@more"),
        ("/more", "w"),
        ("/users", "all"),
    ])
    .unwrap();
    assert_eq!(rules.len(), 4);
    assert_eq!(rules.files().len(), 7);
    for (who, method) in [
        ("u@one", "trust"),
        ("u@two", "password"),
        ("u@z z", "md5"),
        ("u@w", "md5"),
        ("u@q", "none"),
    ] {
        assert_eq!(meets(&rules, who, "1.1.1.1"), method, "{who}");
    }
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "hostt all all all trust\n\
                host all all 10.0.0.1 md5\n\
                host all +admins db.example.com md5\n\
                host samerole all all gss\n\
                local all all\n\
                host all all all cert\n\
                local all all peer map\n\
                host all all 300.0.0.0/8 md5 oops=1\n\
                host all all all \"md5\n\
                host all /( all md5\n\
                include nowhere\n\
                host @nowhere all all trust\n\
                hostssl all all all cert clientcert=verify-ca\n\
                host all all all ident\n\
                host all all 10.0.0.0/33 trust\n";
    let found = load(&[("/hba", text)]).unwrap_err();
    let expected = [
        "/hba:1:1: unknown type \"hostt\"",
        "/hba:2:23: the line ends before the method",
        "/hba:3:10: `+admins` is not supported",
        "/hba:3:18: \"db.example.com\" is not an address",
        "/hba:4:6: `samerole` is not supported",
        "/hba:4:23: the method gss is not supported",
        "/hba:5:11: the line ends before the method",
        "/hba:6:18: the method cert is only for hostssl",
        "/hba:7:20: \"map\" is not an option",
        "/hba:8:14: \"300.0.0.0/8\" is not an address",
        "/hba:8:30: `oops` is not an option of the method md5",
        "/hba:9:18: the quote is never closed",
        "/hba:10:10: \"(\" is not a regular expression",
        "/hba:11:9: cannot read /nowhere",
        "/hba:12:6: cannot read /nowhere",
        "/hba:13:26: the method cert always verifies fully",
        "/hba:14:18: the method ident is not supported over TCP",
        "/hba:15:14: \"10.0.0.0/33\" has no valid length",
    ];
    for part in expected {
        assert!(found.contains(part), "{part}\nnot in\n{found}");
    }
}

#[test]
fn circles_end() {
    let found = load(&[("/hba", "include hba\ninclude hba\n")]).unwrap_err();
    assert!(found.contains("include each other more than 10 deep"), "{found}");
    let found = load(&[("/hba", "host @hba all all trust")]).unwrap_err();
    assert!(found.contains("include each other"), "{found}");
    assert!(load(&[("/hba", "# nothing")]).unwrap_err().contains("nobody could log in"));
    assert!(load(&[]).unwrap_err().starts_with("/hba: cannot be read"));
}

#[test]
fn certificates_and_options() {
    let rules = rules(
        "hostssl all a all cert map=m clientname=DN\nhostssl all b all md5 clientcert=verify-ca\n\
         hostssl all c all trust clientcert=verify-full\nlocal all all ident map=m\n\
         host all d all ldap ldapserver=h ldapprefix=\"uid=\" ldapsuffix=\",dc=x\"\n",
    );
    let demand = |user| {
        let address = Some("1.1.1.1".parse().unwrap());
        let visit =
            Visit { address, is_encrypted: true, database: "x", user, is_replication: false };
        rules.decide(&visit).unwrap().clone()
    };
    let a = demand("a");
    assert_eq!((a.client_cert, a.cert_name), (ClientCert::VerifyFull, CertName::Distinguished));
    assert_eq!(a.map.as_deref(), Some("m"));
    assert_eq!(demand("b").client_cert, ClientCert::VerifyCa);
    assert_eq!(demand("c").client_cert, ClientCert::VerifyFull);
    assert_eq!(demand("d").method.as_str(), "ldap");
    assert_eq!(meets(&rules, "x@y", "local"), "peer");
    let missing = rules.check_maps(&IdentMaps::default());
    assert_eq!(missing.len(), 2);
    assert_eq!(missing[0].to_string(), "/hba:1:24: there is no map \"m\" in `auth_ident_file`");
}

fn maps(text: &str) -> Result<IdentMaps, String> {
    IdentMaps::load(Path::new("/ident"), &Shelf::new(&[("/ident", text)]))
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn ident_maps() {
    let maps = maps(
        "m  bryanh  bryanh\nm ann ann\nm robert bob\n\
         d /^(.*)@mydomain\\.com$ \\1\nd /^(.*)@other\\.com$ \"guest\"\n\
         all root all\nq root \"all\"\np /^x /^y\\d$\np exact \\1\n",
    )
    .unwrap();
    for (map, system, user, allowed) in [
        (Some("m"), "robert", "bob", true),
        (Some("m"), "robert", "robert", false),
        (Some("m"), "bob", "bob", false),
        (Some("d"), "ann@mydomain.com", "ann", true),
        (Some("d"), "ann@mydomain.com", "bob", false),
        (Some("d"), "x@other.com", "guest", true),
        (Some("d"), "ann@mydomain.com.evil", "ann", false),
        (Some("all"), "root", "anybody", true),
        (Some("q"), "root", "anybody", false),
        (Some("q"), "root", "all", true),
        (Some("p"), "xx", "y1", true),
        (Some("p"), "xx", "y", false),
        (Some("p"), "exact", "\\1", true),
        (Some("nowhere"), "a", "a", false),
        (None, "a", "a", true),
        (None, "a", "A", false),
    ] {
        assert_eq!(maps.allows(map, system, user), allowed, "{map:?} {system} {user}");
    }
}

#[test]
fn the_group_of_a_pattern_has_no_meaning_of_its_own() {
    let maps = maps("m /^(.*)$ \\1\n").unwrap();
    assert!(!maps.allows(Some("m"), "all", "postgres"));
    assert!(!maps.allows(Some("m"), "/.*", "postgres"));
}

#[test]
fn mistakes_in_maps() {
    let found = maps("m a\nm /x \\1\nm a +admins\nm /( b\nm a b c\n").unwrap_err();
    for part in [
        "/ident:1:3: a map's name",
        "/ident:2:6: \\1 needs a group",
        "/ident:3:5: `+admins` is not supported",
        "/ident:4:3: \"(\" is not a regular expression",
        "/ident:5:7: a map's name",
    ] {
        assert!(found.contains(part), "{part}\nnot in\n{found}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "((host|local|all|,|\"|/\\(|@x|10.0.0.0/8|trust|map=|\\\\|#|\n| )){0,40}") {
        let _ = load(&[("/hba", &text)]);
        let _ = maps(&text);
    }
}
