//! What must hold within `[otlp]`.

use super::mistake::Report;
use super::resolved_otlp::Otlp;
use super::tree::Table;

pub(super) fn settings(otlp: &Otlp, table: &Table, report: &mut Report) {
    if cfg!(not(feature = "otlp")) {
        let help = Some("build with `--features otlp`".to_owned());
        report.add(table.at, "this pgusher was built without [otlp]".to_owned(), help);
    }
    let key = if otlp.headers_file.is_some() { "headers_file" } else { "headers" };
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let is_shown = |c: char| (' '..='~').contains(&c);
    let is_good = |(name, value): (&str, &str)| {
        !name.is_empty() && name.chars().all(is_token) && value.chars().all(is_shown)
    };
    if !otlp.headers().all(is_good) {
        // The value may be secret: it is not repeated.
        let message = format!("`{key}`: expected name=value, with commas between");
        report.add(table.place(key), message, None);
    }
}
