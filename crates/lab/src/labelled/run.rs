//! One labelled run: the processes, the traffic, the evidence, and the label by what clients saw.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::plan::{Case, Ill};
use super::proxy::{self, BOUND};
use super::table::{HEAD, Known, rows};
use crate::clock::rest;
use crate::load::{self, Load, LoadClass, LoadError, LoadOptions, Outcome, Skew};
use crate::peer::{PeerError, Process, free_port, nginx_with};
use crate::service::Service;
use crate::worker::{self, Pauses, Worker, WorkerError, WorkerOptions};

/// What a run leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Evidence {
    /// An access log of nginx, a JSON object a line.
    AccessLog(PathBuf),
    /// A table of what clients counted.
    Csv(PathBuf),
}

/// What was so in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// What was arranged.
    pub case: Case,
    /// The ill nodes, as the evidence names them.
    pub nodes: Vec<String>,
    /// Others that something is wrong with, too: naming them is right.
    pub also: Vec<String>,
    /// The least relative load of an ill node as clients saw it: of requests, or of time where the node is slow. 1 is fair; of
    /// a healthy run the most of any node.
    pub seen: f64,
    /// Requests answered well.
    pub requests: u64,
    /// What there is to find it by.
    pub evidence: Evidence,
}

/// Why a run did not run.
#[derive(Debug, Error)]
pub enum LabelError {
    /// nginx.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The generator.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody answered.
    #[error("run {number}: only {ok} of {offered} requests were answered")]
    Unanswered {
        /// Of which case.
        number: usize,
        /// Answered well.
        ok: u64,
        /// Sent.
        offered: u64,
    },
}

/// Runs a case for so many seconds, and leaves its evidence in `folder`.
///
/// # Errors
/// Something did not start, or most requests were not answered: then there is nothing to label.
pub fn run(case: &Case, folder: &Path, seconds: u64) -> Result<Label, LabelError> {
    let workers = worker::start_all((0..case.nodes).map(|at| options(case, at)).collect())?;
    let addresses: Vec<SocketAddr> = workers.iter().map(|worker| worker.address).collect();
    let log = folder.join(format!("{}.log", case.number));
    let (evidence, outcomes) = if is_logged(case) {
        let (_nginx, target) = proxied(case, &addresses, &log)?;
        let load = load::start(LoadOptions { duration: Span::from_secs(seconds), ..through(case, target) })?;
        (Evidence::AccessLog(log), vec![load.finish()])
    } else {
        let (_nginx, loads) = if matches!(case.ill, Some(Ill::Weights) | None) {
            let (nginx, target) = proxied(case, &addresses, &log)?;
            (Some(nginx), vec![load::start(through(case, target))?])
        } else {
            (None, direct(case, &addresses)?)
        };
        let path = folder.join(format!("{}.csv", case.number));
        let written = watched(case, &workers, &loads, &path, seconds);
        written.map_err(|source| LabelError::File { path: path.clone(), source })?;
        (Evidence::Csv(path), loads.into_iter().map(Load::stop).collect())
    };
    label(case, evidence, &workers, &outcomes)
}

/// Half of the healthy ones have a log.
fn is_logged(case: &Case) -> bool {
    match case.ill {
        Some(
            Ill::HotKey
            | Ill::OneClient
            | Ill::BiasedPartitioner
            | Ill::StickySessions
            | Ill::RouteAffinity
            | Ill::Hardware
            | Ill::RetryAmplification,
        ) => true,
        Some(Ill::Weights | Ill::ConnectionSkew | Ill::Locality | Ill::GarbageCollection) => false,
        None => case.number.is_multiple_of(2),
    }
}

fn proxied(case: &Case, workers: &[SocketAddr], log: &Path) -> Result<(Process, SocketAddr), LabelError> {
    let listen = free_port().map_err(|source| PeerError::Start { name: "nginx".into(), source })?;
    let nginx = nginx_with(&proxy::configuration(case, listen, workers, log), listen)?;
    Ok((nginx, listen))
}

fn name(at: usize) -> String {
    format!("node-{at}")
}

fn options(case: &Case, at: usize) -> WorkerOptions {
    let ill = case.ill_nodes().contains(&at);
    let slow = ill && case.ill == Some(Ill::Hardware);
    WorkerOptions {
        name: name(at),
        slots: 64,
        service: Service::constant(SERVICE),
        costs: [("/report".to_owned(), DEAR)].into(),
        slowdown: if slow { slowdown(case) } else { 1.0 },
        pauses: (ill && case.ill == Some(Ill::GarbageCollection)).then(|| pauses(case)),
        error_share: if case.failing().contains(&at) { FAILS } else { Share::NONE },
        seed: case.seed * 1_000 + at as u64,
        ..WorkerOptions::default()
    }
}

/// How slow a node is that is to have so much of all busy time at its part of the requests.
fn slowdown(case: &Case) -> f64 {
    let (each, other) = case.parts();
    each / other
}

/// Pauses that make requests take so much longer: one that comes in a pause of length L, of every T, waits for the half of it, and
/// so does one that is under way.
fn pauses(case: &Case) -> Pauses {
    let (every, service) = (0.5, SERVICE.as_secs_f64());
    let length = (2.0 * every * service * (slowdown(case) - 1.0)).sqrt().min(0.8 * every);
    Pauses { length: Span::from_secs_f64(length), every: Span::from_secs_f64(every), first: Span::ZERO }
}

/// Requests through nginx.
fn through(case: &Case, target: SocketAddr) -> LoadOptions {
    let header = |name: &str| Some(format!("x-{name}"));
    let (bound, other) = match case.ill {
        Some(Ill::StickySessions) => ("session", "client"),
        Some(Ill::HotKey) => ("session", "client"),
        Some(Ill::OneClient) => ("session", "tenant"),
        Some(_) | None => ("key", "client"),
    };
    LoadOptions {
        path: "/item".into(),
        classes: classes(case),
        keys: Some(Skew { count: BOUND, zipf: 0.0, header: header(bound) }),
        tenants: Some(Skew { count: 50, zipf: 0.0, header: header(other) }),
        connections: 128,
        seed: case.seed * 1_000 + case.number as u64,
        ..LoadOptions::beside(target, RATE * case.nodes as f64)
    }
}

/// What some requests have that others have not.
fn classes(case: &Case) -> Vec<LoadClass> {
    let class = |name: String, share: f64, path: Option<&str>, fields: Vec<(String, String)>| LoadClass {
        name,
        share: Share::clamped(share),
        path: path.map(str::to_owned),
        method: None,
        body_bytes: None,
        fields,
    };
    // What one of them has beyond its part of what is spread over all nodes.
    let (each, _) = case.parts();
    let nodes = case.nodes as f64;
    let heavy = (each * nodes - 1.0) / (nodes - 1.0);
    let named = |header: &str| {
        let one = |(number, share): (u32, f64)| {
            class(format!("{header}-{number}"), share, None, vec![(format!("x-{header}"), number.to_string())])
        };
        let others = 60;
        let rest = (1.0 - heavy) / f64::from(others);
        // The first has its own part of the rest beside it, as it is one of them.
        (0..others).map(|number| (number, if number == 0 { heavy + rest } else { rest })).map(one).collect()
    };
    match case.ill {
        Some(Ill::HotKey) => named("tenant"),
        Some(Ill::OneClient) => named("client"),
        Some(Ill::RouteAffinity) => {
            // Dear requests are fewer for the same load.
            let part = heavy / DEAR;
            let rest = (1.0 - heavy) / 4.0;
            let whole = part + 4.0 * rest;
            let mut all = vec![class("report".into(), part / whole, Some("/report"), Vec::new())];
            let plain = ["/cart", "/item", "/login", "/search"];
            all.extend(plain.map(|path| class(path[1..].into(), rest / whole, Some(path), Vec::new())));
            all
        }
        Some(_) | None => Vec::new(),
    }
}

/// Requests of clients that choose nodes themselves.
fn direct(case: &Case, workers: &[SocketAddr]) -> Result<Vec<Load>, LoadError> {
    let ill = case.ill_nodes();
    let uneven = matches!(case.ill, Some(Ill::ConnectionSkew | Ill::Locality));
    let (each, other) = if uneven { case.parts() } else { (1.0 / case.nodes as f64, 1.0 / case.nodes as f64) };
    let to = |(at, target): (usize, &SocketAddr)| {
        let part = if ill.contains(&at) { each } else { other };
        let held = if case.ill == Some(Ill::ConnectionSkew) { part * case.nodes as f64 } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
        let connections = (held * CONNECTIONS).round().max(2.0) as usize;
        let rate = RATE * case.nodes as f64 * part;
        let seed = case.seed * 10_000 + (case.number * 100 + at) as u64;
        load::start(LoadOptions { connections, seed, ..LoadOptions::beside(*target, rate) })
    };
    workers.iter().enumerate().map(to).collect()
}

/// Writes a row a node each second.
fn watched(case: &Case, workers: &[Worker], loads: &[Load], path: &Path, seconds: u64) -> io::Result<()> {
    let (ill, weights) = (case.ill_nodes(), proxy::weights(case));
    let zone = |at: usize| if case.ill == Some(Ill::Locality) && ill.contains(&at) { "a" } else { "b" };
    let collecting = |at: usize| match case.ill {
        Some(Ill::GarbageCollection) if ill.contains(&at) => {
            let Pauses { length, every, .. } = pauses(case);
            length.as_secs_f64() / every.as_secs_f64()
        }
        Some(_) | None => USUAL_COLLECTING,
    };
    let known: Vec<Known> = (workers.iter().enumerate())
        .map(|(at, worker)| Known {
            name: name(at),
            zone: zone(at),
            address: worker.address,
            weight: weights[at],
            collecting: collecting(at),
        })
        .collect();
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(HEAD.as_bytes())?;
    for second in 0..=seconds {
        rest(Span::from_secs(1));
        // What came before is the start of everything.
        if second == 0 {
            loads.iter().for_each(|load| drop(load.lately()));
        } else {
            rows(&mut out, EPOCH + second, &known, loads)?;
        }
    }
    out.flush()
}

fn label(case: &Case, evidence: Evidence, workers: &[Worker], outcomes: &[Outcome]) -> Result<Label, LabelError> {
    let (mut requests, mut time) = (vec![0.0; case.nodes], vec![0.0; case.nodes]);
    for worker in outcomes.iter().flat_map(|outcome| &outcome.workers) {
        let Some(at) = (0..case.nodes).find(|at| name(*at) == worker.name) else { continue };
        requests[at] += worker.requests as f64;
        time[at] += worker.requests as f64 * worker.latency.mean_ms;
    }
    let (ok, offered) = outcomes.iter().fold((0, 0), |(ok, all), outcome| (ok + outcome.ok, all + outcome.offered));
    if ok * 10 < offered * 9 || ok == 0 {
        return Err(LabelError::Unanswered { number: case.number, ok, offered });
    }
    let slow = matches!(case.ill, Some(Ill::Hardware | Ill::GarbageCollection | Ill::RouteAffinity));
    if case.ill == Some(Ill::RetryAmplification) {
        // What failed at first no client saw.
        requests = workers.iter().map(|worker| worker.came() as f64).collect();
    }
    let load = if slow { &time } else { &requests };
    let fair = load.iter().sum::<f64>() / case.nodes as f64;
    let relative = |at: usize| load[at] / fair;
    let ill = case.ill_nodes();
    let seen = if ill.is_empty() {
        (0..case.nodes).map(relative).fold(0.0, f64::max)
    } else {
        ill.iter().map(|at| relative(*at)).fold(f64::INFINITY, f64::min)
    };
    let called = |at: &usize| match &evidence {
        Evidence::AccessLog(_) => workers[*at].address.to_string(),
        Evidence::Csv(_) => name(*at),
    };
    let (nodes, also) = (ill.iter().map(called).collect(), case.failing().iter().map(called).collect());
    Ok(Label { case: *case, nodes, also, seen, requests: ok, evidence })
}

/// What a request costs.
const SERVICE: Span = Span::from_millis(12);
/// How many times as much a report does.
const DEAR: f64 = 2.0;
/// Requests a second and node.
const RATE: f64 = 30.0;
/// The part of its requests that a node fails that fails. Source: ours.
const FAILS: Share = Share::percent(90);
/// Connections that clients hold to a node that has its part of them.
const CONNECTIONS: f64 = 12.0;
/// The part of its time that every node collects garbage for.
const USUAL_COLLECTING: f64 = 0.01;
/// When tables begin, in seconds since 1970: a Monday.
const EPOCH: u64 = 1_767_571_200;
