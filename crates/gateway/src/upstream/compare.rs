//! What answers of several workers are compared by: a version in the head, or a digest of the body.
//!
//! A digest needs the body: up to [`MOST_HELD`] bytes of it are held until they are compared. Of a longer one these bytes,
//! its status, and its length where that is announced, decide; the rest is compared while it passes (differ.rs).

use std::collections::VecDeque;
use std::future::poll_fn;

use ambidex_core::again::quorum::Mark;
use ambidex_core::attempt::FailureKind;
use ambidex_core::worker::WorkerId;
use ambidex_tower::{Marked, SendError};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::Answer;
use crate::config::Compare;
use crate::differ::Watch;

/// Works out what `answer` is compared by; `long` has one that is not all there compared to its end.
pub(super) async fn mark(
    mut answer: Box<Answer>,
    by: &Compare,
    long: impl FnOnce(WorkerId) -> Option<Watch>,
) -> Marked<Box<Answer>, ()> {
    if let Compare::Header(name) = by {
        let said = answer.head.head().get(name.as_str().as_bytes()).map(|value| version(value.as_bytes()));
        return Ok((answer, said));
    }
    let mut digest = Xxh3::new();
    digest.update(&answer.head.status().as_u16().to_be_bytes());
    digest.update(&answer.head.head().announced().unwrap_or(u64::MAX).to_be_bytes());
    let (mut came, mut bytes) = (VecDeque::new(), 0);
    while bytes < MOST_HELD {
        let frame = poll_fn(|cx| answer.body.poll_next(cx)).await;
        let Some(frame) = frame.transpose().map_err(|why| SendError::sent(FailureKind::Reset, why))? else { break };
        if let Some(data) = frame.data_ref() {
            // As many bytes of each answer, however they come.
            digest.update(&data[..data.len().min(MOST_HELD - bytes)]);
            bytes += data.len();
        }
        came.push_back(frame);
    }
    let Answer { head, body, worker } = *answer;
    let is_long = !body.is_over();
    let body = body.behind(came);
    let watch = is_long.then(|| long(worker)).flatten();
    let body = match watch {
        Some(watch) => body.watched(watch),
        None => body,
    };
    Ok((Box::new(Answer { head, body, worker }), Some(Mark(digest.digest()))))
}

/// A number as it is, a date by its seconds, anything else by its hash: equal texts are equal, whatever they mean.
fn version(text: &[u8]) -> Mark {
    let text = text.trim_ascii();
    let number = || str::from_utf8(text).ok()?.parse().ok();
    let date = || {
        let date = httpdate::parse_http_date(str::from_utf8(text).ok()?).ok()?;
        Some(date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
    };
    Mark(number().or_else(date).unwrap_or_else(|| xxh3_64(text)))
}

/// Bytes of one answer that wait for the others. Source: architecture.md "Quorum by digest".
const MOST_HELD: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_as_numbers_and_as_dates() {
        assert!(version(b"9") < version(b"10"));
        assert!(version(b"Sun, 06 Nov 1994 08:49:37 GMT") < version(b"Mon, 07 Nov 1994 08:49:37 GMT"));
        assert_eq!(version(b"\"a\""), version(b" \"a\""));
        assert_ne!(version(b"\"a\""), version(b"\"b\""));
    }
}
