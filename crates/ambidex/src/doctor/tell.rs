//! A diagnosis as plain data for the coordinator's pages, API and metrics: bounded, and in the words of the doctor's reports.

use ambidex_control::doctor::{
    CapacityStatus, DoctorStatus, EvidenceStatus, ExperimentStatus, FindingStatus, Grave, GroupStatus, HeatRow,
    HeatStatus, LeftStatus, NodeStatus, PlanStatus, ReasonStatus, SinceStatus,
};
use ambidex_insight::analysis::headroom;
use ambidex_insight::doctor::{
    Capacity, Diagnosis, Finding, GroupReport, Hypothesis, Level, Plan, Routes, Since, Spread,
};
use ambidex_insight::export::desired::Desired;
use ambidex_insight::history::{At, Metric};
use ambidex_insight::report::words;

/// What a diagnosis says; how the round went is the caller's to add.
pub(super) fn status(diagnosis: &Diagnosis) -> DoctorStatus {
    let moments = |(begin, end): (At, At)| (millis(begin), millis(end));
    DoctorStatus {
        span_ms: diagnosis.span.map(moments),
        judged_ms: diagnosis.judged.map(moments),
        findings: diagnosis.findings.iter().take(MOST_FINDINGS).map(finding).collect(),
        more_findings: diagnosis.findings.len().saturating_sub(MOST_FINDINGS),
        groups: diagnosis.groups.iter().take(MOST_GROUPS).map(|one| group(diagnosis, one)).collect(),
        more_groups: diagnosis.groups.len().saturating_sub(MOST_GROUPS),
        remarks: diagnosis.remarks.iter().take(MOST_REMARKS).map(|remark| remark.what.clone()).collect(),
        ..DoctorStatus::default()
    }
}

fn finding(finding: &Finding) -> FindingStatus {
    FindingStatus {
        id: finding.id.clone(),
        group: finding.group.clone(),
        title: finding.title.clone(),
        level: grave(finding.level),
        hurts: finding.impact.hurts,
        metric: finding.metric.to_string(),
        verdict: words::verdict(finding.verdict).to_owned(),
        since: finding.since.as_ref().map(since),
        nodes: finding
            .nodes
            .iter()
            .take(MOST_NAMED)
            .map(|node| NodeStatus { name: node.node.clone(), r: node.r })
            .collect(),
        more_nodes: finding.nodes.len().saturating_sub(MOST_NAMED),
        reasons: words::reasons(finding).map(reason).collect(),
        costs: words::costs(finding),
        at_once: finding.remedies.immediate.to_owned(),
        for_good: finding.remedies.durable.to_owned(),
        review: None,
    }
}

fn since(since: &Since) -> SinceStatus {
    SinceStatus {
        at_ms: millis(since.at),
        before: since.before,
        after: since.after,
        happened: since.happened.as_ref().map(|happened| happened.text.clone()),
    }
}

fn reason(hypothesis: &Hypothesis) -> ReasonStatus {
    ReasonStatus {
        cause: hypothesis.cause.to_string(),
        about: hypothesis.subject.clone(),
        evidence: hypothesis
            .evidence
            .iter()
            .map(|one| EvidenceStatus { seen: one.seen.clone(), strength: one.strength })
            .collect(),
        experiment: hypothesis.experiment.as_ref().map(|one| ExperimentStatus {
            what: one.what.clone(),
            predicted_r: one.predicted_r,
            else_r: one.else_r,
        }),
    }
}

fn group(diagnosis: &Diagnosis, group: &GroupReport) -> GroupStatus {
    let first = foremost(group);
    let out = group.not_judged.iter().take(MOST_NAMED);
    GroupStatus {
        name: group.name.clone(),
        judged: group.nodes.len(),
        insufficient: group.insufficient.clone().or_else(|| first?.insufficient.clone()),
        left_out: out.map(|one| format!("{} ({})", one.node, one.why.words())).collect(),
        spread: first.map(|spread| spread.w_adj),
        level: first.map_or(Grave::Well, |spread| grave(spread.level)),
        heat: heat(group),
        capacity: group.capacity.as_ref().map(|capacity| left(diagnosis, group, capacity)),
    }
}

/// The spread of what says most of the load.
fn foremost(group: &GroupReport) -> Option<&Spread> {
    let of = |metric: &Metric| group.spreads.iter().find(|spread| spread.metric == *metric);
    ORDER.iter().find_map(of).or_else(|| group.spreads.first())
}

/// Columns are the workers, those that are farthest from a fair part first where there are too many.
fn heat(group: &GroupReport) -> HeatStatus {
    let far = foremost(group).map(|spread| {
        let mut all: Vec<(&str, f64)> = spread.parts.iter().map(|part| (part.node.as_str(), part.r)).collect();
        all.sort_by(|a, b| (b.1 - 1.0).abs().total_cmp(&(a.1 - 1.0).abs()));
        all.into_iter().take(MOST_COLUMNS).map(|(node, _)| node).collect::<Vec<_>>()
    });
    let cut = far.filter(|_| group.nodes.len() > MOST_COLUMNS);
    let is_shown = |node: &&String| cut.as_ref().is_none_or(|far| far.contains(&node.as_str()));
    let nodes: Vec<String> = group.nodes.iter().filter(is_shown).take(MOST_COLUMNS).cloned().collect();
    let routes = group.routes.as_ref().filter(|routes| routes.routes.len() > 1);
    let mut rows: Vec<HeatRow> = routes.iter().flat_map(|routes| by_route(group, routes, &nodes)).collect();
    rows.extend(by_load(group, &nodes));
    HeatStatus {
        more_nodes: group.nodes.len() - nodes.len(),
        nodes,
        rows,
        by_routes: routes.map(|routes| routes.part_of_interaction),
    }
}

fn by_route(group: &GroupReport, routes: &Routes, nodes: &[String]) -> Vec<HeatRow> {
    let places: Vec<Option<usize>> =
        nodes.iter().map(|node| group.nodes.iter().position(|other| other == node)).collect();
    let cells = |relative: &[f64]| places.iter().map(|at| relative.get((*at)?).copied()).collect();
    let row = |route: &ambidex_insight::doctor::Route| HeatRow {
        name: route.route.clone(),
        route: true,
        cells: cells(&route.relative),
    };
    routes.routes.iter().map(row).collect()
}

/// Loads by how much they say, then how long workers take.
fn by_load(group: &GroupReport, nodes: &[String]) -> Vec<HeatRow> {
    let row = |metric: &Metric, r: &dyn Fn(&str) -> Option<f64>| HeatRow {
        name: metric.to_string(),
        route: false,
        cells: nodes.iter().map(|node| r(node)).collect(),
    };
    let of_spread = |spread: &Spread| {
        row(&spread.metric, &|node| spread.parts.iter().find(|part| part.node == node).map(|part| part.r))
    };
    let mut spreads: Vec<&Spread> = group.spreads.iter().collect();
    let rank = |metric: &Metric| ORDER.iter().position(|other| other == metric).unwrap_or(ORDER.len());
    spreads.sort_by_key(|spread| rank(&spread.metric));
    let told: Vec<&Metric> = spreads.iter().map(|spread| &spread.metric).collect();
    let others = group.steadiness.iter().filter(|one| LATENCIES.contains(&one.metric) && !told.contains(&&one.metric));
    let of_others = others.map(|steadiness| {
        row(&steadiness.metric, &|node| steadiness.nodes.iter().find(|one| one.node == node).map(|one| one.r))
    });
    spreads.iter().map(|spread| of_spread(spread)).chain(of_others).collect()
}

fn left(diagnosis: &Diagnosis, group: &GroupReport, capacity: &Capacity) -> CapacityStatus {
    let mut nodes: Vec<LeftStatus> = capacity
        .nodes
        .iter()
        .map(|node| LeftStatus {
            name: node.node.clone(),
            utilization: node.utilization,
            left: node.left.cmi,
            level: match node.level {
                headroom::Level::Well => Grave::Well,
                headroom::Level::Warning => Grave::Warning,
                headroom::Level::Critical => Grave::Critical,
            },
            full_in_hours: node.full_in_hours,
        })
        .collect();
    nodes.sort_by(|a, b| a.left.total_cmp(&b.left));
    let more_nodes = nodes.len().saturating_sub(MOST_ROWS);
    nodes.truncate(MOST_ROWS);
    let stranded = group.spreads.iter().filter(|spread| spread.insufficient.is_none()).map(|spread| spread.stranded);
    CapacityStatus {
        metric: capacity.metric.to_string(),
        theta: capacity.theta,
        nodes,
        more_nodes,
        left_without_one: capacity.cluster.cmi_n1,
        surge: capacity.cluster.surge,
        surge_even: capacity.cluster.surge_balanced,
        stranded: stranded.fold(0.0, f64::max),
        plan: group.plan.as_ref().map(|plan| planned(diagnosis, group, plan)),
    }
}

fn planned(diagnosis: &Diagnosis, group: &GroupReport, plan: &Plan) -> PlanStatus {
    let (needed, withheld) = match Desired::of(diagnosis, group) {
        Desired::Nodes(many) => (Some(many), None),
        Desired::Withheld(why) => (None, Some(why.word())),
    };
    let binding = plan.binding.as_ref().map(|(key, binding)| {
        let (percent, most) = (binding.share * 100.0, binding.most_nodes);
        format!("More workers will not help: {key} is {percent:.0} % of the load, and beyond {most} nothing changes.")
    });
    PlanStatus { nodes: plan.nodes, needed, even: plan.needed.balanced, withheld, binding }
}

const fn grave(level: Level) -> Grave {
    match level {
        Level::Well => Grave::Well,
        Level::Notice => Grave::Notice,
        Level::Warn => Grave::Warning,
        Level::Critical => Grave::Critical,
    }
}

fn millis(at: At) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

/// Loads, by how much each says of what a worker has to do.
const ORDER: [Metric; 6] =
    [Metric::Busy, Metric::Requests, Metric::Cpu, Metric::InFlight, Metric::Queue, Metric::Memory];
/// How long workers take: no load, but what tells slow ones.
const LATENCIES: [Metric; 2] = [Metric::LatencyP50, Metric::LatencyP99];
/// Source: ours; a page.
const MOST_FINDINGS: usize = 50;
/// Source: ours; a page.
const MOST_GROUPS: usize = 50;
/// Source: ours; what fits beside each other.
const MOST_COLUMNS: usize = 60;
/// Source: ours; a page.
const MOST_ROWS: usize = 100;
/// Workers that a sentence names. Source: ours.
const MOST_NAMED: usize = 20;
/// Source: ours; more would not be read.
const MOST_REMARKS: usize = 20;
