//! The ring: every slice where it lies, whose it is, and how hot; and the workers beside it.

use std::f64::consts::{FRAC_PI_2, TAU};

use ambidex_shard::plan::{PlanStatus, RingSlice, WorkerHeat};
use ambidex_shard::status::Status;
use maud::{Markup, html};

use crate::ui::text;

/// A sector of the ring: from and to, as parts of it, and its radii.
struct Sector {
    from: f64,
    to: f64,
    inner: f64,
    outer: f64,
}

pub(super) fn ring(plan: &PlanStatus) -> Markup {
    let slices = joined(&plan.ring);
    let most = slices.iter().map(|slice| slice.load).fold(LEAST_SCALE, f64::max);
    let hot = slices.iter().filter(|slice| slice.load >= HOT).count();
    let label = format!("Ring of {} slices; {hot} of them take a fifth of a worker or more", plan.slices_in_all);
    html! {
        figure .ring {
            svg viewBox="-120 -120 240 240" role="img" aria-label=(label) {
                @for slice in &slices {
                    @let owner = slice.owner.map_or("owner-none".to_owned(), |owner| format!("owner-{}", owner % COLOURS));
                    @let (from, to) = (slice.from, slice.to);
                    g class=[slice.moving.then_some("moving")] {
                        title { (about(plan, slice)) }
                        path class=(owner) d=(path(&Sector { from, to, inner: OWNER.0, outer: OWNER.1 })) {}
                        @if slice.load > 0.0 {
                            @let outer = HEAT.0 + (HEAT.1 - HEAT.0) * slice.load / most;
                            path class={ "heat-bar" @if slice.load >= HOT { " is-hot" } } d=(path(&Sector { from, to, inner: HEAT.0, outer })) {}
                        }
                    }
                }
                text .middle x="0" y="-4" { (plan.slices_in_all) } text .middle-unit x="0" y="14" { "slices" }
            }
            figcaption { "Inside: whose a slice is. Outside: its load; the longest bar is " (text::percent(most)) " of a worker." }
        }
    }
}

pub(super) fn workers(status: &Status, plan: &PlanStatus) -> Markup {
    html! {
        div .scroll {
            table .heat .ring-workers {
                thead {
                    tr {
                        th scope="col" { "Worker" } th scope="col" { "Slices" } th scope="col" { "Used" } th scope="col" { "By slices" }
                        th scope="col" { "Waiting" } th scope="col" { "Wait, p95" } th scope="col" { "State" }
                    }
                }
                tbody {
                    @for (place, worker) in plan.workers.iter().enumerate().take(MOST_WORKERS) {
                        @let known = status.workers.iter().find(|known| known.name == worker.name);
                        tr {
                            th scope="row" { svg .key viewBox="0 0 10 10" aria-hidden="true" { rect class=(format!("owner-{}", place % COLOURS)) width="10" height="10" rx="2" {} } " " (worker.name) }
                            td { (known.map_or(0, |known| known.slices)) }
                            td .hot[worker.utilization >= 0.8] { @if worker.heard { (text::percent(worker.utilization)) } @else { "?" } }
                            td { (text::percent(worker.load)) }
                            td { (format!("{:.0}", worker.waiting)) }
                            td { (text::three_digits(worker.wait_p95_millis)) " ms" }
                            td { (state(worker, known.map_or("", |known| known.state))) }
                        }
                    }
                }
            }
            @if plan.workers.len() > MOST_WORKERS { p .more { (plan.workers.len() - MOST_WORKERS) " more: " code { "ambidex shard plan" } } }
        }
    }
}

fn state(worker: &WorkerHeat, membership: &str) -> String {
    let mut words = vec![membership.to_owned()];
    if !worker.heard {
        words.push(worker.fault.clone().unwrap_or_else(|| "not heard yet".to_owned()));
    }
    if !worker.healthy {
        words.push("not well".to_owned());
    }
    words.retain(|word| !word.is_empty());
    words.join("; ")
}

fn about(plan: &PlanStatus, slice: &RingSlice) -> String {
    let owner =
        slice.owner.and_then(|owner| plan.workers.get(owner)).map_or("several, or nobody here", |one| &one.name);
    let moving = if slice.moving { ", in a move" } else { "" };
    format!("{}: {owner}, {} of a worker{moving}", slice.slice, text::percent(slice.load))
}

/// At most so many sectors as a browser draws at ease: neighbours together where there are more slices.
fn joined(ring: &[RingSlice]) -> Vec<RingSlice> {
    let each = ring.len().div_ceil(MOST_SECTORS).max(1);
    let join = |part: &[RingSlice]| {
        let (first, last) = (part.first()?, part.last()?);
        let owner = first.owner.filter(|_| part.iter().all(|slice| slice.owner == first.owner));
        let slice = if part.len() > 1 { format!("{} to {}", first.slice, last.slice) } else { first.slice.clone() };
        let load = part.iter().map(|slice| slice.load).sum();
        let moving = part.iter().any(|slice| slice.moving);
        Some(RingSlice { slice, from: first.from, to: last.to, owner, load, moving })
    };
    ring.chunks(each).filter_map(join).collect()
}

fn path(sector: &Sector) -> String {
    // A sector of the whole ring would begin where it ends, and be nothing.
    let to = sector.to.min(sector.from + 0.9999).max(sector.from + LEAST_WIDTH);
    let large = u8::from(to - sector.from > 0.5);
    let at = |part: f64, radius: f64| {
        let angle = TAU * part - FRAC_PI_2;
        format!("{:.2} {:.2}", radius * angle.cos(), radius * angle.sin())
    };
    let Sector { from, inner, outer, .. } = *sector;
    format!(
        "M{} A{outer:.2} {outer:.2} 0 {large} 1 {} L{} A{inner:.2} {inner:.2} 0 {large} 0 {} Z",
        at(from, outer),
        at(to, outer),
        at(to, inner),
        at(from, inner)
    )
}

/// Radii of the two rings.
const OWNER: (f64, f64) = (62.0, 80.0);
const HEAT: (f64, f64) = (83.0, 116.0);
/// A bar of full length is at least this part of a worker: what is idle must not look hot. Source: shards.md, a fifth is hot.
const LEAST_SCALE: f64 = 0.20;
/// A slice that takes so much of a worker is hot. Source: as above.
const HOT: f64 = 0.20;
/// A slice of one key is seen all the same.
const LEAST_WIDTH: f64 = 0.001;
/// Colours of owners; the table says which are whose.
const COLOURS: usize = 8;
const MOST_SECTORS: usize = 512;
const MOST_WORKERS: usize = 64;
