//! Findings: which nodes stand out, by what, why, what it costs, and what to do; those first that hurt most.
//!
//! A node that stands out is told once, by the metric that says most of what it has to do; what goes along with it (its CPU, its
//! latency) stands beside it. Nodes with one reason are one finding.

use serde::Serialize;

use super::kinds::{STANDS_OUT, is_utilization, least};
use super::left::{Capacity, NodeLeft};
use super::loads::FEW;
use super::over_time::{OverTime, Since};
use super::rules::Level;
use super::scene::Scene;
use super::spread::Spread;
use super::staying::Standing;
use super::why::{Cause, Class, Hypothesis, Patient, Remedies, hypotheses, remedies};
use crate::analysis::headroom;
use crate::analysis::parts::Factors;
use crate::analysis::structure::Verdict;
use crate::history::Metric;

/// Something that should be known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The same for the same finding in another report: group, metric, nodes.
    pub id: String,
    /// Of which group.
    pub group: String,
    /// In a sentence.
    pub title: String,
    /// How much it matters.
    pub level: Level,
    /// The nodes that stand out, the farthest first.
    pub nodes: Vec<Node>,
    /// By what.
    pub metric: Metric,
    /// Whether it stays.
    pub verdict: Verdict,
    /// Since when; `None`: since before the history began, or it cannot be told.
    pub since: Option<Since>,
    /// The hours of the day (UTC) at which it comes back, where it does.
    pub hours: Vec<usize>,
    /// Why it may be, likeliest first.
    pub hypotheses: Vec<Hypothesis>,
    /// What it does.
    pub impact: Impact,
    /// What to do.
    pub remedies: Remedies,
}

/// A node that stands out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// Beside its fair part; of up to four nodes, beside what the others have.
    pub r: f64,
    /// More requests, dearer ones, or slower.
    pub factors: Option<Factors>,
    /// By what else it stands out.
    pub also: Vec<(Metric, f64)>,
}

/// What a finding does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Impact {
    /// The part of the group's capacity that is of no use while it is so.
    pub stranded: f64,
    /// The worst node's p99 latency over its peers'; `None`: not known.
    pub p99_ratio: Option<f64>,
    /// Its part of failed requests over its peers', in points; `None`: not known.
    pub errors: Option<f64>,
    /// What is left of the worst node: CMI; `None`: not known.
    pub cmi: Option<f64>,
    /// Whether anybody feels it.
    pub hurts: bool,
}

/// All of a group's findings.
pub(super) fn findings(scene: &Scene<'_>, spreads: &[Spread], capacity: Option<&Capacity>) -> Vec<Finding> {
    let hot: Vec<(usize, &Standing)> =
        (0..scene.group.nodes.len()).filter_map(|at| Some((at, foremost(scene, at)?))).collect();
    let alike: Vec<usize> = hot.iter().map(|(at, _)| *at).collect();
    let mut told: Vec<(Cause, Option<String>, Finding)> = Vec::new();
    for (at, standing) in &hot {
        let patient =
            Patient { scene, at: *at, r: standing.r, windows: standing.windows.clone(), alike: alike.clone() };
        let hypotheses = hypotheses(&patient);
        let (cause, subject) =
            hypotheses.first().map_or((Cause::Unknown, None), |one| (one.cause, one.subject.clone()));
        let same = told
            .iter_mut()
            .find(|(other, about, finding)| *other == cause && *about == subject && finding.metric == standing.metric);
        let node = node(scene, *at, standing);
        match same {
            Some((_, _, finding)) => finding.join(node, standing, impact(scene, *at, capacity, spreads)),
            None => told.push((
                cause,
                subject,
                finding(scene, standing, node, hypotheses, impact(scene, *at, capacity, spreads)),
            )),
        }
    }
    let mut all: Vec<Finding> = told.into_iter().map(|(_, _, finding)| finding.titled(scene).dated(scene)).collect();
    all.extend(underused(scene, &alike));
    let bound = super::left_out::finding(scene, &all);
    all.extend(bound);
    all.extend(capacity.and_then(|capacity| nearly_full(scene, capacity, &alike)));
    all
}

/// The order in which findings are told.
pub(super) fn by_impact(findings: &mut [Finding]) {
    let weight = |finding: &Finding| {
        let level = f64::from(finding.level as u8);
        level + if finding.impact.hurts { 1.5 } else { 0.0 } + finding.impact.stranded
    };
    findings.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.id.cmp(&b.id)));
}

/// The metric by which a node stands out, of those that say most of what it has to do the first.
fn foremost<'s>(scene: &'s Scene<'_>, at: usize) -> Option<&'s Standing> {
    let standing = |metric: &Metric| scene.standing(metric, at);
    let found = FOREMOST.iter().filter_map(standing).find(|standing| {
        let stays = match standing.verdict {
            Verdict::Structural | Verdict::Emerging | Verdict::Recurring => true,
            // Of a short history, that it is so now.
            Verdict::Insufficient => standing.level > Level::Notice,
            Verdict::Transient | Verdict::Resolved | Verdict::Well => false,
        };
        stays && standing.r >= least(&standing.metric)
    })?;
    // A node that has more requests because it can carry more is as it should be. A CPU that nothing was measured of does not say so.
    let carries = |metric: &Metric| standing(metric).is_some_and(|standing| standing.r > 0.0 && standing.r < CARRIES);
    let is_count = !is_utilization(&found.metric);
    let takes_longer = standing(&Metric::LatencyP50).is_some_and(|latency| latency.r >= STANDS_OUT)
        || standing(&Metric::Busy)
            .zip(standing(&Metric::Requests))
            .is_some_and(|(busy, requests)| requests.r > 0.0 && busy.r / requests.r >= STANDS_OUT);
    let carries_it = carries(&Metric::Cpu) && !takes_longer;
    (!(is_count && carries_it)).then_some(found)
}

fn node(scene: &Scene<'_>, at: usize, standing: &Standing) -> Node {
    let others = scene.steadiness.iter().filter_map(|one| one.nodes.get(at));
    let also = others.filter(|one| one.metric != standing.metric && one.level >= Level::Notice && one.r >= STANDS_OUT);
    Node {
        node: standing.node.clone(),
        r: standing.r,
        factors: scene.factors[at],
        also: also.map(|one| (one.metric.clone(), one.r)).collect(),
    }
}

fn finding(scene: &Scene<'_>, standing: &Standing, node: Node, hypotheses: Vec<Hypothesis>, impact: Impact) -> Finding {
    let cause = hypotheses.first().map_or(Cause::Unknown, |one| one.cause);
    Finding {
        id: String::new(),
        group: scene.group.name(),
        title: String::new(),
        level: standing.level,
        nodes: vec![node],
        metric: standing.metric.clone(),
        verdict: standing.verdict,
        since: None,
        hours: standing.hours.clone(),
        hypotheses,
        impact,
        remedies: remedies(cause),
    }
}

impl Finding {
    /// Another node with the same reason.
    fn join(&mut self, node: Node, standing: &Standing, impact: Impact) {
        self.level = self.level.max(standing.level);
        if impact.hurts && !self.impact.hurts || impact.stranded > self.impact.stranded {
            self.impact = impact;
        }
        self.nodes.push(node);
    }

    /// Since when its foremost node is so.
    fn dated(mut self, scene: &Scene<'_>) -> Self {
        let Some(foremost) = self.nodes.first().map(|node| node.node.as_str()) else { return self };
        let at = scene.group.nodes.iter().position(|node| scene.history.nodes[*node].name == foremost);
        let over_time = OverTime::of(scene.history, scene.group, &self.metric);
        self.since = over_time.zip(at).and_then(|(over_time, at)| over_time.since(scene.history, at, foremost));
        self
    }

    fn titled(mut self, scene: &Scene<'_>) -> Self {
        self.nodes.sort_by(|a, b| b.r.total_cmp(&a.r));
        let names: Vec<&str> = self.nodes.iter().take(3).map(|node| node.node.as_str()).collect();
        let more = self.nodes.len().saturating_sub(3);
        let who = if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") };
        let r = self.nodes.first().map_or(1.0, |node| node.r);
        self.title = if scene.group.nodes.len() <= FEW {
            format!("{who}: {r:.2} times as much {} as the others", self.metric)
        } else if is_utilization(&self.metric) {
            format!("{who}: {} {r:.2} times the group's mean", self.metric)
        } else {
            format!("{who}: {r:.2} times a fair part of {}", self.metric)
        };
        if let (Some(first), Some(last)) = (self.hours.first(), self.hours.last()) {
            let hours =
                if first == last { format!("at {first} h") } else { format!("between {first} h and {} h", last + 1) };
            self.title = format!("{} {hours} UTC", self.title);
        }
        let mut sorted: Vec<&str> = self.nodes.iter().map(|node| node.node.as_str()).collect();
        sorted.sort_unstable();
        self.id = format!("{}/{}/{}", self.group, self.metric, sorted.join("+"));
        self
    }
}

/// What it does: by counts where requests were timed, else by what was sampled.
fn impact(scene: &Scene<'_>, at: usize, capacity: Option<&Capacity>, spreads: &[Spread]) -> Impact {
    let p99 = |at: usize| {
        let node = u32::try_from(scene.group.nodes[at]).ok()?;
        let counted = scene.block.latency.get(&node)?;
        counted.quantile(ambidex_core::share::Share::percent(99)).map(ambidex_core::time::Span::as_secs_f64)
    };
    let others = (0..scene.group.nodes.len()).filter(|other| *other != at).filter_map(p99).collect::<Vec<_>>();
    let counted = p99(at).zip(crate::analysis::robust::median(&others)).filter(|(_, others)| *others > 0.0);
    let sampled = || scene.beside_median(&Metric::LatencyP99, at).filter(|(_, others)| *others > 0.0);
    let p99_ratio = counted.or_else(sampled).map(|(mine, others)| mine / others);
    let errors = scene.beside_median(&Metric::Errors, at).and_then(|(mine, others)| {
        let (rate, other_rate) = scene.beside_median(&Metric::Requests, at)?;
        (rate > 0.0 && other_rate > 0.0).then(|| mine / rate - others / other_rate)
    });
    let number = scene.group.nodes[at];
    let cmi =
        capacity.and_then(|capacity| capacity.nodes.iter().find(|node| node.at == number)).map(|node| node.left.cmi);
    let stranded = spreads.iter().filter(|spread| spread.insufficient.is_none()).map(|spread| spread.stranded);
    let hurts = p99_ratio.is_some_and(|ratio| ratio >= SLOW)
        || errors.is_some_and(|errors| errors >= FAILING)
        || cmi.is_some_and(|cmi| cmi < headroom::CRITICAL);
    Impact { stranded: stranded.fold(0.0, f64::max), p99_ratio, errors, cmi, hurts }
}

/// Nodes that have much less than their part, where nobody has more: capacity that is of no use.
fn underused(scene: &Scene<'_>, hot: &[usize]) -> Option<Finding> {
    let metric =
        [Metric::Busy, Metric::Requests, Metric::Cpu].into_iter().find(|metric| scene.standing(metric, 0).is_some())?;
    let cold = (0..scene.group.nodes.len()).filter(|at| !hot.contains(at)).filter_map(|at| {
        let standing = scene.standing(&metric, at)?;
        (standing.verdict == Verdict::Structural && standing.r <= IDLE).then_some((at, standing))
    });
    let cold: Vec<_> = cold.collect();
    let (_, first) = cold.first().filter(|_| hot.is_empty())?;
    let unused: f64 = cold.iter().map(|(at, standing)| scene.fair(*at) * (1.0 - standing.r)).sum();
    let names: Vec<&str> = cold.iter().map(|(_, standing)| standing.node.as_str()).collect();
    Some(Finding {
        id: format!("{}/{metric}/idle/{}", scene.group.name(), names.join("+")),
        group: scene.group.name(),
        title: format!("{}: {:.2} times a fair part of {metric}, or less", names.join(", "), first.r),
        level: Level::Notice,
        nodes: cold.iter().map(|(at, standing)| node(scene, *at, standing)).collect(),
        metric,
        verdict: Verdict::Structural,
        since: None,
        hours: Vec::new(),
        hypotheses: Vec::new(),
        impact: Impact { stranded: unused, p99_ratio: None, errors: None, cmi: None, hurts: false },
        remedies: Remedies {
            immediate: "look whether it is taken out, starts slowly, or has a small weight; give it its part",
            durable: "weights by measured capacity",
            class: Class::Configuration,
        },
    })
}

/// Nodes of which next to nothing is left, though they have no more than their part: the group is too small.
fn nearly_full(scene: &Scene<'_>, capacity: &Capacity, hot: &[usize]) -> Option<Finding> {
    let told = |node: &NodeLeft| hot.iter().any(|at| scene.group.nodes[*at] == node.at);
    let near: Vec<_> = capacity
        .nodes
        .iter()
        .filter(|node| !told(node))
        .filter(|node| node.level > headroom::Level::Well || node.full_in_hours.is_some())
        .collect();
    let worst = near.iter().map(|node| node.left.cmi).reduce(f64::min)?;
    let soon = near.iter().filter_map(|node| node.full_in_hours).reduce(f64::min);
    let critical = near.iter().any(|node| node.level == headroom::Level::Critical);
    let mut names: Vec<&str> = near.iter().map(|node| node.node.as_str()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(3);
    let who = names[..names.len().min(3)].join(", ");
    let who = if more > 0 { format!("{who} and {more} more") } else { who };
    let when = soon
        .filter(|hours| *hours > 0.0)
        .map_or_else(String::new, |hours| format!(", and nothing in {hours:.0} hours"));
    Some(Finding {
        id: format!("{}/{}/left/{}", scene.group.name(), capacity.metric, names.join("+")),
        group: scene.group.name(),
        title: format!(
            "{who}: {:.0} % of what may be used of {} is left{when}",
            worst.max(0.0) * 100.0,
            capacity.metric
        ),
        level: if critical { Level::Critical } else { Level::Warn },
        nodes: near
            .iter()
            .map(|one| Node { node: one.node.clone(), r: one.utilization, factors: None, also: Vec::new() })
            .collect(),
        metric: capacity.metric.clone(),
        verdict: Verdict::Structural,
        since: None,
        hours: Vec::new(),
        hypotheses: Vec::new(),
        impact: Impact { stranded: 0.0, p99_ratio: None, errors: None, cmi: Some(worst), hurts: critical },
        remedies: Remedies {
            immediate: if capacity.cluster.surge_balanced > 1.3 * capacity.cluster.surge {
                "balance first: the load spread evenly would leave more than new nodes bring"
            } else {
                "add nodes, or shed what matters least"
            },
            durable: "nodes by forecast of the hottest node's load",
            class: Class::Configuration,
        },
    })
}

/// By what a node is told to stand out: the first that it does.
const FOREMOST: [Metric; 11] = [
    Metric::Busy,
    Metric::Cpu,
    Metric::InFlight,
    Metric::Requests,
    Metric::DiskIo,
    Metric::Network,
    Metric::LatencyP50,
    Metric::LatencyP99,
    Metric::Queue,
    Metric::Memory,
    Metric::Errors,
];

/// A node whose CPU has its part carries what it has. Source: ours.
const CARRIES: f64 = 1.15;
/// Source: ours; half of a fair part.
const IDLE: f64 = 0.5;
/// The hot node's p99 over its peers'. Source: diagnosis.md "alerts".
const SLOW: f64 = 1.5;
/// Points of failed requests beyond its peers'. Source: ours; one of a hundred.
const FAILING: f64 = 0.01;
