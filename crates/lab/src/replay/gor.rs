//! GoReplay's files: payloads as they went over the wire, each behind a line that says what it is, with a line of three
//! monkeys between them.
//!
//! ```text
//! 1 932079936fa4306fc308d675 1439818823587396305 0       request, its id, nanoseconds since 1970, latency
//! GET /items HTTP/1.1 ...
//!
//! 🐵🙈🙉
//! 2 932079936fa4306fc308d675 1439818823590000000 2603695  its answer: the same id; 3: the answer to a replay
//! ```
//! Learnt from GoReplay's wiki ("Middleware", "Saving and Replaying from file") and its protocol.go.

use std::collections::HashMap;

use ambidex_core::time::Span;
use ambidex_wire::recording::{Answer, Body, Digest, Exchange, FieldValue};

use super::source::SourceError;

/// The exchanges of a file, in the order of their requests, times counted from the first.
///
/// # Errors
/// It is no such file, or a request in it cannot be read.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Exchange>, SourceError> {
    let mut requests: Vec<(u64, &[u8], Exchange)> = Vec::new();
    let mut answers: HashMap<&[u8], (u64, Answer)> = HashMap::new();
    for (number, payload) in payloads(bytes).enumerate() {
        let wrong = |why: &str| SourceError::Gor(format!("payload {}: {why}", number + 1));
        let Payload { kind, id, at, latency, text } =
            Payload::parse(payload).ok_or_else(|| wrong("its first line is no `KIND ID TIME`"))?;
        match kind {
            b'1' => requests.push((at, id, request(text).ok_or_else(|| wrong("it is no request of HTTP/1"))?)),
            b'2' => {
                let answer = answer(text).ok_or_else(|| wrong("it is no answer of HTTP/1"))?;
                answers.insert(id, (at, Answer { took: Span::from_nanos(latency), ..answer }));
            }
            // What a replay was answered, once more.
            b'3' => {}
            _ => return Err(wrong("its kind is none of 1, 2 and 3")),
        }
    }
    if requests.is_empty() {
        return Err(SourceError::Gor("there is no request in it".into()));
    }
    requests.sort_by_key(|(at, ..)| *at);
    let first = requests[0].0;
    let whole = |(at, id, exchange): (u64, &[u8], Exchange)| {
        let answer = answers.remove(id).map(|(ended, answer)| {
            let took = if answer.took == Span::ZERO { Span::from_nanos(ended.saturating_sub(at)) } else { answer.took };
            Answer { took, ..answer }
        });
        Exchange { at: Span::from_nanos(at - first), answer, ..exchange }
    };
    Ok(requests.into_iter().map(whole).collect())
}

/// What stands between two payloads, its lines' ends left out.
const MONKEYS: &[u8] = "🐵🙈🙉".as_bytes();

fn payloads(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = Some(bytes);
    std::iter::from_fn(move || {
        let text = left?;
        let end = text.windows(MONKEYS.len()).position(|window| window == MONKEYS);
        left = end.map(|end| text[end + MONKEYS.len()..].trim_ascii_start());
        Some(end.map_or(text, |end| text[..end].strip_suffix(b"\n").unwrap_or(&text[..end])))
    })
    .filter(|payload| !payload.trim_ascii().is_empty())
}

struct Payload<'a> {
    kind: u8,
    id: &'a [u8],
    at: u64,
    latency: u64,
    text: &'a [u8],
}

impl<'a> Payload<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let mut words = bytes[..end].trim_ascii_end().split(|byte| *byte == b' ');
        let [kind] = words.next()? else { return None };
        let id = words.next()?;
        let mut number = || -> Option<u64> { std::str::from_utf8(words.next()?).ok()?.parse().ok() };
        let at = number()?;
        Some(Self { kind: *kind, id, at, latency: number().unwrap_or(0), text: &bytes[end + 1..] })
    }
}

fn request(text: &[u8]) -> Option<Exchange> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(text).ok()? else { return None };
    let uri: http::Uri = head.path?.parse().ok()?;
    let host = field(head.headers, "host").map(|value| String::from_utf8_lossy(value).into_owned());
    let host = host.or_else(|| uri.authority().map(ToString::to_string)).unwrap_or_default();
    Some(Exchange {
        version: version(head.version),
        method: head.method?.to_owned(),
        host,
        target: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        body: body(head.headers, &text[length..]).filter(|body| body.length > 0),
        fields: head
            .headers
            .iter()
            .map(|field| (field.name.to_ascii_lowercase(), FieldValue::Plain(field.value.to_vec())))
            .collect(),
        ..Exchange::default()
    })
}

fn answer(text: &[u8]) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(text).ok()? else { return None };
    let body = body(head.headers, &text[length..]).map(|body| Body { base64: None, ..body });
    Some(Answer { status: head.code?, body: body.unwrap_or_default(), attempts: 1, ..Answer::default() })
}

/// What of the bytes behind a head is its body; nothing when its chunks are none.
fn body(fields: &[httparse::Header<'_>], bytes: &[u8]) -> Option<Body> {
    let chunked = field(fields, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
    let announced = field(fields, "content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let (bytes, whole) = match announced {
        _ if chunked => unchunked(bytes)?,
        Some(length) => (bytes[..bytes.len().min(length)].to_vec(), bytes.len() >= length),
        None => (bytes.to_vec(), true),
    };
    let digest = whole.then(|| Digest::of(&bytes));
    Some(Body { length: bytes.len() as u64, digest, whole, base64: whole.then_some(bytes) })
}

/// The data of chunks, and whether the last one was there.
fn unchunked(mut bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut data = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, length))) = httparse::parse_chunk_size(bytes) else {
            return bytes.is_empty().then_some((data, false));
        };
        let length = usize::try_from(length).ok()?;
        if length == 0 {
            return Some((data, true));
        }
        let chunk = bytes.get(start..start.checked_add(length)?)?;
        data.extend_from_slice(chunk);
        bytes = bytes[start + length..].strip_prefix(b"\r\n")?;
    }
}

fn field<'h>(fields: &[httparse::Header<'h>], name: &str) -> Option<&'h [u8]> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

fn version(minor: Option<u8>) -> String {
    format!("HTTP/1.{}", minor.unwrap_or(1))
}

/// Fields of a head. Source: Apache's default limit, 100, and some.
const MOST_FIELDS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn exchanges() -> Vec<Exchange> {
        read(include_bytes!("../../tests/recordings/shop.gor")).expect("read")
    }

    #[test]
    fn payloads_become_exchanges_in_the_order_of_their_times() {
        let exchanges = exchanges();
        let said: Vec<_> = exchanges
            .iter()
            .map(|exchange| (exchange.at.as_micros(), &*exchange.method, &*exchange.host, &*exchange.target))
            .collect();
        let expected = [
            (0, "GET", "shop.example", "/items?page=2"),
            (1_500, "POST", "shop.example", "/cart"),
            (9_000, "GET", "shop.example", "/alone"),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn an_answer_comes_to_the_request_of_its_id() {
        let [page, cart, alone] = &exchanges()[..] else { panic!("three") };
        let answer = page.answer.as_ref().expect("an answer");
        assert_eq!((answer.status, answer.body.digest), (200, Some(Digest::of(b"hello"))));
        assert_eq!(answer.took, Span::from_nanos(2_603_695));
        assert_eq!(cart.body.as_ref().and_then(|body| body.base64.as_deref()), Some(&b"item=7"[..]));
        let answer = cart.answer.as_ref().expect("an answer");
        assert_eq!(
            (answer.status, answer.body.digest, answer.took),
            (201, Some(Digest::of(b"done")), Span::from_millis(3))
        );
        assert_eq!(alone.answer, None);
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_its_place() {
        for (text, says) in [
            ("", "there is no request in it"),
            ("hello\nworld\n", "payload 1: its first line is no `KIND ID TIME`"),
            ("9 a 1\nGET / HTTP/1.1\r\n\r\n", "payload 1: its kind is none of 1, 2 and 3"),
            ("1 a 1\nGET / HTTP/1.1\r\n\r\n\n🐵🙈🙉\n1 b 2\nnonsense", "payload 2: it is no request of HTTP/1"),
        ] {
            let said = read(text.as_bytes()).expect_err("refused").to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
