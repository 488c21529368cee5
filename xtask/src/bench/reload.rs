//! `bench reload`: changes of weights and of the whole configuration under load lose no request and no connection.
//!
//! Two loads run throughout: one on keep-alive connections, one with a connection for each request. Counted are failed
//! requests, and idle connections that were closed without `Connection: close` before.

use std::fs;

use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::peer::{Balancer, Peer, Upstream, post};
use ambidex_lab::worker::{self, ReportStyle, WorkerOptions};
use ambidex_lab::{Span, poll, rest};
use anyhow::{Context as _, Result, bail};

use super::rows::{Row, Samples, publish};
use super::{Extent, binary};

const WEIGHT_CHANGES: usize = 1_000;
const RELOADS: usize = 100;

pub(super) fn run(extent: &Extent) -> Result<()> {
    let fleet = ["a", "b", "c"].map(|name| WorkerOptions {
        name: name.into(),
        slots: 64,
        report: ReportStyle::ServerLoad,
        ..WorkerOptions::default()
    });
    let workers = worker::start_all(fleet.into())?;
    let upstreams: Vec<Upstream> = workers
        .iter()
        .map(|worker| Upstream { name: worker.name.clone(), address: worker.address, weight: 1 })
        .collect();
    let peer = Peer::Ambidex { balance: "auto", threads: 2, binary: binary(&extent.profile)? };
    let balancer = peer.start(&upstreams)?;
    let mut rows = Vec::new();
    let weights = under_load(&balancer, || change_weights(&balancer))?;
    rows.extend(rows_of(&format!("{WEIGHT_CHANGES} weight changes"), &weights));
    let reloads = under_load(&balancer, || reload(&balancer))?;
    rows.extend(rows_of(&format!("{RELOADS} reloads"), &reloads));
    publish("reload", &rows)
}

/// What the two loads saw while `act` ran.
struct Seen {
    failed: f64,
    closed: f64,
    p99: f64,
    requests: f64,
}

fn under_load(balancer: &Balancer, act: impl FnOnce() -> Result<()>) -> Result<Seen> {
    let options = LoadOptions {
        target: balancer.address,
        duration: Span::from_secs(600),
        rate: 1_000.0,
        connections: 64,
        ..LoadOptions::default()
    };
    let kept = load::start(options.clone())?;
    let made = load::start(LoadOptions { rate: 200.0, requests_per_connection: 1, seed: 2, ..options })?;
    if !poll(Span::from_secs(10), || kept.elapsed() > Span::from_millis(500)) {
        bail!("the load did not begin");
    }
    act()?;
    let outcomes = [kept, made].map(Load::stop);
    for outcome in &outcomes {
        println!("{outcome}");
    }
    let [kept, made] = outcomes;
    Ok(Seen {
        failed: (kept.failures.total() + made.failures.total()) as f64,
        closed: kept.closed_idle as f64,
        p99: kept.latency.p99_ms,
        requests: (kept.offered + made.offered) as f64,
    })
}

fn change_weights(balancer: &Balancer) -> Result<()> {
    let token = fs::read_to_string(balancer.process.dir().join("data/token")).context("the admin token")?;
    for change in 0..WEIGHT_CHANGES {
        let worker = ["a", "b", "c"][change % 3];
        let weight = [0.5, 1.0, 1.5][change / 3 % 3];
        let path = format!("/api/v1/pools/workers/workers/{worker}/pin");
        posted(balancer, &path, token.trim(), &format!("{{\"weight\": {weight}}}"))?;
        rest(Span::from_millis(5));
    }
    Ok(())
}

fn reload(balancer: &Balancer) -> Result<()> {
    let token = fs::read_to_string(balancer.process.dir().join("data/token")).context("the admin token")?;
    let file = balancer.process.dir().join("ambidex.yaml");
    let text = fs::read_to_string(&file)?;
    for change in 0..RELOADS {
        let deadline = format!("  - pool: workers\n    deadline: {}s\n", 20 + change);
        let fresh = balancer.process.dir().join("ambidex.yaml.new");
        fs::write(
            &fresh,
            text.replace("  - pool: workers\n", &deadline).replace("weight: 1", &format!("weight: {}", 1 + change % 3)),
        )?;
        fs::rename(&fresh, &file)?;
        posted(balancer, "/api/v1/config/reload", token.trim(), "{}")?;
        rest(Span::from_millis(50));
    }
    Ok(())
}

fn posted(balancer: &Balancer, path: &str, token: &str, body: &str) -> Result<()> {
    let admin = balancer.admin.context("ours has an admin API")?;
    let (status, answer) = post(admin, path, token, body)?;
    if status >= 300 {
        bail!("POST {path} {body} was answered:\n{}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

fn rows_of(what: &str, seen: &Seen) -> [Row; 3] {
    let row =
        |metric: String, unit, goal, value| Row { metric, unit, goal, ours: Samples(vec![value]), ..Row::default() };
    println!("{what}: {} requests", seen.requests);
    [
        row(format!("{what}: failed requests"), "", Some(0.0), seen.failed),
        row(format!("{what}: idle connections closed unannounced"), "", Some(0.0), seen.closed),
        row(format!("{what}: p99 meanwhile"), "ms", None, seen.p99),
    ]
}
