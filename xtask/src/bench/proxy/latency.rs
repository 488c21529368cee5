//! Latency that each balancer adds to a worker's own, by the lab's open-loop generator.

use std::net::SocketAddr;

use ambidex_lab::Span;
use ambidex_lab::load::{self, LoadOptions};
use anyhow::{Context as _, Result};

use super::{Arms, CONNECTIONS};
use crate::bench::Extent;
use crate::bench::rows::Samples;

/// p50 and p99 that each arm adds to a worker's own, at `rate`.
pub(super) fn added(arms: &Arms, direct: SocketAddr, rate: f64, extent: &Extent) -> Result<[Vec<Samples>; 2]> {
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
