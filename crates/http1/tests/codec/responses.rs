//! Responses of workers that may be hostile: what is read, what is refused and why.

use crate::reading::{self, *};
use ambidex_http1::{Asked, BodyDecoder, Framing, Limits, Profile, Refusal};

#[track_caller]
fn refused(why: Refusal, cases: &[&[u8]]) {
    reading::refused(Side::Responses(GET), why, cases);
}

const HEAD: Asked = Asked { head: true, ..GET };
const CONNECT: Asked = Asked { connect: true, ..GET };
const UPGRADE: Asked = Asked { upgrade: true, ..GET };

fn framing(bytes: &[u8], asked: Asked) -> Result<Framing, Refusal> {
    response_head(bytes, asked).map(|head| head.head().framing())
}

#[test]
fn a_plain_response_is_read_whole() {
    let message = one(responses(b"HTTP/1.1 200 All is well\r\nContent-Length: 2\r\n\r\nok"));
    assert_eq!((&*message.first, &*message.data, message.persists), ("200 All is well", &b"ok"[..], true));
}

#[test]
fn a_reason_may_be_empty_with_or_without_its_space() {
    assert_eq!(one(responses(b"HTTP/1.1 204 \r\n\r\n")).first, "204 ");
    assert_eq!(one(responses(b"HTTP/1.1 204\r\n\r\n")).first, "204 ");
}

#[test]
fn a_status_is_three_digits_within_100_and_599() {
    refused(
        Refusal::BadStatus,
        &[b"HTTP/1.1 000 x\r\n", b"HTTP/1.1 099 x\r\n", b"HTTP/1.1 600 x\r\n", b"HTTP/1.1 999 x\r\n"],
    );
    refused(
        Refusal::BadStatusLine,
        &[
            b"HTTP/1.1 20 x\r\n",
            b"HTTP/1.1 2000 x\r\n",
            b"HTTP/1.1 2x0 x\r\n",
            b"HTTP/1.1  200 x\r\n",
            b"HTTP/1.1 +20 x\r\n",
            b"HTTP/1.1\r\n",
            b"HTTP/1.1 200\tx\r\n",
        ],
    );
}

#[test]
fn a_status_line_names_a_version_that_is_spoken() {
    refused(Refusal::OtherVersion, &[b"HTTP/2.0 200 OK\r\n", b"HTTP/0.9 200 OK\r\n"]);
    refused(Refusal::BadStart, &[b"ICY 200 OK\r\n", b"<html>", b"\r\nHTTP/1.1 200 OK\r\n", b"\x00"]);
    refused(Refusal::BadVersion, &[b"HTTPS/1.1 200 OK\r\n", b"HTTP/1,1 200 OK\r\n"]);
}

#[test]
fn a_reason_has_no_control_characters() {
    refused(Refusal::BadStatusLine, &[b"HTTP/1.1 200 a\x00b\r\n", b"HTTP/1.1 200 a\x1bb\r\n"]);
    refused(Refusal::BareCarriageReturn, &[b"HTTP/1.1 200 a\rb\r\n"]);
}

#[test]
fn lines_of_responses_are_as_strict_as_those_of_requests() {
    refused(
        Refusal::BareLineFeed,
        &[b"HTTP/1.1 200 OK\nA: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\n\r\n", b"HTTP/1.1 200 OK\r\n\n"],
    );
    refused(Refusal::FoldedLine, &[b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"]);
    refused(Refusal::SpaceBeforeColon, &[b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"]);
    refused(Refusal::BadFieldValue, &[b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n"]);
    refused(Refusal::BareCarriageReturn, &[b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"]);
}

#[test]
fn an_endless_head_of_a_worker_is_cut() {
    let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"A: b\r\n".repeat(20_000)].concat();
    refused(Refusal::LongHead, &[&endless]);
    let reason = [&b"HTTP/1.1 200 "[..], &vec![b'x'; 70_000]].concat();
    refused(Refusal::LongHead, &[&reason]);
}

#[test]
fn conflicting_lengths_are_refused() {
    refused(Refusal::RepeatedLength, &[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"]);
    refused(
        Refusal::LengthWithCoding,
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    );
    refused(
        Refusal::BadLength,
        &[b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n"],
    );
}

#[test]
fn codings_of_responses_are_as_strict_as_those_of_requests() {
    refused(Refusal::ChunkedNotLast, &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"]);
    refused(Refusal::UnknownCoding, &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"]);
    refused(Refusal::CodingInOldVersion, &[b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]);
}

#[test]
fn a_response_without_length_ends_with_its_connection() {
    let heard = responses(b"HTTP/1.1 200 OK\r\n\r\nabc");
    assert_eq!((heard.messages[0].framing, heard.messages[0].persists), (Framing::UntilClose, false));
    assert_eq!(heard.messages[0].data, b"abc");
}

#[test]
fn an_answer_to_head_has_no_body_but_remembers_its_length() {
    let head = response_head(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", HEAD).expect("valid");
    assert_eq!((head.head().framing(), head.head().announced()), (Framing::None, Some(9)));
    assert_eq!(framing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HEAD), Ok(Framing::None));
    assert_eq!(framing(b"HTTP/1.1 200 OK\r\n\r\n", HEAD), Ok(Framing::None));
}

#[test]
fn status_304_has_no_body_but_remembers_its_length() {
    let head = response_head(b"HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", GET).expect("valid");
    assert_eq!((head.head().framing(), head.head().announced()), (Framing::None, Some(9)));
}

#[test]
fn status_1xx_and_204_have_no_body_and_announce_none() {
    assert_eq!(framing(b"HTTP/1.1 204 \r\n\r\n", GET), Ok(Framing::None));
    assert_eq!(framing(b"HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n", GET), Ok(Framing::None));
    assert_eq!(framing(b"HTTP/1.1 103 \r\n\r\n", GET), Ok(Framing::None));
    refused(
        Refusal::BodyWhereNone,
        &[
            b"HTTP/1.1 204 \r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 100 \r\nContent-Length: 1\r\n\r\n",
        ],
    );
}

#[test]
fn bytes_after_an_answer_without_body_are_no_part_of_it() {
    let heard = responses(b"HTTP/1.1 204 \r\n\r\nabc");
    assert_eq!((heard.refusal, heard.messages[0].data.len()), (Some(Refusal::BadStart), 0));
}

#[test]
fn interim_responses_come_before_the_final_one_and_are_bounded() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let heard = responses(&[&interim.repeat(8)[..], last].concat());
    assert_eq!((heard.refusal, heard.messages.len()), (None, 9));
    assert_eq!(responses(&[&interim.repeat(9)[..], last].concat()).refusal, Some(Refusal::ManyInterim));
}

#[test]
fn a_protocol_is_switched_only_when_asked() {
    let switch = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(framing(switch, UPGRADE), Ok(Framing::Tunnel));
    assert_eq!(framing(switch, GET), Err(Refusal::UnaskedSwitch));
    assert_eq!(framing(b"HTTP/1.1 101 Switching\r\n\r\n", UPGRADE), Err(Refusal::UnaskedSwitch));
}

#[test]
fn an_answer_of_2xx_to_connect_opens_a_tunnel_whatever_it_announces() {
    assert_eq!(framing(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", CONNECT), Ok(Framing::Tunnel));
    assert_eq!(framing(b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n", CONNECT), Ok(Framing::Length(5)));
}

#[test]
fn an_answer_that_breaks_off_is_told_from_a_whole_one() {
    let closed = |framing, bytes: &[u8]| {
        let mut body = BodyDecoder::new(framing, &Profile::default());
        let mut at = 0;
        while at < bytes.len() {
            at += body.next(&bytes[at..]).expect("valid").used;
        }
        body.closed()
    };
    assert_eq!(closed(Framing::Length(3), b"ab"), Err(Refusal::Truncated));
    assert_eq!(closed(Framing::Length(3), b"abc"), Ok(()));
    assert_eq!(closed(Framing::UntilClose, b"abc"), Ok(()));
    assert_eq!(closed(Framing::Chunked, b"1\r\na\r\n0\r\n"), Err(Refusal::Truncated));
    assert_eq!(closed(Framing::Chunked, b"1\r\na\r\n0\r\n\r\n"), Ok(()));
}

#[test]
fn a_body_until_the_end_is_bounded_too() {
    let profile = Profile { limits: Limits { body_bytes: Some(2), ..Limits::default() }, ..Profile::default() };
    assert!(BodyDecoder::new(Framing::UntilClose, &profile).next(b"abc").is_err());
}

#[test]
fn what_only_requests_say_means_nothing_in_a_response() {
    for lines in ["Expect: 100-continue", "Expect: x", "Expect:", "Host: a\r\nHost: b", "Host: a b", "TE: x"] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(one(responses(bytes.as_bytes())).data, b"ok", "{lines}");
    }
}
