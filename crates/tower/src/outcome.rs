//! What an answer's head says about the worker that gave it.
//!
//! 500, 502, 503 and 504 are failures of the worker: it, or what it needs, does not work. Not 501, 505 and the rest of
//! the 5xx: they answer the request's form. Not 429: it speaks of the client. A gRPC answer that is all head carries
//! its status there; 14 (`UNAVAILABLE`) says what 503 says.

use ambidex_core::attempt::Head;
use ambidex_core::load::{FAILURE_PRICE, Outcome};
use ambidex_core::time::Span;
use http::header::RETRY_AFTER;
use http::{HeaderName, StatusCode};

use crate::transport::AnswerHead;

/// What a head says to whoever may ask another worker. A worker that is full says in [`SHED`] whether the others are:
/// `other` (another one is worth trying) or `none`.
#[must_use]
pub fn says(head: &impl AnswerHead) -> Head {
    if !is_failure(head) {
        return Head::Good;
    }
    match head.field(&SHED) {
        Some(told) => Head::Shed { elsewhere: told != b"none" },
        None => Head::Failing,
    }
}

/// The outcome that a head stands for.
#[must_use]
pub fn of_head(head: &impl AnswerHead) -> Outcome {
    if !is_failure(head) {
        return Outcome::Good;
    }
    let seconds = head.field(&RETRY_AFTER).and_then(|value| str::from_utf8(value).ok()?.trim().parse().ok());
    let asked = seconds.map_or(Span::ZERO, |seconds: u64| Span::from_secs(seconds.min(MOST_RETRY_AFTER)));
    if head.field(&SHED).is_some() {
        return Outcome::Full { price: asked.max(FULL_PRICE) };
    }
    Outcome::Failed { price: asked.max(FAILURE_PRICE) }
}

fn is_failure(head: &impl AnswerHead) -> bool {
    match head.status() {
        StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => true,
        StatusCode::OK => head.field(&GRPC_STATUS).is_some_and(|code| code == b"14"),
        _ => false,
    }
}

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The field of an answer that says that its worker did not begin, because it is full.
pub static SHED: HeaderName = HeaderName::from_static("ambidex-shed");

/// Longest `Retry-After` believed, in seconds; source: balancing.md "Breaker" (`cool_down_most`, 60 s). A worker may
/// lie about itself, but not for ever.
const MOST_RETRY_AFTER: u64 = 60;
/// What a worker that is full is priced at, at least. Source: ours; the least that `Retry-After` can say.
const FULL_PRICE: Span = Span::from_secs(1);

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn head(status: u16, name: &'static str, value: &str) -> Response<()> {
        Response::builder().status(status).header(name, value).body(()).expect("valid")
    }

    #[test]
    fn a_worker_that_does_not_work_has_failed_and_one_that_refuses_a_form_has_not() {
        for (status, failed) in [
            (200, false),
            (404, false),
            (429, false),
            (500, true),
            (501, false),
            (502, true),
            (503, true),
            (505, false),
        ] {
            assert_eq!(of_head(&head(status, "x-a", "b")) != Outcome::Good, failed, "{status}");
        }
    }

    #[test]
    fn retry_after_is_the_price_within_bounds() {
        let price = |value| of_head(&head(503, "retry-after", value));
        assert_eq!(price("20"), Outcome::Failed { price: Span::from_secs(20) });
        assert_eq!(price("1"), Outcome::Failed { price: FAILURE_PRICE });
        assert_eq!(price("86400"), Outcome::Failed { price: Span::from_secs(60) });
        assert_eq!(price("soon"), Outcome::Failed { price: FAILURE_PRICE });
    }

    #[test]
    fn a_worker_that_is_full_says_whether_it_is_of_use_to_ask_another() {
        assert_eq!(says(&head(503, "ambidex-shed", "other")), Head::Shed { elsewhere: true });
        assert_eq!(says(&head(503, "ambidex-shed", "none")), Head::Shed { elsewhere: false });
        assert_eq!(says(&head(503, "retry-after", "1")), Head::Failing);
        assert_eq!(says(&head(200, "ambidex-shed", "other")), Head::Good);
    }

    #[test]
    fn a_worker_that_is_full_has_not_failed() {
        let full = Response::builder().status(503).header("ambidex-shed", "other").header("retry-after", "2");
        let full = full.body(()).expect("valid");
        assert_eq!(of_head(&full), Outcome::Full { price: Span::from_secs(2) });
        assert_eq!(of_head(&head(503, "ambidex-shed", "none")), Outcome::Full { price: Span::from_secs(1) });
    }

    #[test]
    fn unavailable_of_grpc_is_a_failure() {
        assert_ne!(of_head(&head(200, "grpc-status", "14")), Outcome::Good);
        assert_eq!(of_head(&head(200, "grpc-status", "5")), Outcome::Good);
    }
}
