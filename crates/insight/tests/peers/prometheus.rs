//! A real Prometheus: with hours of history that are put into it, and scraping real programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ambidex_core::time::Span;
use ambidex_insight::analysis::structure::Verdict;
use ambidex_insight::clock::now;
use ambidex_insight::doctor::{self, diagnose};
use ambidex_insight::history::{At, History, Metric};
use ambidex_insight::sources::Access;
use ambidex_insight::sources::prometheus::{Options, read};
use ambidex_insight::sources::receive::{self, Receiver};
use tempfile::TempDir;

use crate::envoy::Envoy;
use crate::haproxy::Haproxy;
use crate::process::{Process, free_port, poll};
use crate::world::{Client, Served, ask};

pub(crate) struct Prometheus {
    pub(crate) process: Process,
    address: SocketAddr,
}

impl Prometheus {
    /// One in this folder, which may hold data, that scrapes these jobs each second.
    pub(crate) async fn start(dir: TempDir, jobs: &[(&str, SocketAddr)]) -> Self {
        let mut prometheus = Self::begin(dir, jobs);
        let ready = |address| ask(address, "/prom/-/ready").is_ok_and(|said| said.starts_with("HTTP/1.1 200"));
        let process = &mut prometheus.process;
        let came = poll(async || process.has_ended() || ready(prometheus.address)).await;
        assert!(came && !process.has_ended(), "{}", process.words());
        prometheus
    }

    /// The same, and nobody waits until it answers. A file `web.yml` in the folder says how it is spoken to.
    fn begin(dir: TempDir, jobs: &[(&str, SocketAddr)]) -> Self {
        let mut text = "global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned();
        let names: BTreeSet<&str> = jobs.iter().map(|(job, _)| *job).collect();
        for name in names {
            let targets = jobs.iter().filter(|(job, _)| *job == name).map(|(_, target)| format!("'{target}'"));
            let targets = targets.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "- {{job_name: {name}, static_configs: [{{targets: [{targets}]}}]}}");
        }
        if jobs.is_empty() {
            text = "{}\n".into();
        }
        // What the test has put into the folder says where samples are sent to.
        if let Ok(more) = fs::read_to_string(dir.path().join("remote_write.yml")) {
            text.push_str(&more);
        }
        let file = dir.path().join("prometheus.yml");
        fs::write(&file, text).expect("written");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
        command.args(["--storage.tsdb.retention.time=50y", "--web.route-prefix=/prom"]);
        command.arg(format!("--web.listen-address={address}"));
        let web = dir.path().join("web.yml");
        if web.exists() {
            command.arg(format!("--web.config.file={}", web.display()));
        }
        Self { process: Process::start(command, dir), address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/prom", self.address)
    }

    pub(crate) async fn read(&self, options: &Options) -> History {
        read(options, &mut |_| {}).await.unwrap_or_else(|why| panic!("{why}; {}", self.process.words()))
    }
}

/// Writes series in OpenMetrics and has promtool make blocks of them.
pub(crate) fn put(dir: &Path, page: &str) {
    let file = dir.join("page.om");
    fs::write(&file, page).expect("written");
    let output = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &dir.join("data")])
        .output()
        .expect("promtool runs; `cargo xtask test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The end of what is put into it: 2026-11-01T12:00:00Z.
pub(crate) const END: i64 = 1_793_534_400;
/// Of what is put into it, in seconds.
const RANGE: i64 = 3 * 3_600;

/// Samples of a series each 15 s.
pub(crate) fn series(page: &mut String, name: &str, labels: &str, value: impl Fn(i64) -> Option<f64>) {
    for at in (0..=RANGE).step_by(15) {
        if let Some(value) = value(at) {
            // Writing to a String cannot fail.
            let _ = writeln!(page, "{name}{{{labels}}} {value} {}", END - RANGE + at);
        }
    }
}

/// Three hours of four hosts with two CPUs each: d is busy for 80 %, the others for 40 %; c was away for an hour, and b began anew in
/// the middle.
fn hosts() -> String {
    let mut page = String::from("# TYPE node_cpu_seconds counter\n");
    let name = |host: &str| format!(r#"instance="{host}:9100",job="db",zone="eu-{}""#, if host < "c" { 1 } else { 2 });
    let there = |host: &str, at: i64| host != "c" || !(3_600..7_200).contains(&at);
    for host in ["a", "b", "c", "d"] {
        for cpu in 0..2 {
            let busy = if host == "d" { 0.8 } else { 0.4 };
            for (mode, part) in [("idle", 1.0 - busy - 0.05), ("iowait", 0.05), ("user", busy - 0.1), ("softirq", 0.1)]
            {
                let labels = format!(r#"{},cpu="{cpu}",mode="{mode}""#, name(host));
                series(&mut page, "node_cpu_seconds_total", &labels, |at| {
                    let since = if host == "b" && at >= RANGE / 2 { at - RANGE / 2 } else { at };
                    there(host, at).then_some(since as f64 * part)
                });
            }
        }
    }
    page.push_str("# TYPE node_load1 gauge\n");
    for host in ["a", "b", "c", "d"] {
        series(&mut page, "node_load1", &name(host), |at| there(host, at).then_some(1.0));
    }
    page.push_str("# TYPE app_slots gauge\n");
    for host in ["a", "b", "c", "d"] {
        series(&mut page, "app_slots", &name(host), |at| {
            there(host, at).then_some(if host == "d" { 50.0 } else { 100.0 })
        });
    }
    page.push_str("# EOF\n");
    page
}

async fn with_hosts() -> Prometheus {
    let dir = tempfile::tempdir().expect("a folder");
    put(dir.path(), &hosts());
    Prometheus::start(dir, &[]).await
}

fn node(history: &History, name: &str) -> usize {
    history.nodes.iter().position(|node| node.name == name).unwrap_or_else(|| panic!("{name}: {:?}", history.nodes))
}

fn near(found: Option<f32>, wanted: f32) -> bool {
    found.is_some_and(|found| (found - wanted).abs() < 0.01)
}

#[tokio::test]
async fn three_hours_of_hosts_are_read_as_they_were() {
    let prometheus = with_hosts().await;
    let history =
        prometheus.read(&Options::new(&format!("{}/graph?g0.expr=up", prometheus.url()), At(END * 1_000))).await;

    assert_eq!(history.source, format!("Prometheus at {}", prometheus.url()));
    assert!(!history.partial, "{:?}", history.remarks);
    assert_eq!(history.nodes.len(), 4);
    let windows = history.whole_windows();
    assert_eq!(windows.clone().count(), 36);
    let of = |metric: &Metric, host: &str, window| {
        history.figure(metric, node(&history, host), window).map(|figure| figure.mean)
    };
    for window in windows.clone().skip(1) {
        assert!(near(of(&Metric::Cpu, "a:9100", window), 0.4), "{window} {:?}", of(&Metric::Cpu, "a:9100", window));
        assert!(near(of(&Metric::Cpu, "d:9100", window), 0.8), "{window} {:?}", of(&Metric::Cpu, "d:9100", window));
        assert!(near(of(&Metric::SoftIrq, "d:9100", window), 0.1), "{window}");
        // Counters that began anew are rate()'s matter.
        assert!(of(&Metric::Cpu, "b:9100", window).is_some_and(|cpu| (0.38..0.5).contains(&cpu)), "{window}");
        assert_eq!(
            history.figure(&Metric::Cpu, node(&history, "a:9100"), window).map(|figure| figure.samples),
            Some(10)
        );
    }
    // While it was away c has no figures: from five minutes after its last sample on, as Prometheus looks back that far.
    let there: Vec<_> = windows.clone().map(|window| of(&Metric::Cpu, "c:9100", window).is_some()).collect();
    assert!(there[..12].iter().all(|there| *there) && there[25..].iter().all(|there| *there), "{there:?}");
    assert!(there[13..23].iter().all(|there| !there), "{there:?}");
    let d = &history.nodes[node(&history, "d:9100")];
    assert_eq!((d.capacity, d.zone.as_deref(), d.peers.service.as_deref()), (Some(2.0), Some("eu-2"), Some("db")));

    let found = diagnose(&history, &doctor::Options::default()).findings;
    let hot: Vec<_> =
        found.iter().map(|finding| (&finding.metric, finding.nodes[0].node.as_str(), finding.verdict)).collect();
    assert_eq!(hot.first(), Some(&(&Metric::Cpu, "d:9100", Verdict::Structural)), "{hot:?}");
}

#[tokio::test]
async fn own_queries_matchers_and_labels_are_used() {
    let prometheus = with_hosts().await;
    let own = serde_json::json!({"queries": [
        {"metric": "load", "query": "sum by ({by}) (rate(node_cpu_seconds_total{mode=\"user\",{selector}}[{rate}]))",
         "node": "instance", "service": "job", "factor": 10},
        {"metric": "capacity", "query": "max by ({by}) (app_slots{{selector}})", "node": "instance", "service": "job"},
        {"metric": "wrong", "query": "sum by ({by}) (", "node": "instance"},
        {"metric": "unlabelled", "query": "vector(1)", "node": "instance"},
    ]});
    let options = Options {
        own: serde_json::from_value(own).expect("queries"),
        matchers: r#"zone="eu-2""#.into(),
        sets: Some(Vec::new()),
        since: Span::from_secs(1_800),
        ..Options::new(&prometheus.url(), At(END * 1_000))
    };
    let history = prometheus.read(&options).await;

    let names: Vec<_> = history.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["c:9100", "d:9100"]);
    assert_eq!(history.nodes.iter().map(|node| node.capacity).collect::<Vec<_>>(), [Some(100.0), Some(50.0)]);
    let window = history.whole_windows().start + 2;
    let load = history.figure(&Metric::Named("load".into()), 1, window).map(|figure| figure.mean);
    assert!(near(load, 14.0), "{load:?}");
    assert!(history.partial, "one of the queries is wrong");
    let said: Vec<_> = history.remarks.iter().map(|remark| remark.what.as_str()).collect();
    assert!(
        said.iter().any(|text| text.contains("own query: wrong: left out: ") && text.contains("parse error")),
        "{said:?}"
    );
    assert!(
        said.iter().any(|text| text.contains("own query: unlabelled: a series without a label instance")),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_time_without_samples_is_no_history() {
    let prometheus = with_hosts().await;
    let later = Options::new(&prometheus.url(), At((END + 86_400) * 1_000));
    let said = read(&later, &mut |_| {}).await.expect_err("nothing is there").to_string();
    assert!(said.contains("has nothing of node, kubernetes"), "{said}");
}

#[tokio::test]
async fn a_prometheus_behind_tls_and_a_password_is_read_by_who_has_both() {
    let dir = tempfile::tempdir().expect("a folder");
    put(dir.path(), &hosts());
    let issued =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("a certificate");
    let path = |name: &str| dir.path().join(name);
    fs::write(path("cert.pem"), issued.cert.pem()).expect("written");
    fs::write(path("key.pem"), issued.signing_key.serialize_pem()).expect("written");
    // What bcrypt makes of `abc`.
    let hash = "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";
    let web =
        format!("tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\nbasic_auth_users: {{me: {hash}}}\n");
    fs::write(path("web.yml"), web).expect("written");
    fs::write(path("password"), "abc\n").expect("written");
    fs::write(path("wrong"), "abd\n").expect("written");
    let (ca, password, wrong) = (path("cert.pem"), path("password"), path("wrong"));
    let prometheus = Prometheus::begin(dir, &[]);
    let url = format!("https://{}/prom", prometheus.address);
    let told = async |ca: Option<&PathBuf>, password: Option<&PathBuf>| {
        let basic = password.map(|file| ("me".to_owned(), file.clone()));
        let access = Access { url: url.clone(), ca: ca.cloned(), basic, ..Access::default() };
        read(&Options { access, ..Options::new("", At(END * 1_000)) }, &mut |_| {}).await
    };
    let mut last = String::new();
    let came = poll(async || match told(Some(&ca), Some(&password)).await {
        Ok(history) => history.nodes.len() == 4 && !history.partial,
        Err(why) => {
            last = why.to_string();
            false
        }
    })
    .await;
    assert!(came, "{last}; {}", prometheus.process.words());
    let table = [
        (told(Some(&ca), None).await, "refuses us with 401"),
        (told(Some(&ca), Some(&wrong)).await, "refuses us with 401"),
        (told(None, Some(&password)).await, "invalid peer certificate"),
    ];
    for (told, part) in table {
        let said = told.expect_err(part).to_string();
        assert!(said.contains(part) && !said.contains("abc") && !said.contains("abd"), "{said}");
    }
    let plain = Options::new(&format!("http://{}/prom", prometheus.address), At(END * 1_000));
    let said = read(&plain, &mut |_| {}).await.expect_err("TLS is wanted").to_string();
    assert!(said.contains("is not Prometheus's query API: it answers 400"), "{said}");
}

/// A page with a counter that grows by so much a second.
fn page_of(rate: f64) -> Served {
    let began = std::sync::OnceLock::new();
    Served::new(move || {
        let seconds = now().seconds() - began.get_or_init(|| now().seconds());
        format!("# TYPE app_requests_total counter\napp_requests_total {}\n", seconds * rate)
    })
}

#[tokio::test]
async fn what_a_prometheus_scrapes_of_real_programs_is_found_by_the_ready_sets() {
    let (haproxy, envoy) = (Haproxy::start().await, Envoy::start().await);
    let _clients = [Client::of(haproxy.clients), envoy.client()];
    let (exporter, hosts) = node_exporter().await;
    let pages = [page_of(30.0), page_of(10.0)];
    let stats = Served::new({
        let admin = envoy.admin;
        move || ask(admin, "/stats/prometheus").ok().and_then(|said| body(&said)).unwrap_or_default()
    });
    let jobs = [
        ("hosts", hosts),
        ("edge", haproxy.clients),
        ("mesh", stats.address),
        ("app", pages[0].address),
        ("app2", pages[1].address),
    ];
    let prometheus = Prometheus::start(tempfile::tempdir().expect("a folder"), &jobs).await;
    let own = serde_json::json!({"queries": [
        {"metric": "app requests", "query": "sum by ({by}) (rate(app_requests_total{{selector}}[{rate}]))", "node": "job"}]});
    let own: ambidex_insight::sources::prometheus::OwnQueries = serde_json::from_value(own).expect("queries");
    let of = |history: &History, metric: &Metric, name: &str| {
        let node = history.nodes.iter().position(|node| node.name == name)?;
        let series = history.series.get(metric)?.get(node)?;
        series.windows().filter_map(|window| series.at(window)).map(|figure| figure.mean).next_back()
    };
    let (edge, app) = (Metric::Requests, Metric::Named("app requests".into()));
    let mut last = String::new();
    let came = poll(async || {
        let step = Some(Span::from_secs(1));
        let options =
            Options { own: own.clone(), since: Span::from_secs(20), step, ..Options::new(&prometheus.url(), now()) };
        match read(&options, &mut |_| {}).await {
            Ok(history) => {
                let ratio = |metric, more, less| Some(of(&history, metric, more)? / of(&history, metric, less)?);
                let all = [
                    ratio(&edge, "w0", "w1").is_some_and(|ratio| (1.6..2.4).contains(&ratio)),
                    ratio(&app, "app", "app2").is_some_and(|ratio| (2.5..3.5).contains(&ratio)),
                    of(&history, &Metric::Weight, "w0") == Some(20.0),
                    of(&history, &Metric::Busy, "w0").is_some_and(|busy| busy > 0.0),
                    of(&history, &Metric::Named("mean latency".into()), "w0").is_some_and(|seconds| seconds > 0.004),
                    of(&history, &Metric::Cpu, &hosts.to_string()).is_some_and(|cpu| (0.0..=1.0).contains(&cpu)),
                    of(&history, &Metric::Memory, &hosts.to_string())
                        .is_some_and(|memory| (0.0..1.0).contains(&memory)),
                    of(&history, &Metric::Requests, &stats.address.to_string()).is_some_and(|rate| rate > 1.0),
                    of(&history, &Metric::LatencyP95, &stats.address.to_string())
                        .is_some_and(|seconds| (0.002..1.0).contains(&seconds)),
                    of(&history, &Metric::Connections, &stats.address.to_string()).is_some(),
                ];
                last = format!("{all:?} {:?}", history.remarks);
                !history.partial && all.into_iter().all(|so| so)
            }
            Err(why) => {
                last = why.to_string();
                false
            }
        }
    })
    .await;
    drop(exporter);
    assert!(came, "{last}\n{}", prometheus.process.words());
}

#[tokio::test]
async fn what_a_prometheus_sends_by_remote_write_is_what_it_scraped() {
    let options = receive::Options { window: 5, ..receive::Options::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]) };
    let receiver = Receiver::open(&options).await.expect("a free port");
    let dir = tempfile::tempdir().expect("a folder");
    let to = format!("remote_write: [{{url: 'http://{}/api/v1/write'}}]\n", receiver.addresses()[0]);
    fs::write(dir.path().join("remote_write.yml"), to).expect("written");
    let (exporter, hosts) = node_exporter().await;
    let page = |name: &str, rate: f64| {
        let (name, began) = (name.to_owned(), std::sync::OnceLock::new());
        Served::new(move || {
            let grown = (now().seconds() - began.get_or_init(|| now().seconds())) * rate;
            let count = grown.floor();
            format!(
                "# TYPE {name} histogram\n{name}_bucket{{le=\"0.1\"}} {count}\n{name}_bucket{{le=\"+Inf\"}} {count}\n\
                 {name}_sum {}\n{name}_count {count}\n# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight {rate}\n",
                grown * 0.05
            )
        })
    };
    let pages = [page("http_request_duration_seconds", 40.0), page("http_request_duration_seconds", 10.0)];
    let jobs = [("hosts", hosts), ("app", pages[0].address), ("app", pages[1].address)];
    let prometheus = Prometheus::start(dir, &jobs).await;
    let (more, less) = (pages[0].address.to_string(), pages[1].address.to_string());
    let of = |history: &History, metric: &Metric, name: &str| {
        let node = history.nodes.iter().position(|node| node.name == name)?;
        let series = history.series.get(metric)?.get(node)?;
        // The last window may not be over.
        let figures: Vec<_> = series.windows().filter_map(|window| series.at(window)).collect();
        figures.len().checked_sub(2).map(|at| figures[at].mean)
    };
    let mut last = String::new();
    let came = poll(async || {
        let history = receiver.history();
        let ratio = Some(())
            .and_then(|()| Some(of(&history, &Metric::Requests, &more)? / of(&history, &Metric::Requests, &less)?));
        let latency = history
            .traffic
            .blocks
            .values()
            .flat_map(|block| block.latency.values())
            .map(|all| all.count())
            .sum::<u64>();
        let all = [
            ratio.is_some_and(|ratio| (2.5..6.0).contains(&ratio)),
            of(&history, &Metric::Busy, &more).is_some_and(|busy| (0.5..8.0).contains(&busy)),
            of(&history, &Metric::InFlight, &less) == Some(10.0),
            of(&history, &Metric::Cpu, &hosts.to_string()).is_some_and(|cpu| (0.0..=1.0).contains(&cpu)),
            of(&history, &Metric::Memory, &hosts.to_string()).is_some_and(|memory| (0.0..1.0).contains(&memory)),
            of(&history, &Metric::Network, &hosts.to_string()).is_some(),
            latency > 50,
            history.nodes.iter().all(|node| node.peers.service.is_some()),
        ];
        last = format!("{all:?} {ratio:?} {:?}", history.remarks);
        all.into_iter().all(|so| so)
    })
    .await;
    drop(exporter);
    assert!(came, "{last}\n{}", prometheus.process.words());
}

fn body(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return Some(body.to_owned());
    }
    let (mut rest, mut whole) = (body, String::new());
    loop {
        let (size, more) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(more.get(..size)?);
        rest = more.get(size..)?.strip_prefix("\r\n")?;
    }
}

async fn node_exporter() -> (Process, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address={address}"));
    let mut process = Process::start(command, tempfile::tempdir().expect("a folder"));
    let came = poll(async || process.has_ended() || ask(address, "/metrics").is_ok()).await;
    assert!(came && !process.has_ended(), "{}", process.words());
    (process, address)
}
