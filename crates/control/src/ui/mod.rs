//! The dashboard: one page, rendered here, that says who is overloaded and why.
//!
//! For: whoever serves it (the admin server) and whoever looks at it at three in the morning. What needs attention comes
//! first, in sentences; then each pool's workers, its weights and latencies over time on one cursor, and what was
//! decided. All of it works without JavaScript; with it, the page keeps itself up to date.
//!
//! ```text
//! view types ([`Page`]) --> page(): whole document          GET /
//!                      \--> live(): what changes of it      events `page` and `part` of GET /ui/events, once a second
//! [`Charts`] --> JSON                                       event `points` of GET /ui/events, and GET /ui/series
//! [`DoctorPage`] --> doctor::page(), parts()                GET /doctor, and events of GET /ui/events?page=doctor
//! [`ShardsPage`] --> shards::page(), parts()                GET /shards, and events of GET /ui/events?page=shards
//! asset(name): script, style, icon                          GET /ui/NAME
//! ```
//! Everything that is shown may come from outside (a worker's name, a message): maud escapes all of it, and
//! [`CONTENT_SECURITY_POLICY`] forbids inline scripts and styles besides. Bars are SVG, whose attributes are no styles.

mod assets;
mod attention;
mod charts;
mod costs;
mod decisions;
mod doctor;
mod modes;
mod publishers;
mod serve;
mod shards;
mod text;
mod trials;
mod view;
mod workers;
mod zones;

use maud::{DOCTYPE, Markup, html};

pub use assets::{Asset, asset};
pub use charts::{ChartPool, Charts};
pub use doctor::DoctorPage;
pub(crate) use serve::routes;
pub use serve::{PageSource, router};
pub use shards::ShardsPage;
pub use view::{BreakerState, Line, Page, PoolPanel, SignalAge, WorkerRow};

/// What the browser may load: our own files, nothing inline. To be sent with the page.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The whole document.
#[must_use]
pub fn page(page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-title="Ambidex" {
            (head(&title(page)))
            body {
                (top(page.wall_millis, "/"))
                main #live data-events="/ui/events" { (live(page)) }
                footer {
                    "Ambidex " (page.version) ". Times are UTC. A weight of 1 is a fair share: what every worker of the pool "
                    "would get if all were alike. The same as JSON: " a href="/api/v1/status" { "/api/v1/status" } ", "
                    a href="/api/v1/decisions" { "/api/v1/decisions" } ", " a href="/metrics" { "/metrics" } "."
                }
            }
        }
    }
}

/// What every document loads.
fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" href="/ui/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/ui/uplot.css";
            link rel="stylesheet" href="/ui/dashboard.css";
            link rel="stylesheet" href="/ui/doctor.css";
            link rel="stylesheet" href="/ui/shards.css";
            noscript { meta http-equiv="refresh" content="5"; }
            script src="/ui/uplot.js" defer {}
            script src="/ui/dashboard.js" type="module" {}
        }
    }
}

/// What stands on top of every document: its pages, of which this is one, and how fresh it is.
fn top(wall_millis: u64, here: &str) -> Markup {
    html! {
        header .top {
            a .brand href="/" { (mark()) "Ambidex" }
            nav aria-label="Pages" {
                @for (path, name) in [("/", "Workers"), ("/shards", "Shards"), ("/doctor", "Doctor")] {
                    a href=(path) aria-current=[(here == path).then_some("page")] { (name) }
                }
            }
            span #state .state { "as of " (text::time_of_day(wall_millis)) " UTC" }
        }
    }
}

/// The part of the document that changes: everything in its `main`.
#[must_use]
pub fn live(page: &Page) -> Markup {
    html! { @for part in parts(page) { (part.html) } }
}

/// A section of the page that is renewed by itself.
#[derive(Clone, Debug)]
struct Part {
    /// The id of its element.
    id: String,
    html: Markup,
}

/// The sections, in their order.
fn parts(page: &Page) -> Vec<Part> {
    let mut parts = vec![Part { id: "attention".to_owned(), html: attention::section(page) }];
    parts.extend(page.pools.iter().map(|pool| {
        let id = text::anchor("pool", &pool.name);
        Part { html: pool_section(pool, &id), id }
    }));
    if !page.publishers.is_empty() {
        parts.push(Part { id: "publishers".to_owned(), html: publishers::section(page) });
    }
    parts.push(Part { id: "decisions".to_owned(), html: decisions::section(page) });
    parts
}

fn pool_section(pool: &PoolPanel, id: &str) -> Markup {
    html! {
        section .pool id=(id) {
            (workers::heading(pool))
            (workers::table(pool))
            (workers::chances(pool))
            (modes::section(pool))
            (zones::section(pool))
            (costs::section(pool))
            (trials::section(pool))
            div .charts data-pool=(pool.name) data-keep hidden {
                div .chart-keys {}
                figure { figcaption { "Weight, in fair shares" } div .weights {} }
                figure { figcaption { "Latency, 99th percentile, ms, logarithmic" } div .latencies {} }
            }
        }
    }
}

/// What a tab shows: bad news first, so that it is seen without opening it.
fn title(page: &Page) -> String {
    match attention::worries(page) {
        0 => "Ambidex".to_owned(),
        worries => format!("({worries}) Ambidex"),
    }
}

/// Two unlike bars: the left hand and the right hand.
fn mark() -> Markup {
    html! {
        svg .mark viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
            rect x="1" y="2" width="6" height="12" rx="2" {}
            rect x="9" y="6" width="6" height="8" rx="2" {}
        }
    }
}

#[cfg(test)]
mod tests;
