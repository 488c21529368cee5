//! What second chances cost while nothing happens: CPU per request with all of them configured, beside the plain gateway.

use ambidex_lab::peer::{Balancer, Origin, OriginOptions, Upstream, get};
use anyhow::{Context as _, Result, bail};

use super::super::proxy::generators::wrk;
use super::super::rows::{Bound, Row, Samples};
use super::Bench;

/// Everything that a route can be told, so that none of it has a reason to act on a GET that a quick worker answers well:
/// no limit is near, nothing of the answer may be kept, no request is urgent enough for a quorum or has a key.
const IDLE: [&str; 11] = [
    "keep_body: 32KiB",
    "deadline: {adaptive: {least: 30s, most: 60s}}",
    "pass_deadline: true",
    "rate_limit: {requests: 10000000}",
    "cache: {}",
    "deduplicate: {}",
    "quorum: {ask: 2, urgency: 0}",
    "retry: {sent: on, answers: on}",
    "first_try: {after: 10s}",
    "hedge: {after: 2s, budget: 5%}",
    "fallback: [{static: {status: 503, body: busy, type: text/plain}}]",
];

/// The same of its pool.
const IDLE_POOL: [&str; 4] = [
    "breaker: {errors: on, latency: on, latency_least: 10s, slow_over: 30s, queue_most: 100000}",
    "bulkhead: {per_worker: 1000, waiting: 100}",
    "throttle: {window: 2m}",
    "health: {tcp: {}}",
];

pub(super) fn rows(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let origin = Origin::start(&["a", "b", "c"], OriginOptions { reports: true, ..OriginOptions::default() })?;
    let named = origin.addresses.iter().zip(["a", "b", "c"]);
    let upstreams: Vec<Upstream> =
        named.map(|(address, name)| Upstream { name: name.into(), address: *address, weight: 1 }).collect();
    let mut full = bench.ours(&IDLE);
    full.setup.pool = IDLE_POOL.map(str::to_owned).to_vec();
    let (full, plain) = (full.before(&upstreams)?, bench.ours(&[]).before(&upstreams)?);
    let mut cpu = [Samples::default(), Samples::default()];
    for round in 0..=bench.extent.repeats {
        for (balancer, cpu) in [&full, &plain].into_iter().zip(&mut cpu) {
            // Round 0 warms up connections and caches.
            let seconds = if round == 0 { 1 } else { bench.extent.seconds };
            let before = balancer.process.cpu();
            let count = wrk(balancer.address, "/", 200, false, seconds)?;
            let micros = (balancer.process.cpu() - before).as_secs_f64() * 1e6 / count.answered;
            if count.failed > 0.0 {
                bail!("{} requests failed", count.failed);
            }
            if round > 0 {
                println!("cost round {round}: {micros:.2} us, {:.0}/s", count.answered / count.seconds);
                cpu.0.push(micros);
            }
        }
    }
    let kept = answered_by_the_cache(&full)?;
    if kept > 0.0 {
        bail!("{kept} requests never came to a worker: the cache was not idle");
    }
    let [ours, plain] = cpu;
    let ratio = Samples(ours.0.iter().zip(&plain.0).map(|(ours, plain)| ours / plain).collect());
    let peers = vec![("the plain gateway".to_owned(), plain)];
    let bounds = vec![Bound { peer: "the plain gateway", most: 1.05, stretch: None }];
    Ok(vec![
        Row {
            metric: "cost: CPU per request, everything configured and idle, of the plain gateway's".into(),
            goal: Some(1.05),
            ours: ratio,
            ..Row::default()
        },
        Row { metric: "cost: CPU per request, 200 B".into(), unit: "us", ours, peers, bounds, ..Row::default() },
    ])
}

/// By the gateway's own count.
fn answered_by_the_cache(gateway: &Balancer) -> Result<f64> {
    let (_, page) = get(gateway.admin.context("it has its admin API")?, "/metrics")?;
    let page = String::from_utf8_lossy(&page).into_owned();
    let answered = ["outcome=\"hit\"", "outcome=\"stale\""];
    let lines = page.lines().filter(|line| line.starts_with("ambidex_gateway_cache_requests_total"));
    let lines = lines.filter(|line| answered.iter().any(|word| line.contains(word)));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}
