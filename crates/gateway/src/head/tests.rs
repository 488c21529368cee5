//! Heads: what is stripped, what is told, and which hosts and targets are none.

use super::*;

fn head(target: &str, lines: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().uri(target);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).expect("valid")
}

fn settle(target: &str, lines: &[(&str, &str)]) -> Result<(String, Request<()>), Reason> {
    let mut head = head(target, lines);
    let seen = Seen::look(head.headers());
    settle_target(&mut head, seen).map(|host| (host.name().to_owned(), head))
}

#[test]
fn a_host_is_one_name_or_address_with_or_without_port() {
    for (value, name) in
        [("a.example", "a.example"), ("a:80", "a"), ("[::1]:8080", "[::1]"), ("127.0.0.1", "127.0.0.1")]
    {
        assert_eq!(settle("/", &[("host", value)]).expect(value).0, name);
    }
    for wrong in ["", ":80", "a b", "a/b", "a@b", "a:b", "a:123456", "[::g]", "[::1", "a,b", "a\\b"] {
        assert_eq!(settle("/", &[("host", wrong)]).map(|_| ()), Err(Reason::BadHost), "{wrong}");
    }
}

#[test]
fn a_request_names_its_host_exactly_once() {
    assert_eq!(settle("/", &[]).map(|_| ()), Err(Reason::BadHost));
    assert_eq!(settle("/", &[("host", "a"), ("host", "a")]).map(|_| ()), Err(Reason::BadHost));
}

#[test]
fn the_host_of_an_absolute_target_wins_over_the_header() {
    let (name, head) = settle("http://b.example/x?y", &[("host", "a.example")]).expect("valid");
    assert_eq!((&*name, &head.uri().to_string()[..]), ("b.example", "/x?y"));
    assert_eq!(head.headers()[header::HOST], "b.example");
}

#[test]
fn length_and_encoding_together_are_refused() {
    let lines = [("host", "a"), ("content-length", "3"), ("transfer-encoding", "chunked")];
    assert_eq!(settle("/", &lines).map(|_| ()), Err(Reason::BadRequest));
}

fn stripped(lines: &[(&str, &str)], trusted: bool) -> Vec<String> {
    let mut headers = head("/", lines).headers().clone();
    let seen = Seen::look(&headers);
    strip_request(&mut headers, seen, trusted, None);
    headers.keys().map(ToString::to_string).collect()
}

#[test]
fn what_is_hop_by_hop_is_removed_with_all_that_connection_names() {
    let lines = [
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "x"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
        ("x-stays", "1"),
    ];
    assert_eq!(stripped(&lines, true), ["x-stays"]);
}

#[test]
fn connection_cannot_take_the_host_or_the_length_away() {
    assert_eq!(stripped(&[("host", "a"), ("connection", "host, content-length")], false), ["host"]);
}

#[test]
fn te_lets_only_trailers_through() {
    assert_eq!(stripped(&[("te", "gzip")], false), Vec::<String>::new());
    assert_eq!(stripped(&[("te", "gzip, trailers")], false), ["te"]);
}

#[test]
fn what_only_we_may_claim_is_removed_from_strangers() {
    let lines = [
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-anything", "x"),
        ("x-real-ip", "1.2.3.4"),
        ("x-request-id", "x"),
        ("server-load", "in_flight=0"),
        ("endpoint-load-metrics-bin", "x"),
        ("ambidex-shed", "none"),
    ];
    assert_eq!(stripped(&lines, false), Vec::<String>::new());
    let kept = ["forwarded", "x-forwarded-for", "x-forwarded-anything", "x-real-ip", "x-request-id"];
    assert_eq!(stripped(&lines, true), kept);
}

fn told(client: &str, lines: &[(&str, &str)], trusted: bool) -> HeaderMap {
    let mut head = head("/", lines);
    let seen = Seen::look(head.headers());
    let host = settle_target(&mut head, seen).expect("valid");
    strip_request(head.headers_mut(), seen, trusted, None);
    let client = format!("{client}:99").parse().expect("an address");
    Introduction::new(Some(client), true).tell(head.headers_mut(), &host, trusted, seen);
    head.headers().clone()
}

#[test]
fn a_stranger_is_introduced_as_we_see_it() {
    let headers = told("[2001:db8::1]", &[("host", "a:1"), ("x-forwarded-for", "9.9.9.9")], false);
    assert_eq!(headers["x-forwarded-for"], "2001:db8::1");
    assert_eq!(
        (&headers["x-forwarded-proto"], &headers["x-forwarded-host"]),
        (&HeaderValue::from_static("https"), &HeaderValue::from_static("a:1"))
    );
    assert_eq!(headers["forwarded"], "for=\"[2001:db8::1]\";host=\"a:1\";proto=https");
}

#[test]
fn what_a_trusted_peer_says_is_kept_and_added_to() {
    let lines =
        [("host", "a"), ("x-forwarded-for", "9.9.9.9"), ("x-forwarded-proto", "http"), ("forwarded", "for=9.9.9.9")];
    let headers = told("10.0.0.1", &lines, true);
    assert_eq!(headers["x-forwarded-for"], "9.9.9.9, 10.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["forwarded"], "for=9.9.9.9, for=10.0.0.1;host=\"a\";proto=https");
}

#[test]
fn only_a_listed_protocol_may_be_changed_to() {
    let allowed = ["websocket".to_owned()];
    let ask = |protocol| allowed_upgrade(head("/", &[("upgrade", protocol)]).headers(), &allowed);
    assert_eq!(ask("WebSocket"), Some(HeaderValue::from_static("WebSocket")));
    assert_eq!((ask("h2c"), ask("websocket, h2c")), (None, None));
}
