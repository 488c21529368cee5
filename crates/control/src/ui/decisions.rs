//! The list of decisions: a sentence each, and behind it every value, raw and guarded.

use ambidex_core::decision::Decision;
use ambidex_core::plan::Seen;
use ambidex_core::time::Span;
use maud::{Markup, html};

use super::text;
use super::view::{Line, Page};

/// The section.
pub(super) fn section(page: &Page) -> Markup {
    html! {
        section #decisions {
            div .heading { h2 { "Decisions" } }
            @if page.lines.is_empty() {
                p .calm { "Nothing was decided yet." }
            } @else {
                ol .decisions {
                    @for line in &page.lines { (item(line)) }
                }
            }
        }
    }
}

fn item(line: &Line) -> Markup {
    let head = html! {
        time { (text::time_of_day(line.wall_millis)) }
        span .pool-name { (line.pool) }
        span .sentence { (line.sentence) }
    };
    html! {
        li id={ "line-" (line.seq) } class=[line.alert.then_some("alert")] {
            @match &line.decision {
                Some(decision) => details data-keep-open { summary { (head) } (values(decision)) },
                None => div .plain { (head) },
            }
        }
    }
}

/// The way of the weight: what the rule said, what each guard made of it, and what it was read from.
fn values(decision: &Decision) -> Markup {
    let Decision { raw, rule, new, old, reason, guards, terms, seen, .. } = decision;
    html! {
        div .values {
            table {
                caption { "From the rule to the weight" }
                tbody {
                    tr { th scope="row" { "before" } td .number { (text::three_digits(*old)) } }
                    tr { th scope="row" { "raw: " (rule) } td .number { (text::three_digits(*raw)) } }
                    @for act in guards {
                        tr {
                            th scope="row" { (act.guard) }
                            td .number { (text::three_digits(act.from)) " \u{2192} " (text::three_digits(act.to)) }
                        }
                    }
                    tr .sum { th scope="row" { "after" } td .number { (text::three_digits(*new)) } }
                    tr { th scope="row" { "reason" } td { (reason) } }
                }
            }
            table {
                caption { "Averaged" }
                tbody {
                    (number("requests/s", terms.rate))
                    (number("utilization", terms.utilization))
                    (number("in flight", terms.load))
                    (number("limit", terms.limit))
                    (number("queue", terms.queue))
                    (span("mean latency", terms.latency))
                    (span("p99", terms.p99))
                    (number("capacity", terms.capacity))
                    (number("estimate", terms.estimate))
                    tr { th scope="row" { "errors" } td .number { (text::percent(terms.errors)) } }
                }
            }
            (observed(seen))
        }
    }
}

fn observed(seen: &Seen) -> Markup {
    html! {
        table {
            caption { "Seen at that tick" }
            tbody {
                @if let Some(passive) = seen.passive {
                    (number("own: requests/s", Some(passive.rate)))
                    tr { th scope="row" { "own: samples" } td .number { (passive.samples) } }
                    tr { th scope="row" { "own: in flight" } td .number { (passive.in_flight) } }
                    (span("own: p50", Some(passive.p50)))
                    (span("own: p99", Some(passive.p99)))
                }
                @if let Some(heard) = seen.report {
                    tr { th scope="row" { "report: age" } td .number { (text::age(heard.age)) } }
                    (number("report: in flight", heard.report.in_flight.map(f64::from)))
                    (number("report: queue", heard.report.queue.map(f64::from)))
                    (number("report: utilization", heard.report.utilization))
                    (span("report: p99", heard.report.p99))
                }
                (number("configured weight", Some(seen.weight)))
            }
        }
    }
}

fn number(name: &str, value: Option<f64>) -> Markup {
    html! {
        @if let Some(value) = value { tr { th scope="row" { (name) } td .number { (text::three_digits(value)) } } }
    }
}

fn span(name: &str, value: Option<Span>) -> Markup {
    html! {
        @if let Some(value) = value { tr { th scope="row" { (name) } td .number { (text::latency(value)) } } }
    }
}
