//! A headless Chromium, spoken to by its DevTools protocol over two named pipes: no port, no further dependency.
//!
//! Every wait has a deadline; what the browser complains about (policy, exceptions) is collected.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    calls: u64,
    complaints: Vec<String>,
    _folder: tempfile::TempDir,
}

pub(crate) struct Tab<'b> {
    browser: &'b mut Browser,
    session: String,
}

#[expect(clippy::disallowed_methods, reason = "deadlines of the test")]
fn now() -> Instant {
    Instant::now()
}

impl Browser {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [to, from] = ["to", "from"].map(|name| folder.path().join(name));
        let made = Command::new("mkfifo").args([&to, &from]).status().expect("mkfifo");
        assert!(made.success(), "no named pipes");
        // The browser wants its pipes as descriptors 3 and 4; a shell opens them for it.
        let child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<\"$TO\" 4>\"$FROM\"", "sh"])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .env("TO", &to)
            .env("FROM", &from)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let to = OpenOptions::new().write(true).open(to).expect("the pipe to the browser");
        let from = messages(&from);
        Self { child, to, from, calls: 0, complaints: Vec::new(), _folder: folder }
    }

    pub(crate) fn tab(&mut self) -> Tab<'_> {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", attach);
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let mut tab = Tab { browser: self, session };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            tab.call(domain, json!({}));
        }
        tab.screen(1_280, 900, false);
        tab
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let answer = self.from.recv_timeout(DEADLINE).unwrap_or_else(|error| {
                panic!("{method}: the browser does not answer ({error}); is it there? apt-get install chromium")
            });
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.hear(&answer);
        }
    }

    fn hear(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Log.entryAdded") if params["entry"]["level"] != "verbose" => {
                self.complaints.push(params["entry"].to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the browser's messages, which end with a zero byte, on a thread of their own so that waits can end.
fn messages(pipe: &Path) -> Receiver<Value> {
    let (send, receive) = channel();
    let pipe = pipe.to_path_buf();
    std::thread::spawn(move || {
        let Ok(file) = File::open(pipe) else { return };
        for message in BufReader::new(file).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).expect("the protocol is JSON");
            if send.send(message).is_err() {
                return;
            }
        }
    });
    receive
}

impl Tab<'_> {
    fn call(&mut self, method: &str, params: Value) -> Value {
        let session = self.session.clone();
        self.browser.call(Some(&session), method, params)
    }

    pub(crate) fn go(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {went}");
    }

    pub(crate) fn without_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    }

    pub(crate) fn screen(&mut self, width: u32, height: u32, dark: bool) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    pub(crate) fn point_at(&mut self, x: f64, y: f64) {
        for step in [2.0, 0.0] {
            self.call("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": x - step, "y": y}));
        }
    }

    pub(crate) fn run(&mut self, script: &str) -> Value {
        let asked = self.call("Runtime.evaluate", json!({"expression": script, "returnByValue": true}));
        assert!(asked["exceptionDetails"].is_null(), "{script}: {}", asked["exceptionDetails"]);
        asked["result"]["value"].clone()
    }

    pub(crate) fn number(&mut self, script: &str) -> f64 {
        self.run(script).as_f64().unwrap_or_else(|| panic!("{script} is no number"))
    }

    pub(crate) fn is(&mut self, script: &str) {
        assert_eq!(self.run(script), true, "{script}");
    }

    pub(crate) fn wait_for(&mut self, script: &str) {
        let guarded = format!("(() => {{ try {{ return {script}; }} catch {{ return false; }} }})()");
        let started = now();
        while self.run(&guarded) != true {
            assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {script}; {:?}", self.browser.complaints);
            let _ = self.browser.from.recv_timeout(Duration::from_millis(20)).map(|event| self.browser.hear(&event));
        }
    }

    pub(crate) fn wait_for_outside(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let started = now();
        while !is_so() {
            assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
            let _ = self.browser.from.recv_timeout(Duration::from_millis(20)).map(|event| self.browser.hear(&event));
        }
    }

    /// Leaves a picture of the whole page where the build keeps its files.
    pub(crate) fn picture(&mut self, name: &str) {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}));
        let bytes = BASE64_STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(path, bytes).expect("written");
    }

    /// What the browser complained about: broken policy, exceptions, failed loads.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.run("0");
        std::mem::take(&mut self.browser.complaints)
    }
}
