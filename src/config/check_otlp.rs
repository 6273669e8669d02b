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

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::super::tests::{START, mistakes};

    #[test]
    fn what_cannot_be_sent_is_refused_and_no_secret_is_repeated() {
        for (line, place, message) in [
            ("headers = \"s3cret\"", "5:11", "`headers`: expected name=value"),
            ("headers = \"a=1, s3 cret=2\"", "5:11", "`headers`: expected name=value"),
            ("headers = \"=s3cret\"", "5:11", "`headers`: expected name=value"),
            ("endpoint = \"collector:4318\"", "5:12", "expected a URL that begins with http://"),
            ("endpoint = \"http:///v1\"", "5:12", "expected a URL that begins with http://"),
            ("sample_ratio = 1.5", "5:16", "1.5 is out of range; it must be from 0 to 1"),
        ] {
            let told = mistakes(&[("pool.toml", &format!("{START}[otlp]\n{line}\n"))]);
            assert!(told.contains(&format!("pool.toml:{place}: ")), "{told}");
            assert!(told.contains(message) && !told.contains("s3"), "{told}");
        }
    }
}
