//! In which shape a client gets a kept answer: whole, as a 304, or a part of it [RFC 9110, 13 and 14].

use ambidex_http1::{Head, Known, RequestHead};
use http::{Method, StatusCode};

use super::directives::{members, number};
use super::entry::{Entry, GET, same_tag};
use super::judge::date;
use crate::head::text::{line, start};
use crate::stored::Stored;

/// The shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it is.
    Whole,
    /// The client has it.
    NotModified,
    /// These bytes, both ends included.
    Part { first: usize, last: usize },
    /// It has no such part.
    NoSuchPart,
}

impl Shape {
    /// What `request` is to get of `entry`.
    pub(crate) fn of(entry: &Entry, request: &RequestHead) -> Self {
        let head = request.head();
        if entry.status != StatusCode::OK {
            return Self::Whole;
        }
        if has_it(entry, head) {
            return Self::NotModified;
        }
        if *request.method() != Method::GET || !head.has(Known::Range) || !if_range(entry, head) {
            return Self::Whole;
        }
        let mut ranges = head.all(Known::Range);
        match (ranges.next(), ranges.next()) {
            (Some(range), None) => part(range.as_bytes(), entry.stored.body().len()),
            (None, _) | (Some(_), Some(_)) => Self::Whole,
        }
    }

    /// The answer in this shape.
    pub(crate) fn made(self, entry: &Entry) -> Option<Stored> {
        let stored = &entry.stored;
        let whole = stored.body().len();
        let (status, body, range) = match self {
            Self::Whole => return Some(stored.clone()),
            Self::NotModified => (StatusCode::NOT_MODIFIED, stored.body().slice(..0), None),
            Self::Part { first, last } => {
                let body = stored.body().get(first..=last).map(|part| stored.body().slice_ref(part))?;
                (StatusCode::PARTIAL_CONTENT, body, Some(format!("bytes {first}-{last}/{whole}")))
            }
            Self::NoSuchPart => {
                (StatusCode::RANGE_NOT_SATISFIABLE, stored.body().slice(..0), Some(format!("bytes */{whole}")))
            }
        };
        let head = stored.read(GET)?;
        let mut text = start(status, status.canonical_reason().unwrap_or("").as_bytes(), stored.head().len());
        for field in head.head().fields() {
            let (name, known) = (head.head().name(field), field.known());
            let of_body = name.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case(b"content-"));
            let stays = match self {
                Self::Whole => true,
                // RFC 9110, 15.4.5: what speaks of the body goes without it, but the place that it has.
                Self::NotModified | Self::NoSuchPart => !of_body || name.eq_ignore_ascii_case(b"content-location"),
                Self::Part { .. } => known != Known::ContentLength && !name.eq_ignore_ascii_case(b"content-range"),
            };
            if stays {
                line(&mut text, name, head.head().value(field).as_bytes());
            }
        }
        if let Some(range) = range {
            line(&mut text, b"Content-Range", range.as_bytes());
        }
        Some(Stored::from_parts(text.freeze(), body, stored.at))
    }
}

/// Whether the client's copy is this answer.
fn has_it(entry: &Entry, head: &Head) -> bool {
    let mut tags = lines(head, b"if-none-match").flat_map(members).peekable();
    if tags.peek().is_some() {
        let mine = entry.etag.as_deref();
        return tags.any(|tag| tag == b"*" || mine.is_some_and(|mine| same_tag(mine, tag)));
    }
    let since = head.get(b"if-modified-since").and_then(|value| date(value.as_bytes()));
    let modified = entry.modified.as_deref().or(entry.date.as_deref()).and_then(date);
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

/// Whether the client wants the part of this very answer.
fn if_range(entry: &Entry, head: &Head) -> bool {
    let Some(condition) = head.get(b"if-range") else { return true };
    let condition = condition.as_bytes();
    let is_tag = condition.starts_with(b"\"") || condition.starts_with(b"W/");
    if is_tag {
        return !condition.starts_with(b"W/") && entry.etag.as_deref() == Some(condition);
    }
    entry.modified.as_deref().is_some_and(|modified| modified == condition)
}

/// One range of bytes. Several, and other units, get the whole: a server may always do that.
fn part(range: &[u8], length: usize) -> Shape {
    let Some(spec) =
        range.get(..6).filter(|unit| unit.eq_ignore_ascii_case(b"bytes=")).map(|_| range[6..].trim_ascii())
    else {
        return Shape::Whole;
    };
    let Some(at) = spec.iter().position(|&byte| byte == b'-') else { return Shape::Whole };
    let place = |digits: &[u8]| number(digits).and_then(|place| usize::try_from(place).ok());
    let (first, last) = (place(&spec[..at]), place(&spec[at + 1..]));
    match (first, last, &spec[..at], &spec[at + 1..]) {
        (Some(first), Some(last), _, _) if first <= last => within(first, last, length),
        (Some(first), None, _, b"") => within(first, usize::MAX, length),
        (None, Some(0), b"", _) => Shape::NoSuchPart,
        (None, Some(count), b"", _) => within(length.saturating_sub(count), usize::MAX, length),
        (_, _, _, _) => Shape::Whole,
    }
}

fn within(first: usize, last: usize, length: usize) -> Shape {
    if first < length { Shape::Part { first, last: last.min(length - 1) } } else { Shape::NoSuchPart }
}

fn lines<'a>(head: &'a Head, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let named = head.fields().iter().filter(move |field| head.name(field).eq_ignore_ascii_case(name));
    named.map(|field| head.value(field).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::entry::tests::entry;
    use crate::head::tests::read;

    const ANSWER: &str = "etag: W/\"a\"\r\nlast-modified: Wed, 01 Jan 2020 00:00:00 GMT\r\ncontent-type: text/plain\r\n\
        cache-control: max-age=10";

    fn shape(lines: &[(&str, &str)]) -> Shape {
        Shape::of(&entry(ANSWER), &read("GET", "/", lines))
    }

    #[test]
    fn who_has_the_answer_is_told_so_and_tags_come_before_dates() {
        for lines in [
            &[("if-none-match", "\"x\", \"a\"")][..],
            &[("if-none-match", "*")],
            &[("if-modified-since", "Wed, 01 Jan 2020 00:00:00 GMT")],
            &[("if-modified-since", "Sunday, 05-Jan-25 00:00:00 GMT")],
        ] {
            assert_eq!(shape(lines), Shape::NotModified, "{lines:?}");
        }
        let older = ("if-modified-since", "Tue, 31 Dec 2019 23:59:59 GMT");
        let newer = ("if-modified-since", "Thu, 02 Jan 2020 00:00:00 GMT");
        assert_eq!(shape(&[older]), Shape::Whole);
        assert_eq!(shape(&[("if-none-match", "\"b\""), newer]), Shape::Whole);
    }

    #[test]
    fn a_range_gets_its_part_and_what_is_none_the_whole() {
        // The body has ten bytes.
        for (range, shape_of) in [
            ("bytes=0-1", Shape::Part { first: 0, last: 1 }),
            ("bytes=8-", Shape::Part { first: 8, last: 9 }),
            ("bytes=-3", Shape::Part { first: 7, last: 9 }),
            ("bytes=-30", Shape::Part { first: 0, last: 9 }),
            ("bytes=5-500", Shape::Part { first: 5, last: 9 }),
            ("bytes=10-", Shape::NoSuchPart),
            ("bytes=-0", Shape::NoSuchPart),
            ("bytes=0-1,3-4", Shape::Whole),
            ("bytes=3-1", Shape::Whole),
            ("lines=0-1", Shape::Whole),
            ("bytes=", Shape::Whole),
        ] {
            assert_eq!(shape(&[("range", range)]), shape_of, "{range}");
        }
        let modified = ("if-range", "Wed, 01 Jan 2020 00:00:00 GMT");
        assert_eq!(shape(&[("range", "bytes=0-1"), modified]), Shape::Part { first: 0, last: 1 });
        assert_eq!(shape(&[("range", "bytes=0-1"), ("if-range", "W/\"a\"")]), Shape::Whole);
    }

    #[test]
    fn a_304_says_nothing_of_the_body_and_a_part_says_where_it_is() {
        let entry = entry(ANSWER);
        let text = |shape: Shape| {
            let made = shape.made(&entry).expect("a head");
            (String::from_utf8_lossy(made.head()).into_owned(), made.body().clone())
        };
        let (head, body) = text(Shape::NotModified);
        assert!(head.starts_with("HTTP/1.1 304 ") && head.contains("etag") && !head.contains("content-type"), "{head}");
        assert!(body.is_empty());
        let (head, body) = text(Shape::Part { first: 2, last: 4 });
        assert!(head.starts_with("HTTP/1.1 206 ") && head.contains("Content-Range: bytes 2-4/10\r\n"), "{head}");
        assert_eq!(body, "234");
    }
}
