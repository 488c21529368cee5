//! HAProxy's HTTP log: the one format here whose fields stand between slashes as well as blanks.
//!
//! ```text
//! Nov 22 10:15:30 lb haproxy[14]: 10.0.0.9:33317 [22/Nov/2026:10:15:30.655] web~ static/srv1 10/0/30/69/109 200 2750 - - ----
//! 1/1/1/1/0 0/0 {a.example} {} "GET /index.html HTTP/1.1"
//!
//! 10/0/30/69/109: waiting for the request, in queues, for the connection, for the answer, all of it; -1: it did not come to that
//! ```
//! What a server took is all but the first two: it has no part in them.

use super::entry::{Entry, Value};
use super::field::{Field, Target, Unit};
use super::line::Wrong;

/// Takes a line apart.
pub(super) fn read<'a>(line: &'a str, entry: &mut Entry<'a>) -> Result<(), Wrong> {
    let (before, time, rest) = begin(line).ok_or(Wrong::HaProxy("`[day/month/year:hour:minute:second.ms]`"))?;
    entry.put(Field::Time, time);
    if let Some(client) = before.split_ascii_whitespace().next_back() {
        entry.put(Field::Client, client);
    }
    let mut words = rest.split_ascii_whitespace();
    let mut word = |expected| words.next().ok_or(Wrong::HaProxy(expected));
    word("the frontend")?;
    let (backend, server) = word(SERVER)?.split_once('/').ok_or(Wrong::HaProxy(SERVER))?;
    entry.put(Field::Service, backend);
    if !server.starts_with('<') {
        entry.put(Field::Node, server);
    }
    if let Some(took) = took(word(TIMES)?)? {
        entry.set(Target { field: Field::TryTook, rank: 0, unit: Some(Unit::Millis) }, Value::Number(took));
    }
    let status = word(STATUS)?;
    if status != "-1" && status.parse::<u16>().is_err() {
        return Err(Wrong::HaProxy(STATUS));
    }
    entry.put(Field::Bytes, word("bytes")?.trim_start_matches('+'));
    word("a cookie")?;
    word("a cookie")?;
    // The first letter says who ended it: the client, which is no fault of the server's.
    let left = status == "-1" && word("how it ended")?.starts_with('C');
    entry.put(Field::Status, if left { LEFT } else { status });
    let quoted = rest.split_once(" \"").map(|(_, quoted)| quoted).ok_or(Wrong::HaProxy(REQUEST))?;
    entry.put(Field::Request, quoted.split('"').next().unwrap_or_default());
    Ok(())
}

/// What is before the time, the time, and what is after it.
fn begin(line: &str) -> Option<(&str, &str, &str)> {
    line.match_indices('[').find_map(|(at, _)| {
        let (time, rest) = line[at + 1..].split_once(']')?;
        // The process has its number in brackets, too.
        let is_time = time.as_bytes().get(2) == Some(&b'/') && time.as_bytes().get(6) == Some(&b'/');
        is_time.then_some((&line[..at], time, rest))
    })
}

/// Milliseconds that the server took; `None` where the request did not come to one.
fn took(times: &str) -> Result<Option<f64>, Wrong> {
    let mut all = [0.0; 5];
    let mut parts = times.split('/');
    for time in &mut all {
        let text = parts.next().ok_or(Wrong::HaProxy(TIMES))?;
        *time = text.trim_start_matches('+').parse::<i64>().map_err(|_| Wrong::HaProxy(TIMES))? as f64;
    }
    let [request, queue, connect, _, total] = all;
    Ok((request >= 0.0 && queue >= 0.0 && connect >= 0.0).then_some((total - request - queue).max(0.0)))
}

/// What other logs have for a client that left before an answer.
const LEFT: &str = "0";
const SERVER: &str = "BACKEND/SERVER";
const TIMES: &str = "five times in milliseconds, as 10/0/30/69/109";
const STATUS: &str = "a status";
const REQUEST: &str = "the request in quotes: is this of `option httplog`?";

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "Nov 22 10:15:30 lb haproxy[14389]: 10.0.0.9:33317 [22/Nov/2026:10:15:30.655] web~ ";

    fn entry(line: &str) -> Result<Entry<'_>, Wrong> {
        let mut entry = Entry::new();
        read(line, &mut entry).map(|()| entry)
    }

    #[test]
    fn a_line_of_the_http_log_is_taken_apart() {
        let line = format!(
            "{BEGIN}static/srv1 10/5/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {{a.example}} {{}} \"GET /index.html HTTP/1.1\""
        );
        let entry = entry(&line).expect("a line");
        for (field, text) in [
            (Field::Client, "10.0.0.9:33317"),
            (Field::Time, "22/Nov/2026:10:15:30.655"),
            (Field::Service, "static"),
            (Field::Node, "srv1"),
            (Field::Status, "200"),
            (Field::Request, "GET /index.html HTTP/1.1"),
        ] {
            assert_eq!(entry.text(field), Some(text), "{field:?}");
        }
        assert_eq!((entry.number(Field::TryTook), entry.number(Field::Bytes)), (Some(94.0), Some(2_750.0)));
    }

    #[test]
    fn what_came_to_no_server_has_none() {
        let line = format!("{BEGIN}web/<NOSRV> 10/-1/-1/-1/11 503 +220 - - SC-- 1/1/0/0/3 0/0 \"GET /a HTTP/1.1\"");
        let entry = entry(&line).expect("a line");
        assert_eq!((entry.get(Field::Node), entry.get(Field::TryTook)), (None, None));
        assert_eq!((entry.number(Field::Bytes), entry.text(Field::Status)), (Some(220.0), Some("503")));
    }

    #[test]
    fn a_client_that_left_is_told_from_a_server_that_failed() {
        for (state, status) in [("CH--", "0"), ("SH--", "-1")] {
            let line = format!("{BEGIN}web/a 10/0/1/-1/500 -1 0 - - {state} 1/1/0/0/3 0/0 \"GET /a HTTP/1.1\"");
            assert_eq!(entry(&line).expect("a line").text(Field::Status), Some(status));
        }
    }

    #[test]
    fn a_line_of_another_log_says_what_was_expected() {
        for (line, expected) in [
            ("10.0.0.9 - - [x] y", "`[day"),
            (&format!("{BEGIN}web"), "BACKEND/SERVER"),
            (&format!("{BEGIN}web/a 1/2/3 200"), "five times"),
            (&format!("{BEGIN}web/a 1/2/3/4/5 OK 1"), "a status"),
            (&format!("{BEGIN}web/a 1/2/3/4/5 200 1 - - ---- 1/1/1/1/0 0/0"), "the request"),
        ] {
            match entry(line) {
                Err(Wrong::HaProxy(text)) => assert!(text.contains(expected), "{line}: {text}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
