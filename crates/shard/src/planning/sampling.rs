//! One second's sample: what core decides by, of what is known here.

use ambidex_core::shard::keyspace::DailyPresplit;
use ambidex_core::shard::plan::{Going, Presplit, Sample, SliceNow, WorkerNow};
use ambidex_core::shard::records::{Membership, Slice, SliceId};
use ambidex_core::shard::space::Point;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::Picture;
use ambidex_wire::shard::heat::SliceHeat;

use super::Planning;
use crate::mover::{Lead, Task, Wanted};
use crate::turns::membership;

impl Task {
    /// How the keyspace is now; none before there is a map.
    pub(super) fn sample(&mut self, now: Mono) -> Option<Sample> {
        let members = self.members.as_deref()?;
        let unwell = (self.parts.unwell)();
        let presplits = presplits(now, self.parts.config.planner.presplits());
        let store_p99 = self.stores.p99(now);
        let (lead, picture) = (self.lead.as_mut()?, self.picture.as_ref()?);
        let is_member = |name: &str| members.iter().any(|member| member.name == name);
        let mut slices: Vec<(SliceId, Slice)> = picture.slices().collect();
        slices.sort_unstable_by_key(|(_, slice)| slice.range.first());
        lead.planning.ages(now, &slices);
        let here = picture
            .names()
            .filter(|(id, named)| membership(picture, *id) != Membership::Left && is_member(&named.name));
        let planner = &self.parts.config.planner;
        let limit = planner.queue_depth().map_or(0.0, f64::from);
        let objective = planner.queue_wait().unwrap_or(Span::ZERO);
        let workers = here.map(|(id, named)| {
            let healthy = membership(picture, id) == Membership::In && !unwell.contains(&named.name);
            worker(&lead.planning, now, id, healthy, (limit, objective))
        });
        Some(Sample {
            workers: workers.collect(),
            slices: slices.iter().map(|(id, slice)| lead.planning.slice(now, *id, slice)).collect(),
            moves: going(lead, picture),
            presplits,
            deploying: picture.names().any(|(id, _)| membership(picture, id) == Membership::Leaving),
            store_p99,
        })
    }
}

impl Planning {
    /// Takes down since when slices have had their ranges.
    fn ages(&mut self, now: Mono, slices: &[(SliceId, Slice)]) {
        let first = self.born.is_empty();
        let before = std::mem::take(&mut self.born);
        let age = |(id, slice): &(SliceId, Slice)| {
            let known = before.get(id).filter(|(range, _)| *range == slice.range).map(|(_, at)| *at);
            // What stood when it began to lead may be of any age.
            let at = known.unwrap_or(if first { Mono::default() } else { now });
            (*id, (slice.range, at))
        };
        self.born = slices.iter().map(age).collect();
    }

    fn slice(&self, now: Mono, id: SliceId, slice: &Slice) -> SliceNow {
        let heard = self.heard.get(&slice.owner).and_then(|heard| heard.now(now));
        let heat = heard.and_then(|(text, _)| Some((text.slices.iter().find(|heat| heat.id == id.0)?, text.places)));
        let inside = |point: u64| Some(Point(point)).filter(|point| slice.range.contains(*point));
        let of = |read: fn(&SliceHeat) -> f64| heat.map_or(0.0, |(heat, _)| read(heat));
        SliceNow {
            slice: id,
            range: slice.range,
            owner: slice.owner,
            load: heat.map_or(0.0, |(heat, places)| heat.work / f64::from(places.max(1))),
            forecast: None,
            bytes: self.bytes(slice.range),
            middle: heat.and_then(|(heat, _)| heat.middle).and_then(inside),
            last_part: of(|heat| heat.last_part),
            hottest: heat.and_then(|(heat, _)| Some((inside(heat.hottest?)?, heat.hottest_share))),
            age: now.since(self.born.get(&id).map_or(now, |(_, at)| *at)),
        }
    }
}

fn worker(planning: &Planning, now: Mono, id: WorkerId, healthy: bool, (limit, objective): (f64, Span)) -> WorkerNow {
    let heard = planning.heard.get(&id).and_then(|heard| heard.now(now));
    WorkerNow {
        worker: id,
        heard: heard.is_some(),
        healthy,
        utilization: heard.map_or(0.0, |(_, part)| part),
        depth: heard.map_or(0.0, |(text, _)| f64::from(text.waiting)),
        depth_limit: limit,
        wait_p95: heard.map_or(Span::ZERO, |(text, _)| Span::from_micros(text.wait_p95_micros)),
        wait_objective: objective,
    }
}

/// Moves under way, and those that wait.
fn going(lead: &Lead, picture: &Picture) -> Vec<Going> {
    let under_way = lead.moves.values().filter(|conducted| conducted.is_moving()).map(|conducted| {
        let plan = conducted.conductor.plan();
        Going { slice: plan.slice, from: plan.source, to: plan.target }
    });
    let waits = |wanted: &Wanted| {
        let (_, slice) = picture.slice(wanted.slice)?;
        let to = wanted.to.as_deref().and_then(|name| picture.number_of(name)).unwrap_or(slice.owner);
        Some(Going { slice: wanted.slice, from: slice.owner, to })
    };
    under_way.chain(lead.waiting.iter().filter_map(waits)).collect()
}

/// Plans of the day that are in force.
fn presplits(now: Mono, planned: &[DailyPresplit]) -> Vec<Presplit> {
    if planned.is_empty() {
        return Vec::new();
    }
    let second = crate::clock::wall_millis() / 1_000 % DAY;
    planned.iter().filter_map(|plan| in_force(now, second, plan)).collect()
}

/// A plan, if it is in force in this second of the day.
fn in_force(now: Mono, second: u64, plan: &DailyPresplit) -> Option<Presplit> {
    let begins = u64::from(plan.minute()?) * 60;
    let since = Span::from_secs((second + DAY - begins) % DAY);
    if since >= plan.lasts {
        return None;
    }
    let parts = u128::from(plan.slices);
    let point = |part: u128| u64::try_from((part << 64) / parts).ok().map(Point);
    let from = now - since;
    // Where the process is younger than that, the plan has been in force for its whole life.
    let until = now + Span::from_nanos(plan.lasts.as_nanos() - since.as_nanos());
    Some(Presplit { from, until, points: (1..parts).filter_map(point).collect() })
}

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(at: &str, hours: u64, slices: u16) -> DailyPresplit {
        DailyPresplit { at: at.to_owned(), lasts: Span::from_secs(hours * 3_600), slices }
    }

    #[test]
    fn a_plan_of_the_day_is_in_force_from_its_time_on_and_over_midnight() {
        let now = Mono::default() + Span::from_secs(10_000);
        let evening = plan("23:00", 2, 4);
        assert_eq!(in_force(now, 22 * 3_600, &evening), None);
        let begun = in_force(now, 23 * 3_600 + 60, &evening).expect("it is in force");
        assert_eq!((now.since(begun.from), begun.until.since(now)), (Span::from_secs(60), Span::from_secs(7_140)));
        assert_eq!(begun.points, [Point(1 << 62), Point(2 << 62), Point(3 << 62)]);
        assert!(in_force(now, 3_599, &evening).is_some());
        assert_eq!(in_force(now, 3_600, &evening), None);
    }
}
