//! Entries: what of an answer is kept, and what a 304 makes of it.

use ambidex_http1::{Fields, HeadReader, Profile};

use super::*;
use crate::head::tests::read;

/// A moment, in seconds after the entries of these tests came.
pub(crate) fn at(seconds: u64) -> Mono {
    Mono::from_nanos((1_000 + seconds) * 1_000_000_000)
}

/// The head of a worker's answer with these lines.
pub(crate) fn answer(status: &str, lines: &str) -> ResponseHead {
    let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
    let mut text = BytesMut::from(format!("HTTP/1.1 {status}\r\n{lines}Content-Length: 10\r\n\r\n").as_bytes());
    let read = HeadReader::default().response(&mut text, &mut Fields::default(), &Profile::default(), GET);
    read.expect("a head").expect("whole")
}

/// 2026-11-21, 00:00:00 UTC.
pub(crate) fn now(seconds: u64) -> Now {
    Now { mono: at(seconds), wall: Wall((1_795_219_200 + seconds) * 1_000_000_000) }
}

/// An answer with these lines and ten bytes, kept at 0 s.
pub(crate) fn entry(lines: &str) -> Entry {
    kept_for(lines, &[])
}

fn kept_for(lines: &str, request: &[(&str, &str)]) -> Entry {
    let settings = RouteCache { set_cookie: crate::config::SetCookie::Keep, ..RouteCache::default() };
    let request = read("GET", "/", request);
    let draft = Draft::of(&request, AskedWith::default(), &answer("200 OK", lines), || now(0), &settings);
    draft.expect("it is kept").with_body(Bytes::from_static(b"0123456789"))
}

fn text(entry: &Entry) -> String {
    String::from_utf8_lossy(entry.stored.head()).into_owned()
}

fn updated(entry: &Entry, lines: &str) -> (Entry, Result<(), NotKept>) {
    let mut text = BytesMut::from(format!("HTTP/1.1 304 Not Modified\r\n{lines}\r\n\r\n").as_bytes());
    let read_ = HeadReader::default().response(&mut text, &mut Fields::default(), &Profile::default(), GET);
    let update = read_.expect("a head").expect("whole");
    assert!(entry.is_meant(update.head()), "{lines}");
    let settings = RouteCache { set_cookie: crate::config::SetCookie::Keep, ..RouteCache::default() };
    entry.updated(&read("GET", "/", &[]), AskedWith::default(), &update, now(60), &settings)
}

#[test]
fn age_is_what_it_had_and_what_it_has_been_here_and_is_said_once() {
    let entry = entry("age: 30\r\ncache-control: max-age=100");
    assert_eq!((entry.age(at(0)), &*entry.age_text(at(5))), (Span::from_secs(30), "35"));
    assert!(!text(&entry).to_lowercase().contains("age: 30"));
}

#[test]
fn an_answer_without_a_date_gets_the_one_at_which_it_came() {
    assert!(text(&entry("cache-control: max-age=1")).contains("Date: Sat, 21 Nov 2026 00:00:00 GMT\r\n"));
}

#[test]
fn repeated_fields_stay_as_many_as_they_came() {
    let entry = entry("cache-control: max-age=1\r\nset-cookie: a=1\r\nset-cookie: b=2");
    assert_eq!(text(&entry).matches("set-cookie").count(), 2);
}

#[test]
fn a_304_changes_fields_but_not_those_of_the_body() {
    let old = entry(
        "cache-control: max-age=1\r\netag: \"a\"\r\nx-a: 1\r\nx-b: 1\r\ncontent-encoding: gzip\r\nset-cookie: a=1\r\n\
         content-md5: x",
    );
    let (new, kept) = updated(
        &old,
        "etag: W/\"a\"\r\nx-a: 2\r\nx-a: 3\r\ncontent-encoding: br\r\ncontent-md5: y\r\nset-cookie: b=2\r\n\
         cache-control: max-age=50",
    );
    let text = text(&new);
    assert_eq!(kept, Ok(()));
    for (line, there) in [
        ("x-a: 1", false),
        ("x-a: 2", true),
        ("x-a: 3", true),
        ("x-b: 1", true),
        ("content-encoding: gzip", true),
        ("content-encoding: br", false),
        ("content-md5: x", true),
        ("set-cookie: a=1", false),
        ("etag: \"a\"", true),
        ("W/", false),
    ] {
        assert_eq!(text.contains(line), there, "{line}:\n{text}");
    }
    assert_eq!((new.age(at(60)), new.terms.lifetime), (Span::ZERO, Span::from_secs(50)));
    assert_eq!(new.stored.body(), "0123456789");
}

#[test]
fn a_304_that_forbids_keeping_is_the_answer_once() {
    let (new, kept) = updated(&entry("cache-control: max-age=1\r\netag: \"a\""), "cache-control: no-store");
    assert_eq!((kept, new.status), (Err(NotKept::NoStore), StatusCode::OK));
}

#[test]
fn a_304_of_another_tag_is_not_meant() {
    let other = answer("200 OK", "etag: \"b\"");
    assert!(!entry("cache-control: max-age=1\r\netag: \"a\"").is_meant(other.head()));
}

#[test]
fn what_an_entry_takes_is_more_than_its_texts() {
    let entry = kept_for("cache-control: max-age=1\r\nvary: accept", &[("accept", "text/html")]);
    assert!(entry.bytes() > entry.stored.head().len() + entry.stored.body().len() + ENTRY_BYTES);
}
