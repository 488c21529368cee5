//! Responses of HTTP/2 in our form, and out of it.

use ambidex_http1::write::{Connection, Edits};
use ambidex_http1::{HeadReader, KnownSet, Name};
use bytes::BytesMut;

use super::*;
use crate::websocket;

const GET: Asked = Asked { head: false, connect: false, upgrade: false };
const HEAD: Asked = Asked { head: true, ..GET };
const UPGRADE: Asked = Asked { upgrade: true, ..GET };

fn response(status: u16, lines: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status).version(Version::HTTP_2);
    for (name, value) in lines {
        response = response.header(*name, *value);
    }
    response.body(()).expect("valid")
}

fn read(response: Response<()>, asked: Asked, ends: bool) -> Result<ResponseHead, Refusal> {
    response_in(&response.into_parts().0, asked, ends, &mut Fields::default(), &Profile::default())
}

fn plan(asked: Asked, framing: Framing) -> ResponsePlan<'static> {
    ResponsePlan {
        edits: Edits::default(),
        connection: Connection::default(),
        framing,
        asked,
        to: ambidex_http1::Version::Http11,
    }
}

fn of_http1(text: &str, asked: Asked) -> ResponseHead {
    let mut fields = Fields::default();
    let read = HeadReader::default().response(&mut BytesMut::from(text), &mut fields, &Profile::default(), asked);
    read.expect("valid").expect("whole")
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect()
}

#[test]
fn an_answer_has_the_form_of_http_1() {
    let cookies = [("set-cookie", "a"), ("set-cookie", "b"), ("content-length", "3")];
    let head = read(response(200, &cookies), GET, false).expect("valid");
    let text = "HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 3\r\n\r\n";
    assert_eq!(head.head().bytes(), text);
    assert_eq!((head.status(), head.reason(), head.head().framing()), (StatusCode::OK, &b"OK"[..], Framing::Length(3)));
}

#[test]
fn a_body_is_framed_by_its_length_or_in_chunks() {
    let framing = |status, lines: &[(&str, &str)], asked, ends| {
        read(response(status, lines), asked, ends).map(|head| (head.head().framing(), head.head().announced()))
    };
    assert_eq!(framing(200, &[], GET, false), Ok((Framing::Chunked, None)));
    assert_eq!(framing(200, &[], GET, true), Ok((Framing::Length(0), Some(0))));
    for ends in [true, false] {
        assert_eq!(framing(204, &[], GET, ends), Ok((Framing::None, None)));
        assert_eq!(framing(304, &[("content-length", "9")], GET, ends), Ok((Framing::None, Some(9))));
        assert_eq!(framing(200, &[("content-length", "9")], HEAD, ends), Ok((Framing::None, Some(9))));
        assert_eq!(framing(200, &[], HEAD, ends), Ok((Framing::None, None)));
    }
    assert_eq!(framing(204, &[("content-length", "9")], GET, false), Err(Refusal::BodyWhereNone));
    assert_eq!(framing(700, &[], GET, true), Err(Refusal::BadStatus));
}

#[test]
fn a_websocket_that_was_agreed_to_is_a_tunnel_if_it_was_asked_for() {
    let agreed = || {
        let mut agreed = response(200, &[]);
        websocket::agreed(&mut agreed, &HeaderValue::from_static("k"));
        agreed
    };
    let head = read(agreed(), UPGRADE, false).expect("valid");
    assert_eq!((head.status().as_u16(), head.head().framing()), (101, Framing::Tunnel));
    assert_eq!(read(agreed(), GET, false).map(|_| ()), Err(Refusal::UnaskedSwitch));
    assert_eq!(read(response(101, &[]), UPGRADE, false).map(|_| ()), Err(Refusal::UnaskedSwitch));
}

#[test]
fn a_client_of_http_2_gets_nothing_of_a_connection() {
    let head = of_http1(
        "HTTP/1.1 200 Fine\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\
         Server: s\r\nSet-Cookie: a\r\nX-Gone: 1\r\nSet-Cookie: b\r\n\r\n",
        GET,
    );
    let add = [(Name::literal("ambidex-attempts"), Value::checked(b"2").expect("a value"))];
    let edits = Edits { drop: KnownSet::default(), remove: &[Name::literal("x-gone")], add: &add, lines: None };
    let connection = Connection { close: true, ..Connection::default() };
    let out = response_out(&head, &ResponsePlan { edits, connection, ..plan(GET, Framing::Chunked) }).expect("valid");
    assert_eq!((out.status().as_u16(), out.version()), (200, Version::HTTP_2));
    assert_eq!(lines(out.headers()), ["server: s", "set-cookie: a", "set-cookie: b", "ambidex-attempts: 2"]);
}

#[test]
fn a_length_is_said_also_where_no_body_follows() {
    let head = of_http1("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", HEAD);
    let out = response_out(&head, &plan(HEAD, Framing::Length(9))).expect("valid");
    assert_eq!(lines(out.headers()), ["content-length: 9"]);
    let head = of_http1("HTTP/1.1 200 OK\r\n\r\n", GET);
    let out = response_out(&head, &plan(GET, Framing::UntilClose)).expect("HTTP/2 ends every body");
    assert!(out.headers().is_empty());
}

#[test]
fn a_change_of_protocol_is_a_success() {
    let head = of_http1(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: p\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n",
        UPGRADE,
    );
    let out = response_out(&head, &plan(UPGRADE, Framing::Tunnel)).expect("valid");
    assert_eq!((out.status().as_u16(), lines(out.headers())), (200, vec!["sec-websocket-protocol: chat".into()]));
}

#[test]
fn what_means_another_thing_than_its_body_is_not_said() {
    let out = |status: u16, asked, framing| {
        answer_out(StatusCode::from_u16(status).expect("a status"), &plan(asked, framing)).map(|_| ())
    };
    let wrong = [
        (200, GET, Framing::None),
        (204, GET, Framing::Length(0)),
        (204, GET, Framing::Chunked),
        (304, GET, Framing::UntilClose),
        (101, GET, Framing::Tunnel),
        (101, UPGRADE, Framing::None),
        (200, GET, Framing::Tunnel),
        (700, GET, Framing::Length(0)),
    ];
    for (status, asked, framing) in wrong {
        assert_eq!(out(status, asked, framing), Err(Unwritable::Framing), "{status} {framing:?}");
    }
    for (status, asked, framing) in [(304, GET, Framing::None), (200, HEAD, Framing::None), (204, GET, Framing::None)] {
        assert_eq!(out(status, asked, framing), Ok(()), "{status} {framing:?}");
    }
}

#[test]
fn an_answer_of_our_own_has_the_plans_lines_and_its_length() {
    let add = [(Name::literal("ambidex-error"), Value::checked(b"no-route").expect("a value"))];
    let edits = Edits { add: &add, ..Edits::default() };
    let plan = ResponsePlan { edits, ..plan(GET, Framing::Length(12)) };
    let out = answer_out(StatusCode::NOT_FOUND, &plan).expect("valid");
    assert_eq!(
        (out.status().as_u16(), lines(out.headers())),
        (404, vec!["ambidex-error: no-route".into(), "content-length: 12".into()])
    );
}
