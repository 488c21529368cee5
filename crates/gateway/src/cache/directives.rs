//! `Cache-Control` of a message, and what else says the same, read as RFC 9111, 5.2 wants it.
//!
//! Names in any case; values as tokens or in quotes, in which a comma parts nothing; of two values the stricter holds. A
//! number that is none is 0 seconds: what nobody can read must not make an answer live longer.
//!
//! A response may speak to caches on its origin's side apart, by `CDN-Cache-Control` [RFC 9213]: then `Cache-Control` and
//! `Expires` are for all others. One that is no structured field is as if it were not there.

use ambidex_core::time::Span;
use ambidex_http1::{Head, Known};
use sfv::Parser;
use sfv::visitor::Ignored;

/// What a message says of caching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    said: u16,
    /// It was said apart from what is said to all.
    pub(crate) apart: bool,
    pub(crate) max_age: Option<Span>,
    pub(crate) s_maxage: Option<Span>,
    /// Of a request. Without a value any age will do: then it is [`FOREVER`].
    pub(crate) max_stale: Option<Span>,
    pub(crate) min_fresh: Option<Span>,
    pub(crate) while_revalidate: Option<Span>,
    pub(crate) if_error: Option<Span>,
}

/// Directives without a value that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Flag {
    NoStore = 1,
    NoCache = 1 << 1,
    Private = 1 << 2,
    Public = 1 << 3,
    MustRevalidate = 1 << 4,
    ProxyRevalidate = 1 << 5,
    MustUnderstand = 1 << 6,
    OnlyIfCached = 1 << 7,
}

impl Directives {
    /// What a response says to us.
    pub(crate) fn of_response(head: &Head) -> Self {
        Self::said_apart(head).unwrap_or_else(|| Self::said_to_all(head))
    }

    fn said_apart(head: &Head) -> Option<Self> {
        head.other(APART)?;
        let lines = head.fields().iter().filter(|field| head.name(field).eq_ignore_ascii_case(APART));
        let lines: Vec<_> = lines.map(|field| head.value(field).as_bytes()).collect();
        let value = lines.join(&b", "[..]);
        Parser::new(&value)
            .parse_dictionary_with_visitor(&mut Ignored)
            .ok()
            .filter(|()| !value.trim_ascii().is_empty())?;
        let mut directives = Self { apart: true, ..Self::default() };
        directives.read(&value);
        Some(directives)
    }

    fn said_to_all(head: &Head) -> Self {
        let mut directives = Self::default();
        if head.has(Known::CacheControl) {
            head.all(Known::CacheControl).for_each(|value| directives.read(value.as_bytes()));
        }
        directives
    }

    /// What a request says; `Pragma: no-cache` counts where there is no `Cache-Control` [RFC 9111, 5.4].
    pub(crate) fn of_request(head: &Head) -> Self {
        let mut directives = Self::said_to_all(head);
        if !head.has(Known::CacheControl)
            && head
                .other(b"pragma")
                .is_some_and(|value| directives_of(value.as_bytes()).any(|(name, _)| is(name, "no-cache")))
        {
            directives.said |= Flag::NoCache as u16;
        }
        directives
    }

    /// Whether this was said.
    pub(crate) fn has(&self, flag: Flag) -> bool {
        self.said & flag as u16 != 0
    }

    /// Whether an age is limited by what was said, and not by a guess.
    pub(crate) fn limits_age(&self) -> bool {
        self.max_age.is_some() || self.s_maxage.is_some()
    }

    fn read(&mut self, value: &[u8]) {
        for (name, value) in directives_of(value) {
            let flags = [
                ("no-store", Flag::NoStore),
                ("no-cache", Flag::NoCache),
                ("private", Flag::Private),
                ("public", Flag::Public),
                ("must-revalidate", Flag::MustRevalidate),
                ("proxy-revalidate", Flag::ProxyRevalidate),
                ("must-understand", Flag::MustUnderstand),
                ("only-if-cached", Flag::OnlyIfCached),
            ];
            if let Some((_, flag)) = flags.into_iter().find(|(text, _)| is(name, text)) {
                self.said |= flag as u16;
            } else if is(name, "max-stale") {
                let any = if value.is_none() { FOREVER } else { seconds(value) };
                self.max_stale = Some(stricter(self.max_stale, any));
            } else {
                self.read_span(name, value);
            }
        }
    }

    fn read_span(&mut self, name: &[u8], value: Option<&[u8]>) {
        let spans = [
            ("max-age", &mut self.max_age),
            ("s-maxage", &mut self.s_maxage),
            ("stale-while-revalidate", &mut self.while_revalidate),
            ("stale-if-error", &mut self.if_error),
        ];
        for (text, span) in spans {
            if is(name, text) {
                *span = Some(stricter(*span, seconds(value)));
            }
        }
        if is(name, "min-fresh") {
            self.min_fresh = Some(self.min_fresh.unwrap_or_default().max(seconds(value)));
        }
    }
}

fn is(name: &[u8], text: &str) -> bool {
    name.eq_ignore_ascii_case(text.as_bytes())
}

fn stricter(known: Option<Span>, now: Span) -> Span {
    known.map_or(now, |known| known.min(now))
}

/// Names and values of a list of directives.
fn directives_of(list: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    members(list).map(|member| match member.iter().position(|&byte| byte == b'=') {
        Some(at) => (&member[..at], Some(&member[at + 1..])),
        None => (member, None),
    })
}

/// Members of a list that commas part, but not those in quotes; empty ones are none.
pub(crate) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    core::iter::from_fn(move || {
        let list = rest?;
        let (mut quoted, mut escaped, mut end) = (false, false, list.len());
        for (at, &byte) in list.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        rest = list.get(end + 1..);
        Some(list[..end].trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

fn seconds(value: Option<&[u8]>) -> Span {
    let Some(value) = value else { return Span::ZERO };
    let digits = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    number(digits).map_or(Span::ZERO, Span::from_secs)
}

/// A number of seconds; more than [`FOREVER`] is that [RFC 9111, 1.2.2].
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let most = whole_seconds(FOREVER);
    Some(digits.iter().fold(0_u64, |sum, digit| (sum.saturating_mul(10) + u64::from(digit - b'0')).min(most)))
}

/// Whole seconds of a span.
pub(crate) const fn whole_seconds(span: Span) -> u64 {
    span.as_nanos() / 1_000_000_000
}

/// The field for us, and for others that answer in an origin's name.
const APART: &[u8] = b"cdn-cache-control";

/// 2^31 seconds. Source: RFC 9111, 1.2.2.
pub(crate) const FOREVER: Span = Span::from_secs(1 << 31);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    fn said(values: &[&str]) -> Directives {
        let lines: Vec<_> = values.iter().map(|value| ("cache-control", *value)).collect();
        Directives::of_response(read("GET", "/", &lines).head())
    }

    #[test]
    fn names_are_read_in_any_case_and_values_with_and_without_quotes() {
        assert!(said(&["nO-StOrE"]).has(Flag::NoStore));
        assert_eq!(said(&["Max-Age=\"3600\""]).max_age, Some(Span::from_secs(3600)));
        assert_eq!(said(&["max-age=003600"]).max_age, Some(Span::from_secs(3600)));
        assert_eq!(said(&["max-age=99999999999999999999999"]).max_age, Some(FOREVER));
    }

    #[test]
    fn what_is_in_quotes_is_no_directive() {
        assert_eq!(said(&["extension=\"max-age=3600, no-store\", max-age=1"]).max_age, Some(Span::from_secs(1)));
        assert!(!said(&["extension=\"a\\\", no-store\""]).has(Flag::NoStore));
        assert_eq!(said(&["extension=\"max-age=1"]).max_age, None);
    }

    #[test]
    fn of_two_values_the_stricter_holds_and_what_is_no_number_is_nothing() {
        assert_eq!(said(&["max-age=1800, max-age=1"]).max_age, Some(Span::from_secs(1)));
        assert_eq!(said(&["max-age=1", "max-age=1800"]).max_age, Some(Span::from_secs(1)));
        for wrong in ["max-age=-1", "max-age='3600'", "max-age=3600.5", "max-age", "max-age=", "max-age=a1"] {
            assert_eq!(said(&[wrong]).max_age, Some(Span::ZERO), "{wrong}");
        }
        assert_eq!(said(&["max-age =3600"]).max_age, None);
    }

    #[test]
    fn pragma_of_a_request_counts_where_there_is_no_cache_control() {
        let head = read("GET", "/", &[("pragma", "no-cache")]);
        assert!(Directives::of_request(head.head()).has(Flag::NoCache));
        let head = read("GET", "/", &[("pragma", "no-cache"), ("cache-control", "max-stale")]);
        let directives = Directives::of_request(head.head());
        assert_eq!((directives.has(Flag::NoCache), directives.max_stale), (false, Some(FOREVER)));
    }
}
