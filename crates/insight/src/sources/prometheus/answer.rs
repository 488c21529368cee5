//! What the query API answers, as types.
//!
//! ```text
//! {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":"a:9100"},"values":[[1700000000,"0.5"],..]}]}}
//! {"status":"error","errorType":"bad_data","error":"parse error: .."}          with 400, 422 or 503
//! ```
//! Whatever else comes is not Prometheus: a page of HTML, a redirect to where one logs in, an error of another product.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::history::At;
use crate::sources::fetch::{Answer, words};

/// Labels by name.
pub(super) type Labels = BTreeMap<String, String>;

/// One series, or one value of an instant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// What it is of.
    pub(super) labels: Labels,
    /// By time.
    pub(super) values: Vec<(At, f64)>,
}

/// What came.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// In the order of the answer.
    pub(super) rows: Vec<Row>,
    /// What the server had to say beside them: parts that did not answer.
    pub(super) warnings: Vec<String>,
    /// Series of native histograms, which are no figures.
    pub(super) histograms: usize,
}

/// Why there are no rows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Untold {
    /// The server says so itself: its kind of error, and its words.
    #[error("{words} ({kind})")]
    Refused {
        /// In one word.
        kind: String,
        /// As it says it.
        words: String,
    },
    /// Who asks is not known, or may not.
    #[error("it refuses us with {status}: {words}")]
    Forbidden {
        /// Of HTTP.
        status: u16,
        /// As it says it.
        words: String,
    },
    /// It has enough to do.
    #[error("it has too much to do ({status}): {words}")]
    Busy {
        /// Of HTTP.
        status: u16,
        /// As it says it.
        words: String,
    },
    /// It is something else.
    #[error("{0}")]
    Other(String),
}

impl Untold {
    /// Whether a smaller question, or the same one later, may be answered.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Refused { kind, words } => kind == "timeout" || words.contains("too many samples"),
            Self::Busy { .. } => true,
            Self::Forbidden { .. } | Self::Other(_) => false,
        }
    }
}

/// Reads what came.
pub(super) fn read(answer: &Answer) -> Result<Told, Untold> {
    match serde_json::from_slice::<Body<'_>>(&answer.body) {
        Ok(body) => said(body, answer),
        Err(error) => Err(no_prometheus(answer, &error)),
    }
}

fn said(body: Body<'_>, answer: &Answer) -> Result<Told, Untold> {
    let Some(data) = body.data.filter(|_| body.status == "success") else {
        return Err(refusal(body.error.as_deref(), body.kind.as_deref(), answer));
    };
    let mut told = Told { warnings: body.warnings.unwrap_or_default(), ..Told::default() };
    match data {
        Data::Matrix(all) | Data::Vector(all) => {
            told.histograms = all.iter().filter(|one| one.values.is_empty() && one.value.is_none()).count();
            told.rows = all.into_iter().map(One::row).collect();
        }
        Data::Scalar(point) => {
            told.rows.push(Row { labels: Labels::new(), values: point.read().into_iter().collect() })
        }
        Data::String(_) => {}
    }
    Ok(told)
}

fn refusal(error: Option<&str>, kind: Option<&str>, answer: &Answer) -> Untold {
    let words = || error.map_or_else(|| words(&answer.body), |error| words(error.as_bytes()));
    match (answer.status, kind) {
        (401 | 403, _) => Untold::Forbidden { status: answer.status, words: words() },
        (429, _) | (502..=504, None) => Untold::Busy { status: answer.status, words: words() },
        (_, Some(kind)) => Untold::Refused { kind: kind.to_owned(), words: words() },
        (status, None) => Untold::Other(format!("it answers {status} without data: {}", words())),
    }
}

fn no_prometheus(answer: &Answer, error: &serde_json::Error) -> Untold {
    let Answer { status, kind, location, body } = answer;
    match status {
        401 | 403 => return Untold::Forbidden { status: *status, words: words(body) },
        429 | 502..=504 => return Untold::Busy { status: *status, words: words(body) },
        _ => {}
    }
    if let Some(location) = location {
        let location = location.split(['?', '#']).next().unwrap_or_default();
        return Untold::Other(format!("it sends us to {location} ({status}), which may be a page to log in at"));
    }
    let what = if body.is_empty() {
        "nothing".to_owned()
    } else if kind.contains("html") || body.trim_ascii_start().first() == Some(&b'<') {
        format!("a page of HTML: {}", words(body))
    } else if matches!(status, 200..=299) && kind.contains("json") {
        format!("JSON that is not the query API's ({error}): {}", words(body))
    } else {
        format!("`{}`", words(body))
    };
    Untold::Other(format!("it answers {status} with {what}"))
}

#[derive(Deserialize)]
struct Body<'a> {
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(borrow, default, rename = "errorType")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data<'a> {
    #[serde(borrow)]
    Matrix(Vec<One<'a>>),
    #[serde(borrow)]
    Vector(Vec<One<'a>>),
    #[serde(borrow)]
    Scalar(Point<'a>),
    #[serde(borrow)]
    String(#[expect(dead_code, reason = "a string is no figure")] Point<'a>),
}

#[derive(Deserialize)]
struct One<'a> {
    #[serde(default)]
    metric: Labels,
    #[serde(borrow, default)]
    values: Vec<Point<'a>>,
    #[serde(borrow, default)]
    value: Option<Point<'a>>,
}

/// Seconds since 1970, and a number as text.
#[derive(Deserialize)]
struct Point<'a>(f64, #[serde(borrow)] Cow<'a, str>);

impl One<'_> {
    fn row(self) -> Row {
        let values = self.values.iter().chain(&self.value).filter_map(Point::read).collect();
        Row { labels: self.metric, values }
    }
}

impl Point<'_> {
    /// `None` of what is no number: where nothing came, a quotient has none, and that is not remarkable.
    fn read(&self) -> Option<(At, f64)> {
        let value: f64 = self.1.parse().ok()?;
        Some((At::of_seconds(self.0)?, value)).filter(|_| !value.is_nan())
    }
}

#[cfg(test)]
mod tests;
