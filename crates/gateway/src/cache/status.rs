//! What `Cache-Status` says of an answer [RFC 9211].

use ambidex_core::time::Mono;
use arrayvec::ArrayString;

use super::directives::whole_seconds;
use super::entry::Entry;
use super::judge::NotKept;

/// Why a request went on to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Its method.
    Method,
    /// Nothing is kept of the resource.
    UriMiss,
    /// Nothing that the request selects.
    VaryMiss,
    /// What is kept is stale.
    Stale,
    /// The request wants it anew.
    Request,
}

impl Forward {
    /// The word of RFC 9211, 2.2.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
        }
    }
}

/// Of an answer that the cache has nothing to do with.
pub(crate) const PASSED: &str = "ambidex; fwd=bypass";

/// Of an answer that was kept; `detail` says what else there is to say.
pub(crate) fn hit(entry: &Entry, now: Mono, collapsed: bool, detail: Option<&str>) -> String {
    let (age, lifetime) = (whole_seconds(entry.age(now)), whole_seconds(entry.terms.lifetime));
    let left = if age <= lifetime { (lifetime - age).to_string() } else { format!("-{}", age - lifetime) };
    let collapsed = if collapsed { "; collapsed" } else { "" };
    let detail = detail.map_or_else(String::new, |detail| format!("; detail={detail}"));
    format!("ambidex; hit; ttl={left}{collapsed}{detail}")
}

/// Of an answer of a worker's; `validated`: it said that what is kept is still right.
pub(crate) fn forwarded(why: Forward, validated: bool, kept: Result<(), NotKept>) -> ArrayString<LONGEST> {
    let status = if validated { "; fwd-status=304" } else { "" };
    let (said, word) = match kept {
        Ok(()) => ("; stored", ""),
        Err(not) => ("; detail=", not.word()),
    };
    let mut text = ArrayString::new();
    for part in ["ambidex; fwd=", why.word(), status, said, word] {
        text.push_str(part);
    }
    text
}

/// Bytes of the longest thing that is said of a worker's answer: a test says all of them.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_said_of_workers_answers_has_room() {
        let why = [Forward::Method, Forward::UriMiss, Forward::VaryMiss, Forward::Stale, Forward::Request];
        for (why, not) in why.into_iter().flat_map(|why| NotKept::ALL.map(|not| (why, not))) {
            let said = forwarded(why, true, Err(not));
            assert_eq!(said.as_str(), format!("ambidex; fwd={}; fwd-status=304; detail={}", why.word(), not.word()));
        }
    }
}
