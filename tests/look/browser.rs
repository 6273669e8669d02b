//! A browser without a window, driven over its debugging protocol.

use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgusher_testkit::wait_for_blocking;
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::http::Request;
use crate::stage::LIMIT;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    number: u64,
    events: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = launch(folder.path());
        let port_file = folder.path().join("DevToolsActivePort");
        let port = || Some(std::fs::read_to_string(&port_file).ok()?.lines().next()?.to_owned());
        assert!(wait_for_blocking(LIMIT, || port().is_some()), "the browser does not start");
        let port: u16 = port().and_then(|port| port.parse().ok()).expect("a port");
        let mut address = None;
        let found = wait_for_blocking(LIMIT, || {
            address = page_address(port);
            address.is_some()
        });
        assert!(found, "the browser has no page");
        let (socket, _) = tungstenite::connect(address.expect("found")).expect("debug the page");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        }
        let mut browser = Browser { child, socket, number: 0, events: Vec::new(), _folder: folder };
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Has the browser do something; gives its answer.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let request = json!({ "id": self.number, "method": method, "params": params });
        self.socket.send(Message::text(request.to_string())).expect("ask the browser");
        loop {
            let message = self.socket.read().expect("hear the browser");
            let Ok(message) = serde_json::from_str::<Value>(message.to_text().unwrap_or("")) else {
                continue;
            };
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression is on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true; panics with the page's text when it does not become so.
    pub(crate) fn wait(&mut self, expression: &str) {
        let deadline = Instant::now() + LIMIT;
        while self.value(expression) != true {
            if Instant::now() > deadline {
                panic!("{expression} is not so:\n{}", self.value("document.body.innerText"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "ArrowLeft" => (37, ""),
            "Home" => (36, ""),
            "End" => (35, ""),
            _ => panic!("{key} is not known"),
        };
        for kind in ["keyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text }),
            );
        }
    }

    /// Writes where the focus is.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let mobile = width < 600;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile }),
        );
    }

    /// A picture of the whole page as `NAME.png` in the folder SCREENSHOTS, for people who want to look.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        let taken = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let data = taken["data"].as_str().expect("a picture");
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(path, bytes).expect("keep a picture");
    }

    /// Everything that the page has complained of.
    pub(crate) fn complaints(&mut self) -> Vec<Value> {
        // Events that were on their way come before the answer.
        self.value("1");
        let is_complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_complaint).cloned().collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its helpers end with it: they are in its group, which is of its own.
        let group = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn launch(folder: &std::path::Path) -> Child {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_installed =
        |name: &&&str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
    let name = NAMES.iter().find(is_installed);
    let name = name.unwrap_or_else(|| panic!("no browser: .ci/setup installs one of {NAMES:?}"));
    // It must not outlive a test that is killed.
    let started = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", name])
        .args([
            "--headless=new",
            "--remote-debugging-port=0",
            // Root has no sandbox; nothing but our own page is opened.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", folder.display()))
        .arg("about:blank")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    started.expect("setpriv of util-linux")
}

/// Where the page listens for a debugger.
fn page_address(port: u16) -> Option<String> {
    let targets = Request::get(port, "/json/list").try_send().ok()?.json();
    let page = targets.as_array()?.iter().find(|target| target["type"] == "page")?;
    page["webSocketDebuggerUrl"].as_str().map(str::to_owned)
}
