//! What autoscalers are told, on the whole way: the binary's page, a real Prometheus that scrapes it, and the queries of the manifests
//! in docs/diagnose.md. Needs prometheus: `cargo xtask test` installs it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ambidex_lab::peer::free_port;
use serde_json::Value;
use tempfile::TempDir;

use crate::Scene;
use crate::process::{ambidex, get, until};

/// A program that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A Prometheus that scrapes one page each second.
struct Prometheus {
    _process: Ended,
    _folder: TempDir,
    address: String,
}

impl Prometheus {
    fn of(page: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = folder.path().join("prometheus.yml");
        let job = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: doctor, static_configs: [{{targets: ['{page}']}}]}}]\n"
        );
        fs::write(&config, job).expect("written");
        let address = free_port().expect("a port").to_string();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).expect("a file"))
            .spawn()
            .expect("prometheus is installed: `cargo xtask test` installs it");
        Self { _process: Ended(process), _folder: folder, address }
    }

    /// The values that a query gives now; `None` while it does not answer.
    fn values(&self, query: &str) -> Option<Vec<f64>> {
        std::net::TcpStream::connect(&self.address).ok()?;
        let mut path = String::from("/api/v1/query?query=");
        for byte in query.bytes() {
            let _ = write!(path, "%{byte:02X}");
        }
        let answer = get(&self.address, &path);
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        let results = body["data"]["result"].as_array()?;
        results.iter().map(|one| one["value"][1].as_str()?.parse().ok()).collect()
    }
}

/// What stands in the document after these words, to the end of its line or to what ends it.
fn written(document: &str, begin: &str, end: &str) -> String {
    let rest = document.split_once(begin).unwrap_or_else(|| panic!("no {begin}")).1;
    rest.split(end).next().unwrap_or_default().trim().to_owned()
}

#[test]
fn the_queries_of_the_manifests_give_one_number_while_there_is_one_and_nothing_afterwards() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnose.md"));
    let document = document.expect("it is there");
    let keda = written(&document, "        query: ", "\n");
    let hpa = written(&document, "`metricsQuery: '", "'`").replace("<<.LabelMatchers>>", "group=\"api\"");
    let scene = Scene(TempDir::new().expect("a folder"));
    let mut table = String::from("time,node,service,cpu\n");
    for minute in 0..240 {
        for node in ["a", "b", "c", "d", "e"] {
            let _ = writeln!(table, "{},{node},api,{}", minute * 60, if node == "b" { 0.6 } else { 0.3 });
        }
    }
    scene.file("cpu.csv", &table);
    let mut watching = Ended(
        ambidex(scene.0.path())
            .args(["diagnose", "--csv", "cpu.csv", "--again-every", "1s", "--metrics", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs"),
    );
    let mut line = String::new();
    BufReader::new(watching.0.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    let page = line.trim().trim_start_matches("metrics: http://").trim_end_matches("/metrics").to_owned();
    let prometheus = Prometheus::of(&page);
    for query in [&keda, &hpa] {
        let values = until(|| prometheus.values(query).filter(|values| !values.is_empty()));
        assert_eq!(values, [4.0], "{query}");
    }
    drop(watching);
    // A scrape that fails takes its series away: KEDA and HPA leave replicas alone then, and do not take it for 0.
    for query in [&keda, &hpa] {
        until(|| prometheus.values(query).filter(Vec::is_empty));
    }
}
