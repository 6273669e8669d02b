//! The alert rules: Prometheus accepts them, and they fire when they should.

use std::process::Command;

use crate::prometheus::promtool;
use crate::shipped;

/// The files of rules, which their tests stand beside.
pub(crate) const FILES: [&str; 2] = ["rules", "pgbouncer-names-rules"];

#[test]
fn promtool_accepts_the_rules() {
    let files = FILES.map(|name| shipped(&format!("prometheus/{name}.yml")));
    let said = promtool(Command::new("promtool").args(["check", "rules"]).args(files));
    assert_eq!(said.matches("SUCCESS").count(), FILES.len(), "{said}");
}

#[test]
fn each_alert_fires_for_its_trouble_and_for_nothing_else() {
    let files = FILES.map(|name| shipped(&format!("prometheus/{name}_test.yml")));
    promtool(Command::new("promtool").args(["test", "rules"]).args(files));
}

#[test]
fn each_alert_is_tested_and_says_what_to_do() {
    for name in FILES {
        let read = |suffix: &str| {
            std::fs::read_to_string(shipped(&format!("prometheus/{name}{suffix}.yml"))).unwrap()
        };
        let (rules, tests) = (read(""), read("_test"));
        let mut alerts = rules.split("- alert: ").skip(1).peekable();
        assert!(alerts.peek().is_some(), "no alerts in {name}");
        for alert in alerts {
            let title = alert.lines().next().unwrap();
            let tested = format!("alertname=\"{title}\"");
            assert!(tests.contains(&tested), "no test of {title}");
            for part in ["severity: ", "summary: ", "description: "] {
                assert!(alert.contains(part), "{title} has no {part}");
            }
        }
    }
}
