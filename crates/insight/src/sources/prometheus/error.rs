//! Why a Prometheus gives no history: each says what to do about it.

use ambidex_core::time::Span;

use super::own::OwnQueryError;
use crate::sources::fetch::FetchError;

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// It cannot be asked, or did not answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It does not know us, or we may not.
    #[error(
        "Prometheus at {url}: {why}; give a token, a name and password, the header that it asks for, or \
         sign for AWS (`--aws-region`); where it is signed, look at key, region, service and this machine's clock"
    )]
    Forbidden {
        /// Where.
        url: String,
        /// What it said.
        why: String,
    },
    /// What answers there is something else.
    #[error(
        "what answers at {url} is not Prometheus's query API: {why}; the address is what stands before /api/v1/query, \
         such as http://HOST:9090 or https://HOST/prometheus"
    )]
    NotPrometheus {
        /// Where.
        url: String,
        /// What came instead.
        why: String,
    },
    /// Matchers cannot be put into queries.
    #[error("the matchers `{matchers}` cannot be used: {why}; write them as job=\"node\",zone=~\"a|b\"")]
    Matchers {
        /// As they were said.
        matchers: String,
        /// What is wrong with them.
        why: String,
    },
    /// A label cannot be one.
    #[error(transparent)]
    Label(#[from] OwnQueryError),
    /// There is no such set.
    #[error("there is no set of queries `{name}`; there are: {known}")]
    NoSet {
        /// As it was said.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The range or the step is none.
    #[error(
        "a range of {since} in steps of {step} cannot be asked: a step is 1 s to 5 min, a range at least ten of them and at most 35 days"
    )]
    Range {
        /// How long it is.
        since: Span,
        /// What it is cut into.
        step: Span,
    },
    /// Nothing that we know is there.
    #[error(
        "Prometheus at {url} has nothing of {looked}{narrowed} in the last ten minutes; widen the matchers, or say what to ask \
         with a file of queries"
    )]
    Nothing {
        /// Where.
        url: String,
        /// The sets that were looked for.
        looked: String,
        /// By which matchers, if any.
        narrowed: String,
    },
    /// Something is there, but no figure came.
    #[error("Prometheus at {url} gave no figure of {asked}: {why}")]
    NoFigures {
        /// Where.
        url: String,
        /// What was asked for.
        asked: String,
        /// The first failure, or that there was none.
        why: String,
    },
}
