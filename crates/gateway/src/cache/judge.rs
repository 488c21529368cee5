//! Whether an answer may be kept, and for how long it is fresh: RFC 9111, 3 and 4.2, by `http-cache-semantics`.
//!
//! The crate reads heads more loosely than a gateway may: names of directives in one case only, commas in quotes, an `Age`
//! that overflows (it panics), any date. So it gets what we read, said in the one way that it reads right:
//!
//! ```text
//! head -- Directives, dates, Age --> plain head of at most six fields --> CachePolicy --> kept? how long? --> Terms
//! ```
//! What it decides is kept as numbers: an entry costs no second copy of its heads, and a hit no second reading.

use std::time::{Duration, SystemTime};

use ambidex_core::time::Span;
use ambidex_http1::{Head, Known, Value};
use http::header::{AUTHORIZATION, CACHE_CONTROL, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderValue, Request, Response, StatusCode};
use http_cache_semantics::{CacheOptions, CachePolicy};

use super::directives::{Directives, FOREVER, Flag, members, number, whole_seconds};
use crate::clock::Wall;
use crate::config::{RouteCache, SetCookie};

/// On which terms an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How old it was when it came.
    pub(crate) age: Span,
    /// Up to which age it is fresh.
    pub(crate) lifetime: Span,
    /// For how long after that it may be served while it is asked for anew.
    pub(crate) while_revalidate: Span,
    /// For how long after that it may be served when no good answer comes.
    pub(crate) if_error: Span,
    /// It may never be served stale, whatever a client bears.
    pub(crate) strict: bool,
    /// It may answer requests with `Authorization`.
    pub(crate) for_authorized: bool,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// The request or the answer says `no-store`.
    NoStore,
    /// It is for one user.
    Private,
    /// It was asked for with `Authorization`, and nothing says that others may have it.
    Authorization,
    /// It sets a cookie, and nothing says that others may have it.
    SetCookie,
    /// It depends on more than a request says, or on too much of it.
    Vary,
    /// A part, or a status that is no answer of its own.
    Status,
    /// Neither fresh for a moment nor to be validated: nothing would ever be served of it.
    Useless,
    /// Its body or its head is larger than what is kept, or too much is on its way into the cache.
    TooLarge,
    /// It ends where its connection does, so that one that was cut off looks whole.
    NoEnd,
    /// The resource was written to meanwhile.
    Overtaken,
}

impl NotKept {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 10] = [
        Self::NoStore,
        Self::Private,
        Self::Authorization,
        Self::SetCookie,
        Self::Vary,
        Self::Status,
        Self::Useless,
        Self::TooLarge,
        Self::NoEnd,
        Self::Overtaken,
    ];

    /// The word for it in `Cache-Status`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::Status => "status",
            Self::Useless => "no-lifetime",
            Self::TooLarge => "too-large",
            Self::NoEnd => "no-end",
            Self::Overtaken => "written",
        }
    }
}

/// What of the request matters for what becomes of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AskedWith {
    /// It has `Authorization`.
    pub(crate) authorization: bool,
    /// It says `no-store`.
    pub(crate) no_store: bool,
}

/// Says whether an answer may be kept, and on which terms.
pub(crate) fn judge(
    asked: AskedWith,
    status: StatusCode,
    head: &Head,
    now: Wall,
    settings: &RouteCache,
) -> Result<Terms, NotKept> {
    let said = first_look(asked, status, head, settings)?;
    weigh(&said, asked, status, head, now, settings)
}

/// Refuses what may not be kept whatever the time is; gives what an answer says that may be. Most answers that nobody
/// meant to be kept end here, so it costs them a look at their fields.
pub(crate) fn first_look(
    asked: AskedWith,
    status: StatusCode,
    head: &Head,
    settings: &RouteCache,
) -> Result<Directives, NotKept> {
    let said = Directives::of_response(head);
    let understood = UNDERSTOOD.contains(&status.as_u16());
    // RFC 9111, 5.2.2.3: who understands the status need not obey the `no-store` beside.
    let no_store = said.has(Flag::NoStore) && !(said.has(Flag::MustUnderstand) && understood);
    if asked.no_store || no_store {
        return Err(NotKept::NoStore);
    }
    if said.has(Flag::Private) {
        return Err(NotKept::Private);
    }
    let whole = status.as_u16() >= 200
        && !matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
        && (understood || !said.has(Flag::MustUnderstand));
    if !whole {
        return Err(NotKept::Status);
    }
    if head.all(Known::Vary).any(|value| members(value.as_bytes()).any(|name| name == b"*")) {
        return Err(NotKept::Vary);
    }
    if head.has(Known::SetCookie) && settings.set_cookie == SetCookie::Refuse && !said.has(Flag::Public) {
        return Err(NotKept::SetCookie);
    }
    // No lifetime, nothing to guess one from, and nothing to ask by.
    if !asked.authorization && !is_explicit(&said, head) && !validates(head) {
        return Err(NotKept::Useless);
    }
    Ok(said)
}

/// Says on which terms an answer is kept that passed the [`first_look`].
pub(crate) fn weigh(
    said: &Directives,
    asked: AskedWith,
    status: StatusCode,
    head: &Head,
    now: Wall,
    settings: &RouteCache,
) -> Result<Terms, NotKept> {
    let (policy, now) = policy(asked, status, head, said, now);
    if !policy.is_storable() {
        return Err(if asked.authorization { NotKept::Authorization } else { NotKept::Status });
    }
    let explicit = is_explicit(said, head);
    let lifetime = span(policy.time_to_live(now)).min(if explicit { FOREVER } else { MOST_GUESSED });
    let terms = terms(head, said, lifetime, settings);
    let serves = terms.age < terms.lifetime
        || (!terms.strict && (terms.while_revalidate.max(terms.if_error)) > Span::ZERO && explicit);
    if serves || validates(head) { Ok(terms) } else { Err(NotKept::Useless) }
}

/// Whether an answer says itself how long it is fresh.
fn is_explicit(said: &Directives, head: &Head) -> bool {
    said.limits_age() || expires_of(head, said).is_some()
}

/// Whether there is anything by which a worker could say that it is still right.
fn validates(head: &Head) -> bool {
    head.has(Known::Etag) || head.has(Known::LastModified)
}

fn terms(head: &Head, said: &Directives, lifetime: Span, settings: &RouteCache) -> Terms {
    // RFC 9111, 5.2.2.10: `s-maxage` says `proxy-revalidate` too.
    let strict = said.has(Flag::MustRevalidate)
        || said.has(Flag::ProxyRevalidate)
        || said.has(Flag::NoCache)
        || said.s_maxage.is_some();
    Terms {
        age: age(head),
        lifetime,
        while_revalidate: said.while_revalidate.unwrap_or(settings.stale_while_revalidate),
        if_error: said.if_error.unwrap_or(settings.stale_if_error),
        strict,
        for_authorized: said.has(Flag::MustRevalidate) || said.has(Flag::Public) || said.s_maxage.is_some(),
    }
}

/// What `Age` says; what cannot be read says that it is old [RFC 9111, 5.1 leaves that open].
fn age(head: &Head) -> Span {
    let mut values = head.all(Known::Age);
    match (values.next(), values.next()) {
        (None, _) => Span::ZERO,
        (Some(value), None) => number(value.as_bytes()).map_or(FOREVER, Span::from_secs),
        (Some(_), Some(_)) => FOREVER,
    }
}

/// The crate's judgement, and the present as it takes it.
fn policy(
    asked: AskedWith,
    status: StatusCode,
    head: &Head,
    said: &Directives,
    now: Wall,
) -> (CachePolicy, SystemTime) {
    let mut request = Request::new(());
    if asked.authorization {
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("yes"));
    }
    let mut response = Response::new(());
    let fields = response.headers_mut();
    if let Ok(line) = HeaderValue::from_str(&plainly(said)) {
        fields.insert(CACHE_CONTROL, line);
    }
    let mut expires = None;
    if let Some(value) = expires_of(head, said) {
        let twice = head.fields().iter().filter(|field| head.name(field).eq_ignore_ascii_case(b"expires")).count() > 1;
        expires = date(value.as_bytes()).filter(|_| !twice);
        // What is no date is in the past.
        fields.insert(EXPIRES, expires.map_or(HeaderValue::from_static("0"), dated));
    }
    for (name, known) in [(DATE, Known::Date), (LAST_MODIFIED, Known::LastModified)] {
        if let Some(point) = head.first(known).and_then(|value| date(value.as_bytes())) {
            fields.insert(name, dated(point));
        }
    }
    let explicit = said.limits_age() || expires.is_some() || said.has(Flag::Public);
    let unknown = !UNDERSTOOD.contains(&status.as_u16());
    // RFC 9111, 3: any final status that says how long it is fresh may be kept; the crate knows a few only.
    *response.status_mut() = if unknown && explicit { StatusCode::OK } else { status };
    let options = CacheOptions { shared: true, cache_heuristic: 0.1, ..CacheOptions::default() };
    let now = now.point();
    (CachePolicy::new_options(&request, &response, now, options), now)
}

/// `Expires`, where it is said to us.
fn expires_of<'h>(head: &'h Head, said: &Directives) -> Option<Value<'h>> {
    head.other(b"expires").filter(|_| !said.apart)
}

/// The directives that the crate decides by, as it reads them right. `proxy-revalidate` is not among them: the crate takes
/// it for a lifetime of 0.
fn plainly(said: &Directives) -> String {
    let flags = [("no-cache", Flag::NoCache), ("public", Flag::Public), ("must-revalidate", Flag::MustRevalidate)];
    let mut words: Vec<String> =
        flags.iter().filter(|(_, flag)| said.has(*flag)).map(|(word, _)| (*word).to_owned()).collect();
    let spans = [("max-age", said.max_age), ("s-maxage", said.s_maxage)];
    words.extend(spans.iter().filter_map(|(word, span)| span.map(|span| format!("{word}={}", whole_seconds(span)))));
    words.join(", ")
}

/// A date in any of the three forms of RFC 9110, 5.6.7.
pub(crate) fn date(text: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(str::from_utf8(text).ok()?).ok()
}

/// A date as everybody reads it.
pub(crate) fn dated(point: SystemTime) -> HeaderValue {
    HeaderValue::from_str(&httpdate::fmt_http_date(point)).unwrap_or(HeaderValue::from_static("0"))
}

fn span(duration: Duration) -> Span {
    Span::from_secs(duration.as_secs())
}

/// Statuses whose meaning for a cache is known. Source: those of RFC 9110, 15 that end a request, but parts and 304.
const UNDERSTOOD: [u16; 14] = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501];

/// Longest lifetime that is guessed from `Last-Modified`. Source: RFC 9111, 4.2.2 wanted a warning beyond a day.
const MOST_GUESSED: Span = Span::from_secs(24 * 3600);

#[cfg(test)]
mod tests;
