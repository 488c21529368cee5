//! `bench proxy`: what a request costs each balancer before the same three cheap workers.
//!
//! ```text
//! wrk | h2load | our TLS client -> balancer, N threads -> nginx as three workers, which report in every answer
//! ```
//! Ours runs with every feature of the loop on: `prequal`, `weights: capacity`, breaker and retry budget by their
//! defaults, reports (`Server-Load`) on every answer, metrics and admin API; the access log is off, as everywhere. The
//! workers send the same answers to all; the peers pass the report on, ours reads and removes it.
//!
//! The processor time is the process's own accounting (`/proc`, user and system) over the generator's count of right
//! answers, so the generator and the workers may share the cores.

pub(super) mod generators;
mod latency;
mod memory;
mod parts;
mod tls;

use std::path::PathBuf;

use ambidex_lab::peer::{Balancer, Doors, Origin, OriginOptions, Peer, Setup, Upstream, get};
use anyhow::{Context as _, Result, bail};

use self::generators::Count;
use self::parts::{Part, Way};
use self::tls::Site;
use super::rows::{Row, Samples, publish};
use super::{Extent, binary, envoy};
use crate::env;

/// Balancers that run, with their names; ours is the first.
type Arms = [(String, Balancer)];

/// Kernel, generator and workers share two cores with the balancer; this many connections, or streams, keep it busy.
const CONNECTIONS: usize = 64;

pub(super) fn run(extent: &Extent) -> Result<()> {
    let parts = parts::chosen(extent.only.as_deref())?;
    let options = OriginOptions { reports: true, ..OriginOptions::default() };
    let bench = Bench {
        extent,
        origin: Origin::start(&["a", "b", "c"], options)?,
        site: Site::write(&env::workspace().join("target/bench/site"))?,
        binary: binary(&extent.profile)?,
    };
    let mut rows = Vec::new();
    for same in parts.chunk_by(|one, other| one.threads == other.threads) {
        rows.extend(bench.on_threads(extent.threads.unwrap_or(same[0].threads), same)?);
    }
    publish("proxy", &rows)?;
    let failed: Vec<&str> = rows.iter().filter(|row| !row.failed.is_empty()).map(|row| row.metric.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { bail!("requests failed in: {}", failed.join("; ")) }
}

struct Bench<'a> {
    extent: &'a Extent,
    origin: Origin,
    site: Site,
    binary: PathBuf,
}

impl Bench<'_> {
    /// The rows of these parts, with every balancer on so many threads.
    fn on_threads(&self, threads: u32, parts: &[&Part]) -> Result<Vec<Row>> {
        let upstreams = self.upstreams();
        let peers = self.peers(threads)?;
        let setup = Setup { threads, certificate: Some(self.site.chain()), ..Setup::default() };
        let mut rows = Vec::new();
        let (memory, loaded): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.way == Way::Memory);
        if !loaded.is_empty() {
            let mut arms = Vec::new();
            for peer in &peers {
                let balancer = peer.start_with(&upstreams, &setup).with_context(|| peer.name())?;
                for part in &loaded {
                    answers_right(&balancer, part.way).with_context(|| peer.name())?;
                }
                arms.push((peer.name(), balancer));
            }
            println!(
                "{threads} threads: all answer right; {} rounds of {} s",
                self.extent.repeats, self.extent.seconds
            );
            let mut slowest = None;
            for part in loaded {
                let of_part = if part.way == Way::Latency {
                    self.latency(&arms, slowest)?
                } else {
                    self.cost(&arms, part, threads, &mut slowest)?
                };
                rows.extend(of_part);
            }
        }
        for part in memory {
            let plain = Setup { certificate: None, ..setup.clone() };
            let all = memory::with_idle(&peers, &upstreams, &plain, self.extent)?;
            let names: Vec<String> = peers.iter().map(Peer::name).collect();
            rows.push(Row { bounds: bounds(part, threads), ..row(&names, part.what.into(), "MiB", &all) });
        }
        Ok(rows)
    }

    fn upstreams(&self) -> Vec<Upstream> {
        let named = self.origin.addresses.iter().zip(["a", "b", "c"]);
        named.map(|(address, name)| Upstream { name: name.into(), address: *address, weight: 1 }).collect()
    }

    fn peers(&self, threads: u32) -> Result<Vec<Peer>> {
        let mut peers = vec![Peer::Ambidex { balance: "prequal", threads, binary: self.binary.clone() }];
        for name in self.extent.peers.split(',') {
            match name {
                "all" => peers.extend([
                    Peer::Haproxy { balance: "roundrobin" },
                    Peer::Nginx { balance: "" },
                    envoy("ROUND_ROBIN")?,
                ]),
                "haproxy" => peers.push(Peer::Haproxy { balance: "roundrobin" }),
                "nginx" => peers.push(Peer::Nginx { balance: "" }),
                "envoy" => peers.push(envoy("ROUND_ROBIN")?),
                "none" => {}
                other => bail!("there is no peer `{other}`: write all, none, or some of haproxy,nginx,envoy"),
            }
        }
        Ok(peers)
    }

    /// CPU per request and requests a second of every arm, saturated. Notes the slowest rate of the first part.
    fn cost(&self, arms: &Arms, part: &Part, threads: u32, slowest: &mut Option<f64>) -> Result<[Row; 2]> {
        let mut cpu = vec![Samples::default(); arms.len()];
        let mut rate = cpu.clone();
        let mut failed = vec![0.0; arms.len()];
        for round in 0..=self.extent.repeats {
            for (index, (name, balancer)) in arms.iter().enumerate() {
                // Round 0 warms up connections and caches.
                let seconds = if round == 0 { 1 } else { self.extent.seconds };
                let (count, micros) =
                    self.measured(balancer, part.way, seconds).with_context(|| format!("{} {name}", part.name))?;
                failed[index] += count.failed;
                if round > 0 {
                    let per_second = count.answered / count.seconds;
                    let bad = if count.failed > 0.0 { format!(", {} FAILED", count.failed) } else { String::new() };
                    println!("{} round {round} {name}: {micros:.2} us, {per_second:.0}/s{bad}", part.name);
                    cpu[index].0.push(micros);
                    rate[index].0.push(per_second);
                }
            }
        }
        slowest.get_or_insert(rate.iter().map(Samples::median).fold(f64::INFINITY, f64::min));
        let names = names(arms);
        let failed: Vec<(String, f64)> = names.iter().cloned().zip(failed).filter(|(_, count)| *count > 0.0).collect();
        let cost = row(&names, part.what.into(), "us", &cpu);
        let most = row(&names, part.what.replace("CPU per request", "most requests"), "1/s", &rate);
        Ok([Row { bounds: bounds(part, threads), failed, ..cost }, most])
    }

    /// One run and its processor time per request. A run that the machine stopped for long is made again.
    fn measured(&self, balancer: &Balancer, way: Way, seconds: u64) -> Result<(Count, f64)> {
        for _ in 0..3 {
            let before = balancer.process.cpu();
            let count = self.load(balancer, way, seconds)?;
            let spent = balancer.process.cpu() - before;
            if !stopped(count.seconds, seconds) {
                return Ok((count, spent.as_secs_f64() * 1e6 / count.answered));
            }
            println!("a run of {seconds} s took {:.1} s; again", count.seconds);
        }
        bail!("no run of three took the {seconds} s that it was to take")
    }

    fn load(&self, balancer: &Balancer, way: Way, seconds: u64) -> Result<Count> {
        match way {
            Way::Plain { path, bytes, connection_each } => {
                generators::wrk(balancer.address, path, bytes, connection_each, seconds)
            }
            Way::Http2 => generators::h2load(doors(balancer)?.http2, 200, seconds),
            Way::Tls { connection_each } => tls::load(&self.site, doors(balancer)?.tls, 200, connection_each, seconds),
            Way::Memory | Way::Latency => bail!("{way:?} is no load that saturates"),
        }
    }

    /// At half the most that the slowest carried.
    fn latency(&self, arms: &Arms, slowest: Option<f64>) -> Result<[Row; 2]> {
        let half = slowest.map_or(3_000.0, |slowest| slowest / 2.0);
        let [p50, p99] = latency::added(arms, self.origin.addresses[0], half, self.extent)?;
        let names = names(arms);
        Ok([
            row(&names, format!("p50 added at {half:.0}/s"), "ms", &p50),
            row(&names, format!("p99 added at {half:.0}/s"), "ms", &p99),
        ])
    }
}

/// Whether a run took so much longer than asked for that the machine must have stood still.
fn stopped(took: f64, seconds: u64) -> bool {
    took > 1.5 * seconds as f64 + 1.0
}

/// The goals are for the row's own number of threads and no other.
fn bounds(part: &Part, threads: u32) -> Vec<super::rows::Bound> {
    if threads == part.threads { part.bounds.to_vec() } else { Vec::new() }
}

fn names(arms: &Arms) -> Vec<String> {
    arms.iter().map(|(name, _)| name.clone()).collect()
}

fn row(names: &[String], metric: String, unit: &'static str, all: &[Samples]) -> Row {
    let peers = names.iter().cloned().zip(all.iter().cloned()).skip(1).collect();
    Row { metric, unit, ours: all[0].clone(), peers, ..Row::default() }
}

fn doors(balancer: &Balancer) -> Result<&Doors> {
    balancer.doors.as_ref().context("a balancer of this bench has all doors")
}

/// One answer in full over plain HTTP/1; the generators look at those of the other ways.
fn answers_right(balancer: &Balancer, way: Way) -> Result<()> {
    let Way::Plain { path, bytes, .. } = way else { return Ok(()) };
    let (status, answer) = get(balancer.address, path)?;
    let body = answer.iter().rev().take_while(|byte| **byte == b'x').count();
    if status != 200 || body != bytes {
        bail!("{path} is answered with {status} and {body} bytes instead of {bytes}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_took_far_longer_than_asked_for_is_told_from_one_that_ended_late() {
        assert!(!stopped(2.2, 1) && !stopped(10.3, 10));
        assert!(stopped(27.0, 1) && stopped(17.0, 10));
    }
}
