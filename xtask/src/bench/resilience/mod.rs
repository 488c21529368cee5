//! `bench resilience`: what second chances give when workers fail, and what they cost when none does.
//!
//! ```text
//! pauses     X5: hedges against pauses of 200 ms           sinkhole   X9: two of twenty fail at once
//! overload   X12: 0.9, 1.2 and 0.9 of the capacity         quorum     2 of 3, one 40 times slower
//! priority   a spike of unimportant requests               killed, frozen   a worker's process
//! cost       everything is switched on and nothing happens
//! ```
//! Real processes: our gateway (the binary that is shipped) before the laboratory's workers, which sleep; open-loop load,
//! latency from the moment at which a request was due. Every run has a fresh gateway and fresh workers, and arms alternate.
//! Extra requests are counted at the workers, where they cost something, those that were given up among them.

mod cost;
mod lost;
mod overload;
mod pauses;
mod priority;
mod quorum;
mod sinkhole;

use std::path::PathBuf;

use ambidex_lab::load::{self, Load, LoadOptions, Outcome};
use ambidex_lab::peer::{Balancer, Peer, Setup, Upstream, get};
use ambidex_lab::worker::{self, ReportStyle, Worker, WorkerOptions};
use ambidex_lab::{Service, Span, poll};
use anyhow::{Context as _, Result, bail};

use super::rows::{Row, publish};
use super::{Extent, binary};

pub(super) fn run(extent: &Extent) -> Result<()> {
    let bench = Bench { extent, binary: binary(&extent.profile)? };
    let mut rows = Vec::new();
    for (name, part) in PARTS {
        if extent.covers(name) {
            rows.extend(part(&bench).context(name)?);
        }
    }
    publish("resilience", &rows)?;
    println!("\n{}", table(&rows));
    Ok(())
}

type Part = fn(&Bench<'_>) -> Result<Vec<Row>>;

const PARTS: [(&str, Part); 8] = [
    ("pauses", pauses::rows),
    ("sinkhole", sinkhole::rows),
    ("overload", overload::rows),
    ("quorum", quorum::rows),
    ("priority", priority::rows),
    ("killed", lost::killed),
    ("frozen", lost::frozen),
    ("cost", cost::rows),
];

/// What all parts share.
struct Bench<'a> {
    extent: &'a Extent,
    binary: PathBuf,
}

impl Bench<'_> {
    /// Our gateway with these lines in its route.
    fn ours(&self, route: &[&str]) -> Arm {
        let peer = Peer::Ambidex { balance: "auto", threads: 1, binary: self.binary.clone() };
        let route = route.iter().map(|line| (*line).to_owned()).collect();
        Arm { peer, setup: Setup { route, ..Setup::default() } }
    }

    /// An agent before each of the workers.
    fn agents(&self, workers: &[Worker]) -> Result<Vec<Balancer>> {
        let peer = Peer::Ambidex { balance: "auto", threads: 1, binary: self.binary.clone() };
        let setup = Setup { file: vec!["agent: {priority: urgency}".to_owned()], ..Setup::default() };
        let start = |worker| peer.start_with(&[upstream(worker)], &setup).context("an agent");
        workers.iter().map(start).collect()
    }

    /// Runs `once` for each arm in each round; what it gives is by arm.
    fn rounds<T>(&self, arms: &[(&str, Arm)], mut once: impl FnMut(&Arm, usize) -> Result<T>) -> Result<Vec<Vec<T>>> {
        let mut all: Vec<Vec<T>> = arms.iter().map(|_| Vec::new()).collect();
        for round in 0..self.extent.repeats {
            for ((name, arm), runs) in arms.iter().zip(&mut all) {
                runs.push(once(arm, round).with_context(|| format!("{name}, round {round}"))?);
            }
        }
        Ok(all)
    }
}

/// A balancer as a part sets it up.
struct Arm {
    peer: Peer,
    setup: Setup,
}

/// What came of one run.
struct Seen {
    outcome: Outcome,
    /// Requests that came at the workers for each one that a client sent.
    amplification: f64,
}

impl Arm {
    /// Starts workers and the balancer before them, and loads it.
    fn run(&self, fleet: Vec<WorkerOptions>, load: LoadOptions) -> Result<Seen> {
        self.run_and(fleet, load, |_| Ok(()))
    }

    /// The same; `then` is called when counting begins.
    fn run_and(
        &self,
        fleet: Vec<WorkerOptions>,
        load: LoadOptions,
        then: impl FnOnce(&[Worker]) -> Result<()>,
    ) -> Result<Seen> {
        let workers = worker::start_all(fleet)?;
        let balancer = self.before(&behind(&workers, &[]))?;
        let load = load::start(LoadOptions { target: balancer.address, ..load })?;
        counting(&load)?;
        let came = || workers.iter().map(Worker::came).sum::<u64>();
        let before = came();
        then(&workers)?;
        let outcome = load.finish();
        if !outcome.held {
            println!("the generator fell behind: lag p99 {:.1} ms", outcome.lag_p99_ms);
        }
        let amplification = (came() - before) as f64 / outcome.offered.max(1) as f64;
        Ok(Seen { outcome, amplification })
    }

    fn before(&self, upstreams: &[Upstream]) -> Result<Balancer> {
        self.peer.start_with(upstreams, &self.setup).with_context(|| self.peer.name())
    }
}

/// A worker that is as the others of its fleet, takes 10 ms for a request on average, and says how loaded it is.
fn usual(at: u64, round: usize) -> WorkerOptions {
    WorkerOptions {
        name: format!("w{at}"),
        service: Service::exponential(Span::from_millis(10)),
        report: ReportStyle::ServerLoad,
        seed: round as u64 * 100 + at,
        ..WorkerOptions::default()
    }
}

/// Waits until the warm-up is over.
fn counting(load: &Load) -> Result<()> {
    if poll(Span::from_secs(60), || load.elapsed() > Span::ZERO) { Ok(()) } else { bail!("the load did not begin") }
}

/// The workers as a balancer sees them: by their agents' addresses, where they have agents.
fn behind(workers: &[Worker], agents: &[Balancer]) -> Vec<Upstream> {
    let mut upstreams: Vec<Upstream> = workers.iter().map(upstream).collect();
    upstreams.iter_mut().zip(agents).for_each(|(upstream, agent)| upstream.address = agent.address);
    upstreams
}

/// Requests that an agent was asked, shed ones among them, by its own count.
fn asked(agent: &Balancer) -> Result<f64> {
    let admin = agent.admin.context("an agent has its admin API")?;
    let (_, answer) = get(admin, "/metrics")?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let counted = ["ambidex_worker_admitted_total", "ambidex_worker_shed_total"];
    let lines = text.lines().filter(|line| counted.iter().any(|name| line.starts_with(name)));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

fn upstream(worker: &Worker) -> Upstream {
    Upstream { name: worker.name.clone(), address: worker.address, weight: 1 }
}

/// The rows as docs/benchmarks.md shows them.
fn table(rows: &[Row]) -> String {
    let mut text = String::from("| what | figure (range) | goal | |\n|---|---|---|---|\n");
    for row in rows {
        let (least, most) = row.ours.range();
        let goal = row.goal.or_else(|| row.bounds.first().map(|bound| bound.most));
        let goal = goal.map_or_else(|| "none".to_owned(), |goal| format!("at most {goal}"));
        let met = row.met().map_or("", |met| if met { "met" } else { "**missed**" });
        let figure = format!("{:.3} ({least:.3} to {most:.3})", row.ours.median());
        text += &format!("| {} | {figure} {} | {goal} | {met} |\n", row.metric, row.unit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::rows::Samples;
    use super::*;

    #[test]
    fn a_row_of_the_table_says_figure_goal_and_whether_it_is_met() {
        let row = |value, goal| Row {
            metric: "X5: extra requests".into(),
            unit: "%",
            goal,
            ours: Samples(vec![value]),
            ..Row::default()
        };
        let text = table(&[row(4.0, Some(5.0)), row(6.0, Some(5.0)), row(1.0, None)]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| X5: extra requests | 4.000 (4.000 to 4.000) % | at most 5 | met |",
                "| X5: extra requests | 6.000 (6.000 to 6.000) % | at most 5 | **missed** |",
                "| X5: extra requests | 1.000 (1.000 to 1.000) % | none |  |",
            ]
        );
    }
}
