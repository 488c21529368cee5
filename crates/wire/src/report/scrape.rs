//! A report made of a worker's Prometheus page, by queries of its user's own [R-S5, R-S6].
//!
//! ```yaml
//! in_flight: {gauge: http_requests_in_flight}
//! rate:      {rate: http_requests_total}
//! err:       {part: http_requests_total, labels: {code: "5*"}}            # growth of these over growth of all
//! mean_ms:   {mean: http_request_duration_seconds, unit: s}               # growth of _sum over growth of _count
//! p99_ms:    {quantile: 0.99, of: http_request_duration_seconds, unit: s} # of what came into the buckets since
//! ```
//! Series of one name are summed, over those whose labels are as said (`*` at the end stands for any text). All but a gauge
//! needs two pages; a counter that fell (its process started anew) says nothing until the next one.

use std::collections::BTreeMap;

use ambidex_core::signal::{Report, ReportFault};
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

use super::endpoint::{Unit, factor, wrong_unit};
use super::exposition::{Sample, samples};
use super::field::{Draft, Field};

/// The most bytes of a page that are read. Source: ours; Prometheus's own server holds pages of some MiB for large.
pub const MOST_PAGE_BYTES: usize = 4 << 20;

/// Which metric is which field of a report, at least one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, Query>"))]
#[serde(try_from = "BTreeMap<String, Query>", into = "BTreeMap<String, Query>")]
pub struct Queries(Vec<(Field, Query)>);

/// How a field is made of a metric: exactly one of `gauge`, `rate`, `part`, `mean` and `quantile`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// The value as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gauge: Option<String>,
    /// A counter's growth a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// A counter's growth where `labels` fit, over its whole growth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// A histogram's or summary's mean since the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<String>,
    /// A quantile, over 0 and under 1, of what a histogram took in since the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// The histogram of `quantile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Labels that series must have; `5*` is any value that begins so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The unit of the number there. Default: the field's own.
    #[serde(skip_serializing_if = "is_own")]
    pub unit: Unit,
}

fn is_own(unit: &Unit) -> bool {
    *unit == Unit::Own
}

/// Why queries cannot be asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueriesError {
    /// Nothing is asked.
    #[error("no field is asked for: write one such as `in_flight: {{gauge: http_requests_in_flight}}`")]
    Nothing,
    /// Not a field of a report.
    #[error("`{0}` is no field of a report: use one of {known}", known = Field::ALL.map(Field::name).join(", "))]
    Unknown(String),
    /// Not exactly one way.
    #[error("`{0}` needs exactly one of gauge, rate, part, mean, and quantile with of")]
    Ways(&'static str),
    /// A quantile that is none.
    #[error("`{0}`: a quantile lies over 0 and under 1, such as 0.99")]
    Quantile(&'static str),
    /// A part of everything.
    #[error("`{0}`: say with `labels` which part, such as {{code: \"5*\"}}")]
    Whole(&'static str),
    /// A unit that the field cannot have.
    #[error("`{0}` is not measured in that unit: {1}")]
    Unit(&'static str, &'static str),
}

impl TryFrom<BTreeMap<String, Query>> for Queries {
    type Error = QueriesError;

    fn try_from(raw: BTreeMap<String, Query>) -> Result<Self, QueriesError> {
        if raw.is_empty() {
            return Err(QueriesError::Nothing);
        }
        let one = |(name, query): (String, Query)| {
            let Some(field) = Field::named(&name) else { return Err(QueriesError::Unknown(name)) };
            query.check(field)?;
            Ok((field, query))
        };
        raw.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Queries> for BTreeMap<String, Query> {
    fn from(queries: Queries) -> Self {
        queries.0.into_iter().map(|(field, query)| (field.name().into(), query)).collect()
    }
}

/// What a query looks at.
enum Way<'q> {
    Gauge(&'q str),
    Rate(&'q str),
    Part(&'q str),
    Mean(&'q str),
    Quantile(&'q str, f64),
}

impl Query {
    fn check(&self, field: Field) -> Result<(), QueriesError> {
        let name = field.name();
        let named = [&self.gauge, &self.rate, &self.part, &self.mean].into_iter().flatten().count();
        if named + usize::from(self.quantile.is_some()) != 1 || self.of.is_some() != self.quantile.is_some() {
            return Err(QueriesError::Ways(name));
        }
        if self.quantile.is_some_and(|quantile| !(quantile > 0.0 && quantile < 1.0)) {
            return Err(QueriesError::Quantile(name));
        }
        if self.part.is_some() && self.labels.is_empty() {
            return Err(QueriesError::Whole(name));
        }
        wrong_unit(field, self.unit).map_or(Ok(()), |wanted| Err(QueriesError::Unit(name, wanted)))
    }

    fn way(&self) -> Option<Way<'_>> {
        let gauge = self.gauge.as_deref().map(Way::Gauge);
        let rate = || self.rate.as_deref().map(Way::Rate);
        let part = || self.part.as_deref().map(Way::Part);
        let mean = || self.mean.as_deref().map(Way::Mean);
        let quantile = || self.of.as_deref().zip(self.quantile).map(|(of, quantile)| Way::Quantile(of, quantile));
        gauge.or_else(rate).or_else(part).or_else(mean).or_else(quantile)
    }

    fn fits(&self, sample: &Sample<'_>) -> bool {
        self.labels.iter().all(|(name, wanted)| {
            let value = sample.label(name).unwrap_or_default();
            wanted.strip_suffix('*').map_or(value == wanted, |start| value.starts_with(start))
        })
    }
}

/// What one page says, as far as it is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page(Vec<Sums>);

/// Sums over the series of one query.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sums {
    /// What is asked for: of a mean, its sum.
    own: Option<f64>,
    /// What it is a part of: of a mean, its count.
    whole: Option<f64>,
    /// Counts of a histogram's buckets by their upper bounds, as whole numbers of the same order.
    buckets: BTreeMap<Bound, f64>,
}

impl Queries {
    /// Reads a page.
    #[must_use]
    pub fn read(&self, page: &str) -> Page {
        let mut all = vec![Sums::default(); self.0.len()];
        let base =
            |name: &str| ["_sum", "_count", "_bucket"].iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned);
        let wanted = |name: &str| {
            self.0.iter().any(|(_, query)| query.named(name) || base(name).is_some_and(|base| query.named(&base)))
        };
        for sample in samples(page, wanted) {
            for ((_, query), sums) in self.0.iter().zip(&mut all) {
                query.add(&sample, sums);
            }
        }
        Page(all)
    }

    /// The report that a page makes after the one `before`, which is `elapsed` old.
    ///
    /// # Errors
    /// Nothing of it is there, or a number that no worker can have.
    pub fn report(&self, before: Option<(&Page, Span)>, page: &Page) -> Result<Report, ReportFault> {
        let mut draft = Draft::default();
        for (at, (field, query)) in self.0.iter().enumerate() {
            let (Some(way), Some(now)) = (query.way(), page.0.get(at)) else { continue };
            let then = before.and_then(|(page, elapsed)| Some((page.0.get(at)?, elapsed)));
            if let Some(value) = value(&way, now, then) {
                draft.say(*field, value * factor(query.unit))?;
            }
        }
        Report::check(&draft.finish())
    }
}

impl Query {
    fn named(&self, name: &str) -> bool {
        [&self.gauge, &self.rate, &self.part, &self.mean, &self.of].into_iter().flatten().any(|known| known == name)
    }

    fn add(&self, sample: &Sample<'_>, sums: &mut Sums) {
        let Some(way) = self.way() else { return };
        let fits = self.fits(sample);
        let plus = |sum: &mut Option<f64>| *sum = Some(sum.unwrap_or_default() + sample.value);
        match way {
            Way::Gauge(name) | Way::Rate(name) if sample.name == name && fits => plus(&mut sums.own),
            Way::Part(name) if sample.name == name => {
                plus(&mut sums.whole);
                // Nothing that fits is a part of 0 and not unknown.
                let own = sums.own.get_or_insert_default();
                *own += if fits { sample.value } else { 0.0 };
            }
            Way::Mean(base) if fits => match sample.name.strip_prefix(base) {
                Some("_sum") => plus(&mut sums.own),
                Some("_count") => plus(&mut sums.whole),
                Some(_) | None => {}
            },
            Way::Quantile(base, _) if fits && sample.name.strip_prefix(base) == Some("_bucket") => {
                let bound = sample.label("le").and_then(Bound::read);
                if let Some(bound) = bound.filter(|_| sums.buckets.len() < MOST_BUCKETS) {
                    *sums.buckets.entry(bound).or_default() += sample.value;
                }
            }
            Way::Gauge(_) | Way::Rate(_) | Way::Part(_) | Way::Mean(_) | Way::Quantile(..) => {}
        }
    }
}

/// What a query comes to; `None` while that is unknown.
fn value(way: &Way<'_>, now: &Sums, then: Option<(&Sums, Span)>) -> Option<f64> {
    if let Way::Gauge(_) = way {
        return now.own;
    }
    let (then, elapsed) = then?;
    let grown = |now: Option<f64>, then: Option<f64>| Some(now? - then?).filter(|grown| *grown >= 0.0);
    let (own, whole) = (grown(now.own, then.own), grown(now.whole, then.whole));
    match way {
        Way::Gauge(_) => now.own,
        Way::Rate(_) => own.filter(|_| elapsed > Span::ZERO).map(|grown| grown / elapsed.as_secs_f64()),
        Way::Part(_) | Way::Mean(_) => own.zip(whole).filter(|(_, whole)| *whole > 0.0).map(|(own, whole)| own / whole),
        Way::Quantile(_, quantile) => of_buckets(*quantile, now, then),
    }
}

/// The quantile of what came into the buckets, even within each; of the last one, whose end is unknown, its beginning.
fn of_buckets(quantile: f64, now: &Sums, then: &Sums) -> Option<f64> {
    let grown: Vec<(f64, f64)> = now
        .buckets
        .iter()
        .map(|(bound, count)| (bound.0, count - then.buckets.get(bound).copied().unwrap_or_default()))
        .collect();
    let total = grown.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let rank = quantile * total;
    let (mut lower, mut below) = (0.0_f64, 0.0_f64);
    for (upper, count) in grown {
        if count >= rank {
            let inside = count - below;
            let part = if inside > 0.0 { (rank - below) / inside } else { 1.0 };
            return Some(if upper.is_finite() { lower + (upper - lower) * part } else { lower });
        }
        (lower, below) = (upper.max(0.0), count.max(below));
    }
    None
}

/// A bucket's upper bound, in the order of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound(f64);

impl Bound {
    fn read(text: &str) -> Option<Self> {
        let bound: f64 = if text == "+Inf" { f64::INFINITY } else { text.parse().ok()? };
        (!bound.is_nan()).then_some(Self(bound))
    }
}

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Buckets of one histogram. Source: ours; libraries set up some ten, at most a hundred.
const MOST_BUCKETS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(json: &str) -> Result<Queries, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    const ALL: &str = r#"{
        "in_flight": {"gauge": "busy"},
        "rate": {"rate": "requests_total"},
        "err": {"part": "requests_total", "labels": {"code": "5*"}},
        "mean_ms": {"mean": "took_seconds", "unit": "s"},
        "p50_ms": {"quantile": 0.5, "of": "took_seconds", "unit": "s"},
        "p99_ms": {"quantile": 0.99, "of": "took_seconds", "unit": "s"}
    }"#;

    fn page(good: u32, bad: u32, sum: f64, buckets: [u32; 3]) -> String {
        let [tenth, one, all] = buckets;
        format!(
            "busy{{thread=\"a\"}} 2\nbusy{{thread=\"b\"}} 1\nrequests_total{{code=\"200\"}} {good}\n\
             requests_total{{code=\"503\"}} {bad}\ntook_seconds_sum {sum}\ntook_seconds_count {all}\n\
             took_seconds_bucket{{le=\"0.1\"}} {tenth}\ntook_seconds_bucket{{le=\"1\"}} {one}\n\
             took_seconds_bucket{{le=\"+Inf\"}} {all}\n"
        )
    }

    #[test]
    fn gauges_need_one_page_and_all_else_what_has_grown_since_the_last() {
        let queries = queries(ALL).expect("good");
        let first = queries.read(&page(100, 0, 10.0, [50, 90, 100]));
        let report = queries.report(None, &first).expect("a report");
        assert_eq!((report.in_flight, report.rate, report.p50), (Some(3), None, None));
        let second = queries.read(&page(180, 20, 30.0, [100, 190, 200]));
        let report = queries.report(Some((&first, Span::from_secs(5))), &second).expect("a report");
        assert_eq!((report.rate, report.errors.map(ambidex_core::share::Share::get)), (Some(20.0), Some(0.2)));
        assert_eq!(report.mean, Some(Span::from_millis(200)));
        // Half of the hundred that came took a tenth of a second at most, the others are spread evenly up to a second.
        assert_eq!((report.p50, report.p99), (Some(Span::from_millis(100)), Some(Span::from_millis(982))));
    }

    #[test]
    fn a_counter_that_fell_says_nothing_and_a_page_without_the_metrics_is_a_fault() {
        let queries = queries(ALL).expect("good");
        let first = queries.read(&page(100, 0, 10.0, [50, 90, 100]));
        let anew = queries.read(&page(5, 0, 1.0, [5, 5, 5]));
        let report = queries.report(Some((&first, Span::from_secs(5))), &anew).expect("a report");
        assert_eq!((report.in_flight, report.rate, report.mean, report.p99), (Some(3), None, None, None));
        assert!(queries.report(None, &queries.read("other 1\n")).is_err());
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_what_can() {
        for (json, told) in [
            ("{}", "no field is asked for"),
            (r#"{"speed": {"gauge": "x"}}"#, "`speed` is no field"),
            (r#"{"rate": {}}"#, "exactly one of"),
            (r#"{"rate": {"rate": "a", "gauge": "b"}}"#, "exactly one of"),
            (r#"{"p99_ms": {"quantile": 0.99}}"#, "quantile with of"),
            (r#"{"p99_ms": {"quantile": 99, "of": "x"}}"#, "over 0 and under 1"),
            (r#"{"err": {"part": "x"}}"#, "say with `labels` which part"),
            (r#"{"rate": {"rate": "x", "unit": "s"}}"#, "it has no unit"),
        ] {
            let error = queries(json).expect_err(json);
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
