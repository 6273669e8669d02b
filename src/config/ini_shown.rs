//! SHOW CONFIG of a `pgbouncer.ini`: every parameter of PgBouncer, with the value that PgBouncer would show.

use std::path::Path;

use super::ini_forms::Form;
use super::ini_sections::Sections;
use super::ini_table::{Fate, PARAMETERS, Parameter};
use super::show::ShownSetting;
use super::whence::Whence;

/// PgBouncer's query for the password of a user who may log in and whose password is still valid.
pub const DEFAULT_AUTH_QUERY: &str = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END \
     FROM pg_authid WHERE rolname=$1 AND rolcanlogin";

/// What PgBouncer reads only when it starts.
const NEEDS_RESTART: [&str; 15] = [
    "disable_pqexec",
    "job_name",
    "listen_addr",
    "listen_backlog",
    "listen_port",
    "pidfile",
    "pkt_buf",
    "resolv_conf",
    "service_name",
    "so_reuseport",
    "track_extra_parameters",
    "unix_socket_dir",
    "unix_socket_group",
    "unix_socket_mode",
    "user",
];

/// Whether PgBouncer changes a parameter while it runs.
pub(super) fn is_changeable(name: &str) -> bool {
    !NEEDS_RESTART.contains(&name)
}

/// The rows, in the order of the table of parameters. `service_name` is a parameter on Windows only.
pub(super) fn rows(path: &Path, sections: &Sections) -> Vec<ShownSetting> {
    let shown = PARAMETERS.iter().filter(|parameter| parameter.name != "service_name");
    shown.map(|parameter| row(parameter, path, sections)).collect()
}

fn row(parameter: &Parameter, path: &Path, sections: &Sections) -> ShownSetting {
    let name = parameter.name;
    let default = match name {
        "auth_query" => Some(DEFAULT_AUTH_QUERY),
        // It has a value all the same, that of the command line.
        "verbose" => None,
        _ => parameter.default,
    };
    let written = sections.parameters.get(name).map(|pair| pair.value.as_str());
    let value = match name {
        "conffile" => Some(path.display().to_string()),
        _ => written.or(default).or(parameter.default).map(|text| shown(parameter, text)),
    };
    ShownSetting {
        key: name,
        value,
        default,
        changeable: is_changeable(name),
        whence: Whence::Default,
    }
}

/// A value as PgBouncer writes it: numbers in decimal, times in seconds.
fn shown(parameter: &Parameter, text: &str) -> String {
    let (Fate::Setting(_, _, form) | Fate::Inherited(_, _, form)) = parameter.fate else {
        return text.to_owned();
    };
    let whole = || super::ini_forms::number(text).ok().map(|number| number.to_string());
    let value = match form {
        Form::Integer | Form::Count | Form::Positive | Form::Size => whole(),
        Form::Flag | Form::Mode | Form::Verbosity => whole(),
        Form::Seconds(_) => text.parse::<f64>().ok().map(|seconds| seconds.to_string()),
        Form::Word | Form::Protocols => Some(text.to_ascii_lowercase()),
        _ => None,
    };
    value.unwrap_or_else(|| text.to_owned())
}
