//! Deadlines in headers: what a client says it will wait, and what a worker is told is left [R-L4].
//!
//! How they are written is in `ambidex_wire::deadline`: `grpc-timeout` for gRPC, `ambidex-deadline-ms` for all else, which
//! is one of ours, so that a client's is never passed on. Any client may shorten its own time, none may make it longer.

use ambidex_core::time::{Mono, Span};
use ambidex_http1::{Known, Name, RequestHead};
use ambidex_tower::Clock;
use ambidex_wire::deadline;

/// What a worker is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) until: Mono,
    pub(crate) clock: &'a Clock,
    pub(crate) field: Field,
}

/// In which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// `grpc-timeout`.
    Grpc,
    /// `ambidex-deadline-ms`.
    Millis,
}

impl Field {
    /// The one for this request.
    pub(crate) fn of(head: &RequestHead) -> Self {
        let kind = head.head().first(Known::ContentType).map(|kind| kind.as_bytes());
        let grpc = kind.is_some_and(|kind| kind.starts_with(b"application/grpc"));
        if grpc { Self::Grpc } else { Self::Millis }
    }
}

impl Told<'_> {
    /// The field that says how much is left now. Rounded down: a worker that believes it has time must have it.
    pub(crate) fn line(&self) -> (Name<'static>, String) {
        let left = self.until.since(self.clock.now());
        match self.field {
            Field::Grpc => (const { Name::literal(deadline::GRPC) }, deadline::grpc_text(left)),
            Field::Millis => (const { Name::literal(deadline::MILLIS) }, deadline::millis_text(left)),
        }
    }
}

/// The time that the client says it will wait, if it says so.
pub(crate) fn asked(head: &RequestHead) -> Option<Span> {
    let head = head.head();
    let millis = if head.has(Known::Ambidex) { head.get(deadline::MILLIS.as_bytes()) } else { None };
    let millis = millis.and_then(|value| deadline::read_millis(value.as_bytes()));
    let grpc = head.other(deadline::GRPC.as_bytes()).and_then(|value| deadline::read_grpc(value.as_bytes()));
    [millis, grpc].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    #[test]
    fn a_clients_time_is_read_in_either_form_and_the_shorter_counts() {
        for (fields, wanted) in [
            (&[("grpc-timeout", "2S")][..], Some(2_000)),
            (&[("ambidex-deadline-ms", "1500")], Some(1_500)),
            (&[("grpc-timeout", "2S"), ("ambidex-deadline-ms", "900")], Some(900)),
            (&[("grpc-timeout", "500m"), ("ambidex-deadline-ms", "900")], Some(500)),
            (&[("grpc-timeout", "2s"), ("ambidex-deadline-ms", "1e3")], None),
            (&[], None),
        ] {
            assert_eq!(asked(&read("GET", "/", fields)), wanted.map(Span::from_millis), "{fields:?}");
        }
    }
}
