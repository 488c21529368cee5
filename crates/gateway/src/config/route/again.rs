//! Second chances of a route's requests: which may be sent again, and what is kept for that.

use ambidex_core::again::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which methods may run twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Those that change nothing: GET, HEAD, OPTIONS (RFC 9110, 9.2.1).
    #[default]
    Safe,
    /// PUT and DELETE as well (RFC 9110, 9.2.2), where workers do as the RFC says.
    Idempotent,
}

impl Repeat {
    /// Whether a request of this method may run twice.
    pub(crate) fn allows(self, method: &http::Method) -> bool {
        match *method {
            http::Method::GET | http::Method::HEAD | http::Method::OPTIONS => true,
            http::Method::PUT | http::Method::DELETE => self == Self::Idempotent,
            _ => false,
        }
    }
}

/// What is tried again beside what no worker got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Requests whose try failed after a worker got them, if they may run twice. Default on where the section is
    /// written; source: R-L2.
    pub sent: Mode,
    /// Requests that were answered with a failure of the worker (500, 502, 503, 504), or with word that it is full.
    /// Default on where the section is written; source: R-L2.
    pub answers: Mode,
}

impl Default for Retry {
    fn default() -> Self {
        Self { sent: Mode::written(), answers: Mode::written() }
    }
}

impl Retry {
    /// Without the section.
    pub(crate) const NONE: Self = Self { sent: Mode::Off, answers: Mode::Off };
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn what_may_run_twice_is_told_by_the_method() {
        let allowed = |repeat: Repeat| {
            [Method::GET, Method::PUT, Method::DELETE, Method::POST, Method::PATCH].map(|method| repeat.allows(&method))
        };
        assert_eq!(allowed(Repeat::Safe), [true, false, false, false, false]);
        assert_eq!(allowed(Repeat::Idempotent), [true, true, true, false, false]);
    }
}
