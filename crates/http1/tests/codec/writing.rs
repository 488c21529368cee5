//! Heads on their way out: what is kept, what is left, what cannot be said.

use ambidex_http1::write::{self, Connection, Edits, Lines, RequestPlan, ResponsePlan, Unwritable};
use ambidex_http1::{Asked, Framing, Known, KnownSet, Name, Path, Value, Version};
use http::{Method, StatusCode};

use crate::plans::{ANSWER, PLAN};
use crate::reading::{GET, request_head, response_head};

fn value(text: &str) -> Value<'_> {
    Value::checked(text.as_bytes()).expect("a value")
}

fn request(head: &str, plan: &RequestPlan<'_>) -> Result<String, Unwritable> {
    let head = request_head(head.as_bytes()).expect("valid");
    let mut out = Vec::new();
    write::request(&mut out, &head, plan)?;
    Ok(String::from_utf8(out).expect("text"))
}

fn response(head: &str, asked: Asked, plan: &ResponsePlan<'_>) -> Result<String, Unwritable> {
    let head = response_head(head.as_bytes(), asked).expect("valid");
    let mut out = Vec::new();
    write::response(&mut out, &head, plan)?;
    Ok(String::from_utf8(out).expect("text"))
}

#[test]
fn what_does_not_change_is_copied_and_written_in_one_form() {
    let head = "GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\nY:2\r\nZ:  3 \r\nEmpty:\r\nW: 4\r\n\r\n";
    let out = "GET /a HTTP/1.1\r\nhost: a\r\nX: 1\r\nY: 2\r\nZ: 3\r\nEmpty: \r\nW: 4\r\n\r\n";
    assert_eq!(request(head, &PLAN).expect("valid"), out);
}

#[test]
fn what_belongs_to_a_hop_is_never_copied() {
    let head = "POST / HTTP/1.1\r\nConnection: close, X-Hop, content-type\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nHost: a\r\n\
                Proxy-Connection: a\r\nProxy-Authorization: b\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\
                Expect: 100-continue\r\nContent-Type: t\r\nContent-Length: 3\r\nX-Stays: 1\r\n\r\n";
    let plan = RequestPlan { framing: Framing::Length(3), ..PLAN };
    let out = "POST / HTTP/1.1\r\nhost: a\r\nContent-Type: t\r\nX-Stays: 1\r\ncontent-length: 3\r\n\r\n";
    assert_eq!(request(head, &plan).expect("valid"), out);
}

#[test]
fn edits_leave_out_and_add() {
    let add = [(Name::literal("x-forwarded-for"), value("9.9.9.9")), (Name::literal("via"), value("1.1 us"))];
    let edits = Edits {
        drop: KnownSet::of(&[Known::XForwardedFor, Known::Cookie]),
        remove: &[Name::literal("x-gone")],
        add: &add,
        lines: None,
    };
    let head = "GET / HTTP/1.1\r\nHost: a\r\nCookie: c\r\nX-GONE: 1\r\nX-Forwarded-For: 1.1.1.1\r\nX: 1\r\n\r\n";
    let out = "GET / HTTP/1.1\r\nhost: a\r\nX: 1\r\nx-forwarded-for: 9.9.9.9\r\nvia: 1.1 us\r\n\r\n";
    assert_eq!(request(head, &RequestPlan { edits, ..PLAN }).expect("valid"), out);
    let mut lines = Lines::default();
    add.iter().for_each(|(name, value)| lines.add(*name, *value));
    assert!(lines.iter().eq(add.iter().map(|(name, value)| (name.as_bytes(), *value))));
    let edits = Edits { add: &[], lines: Some(&lines), ..edits };
    assert_eq!(request(head, &RequestPlan { edits, ..PLAN }).expect("valid"), out, "the same, made before");
}

#[test]
fn a_writer_of_another_version_is_given_what_would_be_written() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nCookie: c\r\nTE: trailers\r\n\
                X-GONE: 1\r\nY:  2 \r\nX: 3\r\n\r\n";
    let edits =
        Edits { drop: KnownSet::of(&[Known::Cookie]), remove: &[Name::literal("x-gone")], add: &[], lines: None };
    let read = request_head(head.as_bytes()).expect("valid");
    let kept: String = read
        .head()
        .kept(&edits)
        .map(|(name, value)| format!("{}: {}\r\n", name.escape_ascii(), value.as_bytes().escape_ascii()))
        .collect();
    assert_eq!(kept, "X: 1\r\nY: 2\r\nX: 3\r\n");
    let written = request(head, &RequestPlan { edits, ..PLAN }).expect("valid");
    assert_eq!(written, format!("GET / HTTP/1.1\r\nhost: a\r\n{kept}\r\n"));
}

#[test]
fn targets_go_on_in_origin_form() {
    let line = |head: &str| request(head, &PLAN).expect("valid").split("\r\nhost").next().map(str::to_owned);
    assert_eq!(line("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("GET /x?y HTTP/1.1"));
    assert_eq!(line("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("GET / HTTP/1.1"));
    assert_eq!(line("GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("GET /?x HTTP/1.1"));
    assert_eq!(line("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("OPTIONS * HTTP/1.1"));
    assert_eq!(line("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").as_deref(), Some("OPTIONS * HTTP/1.1"));
    assert_eq!(line("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").as_deref(), Some("CONNECT a:1 HTTP/1.1"));
}

#[test]
fn the_authority_of_an_absolute_target_becomes_the_host() {
    let out = request("GET http://A:80/ HTTP/1.1\r\nHost: a\r\n\r\n", &PLAN).expect("valid");
    assert_eq!(out, "GET / HTTP/1.1\r\nhost: A:80\r\n\r\n");
}

#[test]
fn version_1_0_goes_on_as_1_1_with_a_host() {
    let head = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(request(head, &PLAN), Err(Unwritable::Host));
    let plan = RequestPlan { host: Some(value("worker:80")), ..PLAN };
    assert_eq!(request(head, &plan).expect("valid"), "GET / HTTP/1.1\r\nhost: worker:80\r\n\r\n");
}

#[test]
fn a_path_is_rewritten_only_to_what_a_target_may_be() {
    let path = Path::checked(b"/new?x");
    let out = request("GET /old HTTP/1.1\r\nHost: a\r\n\r\n", &RequestPlan { path, ..PLAN }).expect("valid");
    assert!(out.starts_with("GET /new?x HTTP/1.1\r\n"));
    for bad in [&b"x"[..], b"", b"/a b", b"/a\r\nX: 1", b"/\xff", b"/#"] {
        assert!(Path::checked(bad).is_none(), "{}", bad.escape_ascii());
    }
}

#[test]
fn the_connection_is_said_from_types() {
    let connection = Connection {
        close: true,
        upgrade: Name::checked(b"websocket"),
        te_trailers: true,
        expect_continue: true,
        ..Connection::default()
    };
    let plan = RequestPlan { connection, framing: Framing::Chunked, ..PLAN };
    let out = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
               connection: te\r\nte: trailers\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &plan).expect("valid"), out);
}

#[test]
fn a_host_that_is_none_is_not_written() {
    let plan = RequestPlan { host: Some(value("a/b")), ..PLAN };
    assert_eq!(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &plan), Err(Unwritable::Host));
}

#[test]
fn a_request_ends_before_its_connection() {
    for framing in [Framing::UntilClose, Framing::Tunnel] {
        let plan = RequestPlan { framing, ..PLAN };
        assert_eq!(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &plan), Err(Unwritable::Framing));
    }
}

#[test]
fn an_answer_goes_on_without_what_belongs_to_the_workers_hop() {
    let head = "HTTP/1.0 200 Fine\r\nServer: w\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\n\
                Proxy-Authenticate: b\r\nServer-Load: 1\r\nContent-Length: 05\r\nX: 1\r\n\r\n";
    let edits = Edits { drop: KnownSet::of(&[Known::ServerLoad]), ..Edits::default() };
    let out = response(head, GET, &ResponsePlan { edits, framing: Framing::Length(5), ..ANSWER }).expect("valid");
    assert_eq!(out, "HTTP/1.1 200 Fine\r\nServer: w\r\nX: 1\r\ncontent-length: 5\r\n\r\n");
}

#[test]
fn an_answer_is_framed_as_its_status_and_the_client_allow() {
    let plan = |framing| ResponsePlan { framing, ..ANSWER };
    let fits = |status: u16, plan: &ResponsePlan<'_>| {
        write::answer(&mut Vec::new(), StatusCode::from_u16(status).expect("a status"), plan).is_ok()
    };
    let close = Connection { close: true, ..Connection::default() };
    assert!(fits(200, &plan(Framing::Length(1))) && fits(200, &plan(Framing::Chunked)));
    assert!(!fits(200, &plan(Framing::None)), "a client would wait for the end of the connection");
    assert!(!fits(200, &ResponsePlan { to: Version::Http10, ..plan(Framing::Chunked) }));
    assert!(!fits(200, &plan(Framing::UntilClose)));
    assert!(fits(200, &ResponsePlan { connection: close, ..plan(Framing::UntilClose) }));
    for bare in [100, 103, 204] {
        assert!(fits(bare, &plan(Framing::None)));
        assert!(!fits(bare, &plan(Framing::Length(0))) && !fits(bare, &plan(Framing::Chunked)));
    }
    assert!(fits(304, &plan(Framing::None)) && fits(304, &plan(Framing::Length(9))));
    let head = Asked { head: true, ..GET };
    assert!(fits(200, &ResponsePlan { asked: head, ..plan(Framing::None) }));
    assert!(fits(200, &ResponsePlan { asked: head, ..plan(Framing::Length(9)) }));
    assert!(
        !fits(101, &plan(Framing::Tunnel)) && !fits(101, &plan(Framing::None)) && !fits(600, &plan(Framing::Length(0)))
    );
    let upgrade = Connection { upgrade: Name::checked(b"websocket"), ..Connection::default() };
    let asked = Asked { upgrade: true, ..GET };
    assert!(fits(101, &ResponsePlan { asked, connection: upgrade, ..plan(Framing::Tunnel) }));
}

#[test]
fn an_answer_of_our_own_has_its_reason_and_length() {
    let mut out = Vec::new();
    let add = [(Name::literal("content-type"), value("text/plain"))];
    let edits = Edits { add: &add, ..Edits::default() };
    let plan = ResponsePlan { edits, framing: Framing::Length(18_446_744_073_709_551_615), ..ANSWER };
    write::answer(&mut out, StatusCode::BAD_GATEWAY, &plan).expect("valid");
    let text = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\ncontent-length: 18446744073709551615\r\n\r\n";
    assert_eq!(String::from_utf8(out).expect("text"), text);
}

#[test]
fn a_plain_answer_without_reason_keeps_its_space() {
    let plan = ResponsePlan { framing: Framing::None, ..ANSWER };
    assert_eq!(response("HTTP/1.1 204\r\n\r\n", GET, &plan).expect("valid"), "HTTP/1.1 204 \r\n\r\n");
}

#[test]
fn a_request_of_our_own_names_host_and_path() {
    let add = [(Name::literal("accept"), value("*/*"))];
    let edits = Edits { add: &add, ..Edits::default() };
    let plan = RequestPlan { host: Some(value("a:80")), path: Path::checked(b"/health"), edits, ..PLAN };
    let mut out = Vec::new();
    write::ask(&mut out, &Method::GET, &plan).expect("valid");
    assert_eq!(out, b"GET /health HTTP/1.1\r\nhost: a:80\r\naccept: */*\r\n\r\n");
    let ask = |method: &Method, plan: &RequestPlan<'_>| write::ask(&mut Vec::new(), method, plan);
    assert_eq!(ask(&Method::GET, &RequestPlan { host: None, ..plan }), Err(Unwritable::Host));
    assert_eq!(ask(&Method::GET, &RequestPlan { path: None, ..plan }), Err(Unwritable::Target));
    assert_eq!(ask(&Method::CONNECT, &plan), Err(Unwritable::Target));
    assert_eq!(ask(&Method::GET, &RequestPlan { framing: Framing::UntilClose, ..plan }), Err(Unwritable::Framing));
}
