//! What a request may get of what is kept: RFC 9111, 4.2, 5.2.1 and RFC 5861.
//!
//! ```text
//! age:  0 ......... lifetime ......... + while_revalidate ......... + if_error
//!       fresh        served, and asked for anew      asked for; served when no good answer comes
//! ```

use ambidex_core::time::{Mono, Span};

use super::directives::{Directives, Flag};
use super::entry::Entry;

/// What a kept answer is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the answer.
    Fresh,
    /// It is the answer, though stale: the client bears it.
    Borne,
    /// It is the answer, and is asked for anew meanwhile.
    Meanwhile,
    /// A worker has to be asked first. `by_request`: the request wants that; the answer itself would do.
    Ask { by_request: bool },
}

/// Says what `entry` is good for.
pub(crate) fn look(entry: &Entry, asks: &Directives, now: Mono) -> Verdict {
    let terms = &entry.terms;
    let age = entry.age(now);
    let fresh = age < terms.lifetime;
    if asks.has(Flag::NoCache) || asks.max_age.is_some_and(|most| age > most) {
        return Verdict::Ask { by_request: fresh };
    }
    if fresh {
        let left = terms.lifetime - age;
        let enough = asks.min_fresh.is_none_or(|least| left >= least);
        return if enough { Verdict::Fresh } else { Verdict::Ask { by_request: true } };
    }
    if terms.strict || asks.min_fresh.is_some() {
        return Verdict::Ask { by_request: false };
    }
    let over = age - terms.lifetime;
    if asks.max_stale.is_some_and(|most| over < most) {
        return Verdict::Borne;
    }
    if over < terms.while_revalidate && asks.max_age.is_none() {
        return Verdict::Meanwhile;
    }
    Verdict::Ask { by_request: false }
}

/// Whether a stale answer may be served because no good one came.
pub(crate) fn serves_after_error(entry: &Entry, asks: &Directives, now: Mono) -> bool {
    let terms = &entry.terms;
    let age = entry.age(now);
    let window = asks.if_error.unwrap_or(Span::ZERO).max(terms.if_error);
    !terms.strict && !asks.has(Flag::NoCache) && age < terms.lifetime + window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::entry::tests::{at, entry};
    use crate::head::tests::read;

    fn asks(value: &str) -> Directives {
        Directives::of_request(read("GET", "/", &[("cache-control", value)]).head())
    }

    fn looked(answer: &str, request: &str, seconds: u64) -> Verdict {
        look(&entry(answer), &asks(request), at(seconds))
    }

    #[test]
    fn an_answer_is_fresh_until_its_lifetime_is_over() {
        assert_eq!(looked("cache-control: max-age=10", "x", 9), Verdict::Fresh);
        assert_eq!(looked("cache-control: max-age=10", "x", 10), Verdict::Ask { by_request: false });
        assert_eq!(looked("age: 5\r\ncache-control: max-age=10", "x", 5), Verdict::Ask { by_request: false });
    }

    #[test]
    fn a_request_can_want_it_younger_or_bear_it_older() {
        let answer = "cache-control: max-age=10";
        assert_eq!(looked(answer, "no-cache", 1), Verdict::Ask { by_request: true });
        assert_eq!(looked(answer, "max-age=2", 3), Verdict::Ask { by_request: true });
        assert_eq!(looked(answer, "min-fresh=5", 6), Verdict::Ask { by_request: true });
        assert_eq!(looked(answer, "max-stale", 100), Verdict::Borne);
        assert_eq!(looked(answer, "max-stale=5", 14), Verdict::Borne);
        assert_eq!(looked(answer, "max-stale=5", 15), Verdict::Ask { by_request: false });
        let strict = "etag: \"a\"\r\ncache-control: max-age=10, must-revalidate";
        assert_eq!(looked(strict, "max-stale", 11), Verdict::Ask { by_request: false });
    }

    #[test]
    fn a_stale_answer_is_served_meanwhile_only_within_its_window() {
        let answer = "cache-control: max-age=10, stale-while-revalidate=5";
        assert_eq!(looked(answer, "x", 14), Verdict::Meanwhile);
        assert_eq!(looked(answer, "x", 15), Verdict::Ask { by_request: false });
        // Who says how old it may be wants it fresh.
        assert_eq!(looked(answer, "max-age=20", 12), Verdict::Ask { by_request: false });
        assert_eq!(
            looked("cache-control: s-maxage=10, stale-while-revalidate=5, public, max-age=1", "x", 11),
            Verdict::Ask { by_request: false }
        );
    }

    #[test]
    fn a_stale_answer_is_served_after_an_error_only_within_its_window_and_never_when_it_is_strict() {
        let serves = |answer: &str, seconds| serves_after_error(&entry(answer), &asks("x"), at(seconds));
        assert!(serves("cache-control: max-age=10, stale-if-error=20", 29));
        assert!(!serves("cache-control: max-age=10, stale-if-error=20", 30));
        for word in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=10"] {
            let answer = format!("etag: \"a\"\r\ncache-control: max-age=10, stale-if-error=20, {word}");
            assert!(!serves(&answer, 11), "{word}");
        }
        assert!(serves_after_error(&entry("cache-control: max-age=10"), &asks("stale-if-error=20"), at(29)));
    }
}
