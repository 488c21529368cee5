//! What is said on answers: load on every one, and on a shed request's where to go and when to come back.

use ambidex_core::guard::shed::Shed;
use ambidex_core::signal::Report;
use ambidex_core::time::Span;
use ambidex_wire::deadline;
use ambidex_wire::report::{orca, server_load};
use http::{HeaderValue, StatusCode};

use crate::config::ReportForm;

/// Says that the worker did not begin: `other`, another one is worth trying; `none`, it is not.
pub const SHED: &str = "ambidex-shed";

/// The body of a shed request's answer.
pub const SENTENCE: &str = "This worker has enough to do. Try again later.\n";

/// The lines in which a report is written on an answer.
pub fn reported(form: ReportForm, report: &Report) -> impl Iterator<Item = (&'static str, HeaderValue)> + use<> {
    let plain = || ("server-load", server_load::write(report));
    let orca = || ("endpoint-load-metrics", orca::write_text(report));
    let lines = match form {
        ReportForm::None => [None, None],
        ReportForm::ServerLoad => [Some(plain()), None],
        ReportForm::Orca => [None, Some(orca())],
        ReportForm::Both => [Some(plain()), Some(orca())],
    };
    lines.into_iter().flatten()
}

/// The lines of a shed request's answer, whose status is 503.
#[must_use]
pub fn shed(shed: &Shed) -> [(&'static str, HeaderValue); 2] {
    let second = Span::from_secs(1).as_nanos();
    let seconds = shed.retry_after.as_nanos().div_ceil(second);
    let elsewhere = HeaderValue::from_static(if shed.elsewhere { "other" } else { "none" });
    [("retry-after", HeaderValue::from(seconds)), (SHED, elsewhere)]
}

/// Whether an answer says that its worker, or what it needs, has too much to do.
#[must_use]
pub fn is_drop(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Whether an answer goes on for as long as its client likes: then it does not hold a place.
#[must_use]
pub fn is_endless(status: StatusCode, content_type: Option<&[u8]>) -> bool {
    let events = |kind: &[u8]| kind.starts_with(b"text/event-stream");
    status == StatusCode::SWITCHING_PROTOCOLS || content_type.is_some_and(events)
}

/// How much time a request says it has: `Ambidex-Deadline-Ms`, else `grpc-timeout`.
pub fn time_left<'a>(field: impl Fn(&str) -> Option<&'a [u8]>) -> Option<Span> {
    let value = |name| field(name).map(<[u8]>::trim_ascii);
    let millis = value(deadline::MILLIS).and_then(deadline::read_millis);
    millis.or_else(|| deadline::read_grpc(value(deadline::GRPC)?))
}

#[cfg(test)]
mod tests {
    use ambidex_core::guard::shed::Why;

    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        let told = shed(&Shed { retry_after: Span::from_millis(1_200), elsewhere: false, why: Why::Full });
        assert_eq!(told.map(|(_, value)| value), [HeaderValue::from(2_u64), HeaderValue::from_static("none")]);
    }

    #[test]
    fn time_left_is_what_the_gateway_says_and_else_what_a_client_of_grpc_does() {
        let left = |ours: Option<&'static str>| {
            time_left(move |asked| if asked == "grpc-timeout" { Some(&b" 2S "[..]) } else { ours.map(str::as_bytes) })
        };
        assert_eq!(left(Some("2500")), Some(Span::from_millis(2_500)));
        assert_eq!((left(None), left(Some("nonsense"))), (Some(Span::from_secs(2)), Some(Span::from_secs(2))));
        assert_eq!(time_left(|_| None), None);
    }

    #[test]
    fn a_report_is_written_in_the_forms_that_were_chosen() {
        let report = Report { in_flight: Some(3), limit: Some(8), ..Report::default() };
        let names = |form| reported(form, &report).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(ReportForm::Both), ["server-load", "endpoint-load-metrics"]);
        assert!(names(ReportForm::None).is_empty());
    }
}
