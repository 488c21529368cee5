//! How hot a slice is: requests, work, waiting, latency and bytes of the last seconds, and where in its range they went.
//!
//! All of it fades by half in ten seconds. Waits and latencies are kept in 32 classes, each twice as long as the one before, so
//! that a percentile is right to a factor of two, in 256 bytes. Where load went is kept in 32 parts of the range: the weighted median
//! is where half of the work lies before, and keys that only grow show as work in the last part alone.

use crate::shard::space::{Point, Range};
use crate::time::{Mono, Span};

/// One request that a slice had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Had {
    /// Where its key lies.
    pub point: Point,
    /// How long a worker was busy with it.
    pub work: Span,
    /// How long it waited before.
    pub wait: Span,
    /// From its arrival to its answer.
    pub latency: Span,
    /// Of request and answer.
    pub bytes: u64,
    /// How many requests it stands for.
    pub weight: f64,
}

/// What a slice had lately.
#[derive(Clone, Debug)]
pub struct Meter {
    range: Range,
    at: Mono,
    requests: f64,
    work: f64,
    bytes: f64,
    depth: f64,
    waits: [f64; CLASSES],
    latencies: [f64; CLASSES],
    parts: [f64; PARTS],
}

/// What a slice has, by its meter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heat {
    /// Requests in a second.
    pub rate: f64,
    /// Seconds of work in a second.
    pub work: f64,
    /// Bytes in a second.
    pub bytes: f64,
    /// Requests that waited or ran at a time.
    pub depth: f64,
    /// 95 of 100 waited less.
    pub wait_p95: Span,
    /// 99 of 100 took less.
    pub latency_p99: Span,
    /// Half of the work lies before it; none where there was none.
    pub middle: Option<Point>,
    /// Part of the work in the last part of the range.
    pub last_part: f64,
}

impl Meter {
    /// Of a slice that had nothing yet.
    #[must_use]
    pub const fn new(range: Range, now: Mono) -> Self {
        Self {
            range,
            at: now,
            requests: 0.0,
            work: 0.0,
            bytes: 0.0,
            depth: 0.0,
            waits: [0.0; CLASSES],
            latencies: [0.0; CLASSES],
            parts: [0.0; PARTS],
        }
    }

    /// Of a slice that others were cut or joined to: what they had goes where it was, and that of these keys, of which it is known
    /// (its work, faded as here), to their own place.
    #[must_use]
    pub fn cut<'m>(range: Range, now: Mono, before: impl IntoIterator<Item = &'m Self>, keys: &[(Point, f64)]) -> Self {
        let mut meter = Self::new(range, now);
        for old in before {
            let left = faded(now.since(old.at));
            let mut parts = old.parts;
            let all: f64 = parts.iter().sum();
            let mut mine = 0.0;
            for (key, work) in keys.iter().filter(|(key, _)| old.range.contains(*key)) {
                let part = &mut parts[place(old.range, *key)];
                let work = (work / left.max(f64::MIN_POSITIVE)).min(*part);
                *part -= work;
                if range.contains(*key) {
                    mine += work;
                    meter.parts[place(range, *key)] += work * left;
                }
            }
            for (at, work) in parts.iter().enumerate().filter(|(_, work)| **work > 0.0) {
                let common = part_of(old.range, at).and_then(|part| Some((part, part.overlap(range)?)));
                let Some((part, common)) = common else { continue };
                let work = work * common.points() as f64 / part.points() as f64;
                mine += work;
                for to in place(range, common.first())..=place(range, common.last()) {
                    let inside = part_of(range, to).and_then(|part| part.overlap(common));
                    let inside = inside.map_or(0.0, |inside| inside.points() as f64 / common.points() as f64);
                    meter.parts[to] += work * inside * left;
                }
            }
            meter.take(old, if all > 0.0 { left * mine / all } else { 0.0 });
        }
        meter
    }

    /// Adds a share of what another one had, but for where it was.
    fn take(&mut self, other: &Self, share: f64) {
        self.requests += other.requests * share;
        self.work += other.work * share;
        self.bytes += other.bytes * share;
        self.depth += other.depth * share;
        for (sum, more) in self.waits.iter_mut().zip(other.waits) {
            *sum += more * share;
        }
        for (sum, more) in self.latencies.iter_mut().zip(other.latencies) {
            *sum += more * share;
        }
    }

    /// Its range.
    #[must_use]
    pub const fn range(&self) -> Range {
        self.range
    }

    /// A request ended.
    pub fn add(&mut self, now: Mono, had: Had) {
        self.fade(now);
        let work = seconds(had.work) * had.weight;
        self.requests += had.weight;
        self.work += work;
        self.bytes += had.bytes as f64 * had.weight;
        // Little's law: what waits or runs at a time is how many come, times how long they take.
        self.depth += seconds(had.latency) * had.weight;
        self.waits[class(had.wait)] += had.weight;
        self.latencies[class(had.latency)] += had.weight;
        if self.range.contains(had.point) {
            self.parts[place(self.range, had.point)] += work;
        }
    }

    /// What it has now.
    #[must_use]
    pub fn heat(&mut self, now: Mono) -> Heat {
        self.fade(now);
        let per_second = core::f64::consts::LN_2 / seconds(super::hot::SHORT);
        let all: f64 = self.parts.iter().sum();
        Heat {
            rate: self.requests * per_second,
            work: self.work * per_second,
            bytes: self.bytes * per_second,
            depth: self.depth * per_second,
            wait_p95: percentile(&self.waits, 0.95),
            latency_p99: percentile(&self.latencies, 0.99),
            middle: (all > 0.0).then(|| self.middle(all)),
            last_part: if all > 0.0 { self.parts[PARTS - 1] / all } else { 0.0 },
        }
    }

    fn middle(&self, all: f64) -> Point {
        let mut before = 0.0;
        let points = self.range.points();
        for (place, part) in self.parts.iter().enumerate() {
            if before + part >= all / 2.0 {
                let inside = if *part > 0.0 { (all / 2.0 - before) / part } else { 0.0 };
                let from = points * place as u128 / PARTS as u128;
                let width = (points / PARTS as u128) as f64;
                #[expect(clippy::cast_possible_truncation, reason = "`inside` is from 0 to 1")]
                let offset = (from + (width * inside) as u128).min(points - 1);
                return Point(self.range.first().0 + u64::try_from(offset).unwrap_or(u64::MAX));
            }
            before += part;
        }
        self.range.last()
    }

    fn fade(&mut self, now: Mono) {
        let past = now.since(self.at);
        if past < FADED_EVERY {
            return;
        }
        let left = faded(past);
        for sum in [&mut self.requests, &mut self.work, &mut self.bytes, &mut self.depth] {
            *sum *= left;
        }
        self.parts.iter_mut().for_each(|part| *part *= left);
        self.waits.iter_mut().chain(&mut self.latencies).for_each(|count| *count *= left);
        self.at = now;
    }
}

/// What is left of something after so long.
fn faded(past: Span) -> f64 {
    libm::exp2(-seconds(past) / seconds(super::hot::SHORT))
}

/// In which part of a range a point of it lies.
fn place(range: Range, point: Point) -> usize {
    let place = u128::from(point.0 - range.first().0) * PARTS as u128 / range.points();
    usize::try_from(place).unwrap_or(0).min(PARTS - 1)
}

/// A part of a range; none where the range has fewer points than parts, and this is one without.
fn part_of(range: Range, place: usize) -> Option<Range> {
    let offset = |place: usize| (range.points() * place as u128).div_ceil(PARTS as u128);
    let last = offset(place + 1).checked_sub(1)?;
    let point = |offset: u128| Some(Point(range.first().0 + u64::try_from(offset).ok()?));
    Range::new(point(offset(place))?, point(last)?)
}

/// Class 0 is up to a microsecond, each next one twice that.
fn class(span: Span) -> usize {
    let micros = span.as_micros();
    ((u64::BITS - micros.leading_zeros()) as usize).min(CLASSES - 1)
}

fn percentile(classes: &[f64; CLASSES], part: f64) -> Span {
    let all: f64 = classes.iter().sum();
    let mut before = 0.0;
    for (class, count) in classes.iter().enumerate() {
        before += count;
        if all > 0.0 && before >= all * part {
            return Span::from_micros(1 << class);
        }
    }
    Span::ZERO
}

fn seconds(span: Span) -> f64 {
    span.as_nanos() as f64 / 1e9
}

const CLASSES: usize = 32;
const PARTS: usize = 32;
/// Often enough for a half-life of ten seconds, and seldom enough for the request path.
const FADED_EVERY: Span = Span::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn had(point: u64, work: u64) -> Had {
        let work = Span::from_millis(work);
        Had { point: Point(point), work, wait: Span::from_millis(3), latency: work, bytes: 100, weight: 1.0 }
    }

    fn metered(points: impl Fn(u64) -> u64) -> Heat {
        let range = Range::new(Point(0), Point(3_199)).expect("in order");
        let mut meter = Meter::new(range, at(0));
        (0..60_000).for_each(|millis| meter.add(at(millis), had(points(millis), 2)));
        meter.heat(at(60_000))
    }

    #[test]
    fn a_steady_slice_has_its_rate_and_work() {
        let heat = metered(|millis| millis * 7_919 % 3_200);
        assert!((heat.rate - 1_000.0).abs() < 30.0, "{heat:?}");
        assert!((heat.work - 2.0).abs() < 0.06 && (heat.depth - 2.0).abs() < 0.06, "{heat:?}");
        assert!((heat.bytes - 100_000.0).abs() < 3_000.0, "{heat:?}");
    }

    #[test]
    fn half_of_the_work_lies_before_the_middle() {
        let even = metered(|millis| millis * 7_919 % 3_200).middle.expect("there was work");
        assert!((1_500..1_700).contains(&even.0), "{even:?}");
        let low = metered(|millis| millis * 7_919 % 100).middle.expect("there was work");
        assert!(low.0 < 100, "{low:?}");
    }

    #[test]
    fn keys_that_only_grow_show_in_the_last_part() {
        assert!(metered(|_| 3_190).last_part > 0.99);
        assert!(metered(|millis| millis * 7_919 % 3_200).last_part < 0.05);
    }

    #[test]
    fn a_percentile_is_right_to_a_factor_of_two() {
        let wait = metered(|_| 5).wait_p95;
        assert!(Span::from_millis(3) <= wait && wait <= Span::from_millis(6), "{wait:?}");
    }

    #[test]
    fn parts_of_a_split_slice_begin_with_what_they_had_and_so_does_a_key_that_is_isolated() {
        let range = Range::new(Point(0), Point(3_199)).expect("in order");
        let mut whole = Meter::new(range, at(0));
        // Half of the work is one key's.
        let point = |millis: u64| if millis.is_multiple_of(2) { 100 } else { millis * 7_919 % 3_200 };
        (0..60_000).for_each(|millis| whole.add(at(millis), had(point(millis), 2)));
        let all = whole.heat(at(60_000)).work;
        let key = all / 2.0 * 10.0 / core::f64::consts::LN_2;
        for (first, last, share) in [(0, 99, 0.0156), (100, 100, 0.5), (101, 1_599, 0.234), (1_600, 3_199, 0.25)] {
            let part = Range::new(Point(first), Point(last)).expect("in order");
            let heat = Meter::cut(part, at(60_000), [&whole], &[(Point(100), key)]).heat(at(60_000));
            assert!((heat.work / all - share).abs() < 0.02, "{first}: {}", heat.work / all);
        }
    }

    #[test]
    fn slices_that_are_merged_have_together_what_each_had() {
        let meter = |first: u64| {
            let mut meter = Meter::new(Range::new(Point(first), Point(first + 999)).expect("in order"), at(0));
            (0..60_000).for_each(|millis| meter.add(at(millis), had(first + millis % 1_000, 2)));
            meter
        };
        let (mut left, right) = (meter(0), meter(1_000));
        let both = Range::new(Point(0), Point(1_999)).expect("in order");
        let heat = Meter::cut(both, at(60_000), [&left, &right], &[]).heat(at(60_000));
        assert!((heat.work - 2.0 * left.heat(at(60_000)).work).abs() < 0.1, "{heat:?}");
        let middle = heat.middle.expect("there was work");
        assert!((900..1_100).contains(&middle.0), "{middle:?}");
    }

    #[test]
    fn a_slice_that_has_nothing_has_nothing() {
        let mut meter = Meter::new(Range::ALL, at(0));
        let heat = meter.heat(at(1_000));
        assert_eq!((heat.middle, heat.wait_p95), (None, Span::ZERO));
    }
}
