//! Requests of HTTP/2 in our form, and out of it.

use ambidex_http1::write::{Connection, Edits};
use ambidex_http1::{HeadReader, Known, KnownSet, Name, Path};
use bytes::BytesMut;

use super::*;
use crate::websocket;

fn request(method: &str, uri: &str, lines: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).expect("valid")
}

fn read(request: Request<()>, ends: bool) -> Result<RequestHead, Refusal> {
    request_in(&request.into_parts().0, ends, &mut Fields::default(), &Profile::default())
}

fn text(head: &RequestHead) -> String {
    String::from_utf8(head.head().bytes().to_vec()).expect("text")
}

const PLAN: RequestPlan<'static> = RequestPlan {
    host: None,
    path: None,
    edits: Edits { drop: KnownSet::of(&[]), remove: &[], add: &[], lines: None },
    connection: Connection {
        close: false,
        keep_alive: false,
        upgrade: None,
        te_trailers: false,
        expect_continue: false,
    },
    framing: Framing::None,
};

fn of_http1(text: &str) -> RequestHead {
    let read = HeadReader::default().request(&mut BytesMut::from(text), &mut Fields::default(), &Profile::default());
    read.expect("valid").expect("whole")
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect()
}

#[test]
fn a_request_has_the_form_of_http_1_with_its_authority_as_host() {
    let head = read(request("GET", "https://a.example:8443/x?y=1", &[("x-a", "1"), ("x-a", "2")]), true);
    let head = head.expect("valid");
    assert_eq!(text(&head), "GET /x?y=1 HTTP/1.1\r\nhost: a.example:8443\r\nx-a: 1\r\nx-a: 2\r\n\r\n");
    assert_eq!((head.form(), head.head().framing()), (Form::Origin, Framing::None));
    let bare = read(request("GET", "https://a.example", &[]), true).expect("valid");
    assert_eq!(bare.path(), b"/");
    let all = read(request("OPTIONS", "*", &[("host", "a")]), true).expect("valid");
    assert_eq!(all.form(), Form::Asterisk);
}

#[test]
fn authority_and_host_must_agree() {
    let asked =
        |lines: &[(&str, &str)]| read(request("GET", "https://a.example/", lines), true).map(|head| text(&head));
    assert_eq!(asked(&[("host", "A.example")]).expect("the same"), "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
    assert_eq!(asked(&[("host", "b.example")]), Err(Refusal::HostAgainstTarget));
    assert_eq!(asked(&[("host", "a.example"), ("host", "a.example")]), Err(Refusal::RepeatedHost));
    let unnamed = |lines: &[(&str, &str)]| read(request("GET", "/", lines), true).map(|head| text(&head));
    assert_eq!(unnamed(&[("host", "a")]).expect("it has a host"), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(unnamed(&[]), Err(Refusal::NoHost));
    assert_eq!(unnamed(&[("host", "a b")]), Err(Refusal::BadHost));
    assert_eq!(read(request("GET", "https://u@a/", &[]), true).map(|_| ()), Err(Refusal::BadHost));
}

#[test]
fn cookies_are_one_field_again() {
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")];
    let head = read(request("GET", "https://a/", &crumbs), true).expect("valid");
    assert_eq!(text(&head), "GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1; b=2; c=3\r\nx: y\r\n\r\n");
}

#[test]
fn a_body_is_framed_by_its_length_or_in_chunks() {
    let framing = |lines: &[(&str, &str)], ends| {
        read(request("POST", "https://a/", lines), ends).map(|head| head.head().framing())
    };
    assert_eq!(framing(&[], true), Ok(Framing::None));
    assert_eq!(framing(&[], false), Ok(Framing::Chunked));
    assert_eq!(framing(&[("content-length", "3")], false), Ok(Framing::Length(3)));
    assert_eq!(framing(&[("content-length", "0")], true), Ok(Framing::Length(0)));
    assert_eq!(framing(&[("content-length", "3"), ("content-length", "3")], false), Err(Refusal::RepeatedLength));
    assert_eq!(framing(&[("transfer-encoding", "chunked")], false), Err(Refusal::ChunkedTwice));
}

#[test]
fn what_became_a_get_of_http_1_wants_its_upgrade() {
    let mut asking = request("CONNECT", "https://a/chat", &[("sec-websocket-version", "13")]);
    asking.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    websocket::Asked::take(&mut asking, &["websocket".to_owned()], || 7).expect("it asks for WebSocket");
    let head = read(asking, true).expect("valid");
    assert!(head.head().wants_upgrade());
    assert_eq!((head.method(), head.path(), head.head().framing()), (&Method::GET, &b"/chat"[..], Framing::None));
}

#[test]
fn connect_is_read_as_what_it_is() {
    let plain = read(request("CONNECT", "a:443", &[]), true).expect("valid");
    assert_eq!((plain.method(), plain.target()), (&Method::CONNECT, &b"a:443"[..]));
    let extended = read(request("CONNECT", "https://a/x", &[]), true).expect("valid");
    assert_eq!((extended.method(), extended.target()), (&Method::CONNECT, &b"a:443"[..]));
}

#[test]
fn a_limit_is_not_hit_by_what_our_form_says_more() {
    let mut profile = Profile::default();
    let many: Vec<(String, String)> = (0..100).map(|at| (format!("x-{at}"), "v".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (parts, ()) = request("POST", "https://a/", &many).into_parts();
    let read = |profile: &Profile| {
        request_in(&parts, false, &mut Fields::default(), profile).map(|head| head.head().bytes().len())
    };
    let length = u32::try_from(read(&profile).expect("100 fields are allowed")).expect("short");
    profile.limits.head_bytes = length - u32::try_from("transfer-encoding: chunked\r\n".len()).expect("short");
    assert_eq!(read(&profile), Ok(length as usize));
    profile.limits.head_bytes = length / 2;
    assert_eq!(read(&profile), Err(Refusal::LongHead));
    profile.limits = ambidex_http1::Limits { fields: 90, ..Profile::default().limits };
    assert_eq!(read(&profile), Err(Refusal::ManyFields));
}

#[test]
fn a_worker_of_http_2_gets_authority_and_path_and_nothing_of_a_connection() {
    let head = of_http1(
        "POST /a?b HTTP/1.1\r\nHost: a.example:80\r\nConnection: x-hop, te\r\nX-Hop: 1\r\nTE: trailers\r\n\
         Transfer-Encoding: chunked\r\nX-A: 1\r\nCookie: c\r\nX-Gone: 1\r\nX-A:  2\r\n\r\n",
    );
    let add = [(Name::literal("x-forwarded-for"), Value::checked(b"9.9.9.9").expect("a value"))];
    let edits =
        Edits { drop: KnownSet::of(&[Known::Cookie]), remove: &[Name::literal("x-gone")], add: &add, lines: None };
    let connection = Connection { te_trailers: true, ..PLAN.connection };
    let plan = RequestPlan { edits, connection, framing: Framing::Chunked, ..PLAN };
    let out = request_out(&head, &plan, false).expect("valid");
    assert_eq!((out.method(), out.uri().to_string().as_str()), (&Method::POST, "http://a.example:80/a?b"));
    assert_eq!(out.version(), Version::HTTP_2);
    assert_eq!(lines(out.headers()), ["x-a: 1", "x-a: 2", "x-forwarded-for: 9.9.9.9", "te: trailers"]);
}

#[test]
fn the_plan_names_host_path_and_length() {
    let head = of_http1("POST http://a?q HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    let plan = RequestPlan { framing: Framing::Length(9), ..PLAN };
    let out = request_out(&head, &plan, true).expect("valid");
    assert_eq!(
        (out.uri().to_string().as_str(), lines(out.headers())),
        ("https://a/?q", vec!["content-length: 9".into()])
    );
    let plan = RequestPlan { host: Value::checked(b"w:1"), path: Path::checked(b"/p"), ..PLAN };
    assert_eq!(request_out(&head, &plan, true).expect("valid").uri(), "https://w:1/p");
    let all = of_http1("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request_out(&all, &PLAN, true).expect("valid").uri().path(), "*");
}

#[test]
fn what_http_2_cannot_say_is_not_said() {
    let out = |head: &str, plan: &RequestPlan<'_>| request_out(&of_http1(head), plan, true).map(|_| ());
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for framing in [Framing::Tunnel, Framing::UntilClose] {
        assert_eq!(out(get, &RequestPlan { framing, ..PLAN }), Err(Unwritable::Framing));
    }
    assert_eq!(out("GET / HTTP/1.0\r\n\r\n", &PLAN), Err(Unwritable::Host));
    assert_eq!(out(get, &RequestPlan { host: Value::checked(b"a b"), ..PLAN }), Err(Unwritable::Host));
    assert_eq!(out("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", &PLAN), Err(Unwritable::Target));
    assert_eq!(out("GET /` HTTP/1.1\r\nHost: a\r\n\r\n", &PLAN), Err(Unwritable::Target));
}

#[test]
fn a_wish_to_upgrade_becomes_an_extended_connect() {
    let head = of_http1(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
    );
    let connection = Connection { upgrade: Some(Name::literal("websocket")), ..PLAN.connection };
    let mut out = request_out(&head, &RequestPlan { connection, ..PLAN }, true).expect("valid");
    assert_eq!(websocket::connect(&mut out).expect("it asks for WebSocket"), "k");
    assert_eq!((out.method(), out.headers().len()), (&Method::CONNECT, 0));
}
