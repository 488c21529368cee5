//! What a client is told of its requests, answers and errors: only their owner knows what may run twice.

use std::error::Error;
use std::io;
use std::sync::Arc;

use ambidex_core::again::quorum::Mark;
use ambidex_core::attempt::FailureKind;
use ambidex_core::balance::ring;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

use crate::transport::Disagreement;

/// How requests, answers and errors are to be read.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) repeats: Arc<Asking>,
    pub(super) class: Arc<Hashing>,
    pub(super) key: Arc<Hashing>,
    pub(super) version: Option<HeaderName>,
    pub(super) failure: Arc<Judging>,
    pub(super) disagree: Arc<Hearing>,
}

type Asking = dyn Fn(&Parts) -> bool + Send + Sync;
type Hashing = dyn Fn(&Parts) -> Option<u64> + Send + Sync;
type Judging = dyn Fn(&(dyn Error + 'static)) -> FailureKind + Send + Sync;
type Hearing = dyn Fn(&Disagreement) + Send + Sync;

impl Default for Reading {
    fn default() -> Self {
        Self {
            repeats: Arc::new(|parts| is_safe(&parts.method)),
            class: Arc::new(|_| None),
            key: Arc::new(|_| None),
            version: None,
            failure: Arc::new(failure_of),
            disagree: Arc::new(|_| {}),
        }
    }
}

impl Reading {
    /// What an answer is compared by.
    pub(super) fn mark(&self, fields: &HeaderMap) -> Option<Mark> {
        let version = fields.get(self.version.as_ref()?)?.as_bytes();
        let number = str::from_utf8(version).ok().and_then(|text| text.trim().parse().ok());
        Some(Mark(number.unwrap_or_else(|| ring::key(version))))
    }
}

fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// A refused connection proves that nothing was sent; nothing else that libraries have in common does.
fn failure_of(error: &(dyn Error + 'static)) -> FailureKind {
    let refused = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if causes(error).any(refused) { FailureKind::Connect } else { FailureKind::Reset }
}

/// An error and what caused it, from the outside in.
pub(super) fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let below = |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        error.source()
    };
    std::iter::successors(Some(error), below).take(MOST_CAUSES)
}

/// How deep causes are looked through: an error may be its own. Source: ours; tonic's are five deep.
const MOST_CAUSES: usize = 16;
