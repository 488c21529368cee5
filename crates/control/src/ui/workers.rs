//! A pool's heading and its table of workers: one row each, with why it has its weight.

use ambidex_core::plan::Source;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use maud::{Markup, html};

use super::attention::{self, Level, Peers};
use super::text;
use super::view::{PoolPanel, SignalAge, WorkerRow};
use crate::status::ChanceStatus;

/// The pool in one line.
pub(super) fn heading(pool: &PoolPanel) -> Markup {
    let rate: f64 = pool.workers.iter().map(|worker| worker.rate).sum();
    let in_flight: u64 = pool.workers.iter().map(|worker| u64::from(worker.in_flight)).sum();
    html! {
        div .heading {
            h2 { (pool.name) }
            p .facts {
                span { b { (text::three_digits(rate)) } " requests/s" }
                span { b { (in_flight) } " in flight" }
                span { "pick " b { (pool.pick) } }
                span { "weights " b { (pool.rule) } ", " (applied(pool.learned_share)) }
                @if pool.frozen { span .badge.note { "frozen" } }
            }
        }
    }
}

fn applied(share: Share) -> String {
    if share == Share::NONE {
        "only observed".to_owned()
    } else if share == Share::ALL {
        "applied".to_owned()
    } else {
        format!("applied to {} of the requests", text::percent(share.get()))
    }
}

/// What second chances did since the start, one sentence each.
pub(super) fn chances(pool: &PoolPanel) -> Markup {
    html! {
        @if !pool.chances.is_empty() {
            p .facts.chances {
                @for status in &pool.chances {
                    span { b { (status.chance.replace('_', " ")) } " " (came(status)) }
                }
            }
        }
    }
}

fn came(status: &ChanceStatus) -> String {
    let counts = [
        (status.taken, "taken"),
        (status.mattered, "mattered"),
        (status.watched, "only watched"),
        (status.refused, "refused by a bound"),
    ];
    let said: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    said.join(", ")
}

/// The table.
pub(super) fn table(pool: &PoolPanel) -> Markup {
    let serving = pool.workers.len() + pool.more_workers;
    let fair = 1.0 / serving.max(1) as f64;
    let peers = Peers::of(pool);
    let shares = pool.workers.iter().filter_map(|worker| worker.share).map(Share::get);
    let widest = shares.fold(2.0 * fair, f64::max).min(1.0);
    html! {
        table .workers {
            thead {
                tr {
                    th scope="col" { "Worker" }
                    th scope="col" { "Share " span .unit { "against fair" } }
                    th scope="col" .number { "Weight" }
                    th scope="col" .number { "p50" }
                    th scope="col" .number { "p99" }
                    th scope="col" .number { "Requests/s" }
                    th scope="col" .number { "Errors" }
                    th scope="col" .number { "In flight" }
                    th scope="col" .number { "Signal" }
                }
            }
            tbody {
                @for worker in &pool.workers { (row(pool, worker, &peers, fair, widest)) }
            }
        }
        @if pool.more_workers > 0 {
            p .more { "and " (pool.more_workers) " more: see " a href="/api/v1/pools" { "/api/v1/pools" } "." }
        }
    }
}

fn row(pool: &PoolPanel, worker: &WorkerRow, peers: &Peers, fair: f64, widest: f64) -> Markup {
    let facts = attention::facts(peers, worker);
    let level = facts.iter().map(|fact| fact.level).max();
    let worried = |word: &str| facts.iter().any(|fact| fact.word == word && fact.level > Level::Note);
    html! {
        tr id=(text::anchor("worker", &format!("{}/{}", pool.name, worker.name))) class=[level.map(Level::class)] {
            th scope="row" {
                span .name { (worker.name) }
                @for fact in &facts { " " span class={ "badge " (fact.level.class()) } { (fact.word) } }
                @if worker.url != worker.name || !worker.zone.is_empty() || !worker.path.is_empty() {
                    span .where {
                        @if worker.url != worker.name { (worker.url) }
                        @if !worker.zone.is_empty() { " zone " (worker.zone) }
                        @if !worker.path.is_empty() { " path " (worker.path) }
                    }
                }
            }
            td .share data-label="Share" {
                (bar(worker.share.map(Share::get), fair, widest))
                span .figure { @match worker.share { Some(share) => (text::percent(share.get())), None => "no traffic" } }
            }
            td .number data-label="Weight" { (text::three_digits(worker.weight)) }
            td .number data-label="p50" { (latency(worker.p50)) }
            td .number.hot[worried("slow")] data-label="p99" { (latency(worker.p99)) }
            td .number data-label="Requests/s" { (text::three_digits(worker.rate)) }
            td .number.hot[worried("failing")] data-label="Errors" { (text::percent(worker.errors.get())) }
            td .number.hot[worried("overloaded")] data-label="In flight" { (in_flight(worker)) }
            td .number.hot[worried("silent")] data-label="Signal" { (signal(worker.signal)) }
        }
        @if let Some(reason) = &worker.reason {
            tr .why {
                td colspan="9" { span .because { (without_name(reason, &worker.name)) } }
            }
        }
    }
}

/// A sentence begins with the worker's name, which stands above it already.
fn without_name<'r>(reason: &'r str, name: &str) -> &'r str {
    reason.strip_prefix(name).map_or(reason, |rest| rest.trim_start_matches([':', ' ']))
}

/// Share as a bar, with a mark at the fair share. Lengths are SVG attributes: they need no style.
fn bar(share: Option<f64>, fair: f64, widest: f64) -> Markup {
    let length = |value: f64| format!("{:.1}", 100.0 * (value / widest).clamp(0.0, 1.0));
    let share = share.unwrap_or(0.0);
    let said = format!("{} of the requests; a fair share is {}", text::percent(share), text::percent(fair));
    html! {
        svg .bar viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(said) {
            title { (said) }
            rect .ground x="0" y="2" width="100" height="6" {}
            rect .share x="0" y="2" width=(length(share)) height="6" {}
            rect .fair x=(length(fair)) y="0" width="1" height="10" {}
        }
    }
}

fn latency(span: Option<Span>) -> Markup {
    html! { @match span { Some(span) => (text::latency(span)), None => span .none { "none" } } }
}

fn in_flight(worker: &WorkerRow) -> Markup {
    html! {
        (worker.in_flight)
        @if let Some(limit) = worker.limit { span .unit { " of " (limit) } }
        @if let Some(queue) = worker.queue.filter(|queue| *queue > 0) { span .unit { " + " (queue) } }
    }
}

const fn word(source: Source) -> &'static str {
    match source {
        Source::Piggyback => "answer",
        Source::Poll => "poll",
        Source::Heartbeat => "heartbeat",
    }
}

fn signal(signal: Option<SignalAge>) -> Markup {
    html! {
        @match signal {
            Some(SignalAge { age, source, .. }) => {
                (text::age(age))
                span .unit { " " (word(source)) }
            },
            None => span .none { "none" },
        }
    }
}
