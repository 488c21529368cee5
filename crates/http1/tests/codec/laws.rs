//! Laws: any split of the bytes gives the same, what is written is read back, nothing panics.

use ambidex_http1::write::{self, Edits, RequestPlan};
use ambidex_http1::{BodyDecoder, BodyEncoder, Event, Fields, Framing, HeadReader, Name, Path, Profile, Value};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::mutation::mutated;
use crate::reading::request_head;
use crate::targets;

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}"
}

fn line() -> impl Strategy<Value = String> {
    let value = prop_oneof!["[ -~]{0,20}", Just("close".to_owned()), Just("3".to_owned()), Just("chunked".to_owned())];
    let name = prop_oneof![
        4 => token(),
        1 => Just("Connection".to_owned()),
        1 => Just("Content-Length".to_owned()),
        1 => Just("Transfer-Encoding".to_owned()),
        1 => Just("Upgrade".to_owned()),
    ];
    (name, prop_oneof![Just(": "), Just(":"), Just(": \t")], value)
        .prop_map(|(name, colon, value)| name + colon + &value)
}

/// Requests that are well formed for the most part.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let target = prop_oneof![
        Just("/".to_owned()),
        "/[!$-;=?-Z_a-z~]{0,20}",
        Just("*".to_owned()),
        Just("http://a/x".to_owned())
    ];
    let method = prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), Just("OPTIONS".to_owned()), token()];
    let body =
        prop_oneof![Just(""), Just("abc"), Just("3\r\nabc\r\n0\r\n\r\n"), Just("1;a=b\r\nx\r\n0\r\nX: y\r\n\r\n")];
    let one = (method, target, 0..2, vec(line(), 0..6), body).prop_map(|(method, target, version, lines, body)| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{method} {target} HTTP/1.{version}\r\nHost: a\r\n{lines}\r\n{body}")
    });
    vec(one, 1..4).prop_map(|all| all.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_of_requests_is_heard_the_same(bytes in stream()) {
        targets::requests(&bytes);
    }

    #[test]
    fn any_split_of_mutated_requests_is_heard_the_same(bytes in stream(), seed in 1u64.., times in 1usize..6) {
        targets::requests(&mutated(&bytes, seed, times));
    }

    #[test]
    fn any_split_of_mutated_responses_is_heard_the_same(
        lines in vec(line(), 0..6), status in 90u16..610, body in "[ -~]{0,20}", seed in 1u64.., times in 0usize..4,
    ) {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let text = format!("HTTP/1.1 {status:03} x\r\n{lines}\r\n{body}");
        targets::responses(&mutated(text.as_bytes(), seed, times));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        targets::requests(&bytes);
        targets::responses(&bytes);
        targets::responses(&[b"HTTP/1.1 200 OK\r\n", &bytes[..]].concat());
        targets::requests(&[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &bytes[..]].concat());
    }

    #[test]
    fn data_in_chunks_is_read_back(pieces in vec(vec(any::<u8>(), 0..50), 0..8), cut in 1usize..9) {
        let mut encoder = BodyEncoder::new(Framing::Chunked);
        let mut sent = Vec::new();
        for piece in &pieces {
            let (prefix, suffix) = encoder.data(piece.len()).expect("chunks are not counted");
            sent.extend_from_slice(&[prefix.as_bytes(), piece, suffix].concat());
        }
        sent.extend_from_slice(encoder.end().expect("chunks"));
        let mut decoder = BodyDecoder::new(Framing::Chunked, &Profile::default());
        let mut read = Vec::new();
        for part in sent.chunks(cut) {
            let mut part = part;
            loop {
                let step = decoder.next(part).expect("well formed");
                if let Event::Data(place) = &step.event {
                    read.extend_from_slice(&part[place.clone()]);
                }
                part = &part[step.used..];
                if !matches!(step.event, Event::Data(_)) {
                    break;
                }
            }
        }
        prop_assert!(decoder.is_done());
        prop_assert_eq!(read, pieces.concat());
    }

    #[test]
    fn whatever_the_checked_types_take_is_read_back(
        names in vec(prop_oneof![3 => token().prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..8)], 0..5),
        value in prop_oneof![3 => "[ -~\t]{0,20}".prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..12)],
        path in prop_oneof![3 => "/[!-~]{0,20}".prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..12)],
        host in prop_oneof![3 => "[a-z.:0-9\\[\\]]{0,10}".prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..12)],
        length in prop_oneof![Just(Framing::None), Just(Framing::Chunked), any::<u64>().prop_map(Framing::Length)],
    ) {
        let Some(value) = Value::checked(&value) else { return Ok(()) };
        let add: Vec<_> = names.iter().filter_map(|name| Some((Name::checked(name)?, value))).collect();
        let edits = Edits { add: &add, ..Edits::default() };
        let plan = RequestPlan { host: Value::checked(&host), path: Path::checked(&path), edits, framing: length, ..crate::plans::PLAN };
        let from = request_head(b"GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n").expect("valid");
        let mut out = Vec::new();
        if write::request(&mut out, &from, &plan).is_err() {
            prop_assert!(out.is_empty());
            return Ok(());
        }
        let mut input = BytesMut::from(&out[..]);
        let read = HeadReader::default().request(&mut input, &mut Fields::default(), &Profile::default());
        let read = read.expect("what we write is not refused").expect("whole");
        prop_assert!(input.is_empty());
        prop_assert_eq!(read.head().framing(), length);
        prop_assert_eq!(read.path(), Path::checked(&path).map_or(&b"/x"[..], |_| &path[..]));
        let added = read.head().fields().iter().filter(|field| read.head().value(field).as_bytes() == value.as_bytes());
        prop_assert!(added.count() >= add.len());
    }
}
