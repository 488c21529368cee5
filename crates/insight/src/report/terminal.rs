//! The report in a terminal: findings by impact, each with who, why, what it costs and what to do; below them the measures.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::words;
use crate::analysis::headroom;
use crate::analysis::planning::Needed;
use crate::analysis::trend::Trend;
use crate::doctor::{Callers, Capacity, CapacityFrom, Diagnosis, Finding, GroupReport, Hypothesis, Level, Plan, Rules};

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether colours may be used.
    pub colour: bool,
    /// Columns.
    pub width: usize,
    /// Whether all measures are told, and not only the findings.
    pub verbose: bool,
}

/// The report.
#[must_use]
pub fn text(diagnosis: &Diagnosis, look: Look) -> String {
    let mut out = String::new();
    head(&mut out, diagnosis, look);
    if diagnosis.findings.is_empty() {
        let judged = diagnosis.groups.iter().any(|group| group.insufficient.is_none());
        let words = if judged { "Nothing stands out." } else { "There is too little to judge." };
        let _ = writeln!(out, "\n{}", paint(look, Style::new().bold(), words));
    }
    for (number, finding) in diagnosis.findings.iter().enumerate() {
        out.push('\n');
        tell(&mut out, number + 1, finding, look);
    }
    for group in &diagnosis.groups {
        out.push('\n');
        measures(&mut out, group, look);
    }
    if !diagnosis.remarks.is_empty() {
        let _ = writeln!(out, "\n{}", paint(look, Style::new().bold(), "Of the source"));
        for remark in &diagnosis.remarks {
            let times = if remark.times > 1 { format!(" ({} times)", remark.times) } else { String::new() };
            let _ = writeln!(out, "  {}{times}", remark.what);
        }
    }
    out
}

fn head(out: &mut String, diagnosis: &Diagnosis, look: Look) {
    let rules = match diagnosis.rules {
        Rules::Effect => "effect",
        Rules::Classic => "classic",
    };
    let _ = writeln!(out, "{}", paint(look, Style::new().bold(), &diagnosis.source));
    if let Some((begin, end)) = diagnosis.judged {
        let _ = write!(out, "judged: {} to {} UTC", words::moment(begin), words::moment(end));
    }
    let nodes: usize = diagnosis.groups.iter().map(|group| group.nodes.len()).sum();
    let out_of = nodes + diagnosis.groups.iter().map(|group| group.not_judged.len()).sum::<usize>();
    let groups = diagnosis.groups.len();
    let s = if groups == 1 { "" } else { "s" };
    let _ = writeln!(out, " · {nodes} of {out_of} nodes in {groups} group{s} · rules: {rules}");
    if diagnosis.partial {
        let _ = writeln!(
            out,
            "{}: not all that was asked for could be read; see the end",
            paint(look, style(Level::Warn), "partial")
        );
    }
}

fn tell(out: &mut String, number: usize, finding: &Finding, look: Look) {
    let style = style(finding.level);
    let mark = format!("{} {}", words::shape(finding.level), words::level(finding.level));
    let group = if finding.group == "all nodes" { String::new() } else { format!(" [{}]", finding.group) };
    let title = paint(look, Style::new().bold(), &finding.title);
    let _ = writeln!(out, "{number}. {}  {title}{group}", paint(look, style, &mark));
    let mut line = words::verdict(finding.verdict).to_owned();
    if let Some(since) = &finding.since {
        let _ =
            write!(line, ", since {} ({:.2} before, {:.2} since)", words::moment(since.at), since.before, since.after);
        if let Some(happened) = &since.happened {
            let _ = write!(line, ", about when: {} ({})", happened.text, words::moment(happened.at));
        }
    }
    wrapped(out, look, "   ", &line);
    for node in finding.nodes.iter().take(MOST_NODES) {
        let mut line = format!("{}  {:.2}  {}", node.node, node.r, bar(node.r));
        if let Some(factors) = node.factors {
            let _ = write!(line, "  = rate {:.2} x mix {:.2} x speed {:.2}", factors.rate, factors.mix, factors.speed);
        }
        for (metric, r) in &node.also {
            let _ = write!(line, " · {metric} {r:.2}");
        }
        wrapped(out, look, "   ", &line);
    }
    if finding.nodes.len() > MOST_NODES {
        let _ = writeln!(out, "   and {} more", finding.nodes.len() - MOST_NODES);
    }
    for (rank, hypothesis) in words::reasons(finding).enumerate() {
        why(out, rank, hypothesis, look);
    }
    let costs = words::costs(finding);
    if !costs.is_empty() {
        labelled(out, look, "costs", &costs.join(" · "));
    }
    labelled(out, look, "now", finding.remedies.immediate);
    labelled(out, look, "for good", finding.remedies.durable);
    let experiment = finding.hypotheses.first().and_then(|first| first.experiment.as_ref());
    if let Some(experiment) = experiment {
        let (to, stays) = (experiment.predicted_r, experiment.else_r);
        labelled(out, look, "test", &format!("{}: if it is so, {to:.2} instead of {stays:.2}", experiment.what));
    }
}

fn why(out: &mut String, rank: usize, hypothesis: &Hypothesis, look: Look) {
    let subject = hypothesis.subject.as_ref().map_or_else(String::new, |subject| format!(": {subject}"));
    let text = format!("{}{subject}", hypothesis.cause);
    labelled(out, look, if rank == 0 { "why" } else { "or" }, &text);
    for evidence in &hypothesis.evidence {
        let sign = if evidence.strength < 0.0 { "-" } else { "+" };
        wrapped(out, look, EVIDENCE, &format!("{sign} {}", evidence.seen));
    }
}

fn measures(out: &mut String, group: &GroupReport, look: Look) {
    let _ = writeln!(out, "{}", paint(look, Style::new().bold(), &format!("Measures of {}", group.name)));
    if let Some(why) = &group.insufficient {
        let _ = writeln!(out, "  not judged: {why}");
    }
    if let Some(split) = &group.split {
        wrapped(out, look, "  ", &words::split(split));
    }
    if !group.spreads.is_empty() {
        let _ = writeln!(out, "  {:<12} {:>6} {:>6}  {:<22} {:<22} {:>5}", "load", "w", "now", "least", "most", "lost");
    }
    for spread in &group.spreads {
        let end = |(r, node): &(f64, String)| format!("{r:.2} {}", cut(node, 16));
        let now = spread.w_now.map_or_else(|| "-".into(), |w| format!("{w:.3}"));
        let goes = spread.trend.filter(Trend::is_sure).map_or_else(String::new, |trend| {
            let way = if trend.slope > 0.0 { "rises" } else { "falls" };
            format!(", {way} by {:.3} an hour", trend.slope.abs())
        });
        let word = match &spread.insufficient {
            Some(why) => format!("insufficient: {why}"),
            None => {
                format!("{} {}{goes}{}", words::shape(spread.level), words::level(spread.level), words::usual(spread))
            }
        };
        let _ = writeln!(
            out,
            "  {:<12} {:>6.3} {now:>6}  {:<22} {:<22} {:>3.0} %  {}",
            cut(&spread.metric.to_string(), 12),
            spread.w_adj,
            end(&spread.r_min),
            end(&spread.r_max),
            spread.stranded * 100.0,
            paint(look, style(spread.level), &word)
        );
    }
    if let Some(routes) = &group.routes {
        let part = routes.part_of_interaction * 100.0;
        let _ = writeln!(
            out,
            "  routes: {} requests; of their unevenness {part:.0} % is routes on nodes, the rest nodes",
            routes.requests
        );
        for marked in routes.marked.iter().take(if look.verbose { usize::MAX } else { MOST_MARKED }) {
            let (route, node) = (&marked.route, &marked.node);
            let _ = writeln!(
                out,
                "    {route} on {node}: {:.2} times its part ({:.0} requests)",
                marked.relative, marked.requests
            );
        }
    }
    if let Some(callers) = &group.callers {
        called(out, callers, look);
    }
    if let Some(capacity) = &group.capacity {
        left(out, capacity, look);
    }
    if let Some(plan) = &group.plan {
        planned(out, plan, look);
    }
    if group.capacity_from == CapacityFrom::Alike && group.nodes.len() > 1 {
        let _ = writeln!(out, "  capacities are not known: nodes count as alike");
    }
    for out_of in &group.not_judged {
        let _ = writeln!(out, "  not judged: {} ({})", out_of.node, out_of.why.words());
    }
}

fn called(out: &mut String, callers: &Callers, look: Look) {
    wrapped(out, look, "  ", &words::called(callers));
    let most = if look.verbose { usize::MAX } else { MOST_MARKED };
    for hop in callers.hops.iter().filter(|hop| hop.from.is_some()).take(most) {
        let from = hop.from.as_deref().unwrap_or_default();
        let w = hop.w.map_or_else(|| "-".into(), |w| format!("{w:.3}"));
        let own = hop.part_of_instances * 100.0;
        let own =
            if hop.instances > 1 { format!(", of which single instances make {own:.0} %") } else { String::new() };
        let _ = writeln!(out, "    from {from}: {:.0} requests, w {w}{own}", hop.requests);
    }
    for narrow in callers.narrow.iter().take(most) {
        let all = narrow.reached.len() + narrow.left_out.len();
        let (caller, reached) = (&narrow.caller, narrow.reached.len());
        let _ = writeln!(
            out,
            "    {caller} leaves nodes out: it sends to {reached} of {all} ({:.0} requests)",
            narrow.requests
        );
    }
    let bound = |caller: &str| callers.narrow.iter().any(|narrow| narrow.caller == caller);
    for marked in callers.marked.iter().filter(|marked| !bound(&marked.caller)).take(most) {
        let (caller, node) = (&marked.caller, &marked.node);
        let _ = writeln!(
            out,
            "    {caller} to {node}: {:.2} times its part ({:.0} requests)",
            marked.relative, marked.requests
        );
    }
}

fn left(out: &mut String, capacity: &Capacity, look: Look) {
    let cluster = &capacity.cluster;
    let worst = capacity.nodes.iter().map(|node| node.left.cmi).fold(f64::INFINITY, f64::min);
    let mut text = format!(
        "capacity by {}: {:.0} % used, at least {:.0} % left of what may be used; takes {:.2} times today's load, {:.2} times if it lay \
         evenly",
        capacity.metric,
        cluster.utilization * 100.0,
        worst.max(0.0) * 100.0,
        cluster.surge,
        cluster.surge_balanced
    );
    if let Some(without) = cluster.cmi_n1 {
        let _ = write!(text, "; without the largest node {:.0} % left", without.max(0.0) * 100.0);
    }
    wrapped(out, look, "  ", &text);
    for node in capacity.nodes.iter().filter(|node| node.level > headroom::Level::Well).take(MOST_NODES) {
        let _ = writeln!(out, "    {}: {:.0} % used, CMI {:.2}", node.node, node.utilization * 100.0, node.left.cmi);
    }
}

fn planned(out: &mut String, plan: &Plan, look: Look) {
    let Needed { nodes, balanced, skew, .. } = plan.needed;
    let text = format!(
        "nodes: {} there; the load's 95th percentile takes {nodes} (the hottest has {skew:.2} times its part), {balanced} if it lay evenly",
        plan.nodes
    );
    wrapped(out, look, "  ", &text);
    if let Some(money) = plan.money {
        let even = money.months_to_break_even.map_or_else(
            || "nothing is saved".to_owned(),
            |months| format!("engineering of {:.0} is paid for in {months:.1} months", money.engineering),
        );
        let price = money.node_hour;
        wrapped(
            out,
            look,
            "    ",
            &format!("uneven load costs {:.0} a month at {price} an hour and node; {even}", money.monthly),
        );
    }
    if let Some((key, binding)) = &plan.binding {
        let text = format!(
            "more nodes will not help: {key} is {:.0} % of the load, and lies on one; beyond {} nodes nothing changes, and its node takes \
             {:.2} times today's load",
            binding.share * 100.0,
            binding.most_nodes,
            binding.surge
        );
        wrapped(out, look, "    ", &text);
    }
}

fn labelled(out: &mut String, look: Look, label: &str, text: &str) {
    let label = paint(look, Style::new().dimmed(), &format!("{label:<9}"));
    for (number, line) in lines(look.width, EVIDENCE.len(), text).into_iter().enumerate() {
        let _ = if number == 0 { writeln!(out, "   {label} {line}") } else { writeln!(out, "{EVIDENCE}{line}") };
    }
}

fn wrapped(out: &mut String, look: Look, indent: &str, text: &str) {
    for line in lines(look.width, indent.len(), text) {
        let _ = writeln!(out, "{indent}{line}");
    }
}

/// Lines that fit behind an indent.
fn lines(width: usize, indent: usize, text: &str) -> Vec<String> {
    let room = width.max(LEAST_WIDTH) - indent;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one from the begin");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// A relative load as a bar: a fair part is eight wide.
fn bar(r: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of 0..=32")]
    let many = (r * 8.0).round().clamp(0.0, 32.0) as usize;
    let filled = "█".repeat(many);
    let rest = "·".repeat(8_usize.saturating_sub(many));
    format!("{filled}{rest}")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    // The end of an address tells more than its begin.
    let tail: String = text.chars().skip(text.chars().count() + 1 - most).collect();
    format!("…{tail}")
}

const fn style(level: Level) -> Style {
    match level {
        Level::Well => AnsiColor::Green.on_default(),
        Level::Notice => AnsiColor::Cyan.on_default(),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Critical => AnsiColor::Red.on_default().bold(),
    }
}

fn paint(look: Look, style: Style, text: &str) -> String {
    if look.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// As far in as what stands behind a label.
const EVIDENCE: &str = "             ";
/// Columns under which lines are not broken further. Source: ours.
const LEAST_WIDTH: usize = 40;
/// Nodes of a finding that are told by name. Source: ours.
const MOST_NODES: usize = 8;
/// Cells that are told without `--verbose`. Source: ours.
const MOST_MARKED: usize = 5;
