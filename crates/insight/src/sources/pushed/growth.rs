//! Counters: what each series grew by since it was last told.
//!
//! | what comes | what is made of it |
//! |---|---|
//! | the first value of a series | nothing, unless it says that it began within the last 5 minutes: then all of it |
//! | a value that fell, or another begin | the series began anew at 0: all of it |
//! | a value after more than 5 minutes | nothing, and a remark: what lies between is not known |
//! | a value as old as the last one, or older | nothing, and a remark; by more than 5 minutes: it begins anew there, as an older file |
//! | a growth that says itself over which time it is (delta) | that, if it is not over more than 5 minutes |

use super::buckets::Buckets;
use super::{Labels, MOST_SERIES, Point, Unknown};
use crate::history::{At, Map, Recorder};

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Count {
    /// How much there is now.
    Level(f64),
    /// How much there was since the begin, which may not be known.
    Sum { value: f64, begin: Option<At> },
    /// How much there was since then.
    Delta { value: f64, begin: Option<At> },
}

impl Count {
    /// The number itself.
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Level(value) | Self::Sum { value, .. } | Self::Delta { value, .. } => value,
        }
    }
}

/// Requests that were counted, as they were pushed.
#[derive(Clone, Debug)]
pub(crate) struct Served<'a> {
    pub(crate) name: &'a str,
    pub(crate) series: u128,
    pub(crate) labels: Labels<'a>,
    pub(crate) at: At,
    pub(crate) begin: Option<At>,
    /// Whether the counts are since `begin` as it was with the last ones (cumulative), or of this time alone.
    pub(crate) cumulative: bool,
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) route: &'a str,
    pub(crate) failed: bool,
    pub(crate) values: &'a [(&'a str, &'a str)],
}

/// What requests grew by.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Grown {
    pub(super) count: u64,
    /// In the metric's unit.
    pub(super) sum: Option<f64>,
    pub(super) buckets: Vec<(f64, u64)>,
}

/// The last values of all series.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    numbers: Map<u128, Last>,
    served: Map<u128, LastServed>,
    gaps: u64,
    late: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    begin: Option<At>,
    at: At,
    value: f64,
}

#[derive(Clone, Debug)]
struct LastServed {
    begin: Option<At>,
    at: At,
    count: u64,
    sum: Option<f64>,
    buckets: Option<Buckets>,
}

/// What lies between two tellings.
enum Since {
    /// So many seconds from the last.
    Last(f64),
    /// It began anew, so many seconds ago.
    Begin(f64),
    /// Nothing can be said.
    Nothing,
}

impl Counters {
    /// What a series grew by a second.
    pub(super) fn grown(&mut self, point: &Point<'_>, unknown: &mut Unknown) -> Option<f64> {
        let (value, begin) = match point.count {
            Count::Level(value) => (value, None),
            Count::Sum { value, begin } => (value, begin),
            Count::Delta { value, begin } => return self.delta(point, value, begin, unknown),
        };
        if !value.is_finite() {
            // What Prometheus calls stale: the series ended here.
            self.numbers.remove(&point.series);
            return None;
        }
        let last = self.numbers.get(&point.series).copied();
        if last.is_none() && self.is_full(point.name, point.labels, unknown) {
            return None;
        }
        let fell = last.is_some_and(|last| value < last.value);
        let since = self.since(last.map(|last| (last.begin, last.at)), (begin, point.at), fell);
        if last.is_none_or(|last| goes_on(last.at, point.at)) {
            self.numbers.insert(point.series, Last { begin, at: point.at, value });
        }
        match since {
            Since::Last(seconds) => last.map(|last| (value - last.value) / seconds),
            Since::Begin(seconds) => Some(value / seconds),
            Since::Nothing => None,
        }
    }

    fn delta(&mut self, point: &Point<'_>, value: f64, begin: Option<At>, unknown: &mut Unknown) -> Option<f64> {
        let last = self.numbers.get(&point.series).copied();
        if last.is_none() && self.is_full(point.name, point.labels, unknown) {
            return None;
        }
        let from = begin.or(last.map(|last| last.at));
        self.numbers.insert(point.series, Last { begin, at: point.at, value });
        let seconds = point.at.seconds() - from?.seconds();
        if seconds <= 0.0 {
            self.late += 1;
        } else if seconds > LONGEST_GAP {
            self.gaps += 1;
        } else if value.is_finite() {
            return Some(value / seconds);
        }
        None
    }

    /// What requests grew by. Those of a time that is not known are not told.
    pub(super) fn served(&mut self, served: &Served<'_>, unknown: &mut Unknown) -> Option<Grown> {
        let buckets =
            |before: Option<&Buckets>| served.buckets.as_ref().map(|now| now.since(before)).unwrap_or_default();
        if !served.cumulative {
            return Some(Grown { count: served.count, sum: served.sum, buckets: buckets(None) });
        }
        let last = self.served.get(&served.series);
        if last.is_none() && self.is_full(served.name, served.labels, unknown) {
            return None;
        }
        let fell = last.is_some_and(|last| served.count < last.count);
        let before = last.map(|last| (last.begin, last.at));
        let since = self.since(before, (served.begin, served.at), fell);
        let last = self.served.get(&served.series);
        let grown = match since {
            Since::Last(_) => last.map(|last| Grown {
                count: served.count - last.count,
                sum: served.sum.zip(last.sum).map(|(now, then)| now - then),
                buckets: buckets(last.buckets.as_ref()),
            }),
            Since::Begin(_) => Some(Grown { count: served.count, sum: served.sum, buckets: buckets(None) }),
            Since::Nothing => None,
        };
        if last.is_none_or(|last| goes_on(last.at, served.at)) {
            let Served { begin, at, count, sum, buckets, .. } = served;
            let last = LastServed { begin: *begin, at: *at, count: *count, sum: *sum, buckets: buckets.clone() };
            self.served.insert(served.series, last);
        }
        grown
    }

    fn since(&mut self, last: Option<(Option<At>, At)>, (begin, at): (Option<At>, At), fell: bool) -> Since {
        let began = begin.map(|begin| at.seconds() - begin.seconds()).filter(|ago| *ago > 0.0 && *ago <= LONGEST_GAP);
        let Some((before, last)) = last else {
            return began.map_or(Since::Nothing, Since::Begin);
        };
        let seconds = at.seconds() - last.seconds();
        if (-LONGEST_GAP..=0.0).contains(&seconds) {
            self.late += 1;
            return Since::Nothing;
        }
        if seconds.abs() > LONGEST_GAP {
            self.gaps += 1;
            return Since::Nothing;
        }
        // A begin that moved to after the last value; some exporters move it with every value, and then it says nothing.
        let anew = begin.is_some_and(|begin| begin > last) && before != begin;
        if fell || anew { Since::Begin(began.unwrap_or(seconds)) } else { Since::Last(seconds) }
    }

    fn is_full(&self, name: &str, labels: Labels<'_>, unknown: &mut Unknown) -> bool {
        let full = self.numbers.len() + self.served.len() >= MOST_SERIES;
        if full {
            unknown.too_many(name, labels);
        }
        full
    }

    /// Forgets series that were not told since a while before then.
    pub(super) fn forget_before(&mut self, now: At) {
        let limit = At(now.0 - FORGOTTEN_AFTER);
        self.numbers.retain(|_, last| last.at >= limit);
        self.served.retain(|_, last| last.at >= limit);
    }

    pub(super) fn tell(&self, recorder: &mut Recorder) {
        let told = [
            (
                self.gaps,
                format!("values of a counter with none before them in the {LONGEST_GAP} s before, which say nothing"),
            ),
            (self.late, "values of a counter that are as old as the last one, or older: left out".to_owned()),
        ];
        for (times, what) in told.into_iter().filter(|(times, _)| *times > 0) {
            recorder.remark_times(what, times);
        }
    }
}

/// Whether a value is to be compared with from now on: it is newer, or of another time.
fn goes_on(last: At, at: At) -> bool {
    let seconds = at.seconds() - last.seconds();
    !(-LONGEST_GAP..=0.0).contains(&seconds)
}

/// Seconds between two values of a counter. Source: as of tables; a window, for what lies between is not known.
const LONGEST_GAP: f64 = 300.0;
/// Milliseconds. Source: ours; twice the gap that is borne.
const FORGOTTEN_AFTER: i64 = 600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> At {
        At(seconds * 1_000)
    }

    fn rates(of: &[(i64, Count)]) -> Vec<Option<f64>> {
        let (mut counters, mut unknown) = (Counters::default(), Unknown::default());
        let mut one = |(seconds, count): &(i64, Count)| {
            let point = Point { name: "x", series: 7, labels: &[], at: at(*seconds), count: *count };
            counters.grown(&point, &mut unknown)
        };
        of.iter().map(&mut one).collect()
    }

    fn sum(value: f64, begin: Option<i64>) -> Count {
        Count::Sum { value, begin: begin.map(at) }
    }

    #[test]
    fn a_sum_says_what_it_grew_by_over_resets_and_not_over_gaps() {
        let told = [
            (1_000, sum(100.0, None)),
            (1_010, sum(150.0, None)),
            (1_020, sum(30.0, None)),
            (1_020, sum(40.0, None)),
            (1_015, sum(35.0, None)),
            (1_400, sum(90.0, None)),
            (1_410, sum(f64::NAN, None)),
            (1_420, sum(95.0, None)),
            (400, sum(10.0, None)),
            (410, sum(20.0, None)),
        ];
        let rates = rates(&told);
        assert_eq!(rates[..3], [None, Some(5.0), Some(3.0)]);
        assert_eq!(rates[3..9], [None; 6]);
        assert_eq!(rates[9], Some(1.0), "an older file goes on where it begins");
    }

    #[test]
    fn a_sum_that_says_when_it_began_is_believed() {
        assert_eq!(rates(&[(1_010, sum(50.0, Some(1_000)))]), [Some(5.0)], "it began within a gap");
        assert_eq!(rates(&[(1_010, sum(50.0, Some(10)))]), [None], "of its first hours nothing is known");
        let anew = [(1_010, sum(50.0, Some(1_000))), (1_030, sum(60.0, Some(1_020)))];
        assert_eq!(rates(&anew), [Some(5.0), Some(6.0)], "it is greater, and yet began anew");
    }

    #[test]
    fn a_delta_says_over_which_time_it_is() {
        let delta = |value, begin: Option<i64>| Count::Delta { value, begin: begin.map(at) };
        let told = [
            (1_010, delta(50.0, Some(1_000))),
            (1_020, delta(20.0, None)),
            (2_000, delta(20.0, Some(1_020))),
            (2_000, delta(20.0, Some(2_000))),
        ];
        assert_eq!(rates(&told), [Some(5.0), Some(2.0), None, None]);
    }

    fn of(count: u64, seconds: i64, cumulative: bool) -> Served<'static> {
        Served {
            name: "x",
            series: 7,
            labels: &[],
            at: at(seconds),
            begin: None,
            cumulative,
            count,
            sum: Some(count as f64 / 10.0),
            buckets: None,
            route: "",
            failed: false,
            values: &[],
        }
    }

    #[test]
    fn requests_grow_with_their_time() {
        let (mut counters, mut unknown) = (Counters::default(), Unknown::default());
        let mut one = |served: Served<'_>| counters.served(&served, &mut unknown).map(|grown| (grown.count, grown.sum));
        assert_eq!(one(of(100, 1_000, true)), None);
        assert_eq!(one(of(130, 1_015, true)), Some((30, Some(3.0))));
        assert_eq!(one(of(10, 1_030, true)), Some((10, Some(1.0))), "it began anew");
        assert_eq!(one(of(25, 1_045, false)), Some((25, Some(2.5))));
    }

    #[test]
    fn series_beyond_the_bound_are_left_out_and_the_label_that_explodes_is_named() {
        let (mut counters, mut unknown) = (Counters::default(), Unknown::default());
        let one = |counters: &mut Counters, unknown: &mut Unknown, number: usize| {
            let id = number.to_string();
            let labels = [("job", "a"), ("request_id", id.as_str())];
            let point =
                Point { name: "hits", series: number as u128, labels: &labels, at: at(1), count: sum(1.0, None) };
            counters.grown(&point, unknown)
        };
        for number in 0..MOST_SERIES + 500 {
            assert_eq!(one(&mut counters, &mut unknown, number), None);
        }
        assert_eq!(counters.numbers.len(), MOST_SERIES);
        let mut recorder = Recorder::new(crate::history::Bounds::default(), crate::history::Weigh::Time);
        unknown.tell(&mut recorder);
        let said = recorder.finish("x".into()).remarks;
        assert!(said[0].what.contains("`hits`") && said[0].what.contains("`request_id`"), "{said:?}");
        assert_eq!(said[0].times, 500);
        counters.forget_before(at(10_000));
        assert!(counters.numbers.is_empty());
    }
}
