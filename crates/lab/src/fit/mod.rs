//! A load model from a recording: rates over time, how arrivals scatter, the mix of classes with their costs, skew of
//! keys and tenants, sizes of bodies, times. `ambidex lab fit` prints it, and writes it as the `load:` of a scenario.
//!
//! ```text
//! exchanges ─┬─ times ─────────────────> rates.rs      steps of the rate, dispersion
//!            ├─ methods and paths ─────> templates.rs  classes, and the key in each path
//!            ├─ keys, tenants ─────────> zipf.rs       exponent and count
//!            └─ times of answers ──────> times.rs      cost of each class, distribution around it
//! ```
//! What is fitted is a description, and says how good it is: a distribution with its distance, arrivals with their
//! dispersion. Times are those of answers as the gateway saw them: waits at the workers are in them, so a recording of a
//! loaded system gives longer times than its workers' own.

mod part;
mod rates;
mod scenario;
mod templates;
mod times;
mod zipf;

use std::collections::{BTreeMap, HashMap};

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_wire::recording::{Body, Exchange};
use serde::{Deserialize, Serialize};

use crate::replay::Source;

pub use self::part::{Part, PartError};
pub use self::rates::{Arrivals, Step};
pub use self::times::Times;
pub use self::zipf::Skew;

/// What the key and the tenant of a request are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FitOptions {
    /// What names the thing that a request is about. Default: its path, where that names one.
    pub key: Option<Part>,
    /// What names the one on whose behalf it comes. Default: its host, where there are several.
    pub tenant: Option<Part>,
}

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Too little.
    #[error("{0} requests are too few for a model: record at least 2")]
    TooFew(usize),
    /// Parts or routes of several shares.
    #[error(
        "its parts or routes were recorded at {0} and {1} of the requests: their times do not add up to one load; \
         record them at one share"
    )]
    Samples(Share, Share),
    /// Some requests are missing.
    #[error("it was recorded at {0} of the requests: only a recording of all of them is a trace")]
    Part(Share),
}

/// A load, as a recording shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Of this form.
    pub schema_version: u32,
    /// Requests in the recording.
    pub recorded: u64,
    /// Which share of what came they are; rates are of what came.
    pub sample: f64,
    /// From the first to the last.
    pub seconds: f64,
    /// How they came.
    pub arrivals: Arrivals,
    /// The most frequent first; what is rare is together at the end.
    pub classes: Vec<Class>,
    /// Distribution of the times around each class's own cost.
    pub times: Option<Times>,
    /// Skew of keys.
    pub keys: Option<Skew>,
    /// Skew of tenants.
    pub tenants: Option<Skew>,
    /// Bodies of requests that had one, in bytes.
    pub request_bytes: Option<Sizes>,
    /// Bodies of answers, in bytes.
    pub answer_bytes: Option<Sizes>,
    /// Share of the answers with a status from 500, or none at all.
    pub failed_share: f64,
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// What it is called.
    pub name: String,
    /// Method.
    pub method: String,
    /// Template of the paths, `*` for each name in it; empty for what is rare.
    pub template: String,
    /// What is asked for: `{key}` stands for the key where the path names it, else it is one of the paths.
    pub path: String,
    /// Share of the requests.
    pub share: f64,
    /// Mean time of its answers, over that of the cheapest class.
    pub cost: f64,
    /// That mean, in milliseconds.
    pub mean_ms: f64,
}

/// Sizes of bodies, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// How many there are.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// The model of a source's requests.
///
/// # Errors
/// There are too few, or they are of several shares.
pub fn fit(source: &Source, options: &FitOptions) -> Result<Model, FitError> {
    let exchanges = &source.exchanges;
    let (Some(first), 2..) = (exchanges.first(), exchanges.len()) else {
        return Err(FitError::TooFew(exchanges.len()));
    };
    let count = exchanges.len() as f64;
    let times: Vec<Span> =
        exchanges.iter().map(|exchange| Span::from_nanos(exchange.at.as_nanos() - first.at.as_nanos())).collect();
    // As many gaps as requests: else few requests would come too fast.
    let length = Span::from_secs_f64(source.length().as_secs_f64() * count / (count - 1.0));
    let share = source.samples.first().copied().unwrap_or(Share::ALL);
    if let Some(other) = source.samples.iter().find(|other| **other != share) {
        return Err(FitError::Samples(share, *other));
    }
    let sample = share.get().max(1e-9);
    let mut arrivals = rates::fit(&times, length);
    arrivals.steps.iter_mut().for_each(|step| step.rate /= sample);
    let templates = templates::of(exchanges.iter().map(Exchange::path));
    let (mut classes, of) = classes(exchanges, &templates);
    let keys = keys(exchanges, &templates, options);
    if keys.is_some() && options.key.is_none() {
        classes.iter_mut().for_each(Class::name_the_key);
    }
    Ok(Model {
        schema_version: 1,
        recorded: exchanges.len() as u64,
        sample,
        seconds: length.as_secs_f64(),
        arrivals,
        times: times::fit(relative(exchanges, &classes, &of)),
        classes,
        keys,
        tenants: tenants(exchanges, options),
        request_bytes: sizes(exchanges.iter().filter_map(|exchange| exchange.body.as_ref())),
        answer_bytes: sizes(exchanges.iter().filter_map(|exchange| Some(&exchange.answer.as_ref()?.body))),
        failed_share: exchanges.iter().filter(|exchange| failed(exchange)).count() as f64 / count,
    })
}

impl Class {
    /// Has the path name any key, where it named one.
    fn name_the_key(&mut self) {
        if self.template.contains(templates::NAME) {
            self.path = self.template.replace(templates::NAME, "{key}");
        }
    }
}

/// The times of a source's requests, as a load takes them: seconds from the first, one a line.
///
/// # Errors
/// A share of the requests is no trace of them.
pub fn trace(source: &Source) -> Result<String, FitError> {
    if let Some(part) = source.samples.iter().find(|share| **share < Share::ALL) {
        return Err(FitError::Part(*part));
    }
    let first = source.exchanges.first().ok_or(FitError::TooFew(0))?.at;
    let seconds = source.exchanges.iter().map(|exchange| exchange.at.as_secs_f64() - first.as_secs_f64());
    Ok(seconds.map(|seconds| format!("{seconds:.6}\n")).collect())
}

fn failed(exchange: &Exchange) -> bool {
    exchange.answer.as_ref().is_none_or(|answer| answer.status >= 500)
}

/// The classes, and which of them each exchange is of.
fn classes(exchanges: &[Exchange], templates: &[String]) -> (Vec<Class>, Vec<usize>) {
    let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (at, (exchange, template)) in exchanges.iter().zip(templates).enumerate() {
        groups.entry((&exchange.method, template)).or_default().push(at);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let rare: Vec<usize> = groups.iter().skip(MOST_CLASSES - 1).flat_map(|(_, members)| members).copied().collect();
    if groups.len() > MOST_CLASSES {
        groups.truncate(MOST_CLASSES - 1);
        groups.push((("GET", ""), rare));
    }
    let mut of = vec![0; exchanges.len()];
    let mut classes = Vec::new();
    for ((method, template), members) in &groups {
        members.iter().for_each(|&at| of[at] = classes.len());
        classes.push(Class {
            name: name(method, template),
            method: (*method).to_owned(),
            template: (*template).to_owned(),
            path: exchanges[members[0]].path().to_owned(),
            share: members.len() as f64 / exchanges.len() as f64,
            cost: 1.0,
            mean_ms: mean_seconds(members.iter().map(|&at| &exchanges[at])) * 1e3,
        });
    }
    let cheapest = classes.iter().map(|class| class.mean_ms).filter(|mean| *mean > 0.0).fold(f64::INFINITY, f64::min);
    for class in classes.iter_mut().filter(|class| class.mean_ms > 0.0) {
        class.cost = class.mean_ms / cheapest;
    }
    (classes, of)
}

/// `get-items` for `GET /items/*`; `rest` for what is rare.
fn name(method: &str, template: &str) -> String {
    if template.is_empty() {
        return "rest".to_owned();
    }
    let words = template.split('/').filter(|segment| !segment.is_empty() && *segment != templates::NAME);
    let clean = |word: &str| -> String {
        word.chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
            .collect()
    };
    std::iter::once(method.to_ascii_lowercase()).chain(words.map(clean)).collect::<Vec<_>>().join("-")
}

fn good_seconds(exchange: &Exchange) -> Option<f64> {
    let answer = exchange.answer.as_ref().filter(|answer| answer.status < 500 && answer.took > Span::ZERO)?;
    Some(answer.took.as_secs_f64())
}

fn mean_seconds<'e>(exchanges: impl Iterator<Item = &'e Exchange>) -> f64 {
    let (sum, count) =
        exchanges.filter_map(good_seconds).fold((0.0, 0.0), |(sum, count), time| (sum + time, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Times in seconds as if every request were of the cheapest class.
fn relative(exchanges: &[Exchange], classes: &[Class], of: &[usize]) -> impl Iterator<Item = f64> {
    exchanges.iter().zip(of).filter_map(|(exchange, class)| Some(good_seconds(exchange)? / classes[*class].cost))
}

fn keys(exchanges: &[Exchange], templates: &[String], options: &FitOptions) -> Option<Skew> {
    let named = |(exchange, template): (&Exchange, &String)| match &options.key {
        Some(part) => part.of(exchange),
        None => template.contains(templates::NAME).then(|| exchange.path().to_owned()),
    };
    zipf::fit(&counts(exchanges.iter().zip(templates).filter_map(named)))
}

fn tenants(exchanges: &[Exchange], options: &FitOptions) -> Option<Skew> {
    let part = options.tenant.as_ref().unwrap_or(&Part::Host);
    zipf::fit(&counts(exchanges.iter().filter_map(|exchange| part.of(exchange))))
}

fn counts(names: impl Iterator<Item = String>) -> Vec<u64> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts.into_values().collect()
}

fn sizes<'b>(bodies: impl Iterator<Item = &'b Body>) -> Option<Sizes> {
    let mut lengths: Vec<u64> = bodies.map(|body| body.length).collect();
    lengths.sort_unstable();
    let max = *lengths.last()?;
    let at = |hundredths: usize| lengths[(lengths.len() - 1) * hundredths / 100];
    Some(Sizes { count: lengths.len() as u64, p50: at(50), p99: at(99), max })
}

/// Classes that are told apart. Source: ours, what a person reads at a glance.
const MOST_CLASSES: usize = 12;

#[cfg(test)]
mod tests;
