//! One line of the access log: what it says, and how it is written so that nothing a client sends can forge another.
//!
//! The query of a request's target is left out, and that of its `Referer`: that is where tokens and names are.

use std::io::Write as _;
use std::net::SocketAddr;

use ambidex_core::time::Span;

use crate::clock::Wall;
use crate::config::LogFormat;

/// What is told of one request. Texts are as they came; an empty one is not told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// When the request came.
    pub(crate) time: Wall,
    /// Id of the request.
    pub(crate) id: &'a [u8],
    /// The client; none on a Unix socket.
    pub(crate) client: Option<SocketAddr>,
    /// Method.
    pub(crate) method: &'a str,
    /// Host asked for.
    pub(crate) host: &'a [u8],
    /// Path, without the query.
    pub(crate) path: &'a str,
    /// Version spoken, such as `HTTP/1.1`.
    pub(crate) version: &'a str,
    /// What its route matches, the same for every request of the route.
    pub(crate) route: &'a str,
    /// The pool.
    pub(crate) pool: &'a str,
    /// Status of the answer; 0 when the client left before one.
    pub(crate) status: u16,
    /// Bytes of the answer's body.
    pub(crate) bytes: u64,
    /// From the head of the request to the end of the answer.
    pub(crate) duration: Span,
    /// The worker that was asked last.
    pub(crate) worker: &'a str,
    /// How many workers were tried.
    pub(crate) attempts: usize,
    /// From the head of the request to the head of the worker's answer.
    pub(crate) upstream: Option<Span>,
    /// Why the gateway answered itself.
    pub(crate) reason: &'a str,
    /// What the system said of a failure.
    pub(crate) detail: &'a str,
    /// Which tier of the fallback chain answered.
    pub(crate) tier: &'a str,
    /// What the cache did: `hit`, `stale`, `miss`, `validated`, `write`, `bypass`.
    pub(crate) cache: &'a str,
    /// The keyspace that it belongs to.
    pub(crate) keyspace: &'a str,
    /// From the head of the request to its first try, where it has one owner.
    pub(crate) waited: Option<Span>,
    /// Whether request and answer came to their ends.
    pub(crate) complete: bool,
    /// `Referer`.
    pub(crate) referer: &'a [u8],
    /// `User-Agent`.
    pub(crate) user_agent: &'a [u8],
}

impl Line<'_> {
    /// Appends the line with its end.
    pub(crate) fn write(&self, format: LogFormat, out: &mut Vec<u8>) {
        match format {
            LogFormat::Json => self.json(out),
            LogFormat::Combined => self.combined(out),
        }
    }

    fn json(&self, out: &mut Vec<u8>) {
        let at = self.time.civil();
        put(
            out,
            format_args!(
                "{{\"time\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\"",
                at.year, at.month, at.day, at.hour, at.minute, at.second, at.milli
            ),
        );
        text(out, "id", self.id);
        if let Some(client) = self.client {
            put(out, format_args!(",\"client\":\"{}\"", client.ip()));
        }
        text(out, "method", self.method.as_bytes());
        text(out, "host", self.host);
        text(out, "path", self.path.as_bytes());
        text(out, "version", self.version.as_bytes());
        text(out, "route", self.route.as_bytes());
        text(out, "pool", self.pool.as_bytes());
        put(out, format_args!(",\"status\":{},\"bytes\":{}", self.status, self.bytes));
        put(out, format_args!(",\"duration_ms\":{}", Millis(self.duration)));
        text(out, "worker", self.worker.as_bytes());
        put(out, format_args!(",\"attempts\":{}", self.attempts));
        if let Some(upstream) = self.upstream {
            put(out, format_args!(",\"upstream_ms\":{}", Millis(upstream)));
        }
        text(out, "reason", self.reason.as_bytes());
        text(out, "detail", self.detail.as_bytes());
        text(out, "tier", self.tier.as_bytes());
        text(out, "cache", self.cache.as_bytes());
        text(out, "keyspace", self.keyspace.as_bytes());
        if let Some(waited) = self.waited {
            put(out, format_args!(",\"waited_ms\":{}", Millis(waited)));
        }
        if !self.complete {
            out.extend_from_slice(b",\"complete\":false");
        }
        text(out, "referer", without_query(self.referer));
        text(out, "user_agent", self.user_agent);
        out.extend_from_slice(b"}\n");
    }

    fn combined(&self, out: &mut Vec<u8>) {
        let at = self.time.civil();
        match self.client {
            Some(client) => put(out, format_args!("{} - - ", client.ip())),
            None => out.extend_from_slice(b"- - - "),
        }
        let month = MONTHS[usize::try_from(at.month).unwrap_or(1) - 1];
        put(
            out,
            format_args!(
                "[{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000] \"",
                at.day, at.year, at.hour, at.minute, at.second
            ),
        );
        quoted(out, self.method.as_bytes());
        out.push(b' ');
        quoted(out, self.path.as_bytes());
        put(out, format_args!(" {}\" {} {} \"", self.version, self.status, self.bytes));
        quoted(out, if self.referer.is_empty() { b"-" } else { without_query(self.referer) });
        out.extend_from_slice(b"\" \"");
        quoted(out, if self.user_agent.is_empty() { b"-" } else { self.user_agent });
        out.extend_from_slice(b"\"\n");
    }
}

/// A length in milliseconds with three places.
struct Millis(Span);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1_000, micros % 1_000)
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

/// Appends a field of JSON, unless it is empty.
fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if value.is_empty() {
        return;
    }
    put(out, format_args!(",\"{name}\":\""));
    for chunk in short(value).utf8_chunks() {
        for part in chunk.valid().split_inclusive(|c: char| c < ' ' || c == '"' || c == '\\' || c == '\u{7f}') {
            escape_last(out, part);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Appends a part of which only the last character may need an escape.
fn escape_last(out: &mut Vec<u8>, part: &str) {
    let Some(last) = part.chars().next_back() else { return };
    let rest = &part[..part.len() - last.len_utf8()];
    out.extend_from_slice(rest.as_bytes());
    match last {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\0'..' ' | '\u{7f}' => put(out, format_args!("\\u{:04x}", u32::from(last))),
        other => put(out, format_args!("{other}")),
    }
}

/// Appends what stands between quotes in the combined format, as Apache escapes it.
fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    for byte in short(value) {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' '..=b'~' => out.push(*byte),
            0..=31 | 127.. => put(out, format_args!("\\x{byte:02x}")),
        }
    }
}

/// A URL up to its query or fragment.
fn without_query(url: &[u8]) -> &[u8] {
    url.split(|byte| b"?#".contains(byte)).next().unwrap_or(url)
}

fn short(value: &[u8]) -> &[u8] {
    &value[..value.len().min(MOST_BYTES)]
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Most bytes that are told of a text. Source: heads may have 64 KiB; a log must not grow by that for each (row 11).
const MOST_BYTES: usize = 2_048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line<'a>(path: &'a str, agent: &'a [u8]) -> Line<'a> {
        Line {
            time: Wall(1_795_219_199_123_000_000),
            id: b"7",
            client: Some(([192, 0, 2, 1], 5_000).into()),
            method: "GET",
            host: b"a.test",
            path,
            version: "HTTP/1.1",
            route: "/a",
            pool: "api",
            status: 200,
            bytes: 12,
            duration: Span::from_micros(1_234),
            worker: "b",
            attempts: 2,
            upstream: Some(Span::from_millis(1)),
            reason: "",
            detail: "",
            tier: "",
            cache: "",
            keyspace: "",
            waited: None,
            complete: true,
            referer: b"",
            user_agent: agent,
        }
    }

    fn written(line: &Line<'_>, format: LogFormat) -> String {
        let mut out = Vec::new();
        line.write(format, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    proptest! {
        #[test]
        fn whatever_is_sent_a_line_is_one_line_of_json(
            path in ".{0,80}", agent in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            let text = written(&line(&path, &agent), LogFormat::Json);
            prop_assert_eq!(text.matches('\n').count(), 1);
            let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(read["path"].as_str().unwrap_or(""), path);
        }

        #[test]
        fn whatever_is_sent_a_combined_line_has_its_six_quotes(
            path in ".{0,80}", agent in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            let text = written(&line(&path, &agent), LogFormat::Combined);
            let bare = text.replace("\\\\", "").replace("\\\"", "");
            prop_assert_eq!((bare.matches('"').count(), text.matches('\n').count()), (6, 1));
            prop_assert!(text.trim_end().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }

    #[test]
    fn the_query_of_a_referer_is_left_out() {
        let line = Line { referer: b"https://a.test/b?token=c", ..line("/a", b"") };
        for format in [LogFormat::Json, LogFormat::Combined] {
            let text = written(&line, format);
            assert!(text.contains("\"https://a.test/b\""), "{text}");
        }
    }

    #[test]
    fn both_formats_look_as_tools_expect() {
        let line = line("/a", b"curl");
        assert_eq!(
            written(&line, LogFormat::Json),
            "{\"time\":\"2026-11-20T23:59:59.123Z\",\"id\":\"7\",\"client\":\"192.0.2.1\",\"method\":\"GET\",\
             \"host\":\"a.test\",\"path\":\"/a\",\"version\":\"HTTP/1.1\",\"route\":\"/a\",\"pool\":\"api\",\
             \"status\":200,\"bytes\":12,\"duration_ms\":1.234,\"worker\":\"b\",\"attempts\":2,\"upstream_ms\":1.000,\
             \"user_agent\":\"curl\"}\n"
        );
        assert_eq!(
            written(&line, LogFormat::Combined),
            "192.0.2.1 - - [20/Nov/2026:23:59:59 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl\"\n"
        );
    }
}
