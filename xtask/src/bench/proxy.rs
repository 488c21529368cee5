//! `bench proxy`: what a request costs each balancer, one thread each, before the same three cheap workers.
//!
//! The processor time is the process's own accounting over wrk's count of requests; added latency is measured with
//! our open-loop generator at half the rate that the slowest of them can carry, against the same load straight to a
//! worker.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::peer::{Balancer, Origin, OriginOptions, Peer, Upstream, get};
use ambidex_lab::{Span, rest};
use anyhow::{Context as _, Result, bail};

use super::rows::{Row, Samples, publish};
use super::{Extent, binary, envoy};

/// What is asked for: a name, a path, the bytes of the answer, and whether each request makes a connection.
struct Shape {
    name: &'static str,
    path: &'static str,
    bytes: usize,
    connection_each: bool,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "200 B", path: "/", bytes: 200, connection_each: false },
    Shape { name: "16 KiB", path: "/16k", bytes: 16 << 10, connection_each: false },
    Shape { name: "1 MiB", path: "/1m", bytes: 1 << 20, connection_each: false },
    Shape { name: "connection per request", path: "/", bytes: 200, connection_each: true },
];

/// Kernel, wrk and workers share two cores with the balancer; this many connections keep it busy.
const CONNECTIONS: usize = 64;
const IDLE: usize = 1_000;

pub(super) fn run(extent: &Extent) -> Result<()> {
    let origin = Origin::start(&["a", "b", "c"], OriginOptions::default())?;
    let upstreams: Vec<Upstream> = origin
        .addresses
        .iter()
        .zip(["a", "b", "c"])
        .map(|(address, name)| Upstream { name: name.into(), address: *address, weight: 1 })
        .collect();
    let peers = [
        Peer::Ambidex { balance: "prequal", threads: 1, binary: binary()? },
        Peer::Haproxy { balance: "roundrobin" },
        Peer::Nginx { balance: "" },
        envoy("ROUND_ROBIN")?,
    ];
    let mut arms = Vec::new();
    for peer in &peers {
        let balancer = peer.start(&upstreams).with_context(|| peer.name())?;
        for shape in &SHAPES {
            answers_right(&balancer, shape).with_context(|| peer.name())?;
        }
        arms.push((peer.name(), balancer));
    }
    println!("all answer right; {} rounds of {} s", extent.repeats, extent.seconds);
    let mut rows = Vec::new();
    let mut half = 0.0;
    for shape in SHAPES.iter().filter(|shape| extent.covers(shape.name)) {
        let [cpu, rate] = throughput(&arms, shape, extent)?;
        if half <= 0.0 {
            half = rate.iter().map(Samples::median).fold(f64::INFINITY, f64::min) / 2.0;
        }
        let cost = format!("CPU per request, {}", shape.name);
        if shape.path == "/" && !shape.connection_each {
            for (bound, goal) in [("1.15x HAProxy's", 1.15 * cpu[1].median()), ("0.4x Envoy's", 0.4 * cpu[3].median())]
            {
                rows.push(row(&arms, format!("{cost}, at most {bound}"), "us", Some(goal), &cpu));
            }
        } else {
            rows.push(row(&arms, cost, "us", None, &cpu));
        }
        rows.push(row(&arms, format!("most requests, {}", shape.name), "1/s", None, &rate));
    }
    if extent.covers("latency") {
        let half = if half > 0.0 { half } else { 3_000.0 };
        let [p50, p99] = added(&arms, origin.addresses[0], half, extent)?;
        rows.push(row(&arms, format!("p50 added at {half:.0}/s"), "ms", None, &p50));
        rows.push(row(&arms, format!("p99 added at {half:.0}/s"), "ms", None, &p99));
    }
    drop(arms);
    if extent.covers("memory") {
        rows.push(memory(&peers, &upstreams)?);
    }
    publish("proxy", &rows)
}

fn row(arms: &[(String, Balancer)], metric: String, unit: &'static str, goal: Option<f64>, all: &[Samples]) -> Row {
    let peers = arms.iter().zip(all).skip(1).map(|((name, _), samples)| (name.clone(), samples.clone())).collect();
    Row { metric, unit, goal, ours: all[0].clone(), peers }
}

fn answers_right(balancer: &Balancer, shape: &Shape) -> Result<()> {
    let (status, answer) = get(balancer.address, shape.path)?;
    let body = answer.iter().rev().take_while(|byte| **byte == b'x').count();
    if status != 200 || body != shape.bytes {
        bail!("{} is answered with {status} and {body} bytes instead of {}", shape.path, shape.bytes);
    }
    Ok(())
}

/// CPU per request and requests a second of every arm, saturated.
fn throughput(arms: &[(String, Balancer)], shape: &Shape, extent: &Extent) -> Result<[Vec<Samples>; 2]> {
    let mut cpu = vec![Samples::default(); arms.len()];
    let mut rate = cpu.clone();
    for round in 0..=extent.repeats {
        for (index, (name, balancer)) in arms.iter().enumerate() {
            // Round 0 warms up connections and caches.
            let seconds = if round == 0 { 1 } else { extent.seconds };
            let before = balancer.process.cpu();
            let (requests, per_second) = wrk(balancer.address, shape, seconds).with_context(|| name.clone())?;
            let spent = balancer.process.cpu() - before;
            if round > 0 {
                let micros = spent.as_secs_f64() * 1e6 / requests;
                println!("{} round {round} {name}: {micros:.2} us, {per_second:.0}/s", shape.name);
                cpu[index].0.push(micros);
                rate[index].0.push(per_second);
            }
        }
    }
    Ok([cpu, rate])
}

/// Loads with wrk; gives the requests answered and the rate. A bad answer is an error: fast failures are not speed.
fn wrk(address: SocketAddr, shape: &Shape, seconds: u64) -> Result<(f64, f64)> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")]);
    if shape.connection_each {
        command.args(["-H", "Connection: close"]);
    }
    let output = command.arg(format!("http://{address}{}", shape.path)).output().context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("Non-2xx") || (text.contains("Socket errors") && !shape.connection_each) {
        bail!("wrk saw failures:\n{text}");
    }
    let number = |before: &str, after: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.contains(before) && line.contains(after))?;
        line.split_whitespace().find_map(|word| word.parse().ok())
    };
    let requests = number("requests in", "").with_context(|| format!("wrk printed no count:\n{text}"))?;
    let rate = number("Requests/sec:", "").context("wrk printed no rate")?;
    Ok((requests, rate))
}

/// p50 and p99 that each arm adds to a worker's own, at `rate`.
fn added(arms: &[(String, Balancer)], direct: SocketAddr, rate: f64, extent: &Extent) -> Result<[Vec<Samples>; 2]> {
    let mut p50 = vec![Samples::default(); arms.len()];
    let mut p99 = p50.clone();
    for round in 0..extent.repeats {
        let bare = quantiles(direct, rate, extent, round)?;
        for (index, (name, balancer)) in arms.iter().enumerate() {
            let through = quantiles(balancer.address, rate, extent, round).with_context(|| name.clone())?;
            println!(
                "latency round {round} {name}: p50 {:.3} ms, p99 {:.3} ms (bare {:.3}, {:.3})",
                through.0, through.1, bare.0, bare.1
            );
            p50[index].0.push(through.0 - bare.0);
            p99[index].0.push(through.1 - bare.1);
        }
    }
    Ok([p50, p99])
}

fn quantiles(target: SocketAddr, rate: f64, extent: &Extent, round: usize) -> Result<(f64, f64)> {
    let options = LoadOptions {
        target,
        rate,
        connections: CONNECTIONS,
        duration: Span::from_secs(extent.seconds),
        seed: round as u64 + 1,
        ..LoadOptions::default()
    };
    let mut outcome = load::start(options.clone())?.finish();
    for _ in 0..2 {
        if !outcome.held {
            println!("the generator fell behind; again");
            outcome = load::start(options.clone())?.finish();
        }
    }
    Ok((outcome.latency.p50_ms, outcome.latency.p99_ms))
}

/// Resident memory of fresh processes that hold idle keep-alive connections, each of which has been used.
fn memory(peers: &[Peer], upstreams: &[Upstream]) -> Result<Row> {
    let mut all = Vec::new();
    for peer in peers {
        let balancer = peer.start(upstreams)?;
        let mut idle = Vec::new();
        for _ in 0..IDLE {
            let mut stream = TcpStream::connect(balancer.address)?;
            write!(stream, "GET / HTTP/1.1\r\nhost: {}\r\n\r\n", balancer.address)?;
            let mut answer = Vec::new();
            while !answer.ends_with(&[b'x'; 200]) {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece)?;
                if read == 0 {
                    bail!("{} closed a connection under us", peer.name());
                }
                answer.extend_from_slice(&piece[..read]);
            }
            idle.push(stream);
        }
        rest(Span::from_secs(1));
        let mib = balancer.process.resident_kib() as f64 / 1024.0;
        println!("memory {}: {mib:.1} MiB", peer.name());
        all.push((peer.name(), Samples(vec![mib])));
    }
    let ours = all.remove(0).1;
    Ok(Row { metric: format!("RSS with {IDLE} idle connections"), unit: "MiB", goal: None, ours, peers: all })
}
