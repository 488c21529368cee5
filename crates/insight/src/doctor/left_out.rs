//! Callers that leave nodes out, told where no node stands out by it: what is bound to few nodes takes them down together, and new nodes
//! do not help it.

use super::callers::{Callers, Like, NarrowCaller};
use super::finding::{Finding, Impact, Node};
use super::rules::Level;
use super::scene::Scene;
use super::why::{Cause, Evidence, Hypothesis, remedies};
use crate::analysis::structure::Verdict;
use crate::history::Metric;

/// One finding of all of them; `None` where a finding names them already, or where they may well be meant so: nearly all callers leave
/// nodes out, they keep to their zone, or they send less than one node's part.
pub(super) fn finding(scene: &Scene<'_>, told: &[Finding]) -> Option<Finding> {
    let callers: &Callers = scene.callers.filter(|callers| !callers.most_are_narrow)?;
    let known = |finding: &Finding| finding.hypotheses.iter().any(|one| one.cause == Cause::NarrowCaller);
    let least = 1.0 / scene.group.nodes.len() as f64;
    let is_one = |narrow: &&NarrowCaller| narrow.share >= least && !matches!(narrow.like, Like::Zone(_));
    let found: Vec<&NarrowCaller> = callers.narrow.iter().filter(is_one).collect();
    let first = found.first().filter(|_| !told.iter().any(known))?;
    let mut names: Vec<&str> = found.iter().map(|one| one.caller.as_str()).collect();
    names.sort_unstable();
    let nodes = scene.group.nodes.len();
    let seen = |one: &&NarrowCaller| {
        let like = match &one.like {
            Like::Stale => ", which came later than those that it sends to: a list of addresses from before",
            Like::OneConnection => ": a connection that stays",
            Like::Subset | Like::Zone(_) => ": connections that stay, or a subset",
        };
        let seen = format!(
            "{} sends {:.0} requests ({:.0} % of all) to {} of {nodes} nodes and leaves out {}{like}",
            one.caller,
            one.requests,
            one.share * 100.0,
            one.reached.len(),
            listed(&one.left_out),
        );
        Evidence { strength: STRENGTH, seen }
    };
    let node =
        |at: usize, name: &String| Node { node: name.clone(), r: first.relative[at], factors: None, also: Vec::new() };
    let all = || scene.group.nodes.iter().map(|node| &scene.history.nodes[*node].name);
    let whole = scene.judged.end - scene.judged.start;
    let stays = whole * i64::from(scene.history.step) >= LEAST_SECONDS;
    Some(Finding {
        id: format!("{}/{}/callers/{}", scene.group.name(), Metric::Requests, names.join("+")),
        group: scene.group.name(),
        title: format!("{}: sends to {} of {nodes} nodes only", listed(&names), first.reached.len()),
        level: Level::Notice,
        nodes: all()
            .enumerate()
            .filter(|(_, name)| first.reached.contains(name))
            .map(|(at, name)| node(at, name))
            .collect(),
        metric: Metric::Requests,
        verdict: if stays { Verdict::Structural } else { Verdict::Insufficient },
        since: None,
        hours: Vec::new(),
        hypotheses: vec![Hypothesis {
            cause: Cause::NarrowCaller,
            score: STRENGTH * found.len() as f64,
            evidence: found.iter().map(seen).collect(),
            subject: Some(names.join(", ")),
            experiment: None,
        }],
        impact: Impact { stranded: 0.0, p99_ratio: None, errors: None, cmi: None, hurts: false },
        remedies: remedies(Cause::NarrowCaller),
    })
}

fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let named: Vec<&str> = names.iter().take(MOST_NAMED).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

/// Of each caller.
const STRENGTH: f64 = 3.0;
/// Source: ours; a line.
const MOST_NAMED: usize = 3;
/// Seconds. Source: ours; two hours, of which each is looked at.
const LEAST_SECONDS: i64 = 7_200;
