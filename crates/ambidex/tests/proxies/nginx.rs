//! nginx by a generated file: checked, loaded, refused, put back.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use ambidex_core::time::Span;
use ambidex_lab::peer::{Process, free_port};
use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{Pair, fault, publisher, release};

/// A real nginx whose upstream lies in a file of its own, and workers for it.
struct Nginx {
    folder: TempDir,
    address: SocketAddr,
    pair: Pair,
    process: Process,
}

/// What the file says before anybody writes it.
const FOUND: &str = "upstream app { server 127.0.0.1:9; }\n";

impl Nginx {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let address = free_port().expect("a port");
        let path = folder.path().display();
        let text = format!(
            "user root;\nworker_processes 1;\ndaemon off;\npid {path}/pid;\nerror_log {path}/errors;\nevents {{}}\n\
             http {{\n  access_log off;\n  client_body_temp_path {path}/a;\n  proxy_temp_path {path}/b;\n  \
             fastcgi_temp_path {path}/c;\n  uwsgi_temp_path {path}/d;\n  scgi_temp_path {path}/e;\n  \
             include {path}/upstreams.conf;\n  \
             server {{ listen {address}; location / {{ proxy_pass http://app; }} }}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), text).expect("written");
        fs::write(folder.path().join("upstreams.conf"), FOUND).expect("written");
        let process = run(&folder, address);
        Self { folder, address, pair: Pair::start(), process }
    }

    fn stop(&mut self) {
        self.process.signal("TERM").expect("it runs");
        self.process.wait_for_end(Span::from_secs(20)).expect("it ends");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("upstreams.conf")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("readable")
    }

    fn coordinated(&self, more: &str) -> Running {
        let conf = self.folder.path().join("nginx.conf").display().to_string();
        self.pair.coordinated(&format!(
            "    nginx:\n      file: {}\n      upstreams: {{app: api}}\n      every: 1s\n      \
             check: [nginx, -t, -e, stderr, -c, {conf}]\n      reload: [nginx, -s, reload, -e, stderr, -c, {conf}]\n{more}",
            self.file().display()
        ))
    }

    /// How many of eight requests each worker served.
    fn of_eight(&self) -> Vec<u64> {
        self.pair.served(self.address, 8)
    }
}

fn run(folder: &TempDir, address: SocketAddr) -> Process {
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-c").arg(folder.path().join("nginx.conf"));
    let process = Process::start("nginx", command, TempDir::new().expect("a folder")).expect("nginx starts");
    // It answers 502 as long as nobody is behind it.
    until(|| TcpStream::connect(address).ok());
    process
}

#[test]
fn nginx_serves_by_the_weights_after_a_reload() {
    let nginx = Nginx::start();
    let running = nginx.coordinated("");
    until(|| (nginx.of_eight() == [2, 6]).then_some(()));
    assert!(nginx.text().contains("weight=50;") && nginx.text().contains("weight=150;"), "{}", nginx.text());
    running.ask(&["drain", "b", "--yes"]);
    until(|| (nginx.of_eight() == [8, 0]).then_some(()));
    let state = publisher(&running);
    assert!(state["fault"].is_null() && !state["applied"].is_null(), "{state}");
}

#[test]
fn what_nginx_refuses_is_rolled_back_and_told_in_its_words() {
    let nginx = Nginx::start();
    let running = nginx.coordinated("      directives: [nonsense 1]\n");
    let why = fault(&running);
    assert!(why.contains("unknown directive \"nonsense\"") && why.contains("is again as it was loaded last"), "{why}");
    assert_eq!(nginx.text(), FOUND);
    let file = fs::read_to_string(running.file()).expect("readable");
    fs::write(running.file(), file.replace("nonsense 1", "keepalive 8")).expect("written");
    until(|| (nginx.of_eight() == [2, 6]).then_some(()));
    until(|| publisher(&running)["fault"].is_null().then_some(()));
}

#[test]
fn weights_wait_for_an_nginx_that_is_gone() {
    let mut nginx = Nginx::start();
    nginx.stop();
    let running = nginx.coordinated("");
    let why = fault(&running);
    assert!(why.contains("could not be reloaded, is it running?"), "{why}");
    nginx.process = run(&nginx.folder, nginx.address);
    until(|| (nginx.of_eight() == [2, 6]).then_some(()));
    until(|| publisher(&running)["fault"].is_null().then_some(()));
}

#[test]
fn a_file_that_holds_more_than_upstreams_is_never_overwritten() {
    let nginx = Nginx::start();
    let site = format!("{FOUND}server {{ listen 127.0.0.1:0; }}\n");
    fs::write(nginx.file(), &site).expect("written");
    let running = nginx.coordinated("");
    let why = fault(&running);
    assert!(why.contains("holds `server`") && why.contains("name a file that holds nothing else"), "{why}");
    assert_eq!(nginx.text(), site);
}

#[test]
fn release_puts_the_file_back_and_observe_never_writes_it() {
    let nginx = Nginx::start();
    let watching = nginx.coordinated("      mode: observe\n");
    let state = until(|| Some(publisher(&watching)).filter(|state| !state["applied"].is_null()));
    let changes = state["changes"].to_string();
    assert!(changes.contains("comes: 150") && changes.contains("app/127.0.0.1:9 goes"), "{changes}");
    assert_eq!(nginx.text(), FOUND);
    let running = nginx.coordinated("");
    until(|| (nginx.of_eight() == [2, 6]).then_some(()));
    let said = release(running);
    assert!(said.contains("is as it was found, and loaded"), "{said}");
    assert_eq!(nginx.text(), FOUND);
    until(|| (nginx.of_eight() == [0, 0]).then_some(()));
}
