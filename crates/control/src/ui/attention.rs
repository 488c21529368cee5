//! What needs attention, in sentences, before any table: who is overloaded, silent, failing or slow, and what the loop has
//! done about it already.
//!
//! Judged from what the page shows, by rules a reader can check against the row; nothing here changes a weight.

use ambidex_core::contact::Stage;
use ambidex_core::probation::Told;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_core::worker::Standing;
use ambidex_core::zone;
use maud::{Markup, html};

use super::text;
use super::view::{BreakerState, Page, PoolPanel, WorkerRow};
use crate::doctor::{DoctorStatus, Grave};
use crate::publish::PublisherState;
use crate::room::{ElectionStatus, FollowStatus, ProbationStatus};
use crate::status::ZoneStatus;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Somebody wanted it so.
    Note,
    /// Worth a look.
    Warning,
    /// Requests are hurt.
    Bad,
}

impl Level {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// One fact about a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) level: Level,
    /// One or two words, for the row.
    pub(super) word: &'static str,
    /// What is so, to follow the worker's name.
    pub(super) clause: String,
}

/// The latencies that a worker is compared with: sorted once for a pool, whatever its size.
#[derive(Clone, Debug)]
pub(super) struct Peers(Vec<Span>);

impl Peers {
    pub(super) fn of(pool: &PoolPanel) -> Self {
        let mut all: Vec<Span> = pool.workers.iter().filter_map(|worker| worker.p99).collect();
        all.sort_unstable();
        Self(all)
    }

    /// The (lower) median of all but the one worker whose own this is.
    fn median_without(&self, own: Span) -> Option<Span> {
        let at = self.0.binary_search(&own).ok()?;
        let middle = self.0.len().checked_sub(2)? / 2;
        self.0.get(if middle < at { middle } else { middle + 1 }).copied()
    }
}

/// How many workers and publishers there are of which something is not well.
pub(super) fn worries(page: &Page) -> usize {
    let worried = |pool: &PoolPanel| {
        let peers = Peers::of(pool);
        let facts = pool.workers.iter().map(|worker| facts(&peers, worker));
        facts.filter(|facts| facts.iter().any(|fact| fact.level > Level::Note)).count()
    };
    let failing = page.publishers.iter().filter(|state| state.carried.fault.is_some()).count();
    let unled = page.following.as_ref().filter(|following| following.stage != Stage::Heard).iter().count();
    let doubted = page.probation.as_ref().and_then(probation_item).filter(|(level, _)| *level > Level::Note);
    let unelected = page.election.as_ref().filter(|election| election_level(election) > Level::Note).iter().count();
    page.pools.iter().map(worried).sum::<usize>() + failing + unled + doubted.iter().count() + unelected
}

/// The section on top of the page.
pub(super) fn section(page: &Page) -> Markup {
    let mut items: Vec<(Level, Markup)> = page.pools.iter().flat_map(pool_items).collect();
    if let Some(why) = &page.journal_fault {
        items.push((Level::Warning, html! { "The journal is not being written: " (why) ". Traffic goes on." }));
    }
    items.extend(page.publishers.iter().filter_map(publisher_item));
    items.extend(page.following.as_ref().map(following_item));
    items.extend(page.probation.as_ref().and_then(probation_item));
    items.extend(page.election.as_ref().map(election_item));
    items.extend(doctor_item(&page.doctor));
    items.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let calm = items.iter().all(|(level, _)| *level == Level::Note);
    let workers: usize = page.pools.iter().map(|pool| pool.workers.len() + pool.more_workers).sum();
    html! {
        section #attention aria-label="What needs attention" data-as-of=(text::time_of_day(page.wall_millis)) {
            @if calm {
                p .calm { (all_well(workers)) }
            }
            @if !items.is_empty() {
                ul .attention {
                    @for (level, item) in &items {
                        li class=(level.class()) { (item) }
                    }
                }
            }
        }
    }
}

fn all_well(workers: usize) -> String {
    match workers {
        0 => "There are no workers yet.".to_owned(),
        1 => "The one worker is well.".to_owned(),
        workers => format!("All {workers} workers are well."),
    }
}

fn pool_items(pool: &PoolPanel) -> Vec<(Level, Markup)> {
    let mut items = Vec::new();
    let peers = Peers::of(pool);
    for worker in &pool.workers {
        let facts = facts(&peers, worker);
        let Some(level) = facts.iter().map(|fact| fact.level).max() else { continue };
        let clauses: Vec<&str> = facts.iter().map(|fact| fact.clause.as_str()).collect();
        items.push((
            level,
            html! {
                a href={ "#" (text::anchor("worker", &format!("{}/{}", pool.name, worker.name))) } { (worker.name) }
                " " (clauses.join("; ")) ". "
                span .answer { (answer(pool, worker)) }
            },
        ));
    }
    let away = |known: &&ZoneStatus| known.stage != zone::Stage::Home && known.demand > 0.0;
    for known in pool.zones.iter().filter(away) {
        let level = if known.stage == zone::Stage::Out { Level::Warning } else { Level::Note };
        let why = known.why.as_deref().unwrap_or_default();
        items.push((level, html! { "Pool " b { (pool.name) } ": " (why) "." }));
    }
    if pool.frozen {
        items.push((Level::Note, html! { "Pool " b { (pool.name) } ": an operator holds all weights." }));
    }
    if pool.workers.is_empty() {
        items.push((
            Level::Bad,
            html! { "Pool " b { (pool.name) } " has no workers: its requests cannot be answered." },
        ));
    }
    items
}

/// How it stands with the coordinator that decides about followed pools.
fn following_item(following: &FollowStatus) -> (Level, Markup) {
    let silent = text::age(Span::from_secs_f64(following.silent_ms / 1e3));
    let why = following.fault.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    let url = &*following.url;
    match following.stage {
        Stage::Heard => (Level::Note, html! { "Weights are decided by the coordinator at " (url) "." }),
        Stage::Held => (
            Level::Bad,
            html! { "The coordinator at " (url) " has been silent for " (silent) (why) ". Its last weights stay." },
        ),
        Stage::Static => (
            Level::Bad,
            html! {
                "The coordinator at " (url) " has been silent for " (silent) (why)
                ". Requests go by the configured weights."
            },
        ),
    }
}

/// Whether the configuration in force is watched, or another one than the file says.
fn probation_item(probation: &ProbationStatus) -> Option<(Level, Markup)> {
    let why = probation.why.as_ref()?;
    let level = match probation.told.as_ref()? {
        Told::Returned | Told::NotReturned { .. } | Told::Worse { .. } => Level::Warning,
        Told::Began { .. } => Level::Note,
        Told::Passed | Told::Unclear { .. } | Told::Accepted => return None,
    };
    let because = probation
        .because
        .as_ref()
        .map_or_else(String::new, |because| format!(" It was gone back from, because {because}."));
    Some((level, html! { "Configuration: " (why) "." (because) }))
}

/// That the doctor found something; what, stands on its own page.
fn doctor_item(told: &DoctorStatus) -> Option<(Level, Markup)> {
    let first = told.findings.first().filter(|first| first.level >= Grave::Warning)?;
    let more =
        told.findings.iter().skip(1).filter(|finding| finding.level >= Grave::Warning).count() + told.more_findings;
    let level = if first.hurts && first.level == Grave::Critical { Level::Warning } else { Level::Note };
    let text = html! {
        a href="/doctor" { "The doctor" } ": " (first.title) "."
        @if more > 0 { " And " (more) " more." }
    };
    Some((level, text))
}

/// Which of several coordinators leads.
fn election_item(election: &ElectionStatus) -> (Level, Markup) {
    (election_level(election), html! { (election.sentence()) "." })
}

fn election_level(election: &ElectionStatus) -> Level {
    match (election.leads || election.leader.is_some(), &election.fault) {
        (true, None) => Level::Note,
        (true, Some(_)) => Level::Warning,
        (false, _) => Level::Bad,
    }
}

fn publisher_item(state: &PublisherState) -> Option<(Level, Markup)> {
    let why = state.carried.fault.as_ref()?;
    let end = if why.ends_with('?') { "" } else { "." };
    let text =
        html! { "Weights do not get to " b { (state.name) } " (" (state.kind) ", " (state.target) "): " (why) (end) };
    Some((Level::Bad, text))
}

/// What the loop has made of it.
fn answer(pool: &PoolPanel, worker: &WorkerRow) -> String {
    let weight = text::three_digits(worker.weight);
    let gets = match worker.share {
        Some(share) => format!(" and gets {} of the requests", text::percent(share.get())),
        None => String::new(),
    };
    if pool.learned_share == Share::NONE {
        format!("It would weigh {weight} of a fair share; weights are only observed.")
    } else {
        format!("It weighs {weight} of a fair share{gets}.")
    }
}

/// What is to be said of a worker, worst first.
pub(super) fn facts(peers: &Peers, worker: &WorkerRow) -> Vec<Fact> {
    let mut facts: Vec<Fact> = [
        breaker(worker),
        kept_out(worker),
        health(worker),
        silence(worker),
        failures(worker),
        fullness(worker),
        slowness(peers, worker),
    ]
    .into_iter()
    .flatten()
    .collect();
    facts.extend(orders(worker));
    facts.sort_by_key(|fact| std::cmp::Reverse(fact.level));
    facts
}

fn breaker(worker: &WorkerRow) -> Option<Fact> {
    match worker.breaker {
        BreakerState::Closed => None,
        BreakerState::Open => {
            Some(Fact { level: Level::Bad, word: "breaker open", clause: "is kept out by its breaker".into() })
        }
        BreakerState::Probing => {
            Some(Fact { level: Level::Warning, word: "probing", clause: "is being probed by its breaker".into() })
        }
        BreakerState::Ramping => {
            Some(Fact { level: Level::Note, word: "ramping", clause: "gets its share back after its breaker".into() })
        }
    }
}

/// What gateways that follow do about it by themselves.
fn kept_out(worker: &WorkerRow) -> Option<Fact> {
    let known = &worker.kept_out;
    if known.is_quiet() {
        return None;
    }
    let (level, count, does) = match (known.open, known.probing, known.ramping) {
        (open @ 1.., ..) => (Level::Bad, open, "keep all requests from it"),
        (0, probing @ 1.., _) => (Level::Warning, probing, "probe it"),
        (0, 0, ramping) => (Level::Note, ramping, "give it its share back"),
    };
    let some = known.gateways.join(", ");
    let noun = if count == 1 { "gateway" } else { "gateways" };
    Some(Fact {
        level,
        word: "breaker elsewhere",
        clause: format!("has breakers of {count} {noun} that {does} ({some})"),
    })
}

fn health(worker: &WorkerRow) -> Option<Fact> {
    let why = worker.unwell.as_ref()?;
    let clause = match worker.standing {
        Standing::Unhealthy => format!("is kept out, because its health checks fail: {why}"),
        Standing::Serving | Standing::Draining => format!("fails its health checks: {why}"),
    };
    Some(Fact { level: Level::Bad, word: "unhealthy", clause })
}

fn silence(worker: &WorkerRow) -> Option<Fact> {
    let signal = worker.signal.filter(|signal| signal.age > signal.period.times(MISSED))?;
    let clause =
        format!("has been silent for {} (a report is due every {})", text::age(signal.age), text::age(signal.period));
    // A worker without traffic cannot report on its answers: that is no silence.
    let idle = signal.source == ambidex_core::plan::Source::Piggyback && worker.samples == 0;
    (!idle).then_some(Fact { level: Level::Warning, word: "silent", clause })
}

fn failures(worker: &WorkerRow) -> Option<Fact> {
    let share = worker.errors.get();
    if share < FAILING || worker.samples < ENOUGH {
        return None;
    }
    let level = if share < FAILING_BADLY { Level::Warning } else { Level::Bad };
    Some(Fact { level, word: "failing", clause: format!("fails {} of its requests", text::percent(share)) })
}

/// A full house for a moment is what a busy worker looks like; overload is one with a queue, or one that lasts, which a
/// utilization tells because it is measured over a while.
fn fullness(worker: &WorkerRow) -> Option<Fact> {
    let waiting = worker.queue.filter(|queue| *queue > 0);
    let full = worker.limit.is_some_and(|limit| worker.in_flight >= limit);
    let utilized = worker.utilization.filter(|utilization| *utilization >= FULL);
    let lasting = utilized.is_some() || worker.utilization.is_none();
    if !(full && (waiting.is_some() || lasting) || utilized.is_some()) {
        return None;
    }
    let mut clause = "is overloaded: ".to_owned();
    clause += &match worker.limit {
        Some(limit) => format!("{} of {limit} requests at once in flight", worker.in_flight),
        None => format!("{} requests in flight", worker.in_flight),
    };
    if let Some(waiting) = waiting {
        clause += &format!(", {waiting} waiting");
    }
    if let Some(utilized) = utilized {
        clause += &format!(", {} utilized", text::percent(utilized));
    }
    Some(Fact { level: Level::Warning, word: "overloaded", clause })
}

fn slowness(peers: &Peers, worker: &WorkerRow) -> Option<Fact> {
    let own = worker.p99.filter(|_| worker.samples >= ENOUGH)?;
    let median = peers.median_without(own)?;
    if own < median.times(SLOWER) || own < median + SLOWER_AT_LEAST {
        return None;
    }
    let clause = format!("is slow: p99 {}, the median of the others is {}", text::latency(own), text::latency(median));
    Some(Fact { level: Level::Warning, word: "slow", clause })
}

/// What somebody wanted so.
fn orders(worker: &WorkerRow) -> impl Iterator<Item = Fact> {
    let note = |word, clause: String| Fact { level: Level::Note, word, clause };
    let draining = (worker.standing == Standing::Draining)
        .then(|| note("draining", format!("is draining, {} requests to go", worker.in_flight)));
    let refuses = worker.refuses.then(|| note("refuses", "says that it accepts nothing new".into()));
    let pinned = worker.pinned.map(|weight| {
        note("pinned", format!("is pinned to {} of a fair share by an operator", text::three_digits(weight)))
    });
    let drilled = worker.drilled.map(|fault| note("drilled", format!("is drilled by an operator: {fault}")));
    [draining, refuses, pinned, drilled].into_iter().flatten()
}

/// Periods without a report that make silence. Source: R-W10.
const MISSED: u64 = 3;
/// Share of failures worth a look. Source: R-B1.
const FAILING: f64 = 0.05;
/// Share of failures that hurts. Source: ours.
const FAILING_BADLY: f64 = 0.25;
/// Tries under which a share or a p99 is chance. Source: balancing.md "Breaker".
const ENOUGH: u64 = 20;
/// Utilization that counts as full. Source: ours; queues grow beyond any bound near 1.
const FULL: f64 = 0.95;
/// How many times the others' p99 is slow. Source: ours; less is daily scatter of tails.
const SLOWER: u64 = 3;
/// And by how much at least. Source: balancing.md "Breaker", 5 ms absolute.
const SLOWER_AT_LEAST: Span = Span::from_millis(5);
