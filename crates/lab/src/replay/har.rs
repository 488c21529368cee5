//! HAR: what browsers and debugging proxies save. One JSON document (W3C draft "HTTP Archive", version 1.2).
//!
//! Of its many keys only those are read that a request and its answer are made of. Times have milliseconds at best, and
//! order in the file means nothing.

use ambidex_core::time::Span;
use ambidex_wire::recording::{Answer, Body, Digest, Exchange, FieldValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::source::SourceError;

#[derive(Deserialize)]
struct Document {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    /// Milliseconds.
    #[serde(default)]
    time: f64,
    request: Request,
    #[serde(default)]
    response: Option<Response>,
    #[serde(default)]
    connection: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    http_version: String,
    #[serde(default)]
    headers: Vec<Field>,
    #[serde(default)]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    /// 0 when there was none.
    status: u16,
    #[serde(default)]
    headers: Vec<Field>,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

/// The exchanges of a document, in the order of their requests, times counted from the first.
///
/// # Errors
/// It is no HAR, or an entry cannot be read.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Exchange>, SourceError> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| SourceError::Har(format!("it is no HAR: {error}")))?;
    let mut read = Vec::with_capacity(document.log.entries.len());
    for (at, entry) in document.log.entries.into_iter().enumerate() {
        let wrong = |why: String| SourceError::Har(format!("log.entries[{at}]: {why}"));
        let began = OffsetDateTime::parse(&entry.started_date_time, &Rfc3339)
            .map_err(|_| wrong(format!("`{}` is no date and time with an offset", entry.started_date_time)))?;
        let exchange = entry.exchange().map_err(wrong)?;
        read.push((began.unix_timestamp_nanos(), exchange));
    }
    read.sort_by_key(|(began, _)| *began);
    let first = read.first().map_or(0, |(began, _)| *began);
    let since = |began: i128| Span::from_nanos(u64::try_from(began - first).unwrap_or(u64::MAX));
    Ok(read.into_iter().map(|(began, exchange)| Exchange { at: since(began), ..exchange }).collect())
}

impl Entry {
    fn exchange(self) -> Result<Exchange, String> {
        let Request { method, url, http_version, headers, post_data } = self.request;
        let uri: http::Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
        let host = uri.authority().ok_or_else(|| format!("`{url}` names no host"))?.to_string();
        let target = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let body = post_data.and_then(|data| data.text).filter(|text| !text.is_empty()).map(|text| body(text.into()));
        let took = Span::from_secs_f64((self.time / 1_000.0).max(0.0));
        Ok(Exchange {
            connection: self.connection.unwrap_or_default(),
            version: http_version,
            method,
            host,
            target,
            // Names that begin with a colon are HTTP/2's way to say what stands above.
            fields: headers
                .into_iter()
                .filter(|field| !field.name.starts_with(':'))
                .map(|field| (field.name.to_ascii_lowercase(), FieldValue::Plain(field.value.into_bytes())))
                .collect(),
            body,
            answer: self.response.filter(|response| response.status > 0).map(|response| response.answer(took)),
            ..Exchange::default()
        })
    }
}

impl Response {
    fn answer(self, took: Span) -> Answer {
        // A text that was packed is written down unpacked: its digest is of other bytes than came.
        let packed = self.headers.iter().any(|field| field.name.eq_ignore_ascii_case("content-encoding"));
        let content = self.content.filter(|_| !packed).and_then(Content::bytes);
        let body = content.map_or_else(Body::default, |bytes| Body { base64: None, ..body(bytes) });
        Answer { status: self.status, took, body, attempts: 1, ..Answer::default() }
    }
}

impl Content {
    fn bytes(self) -> Option<Vec<u8>> {
        let text = self.text?;
        match self.encoding.as_deref() {
            None | Some("") => Some(text.into_bytes()),
            Some("base64") => STANDARD.decode(text).ok(),
            Some(_) => None,
        }
    }
}

fn body(bytes: Vec<u8>) -> Body {
    Body { length: bytes.len() as u64, digest: Some(Digest::of(&bytes)), whole: true, base64: Some(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_become_exchanges_in_the_order_of_their_times() {
        let exchanges = read(include_bytes!("../../tests/recordings/page.har")).expect("read");
        let said: Vec<_> = exchanges
            .iter()
            .map(|exchange| (exchange.at.as_millis(), &*exchange.method, &*exchange.host, &*exchange.target))
            .collect();
        let expected = [
            (0, "GET", "shop.example", "/items?page=2"),
            (250, "POST", "shop.example:8443", "/cart"),
            (1_250, "GET", "shop.example", "/gone"),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn bodies_and_answers_come_with_them() {
        let exchanges = read(include_bytes!("../../tests/recordings/page.har")).expect("read");
        let [page, cart, gone] = &exchanges[..] else { panic!("three") };
        let answer = page.answer.as_ref().expect("an answer");
        assert_eq!((answer.status, answer.body.digest), (200, Some(Digest::of(b"hello"))));
        assert_eq!(answer.took, Span::from_micros(12_500));
        assert_eq!(cart.body.as_ref().and_then(|body| body.base64.as_deref()), Some(&b"item=7"[..]));
        // Packed: what came is not what stands there.
        assert_eq!(cart.answer.as_ref().expect("an answer").body.digest, None);
        assert_eq!(gone.answer, None);
        assert_eq!(page.field("accept"), Some(&b"text/html"[..]));
        assert!(page.fields.iter().all(|(name, _)| !name.starts_with(':')), "{:?}", page.fields);
    }

    #[test]
    fn what_is_no_har_is_refused_with_its_place() {
        let entry = |date: &str, url: &str| {
            format!(
                r#"{{"log":{{"entries":[{{"startedDateTime":"{date}","request":{{"method":"GET","url":"{url}"}}}}]}}}}"#
            )
        };
        for (text, says) in [
            ("{}".to_owned(), "it is no HAR: missing field `log`"),
            (entry("yesterday", "http://a/"), "log.entries[0]: `yesterday` is no date"),
            (entry("2026-11-21T10:00:00Z", "/a"), "log.entries[0]: `/a` names no host"),
        ] {
            let said = read(text.as_bytes()).expect_err("refused").to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
