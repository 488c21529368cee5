//! Bodies in chunks: sizes, extensions, trailers, and their bounds. Every case is read whole and byte by byte.

use crate::reading::{self, *};
use ambidex_http1::{BodyDecoder, BodyEncoder, Event, Framing, Limits, Mismatch, Name, Profile, Refusal, Value};

fn chunked(body: &[u8]) -> Vec<u8> {
    [&with("Transfer-Encoding: chunked\r\n"), body].concat()
}

#[track_caller]
fn refused(why: Refusal, bodies: &[&[u8]]) {
    let cases: Vec<Vec<u8>> = bodies.iter().map(|body| chunked(body)).collect();
    reading::refused(Side::Requests, why, &cases.iter().map(|case| &case[..]).collect::<Vec<_>>());
}

#[test]
fn chunks_are_joined() {
    assert_eq!(one(requests(&chunked(b"3\r\nabc\r\nA\r\n0123456789\r\n00\r\n\r\n"))).data, b"abc0123456789");
}

#[test]
fn a_size_is_hexadecimal_digits_and_nothing_else() {
    let cases: [&[u8]; 12] = [
        b"+1\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1\t\r\n",
        b"g\r\n",
        b"\r\n",
        b";a\r\n",
        b"10000000000000000\r\n",
        b"00000000000000001\r\n",
    ];
    refused(Refusal::BadChunkSize, &cases);
    refused(Refusal::BareLineFeed, &[b"1\na"]);
    refused(Refusal::BareCarriageReturn, &[b"1\ra"]);
}

#[test]
fn the_greatest_size_does_not_overflow() {
    let heard = requests(&chunked(b"ffffffffffffffff\r\nabc"));
    assert_eq!((heard.refusal, &*heard.messages[0].data), (None, &b"abc"[..]));
}

#[test]
fn sizes_together_do_not_overflow() {
    let mut body = BodyDecoder::new(Framing::Chunked, &Profile::default());
    assert_eq!(body.next(b"fffffffffffffffe\r\n").expect("valid").event, Event::More);
    body.moved(0xffff_ffff_ffff_fffe);
    assert_eq!(body.next(b"\r\nf\r\n"), Err(Refusal::LongBody));
}

#[test]
fn a_chunk_ends_with_crlf_where_its_size_says() {
    refused(Refusal::BadChunkEnd, &[b"1\r\nab\r\n", b"1\r\na\n", b"1\r\na\rb", b"1\r\na0\r\n\r\n"]);
}

#[test]
fn extensions_are_checked_and_dropped() {
    let body = b"1;a\r\nx\r\n1;a=b;c=\"d\\\"; e\"\r\ny\r\n0;z\r\n\r\n";
    assert_eq!(one(requests(&chunked(body))).data, b"xy");
}

#[test]
fn a_malformed_extension_is_refused() {
    let cases: [&[u8]; 10] = [
        b"1;\r\n",
        b"1;=a\r\n",
        b"1;a=\r\n",
        b"1; a\r\n",
        b"1;a =b\r\n",
        b"1;a=\"b\"c\r\n",
        b"1;a;\r\n",
        b"1;a=b c\r\n",
        b"1;\x00\r\n",
        b"1;a=\"\x01\"\r\n",
    ];
    refused(Refusal::BadExtension, &cases);
    refused(Refusal::BareLineFeed, &[b"1;a\nx", b"1;a=\"b\nc\"\r\n"]);
}

#[test]
fn extensions_are_bounded_over_the_whole_body() {
    let long = format!("1;{}\r\n", "a".repeat(4096));
    refused(Refusal::LongExtensions, &[long.as_bytes()]);
    refused(Refusal::LongExtensions, &["1;aaa\r\nx\r\n".repeat(1025).as_bytes()]);
}

#[test]
fn trailers_are_read_after_the_last_chunk() {
    let message = one(requests(&chunked(b"1\r\na\r\n0\r\nX-Sum: 1\r\nGrpc-Status:0\r\n\r\n")));
    let trailers = [("X-Sum", "1"), ("Grpc-Status", "0")];
    assert_eq!(message.trailers, trailers.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn trailers_are_as_strict_as_fields() {
    refused(Refusal::BareLineFeed, &[b"0\r\nX: 1\n\r\n", b"0\r\n\n", b"0\r\nX: 1\r\n\n"]);
    refused(Refusal::SpaceBeforeColon, &[b"0\r\nX : 1\r\n\r\n"]);
    refused(Refusal::FoldedLine, &[b"0\r\nX: 1\r\n 2\r\n\r\n", b"0\r\n X: 1\r\n\r\n"]);
    refused(Refusal::BadFieldValue, &[b"0\r\nX: \x00\r\n\r\n"]);
    refused(Refusal::BareCarriageReturn, &[b"0\r\nX: 1\r2\r\n\r\n", b"0\r\n\rX"]);
    refused(Refusal::NoColon, &[b"0\r\nX\r\n\r\n"]);
}

#[test]
fn trailers_are_bounded() {
    refused(Refusal::LongTrailers, &[format!("0\r\nX: {}", "x".repeat(8192)).as_bytes()]);
    refused(Refusal::ManyTrailers, &[format!("0\r\n{}\r\n", "X: 1\r\n".repeat(33)).as_bytes()]);
    assert_eq!(Refusal::ManyTrailers.status().as_u16(), 431);
}

#[test]
fn framing_and_routing_do_not_come_in_trailers() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Host",
        "Connection",
        "Content-Type",
        "Authorization",
        "Te",
        "X-Forwarded-For",
    ] {
        refused(Refusal::ForbiddenTrailer, &[format!("0\r\n{name}: 1\r\n\r\n").as_bytes()]);
    }
}

#[test]
fn a_missing_last_line_end_is_not_an_end() {
    let heard = requests(&chunked(b"1\r\na\r\n0\r\n"));
    assert_eq!((heard.refusal, heard.messages[0].whole), (None, false));
    let heard = requests(&chunked(b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(heard.refusal, Some(Refusal::NoColon));
}

#[test]
fn data_that_is_moved_without_a_look_counts() {
    let mut body = BodyDecoder::new(Framing::Length(10), &Profile::default());
    assert_eq!(body.plain(), 10);
    body.moved(4);
    assert_eq!(body.next(b"abcdefgh").expect("valid").used, 6);
    assert!(body.is_done());
}

#[test]
fn an_encoder_frames_chunks_without_touching_the_data() {
    let mut body = BodyEncoder::new(Framing::Chunked);
    let mut out = Vec::new();
    for data in [&b"abc"[..], b"", &[b'x'; 26]] {
        let (prefix, suffix) = body.data(data.len()).expect("chunks are not counted");
        out.extend_from_slice(&[prefix.as_bytes(), data, suffix].concat());
    }
    out.extend_from_slice(body.end().expect("chunks"));
    assert_eq!(out, b"3\r\nabc\r\n1a\r\nxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n");
}

#[test]
fn an_encoder_sends_what_was_announced_no_more_and_no_less() {
    let mut body = BodyEncoder::new(Framing::Length(3));
    assert_eq!(body.data(4).map(|_| ()), Err(Mismatch::Over { over: 1 }));
    assert!(body.data(2).is_ok());
    assert_eq!(body.end(), Err(Mismatch::Short { left: 1 }));
    assert!(body.data(1).is_ok());
    assert_eq!(body.end(), Ok(&b""[..]));
    assert_eq!(BodyEncoder::new(Framing::None).data(1).map(|_| ()), Err(Mismatch::Over { over: 1 }));
}

#[test]
fn an_encoder_sends_trailers_only_where_they_can_be() {
    let name = Name::checked(b"x-sum").expect("a token");
    let value = Value::checked(b"1").expect("a value");
    let mut out = Vec::new();
    let body = BodyEncoder::new(Framing::Chunked);
    body.end_with([(name, value)].into_iter(), &mut out).expect("chunks");
    assert_eq!(out, b"0\r\nx-sum: 1\r\n\r\n");
    let no = [(Name::literal("set-cookie"), value)].into_iter();
    assert_eq!(body.end_with(no, &mut out), Err(Mismatch::Trailer));
    assert_eq!(
        BodyEncoder::new(Framing::Length(0)).end_with([(name, value)].into_iter(), &mut out),
        Err(Mismatch::Trailer)
    );
}

#[test]
fn limits_of_zero_refuse_what_they_bound() {
    let limits = Limits { extension_bytes: 0, trailer_bytes: 0, ..Limits::default() };
    let profile = Profile { limits, ..Profile::default() };
    assert_eq!(heard(Side::Requests, profile, &chunked(b"0\r\n\r\n")).refusal, None);
    assert_eq!(heard(Side::Requests, profile, &chunked(b"0;a\r\n\r\n")).refusal, Some(Refusal::LongExtensions));
    assert_eq!(heard(Side::Requests, profile, &chunked(b"0\r\na")).refusal, Some(Refusal::LongTrailers));
}
