//! A Prometheus of the test's own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pgusher_testkit::{Daemon, free_port, http};
use serde_json::Value;
use tempfile::TempDir;

/// Reads pgusher's metrics once a second.
pub(crate) struct Prometheus {
    port: u16,
    _daemon: Daemon,
    _folder: TempDir,
}

impl Prometheus {
    /// Has it read the given port and obey the given files of rules.
    pub(crate) fn start(target: u16, rules: &[PathBuf]) -> Self {
        let folder = tempfile::Builder::new().prefix("prom-").tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: {rules:?}\n\
             scrape_configs:\n- job_name: pgusher\n  static_configs:\n  - targets: ['127.0.0.1:{target}']\n"
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let port = free_port();
        let mut daemon = Daemon::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--log.level=warn"),
        );
        daemon.wait_accepting(port, Duration::from_secs(60));
        Prometheus { port, _daemon: daemon, _folder: folder }
    }

    /// The values of an expression now, those that are no numbers left out.
    ///
    /// # Errors
    /// It is refused; the text says why.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let encoded = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let data = self.ask(&format!("/api/v1/query?query={encoded}"))?;
        let samples = match data["resultType"].as_str() {
            Some("vector") => data["result"].as_array().cloned().unwrap_or_default(),
            other => return Err(format!("a {other:?}, which no panel shows")),
        };
        let number = |sample: &Value| sample["value"][1].as_str()?.parse::<f64>().ok();
        Ok(samples.iter().filter_map(number).filter(|value| value.is_finite()).collect())
    }

    /// All alert rules.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let data = self.ask("/api/v1/rules").unwrap_or_default();
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect()
    }

    fn ask(&self, path: &str) -> Result<Value, String> {
        let (_, body) = http::get(self.port, path)?;
        let answer: Value = serde_json::from_str(&body).map_err(|_| body.clone())?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(body) }
    }
}

/// What promtool says, for better or for worse; fails when it finds fault.
pub(crate) fn promtool(command: &mut Command) -> String {
    let done = command.output();
    let done = done.unwrap_or_else(|error| panic!("promtool: {error}; .ci/setup installs it"));
    let said = [done.stdout, done.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    let said = said.concat();
    assert!(done.status.success(), "{command:?}: {said}");
    said
}
