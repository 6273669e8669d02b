//! A private slapd.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgusher_testkit::{Daemon, free_port, self_signed};
use tempfile::TempDir;

/// Password of the directory's manager.
pub(crate) const MANAGER: &str = "manager-pw";

const ENTRIES: &str = "\
dn: dc=example,dc=net
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: ou=people,dc=example,dc=net
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
mail: alice@example.net
userPassword: wonder

dn: uid=star*,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: star*
cn: Star
sn: S
userPassword: bright

dn: uid=twin,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: twin
cn: Twin One
sn: T
mail: twin@example.net
userPassword: same

dn: cn=Twin Two,ou=people,dc=example,dc=net
objectClass: inetOrgPerson
uid: twin
cn: Twin Two
sn: T
userPassword: same
";

/// Whom its certificate is for.
const NAMES: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost";

/// A directory with a few people in it, gone when dropped.
pub(crate) struct Slapd {
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    /// The certificate it shows over TLS, which vouches for itself.
    pub(crate) certificate: PathBuf,
    _daemon: Daemon,
    _folder: TempDir,
}

impl Slapd {
    /// Starts one on a port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pgl-").tempdir_in("/tmp").unwrap();
        let at = folder.path();
        std::fs::create_dir(at.join("db")).unwrap();
        let (certificate, key) = self_signed("localhost", &["-addext", NAMES]).write(at, "slapd");
        let modules = ["/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap"];
        let modules = modules.iter().find(|path| Path::new(path).is_dir()).unwrap_or(&modules[0]);
        let schema = ["/etc/ldap/schema", "/etc/openldap/schema"];
        let schema = schema.iter().find(|path| Path::new(path).is_dir()).expect("slapd's schemas");
        let conf = format!(
            "include {schema}/core.schema\ninclude {schema}/cosine.schema\ninclude {schema}/inetorgperson.schema\n\
             TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\nTLSCACertificateFile {certificate}\n\
             pidfile {at}/pid\nargsfile {at}/args\nmodulepath {modules}\nmoduleload back_mdb\n\
             database mdb\nsuffix \"dc=example,dc=net\"\nrootdn \"cn=manager,dc=example,dc=net\"\n\
             rootpw {MANAGER}\ndirectory {at}/db\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by dn.exact=\"cn=manager,dc=example,dc=net\" write by anonymous auth by * read\n",
            at = at.display(),
            certificate = certificate.display(),
            key = key.display(),
        );
        std::fs::write(at.join("slapd.conf"), conf).unwrap();
        std::fs::write(at.join("entries.ldif"), ENTRIES).unwrap();
        let conf = at.join("slapd.conf");
        let add = Command::new(program("slapadd"))
            .args(["-f".as_ref(), conf.as_os_str(), "-l".as_ref()])
            .arg(at.join("entries.ldif"))
            .output()
            .unwrap();
        assert!(add.status.success(), "{add:?}");
        let (port, tls_port) = (free_port(), free_port());
        let doors = format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}");
        let mut command = Command::new(program("slapd"));
        // In the foreground, with a level that says nothing.
        command.args(["-d", "0", "-h", &doors, "-f"]).arg(conf);
        let mut daemon = Daemon::start(&mut command);
        daemon.wait_accepting(port, Duration::from_secs(30));
        Slapd { port, tls_port, certificate, _daemon: daemon, _folder: folder }
    }
}

/// Debian keeps servers in sbin, which is not on every user's path.
fn program(name: &str) -> String {
    let usual = format!("/usr/sbin/{name}");
    if Path::new(&usual).exists() { usual } else { name.to_owned() }
}
