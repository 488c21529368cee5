//! Load reports on their way: the headers of an answer, and the endpoint that is asked [R-S2, R-S4].
//!
//! ```text
//! Server-Load: in_flight=3, queue=0, p99_ms=80, err=0.01        server_load   RFC 9651 dictionary
//! endpoint-load-metrics: TEXT cpu_utilization=0.3, rps_fractional=40         orca   (TEXT, JSON or BIN)
//! endpoint-load-metrics-bin: CQAAAAAAANA/                                    orca   base64 of its protobuf
//! {"current_load": 3, "queue_depth": 0, "error_rate": 0.01}                  endpoint
//! http_requests_in_flight 3                                                  scrape      Prometheus, by queries
//!                    \__ each name is a Field __> RawReport __ Report::check __> Report
//! ```
//! One table of names ([`field::Field`]) serves all forms, so that a number means the same however it came.

pub mod endpoint;
pub mod exposition;
pub mod field;
pub mod orca;
pub mod scrape;
pub mod server_load;

use ambidex_core::plan::Source;
use ambidex_core::signal::{Report, ReportFault};
use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;
use http::header::{HeaderMap, HeaderName};

/// A checked report, on its way from where it was parsed to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrived {
    /// Whose.
    pub worker: WorkerId,
    /// When it came, by the receiver's clock.
    pub at: Mono,
    /// What it says.
    pub report: Report,
    /// How it came.
    pub source: Source,
}

/// `Server-Load`, our plain form.
pub static SERVER_LOAD: HeaderName = HeaderName::from_static("server-load");
/// `endpoint-load-metrics`, ORCA's text, JSON and prefixed binary forms.
pub static LOAD_METRICS: HeaderName = HeaderName::from_static("endpoint-load-metrics");
/// `endpoint-load-metrics-bin`, ORCA's binary form.
pub static LOAD_METRICS_BIN: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");

const LENGTHS: [usize; 3] = ["server-load".len(), "endpoint-load-metrics".len(), "endpoint-load-metrics-bin".len()];

/// The most bytes of report headers that are read; more is refused. Source: a full report is 300 bytes; ORCA's maps may
/// be larger, and a common limit for a single header line is 4 to 8 KiB.
pub const MOST_HEADER_BYTES: usize = 4 << 10;

/// Takes the report out of an answer's headers or trailers: none of the report headers is left in them.
///
/// Where a worker sends several forms, the most telling one that is there is read: `Server-Load`, then ORCA's binary
/// header, then its plain one. `None` when there was none, which costs a glance at the names' lengths.
pub fn take(headers: &mut HeaderMap) -> Option<Result<Report, ReportFault>> {
    // Measured: 4 ns for an answer with six headers, where three look-ups take 70 ns.
    if !headers.keys().any(|name| LENGTHS.contains(&name.as_str().len())) {
        return None;
    }
    let heard = hear(|name| headers.get_all(name).iter().map(http::HeaderValue::as_bytes));
    strip(headers);
    heard
}

/// Reads the report of an answer whose lines of each name `lines` gives; of several forms the most telling one.
pub fn hear<'a, L>(lines: impl Fn(&'static HeaderName) -> L) -> Option<Result<Report, ReportFault>>
where
    L: Iterator<Item = &'a [u8]>,
{
    read(&SERVER_LOAD, &lines, server_load::add)
        .or_else(|| read(&LOAD_METRICS_BIN, &lines, orca::add_base64))
        .or_else(|| read(&LOAD_METRICS, &lines, orca::add))
}

/// Removes all report headers.
fn strip(headers: &mut HeaderMap) {
    for name in [&SERVER_LOAD, &LOAD_METRICS, &LOAD_METRICS_BIN] {
        headers.remove(name);
    }
}

type Add = fn(&mut field::Draft, &[u8]) -> Result<(), ReportFault>;

/// Reads all lines of one header. Lines of one name are one list, as HTTP has it.
fn read<'a, L>(
    name: &'static HeaderName,
    lines: &impl Fn(&'static HeaderName) -> L,
    add: Add,
) -> Option<Result<Report, ReportFault>>
where
    L: Iterator<Item = &'a [u8]>,
{
    lines(name).next()?;
    let mut draft = field::Draft::default();
    let length: usize = lines(name).map(<[u8]>::len).sum();
    let read = if length > MOST_HEADER_BYTES {
        Err(ReportFault::Unreadable(format!("{name} has {length} bytes; at most {MOST_HEADER_BYTES} are read")))
    } else {
        lines(name).try_for_each(|line| add(&mut draft, line))
    };
    Some(read.and_then(|()| Report::check(&draft.finish())))
}

/// The start of a foreign text, for a fault's message: bounded, and printable whatever it holds.
fn excerpt(bytes: &[u8]) -> String {
    let (shown, more) = if bytes.len() > 40 { (&bytes[..40], "...") } else { (bytes, "") };
    format!("`{}{more}`", shown.escape_ascii())
}

#[cfg(test)]
mod tests;
