//! Requests: what is read, what is refused and why. Every case is read whole and byte by byte.

use bytes::BytesMut;

use crate::reading::{self, *};
use ambidex_http1::{Fields, Form, Framing, HeadReader, Known, KnownSet, Leniency, Limits, Profile, Refusal, Version};

#[track_caller]
fn refused(why: Refusal, cases: &[&[u8]]) {
    reading::refused(Side::Requests, why, cases);
}

#[test]
fn a_plain_request_is_read_whole() {
    let message = one(requests(b"GET /a?b HTTP/1.1\r\nHost: a.example\r\nX: 1 2\t3\r\nX-Empty:\r\n\r\n"));
    assert_eq!(message.first, "GET /a?b");
    assert_eq!((message.framing, message.version, message.persists), (Framing::None, Version::Http11, true));
    let fields = [("Host", "a.example"), ("X", "1 2\\t3"), ("X-Empty", "")];
    assert_eq!(message.fields, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn spaces_around_a_value_are_not_part_of_it() {
    let message = one(requests(b"GET / HTTP/1.1\r\nHost: a\r\nX: \t 1 \t \r\n\r\n"));
    assert_eq!(message.fields[1].1, "1");
}

#[test]
fn one_empty_line_before_a_request_is_skipped_and_no_more() {
    assert_eq!(one(requests(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")).first, "GET /");
    refused(
        Refusal::BadStart,
        &[b"\r\n\r\nGET / HTTP/1.1\r\n", b"\nGET / HTTP/1.1\r\n", b"\rGET", b" GET", b"\x16\x03"],
    );
}

#[test]
fn a_request_line_has_three_words_with_one_space_between() {
    refused(
        Refusal::BadRequestLine,
        &[b"GET  / HTTP/1.1\r\n", b"GET / HTTP/1.1 \r\n", b"GET / x HTTP/1.1\r\n", b"GET\r\n"],
    );
    refused(Refusal::BadMethod, &[b"GET\t/ HTTP/1.1\r\n", b"G(T / HTTP/1.1\r\n", b"G\x00T / HTTP/1.1\r\n"]);
    refused(Refusal::NoVersion, &[b"GET /\r\n"]);
    refused(Refusal::BadVersion, &[b"GET / HTTP/1\r\n", b"GET / http/1.1\r\n", b"GET / HTTP/1.10\r\n"]);
    refused(
        Refusal::BadVersion,
        &[b"GET / HTTP/x.1\r\n", b"GET / XTTP/1.1\r\n", b"GET / HTTP/1,1\r\n", b"GET / HTTP/+1.1\r\n"],
    );
}

#[test]
fn other_versions_are_told_so() {
    refused(
        Refusal::OtherVersion,
        &[b"GET / HTTP/1.2\r\n", b"GET / HTTP/0.9\r\n", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/3.0\r\n"],
    );
    assert_eq!(Refusal::OtherVersion.status().as_u16(), 505);
}

#[test]
fn a_method_is_case_sensitive_and_any_token() {
    assert_eq!(one(requests(b"get / HTTP/1.1\r\nHost: a\r\n\r\n")).first, "get /");
    assert_eq!(one(requests(b"M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n")).first, "M-SEARCH /");
}

#[test]
fn a_method_that_nobody_has_is_answered_501() {
    refused(Refusal::LongMethod, &[b"ABCDEFGHIJKLMNOPQRSTUVWXY / HTTP/1.1\r\n"]);
    assert_eq!(Refusal::LongMethod.status().as_u16(), 501);
}

#[test]
fn a_target_of_bytes_that_no_target_has_is_refused() {
    refused(
        Refusal::BadTarget,
        &[
            b"GET /\xc3\xa9 HTTP/1.1\r\n",
            b"GET /\x7f HTTP/1.1\r\n",
            b"GET /\x01 HTTP/1.1\r\n",
            b"GET /\x00 HTTP/1.1\r\n",
            b"GET /a\tb HTTP/1.1\r\n",
            b"GET /#a HTTP/1.1\r\n",
            b"GET a/b HTTP/1.1\r\n",
            b"GET \\ HTTP/1.1\r\n",
            b"GET ?a HTTP/1.1\r\n",
        ],
    );
}

#[test]
fn a_target_is_passed_on_as_it_came() {
    for target in ["/%c0%af%C0%AF/../a//b", "/%2e%2e/%zz", "/?a[]=1|2", "/;a=b"] {
        let head = request_head(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).expect(target);
        assert_eq!(head.path(), target.as_bytes());
    }
}

#[test]
fn a_target_too_long_is_answered_414_whether_its_line_ends_or_not() {
    let target = "a".repeat(Limits::default().target_bytes as usize);
    refused(Refusal::LongTarget, &[format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()]);
    refused(Refusal::LongTarget, &[format!("GET /{target}{target}").as_bytes()]);
    one(requests(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &target[1..]).as_bytes()));
    assert_eq!(Refusal::LongTarget.status().as_u16(), 414);
}

#[test]
fn the_asterisk_goes_with_options_only() {
    let head = request_head(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").expect("valid");
    assert_eq!((head.form(), head.path()), (Form::Asterisk, &b"*"[..]));
    refused(Refusal::TargetForm, &[b"GET * HTTP/1.1\r\n", b"POST * HTTP/1.1\r\n"]);
    refused(Refusal::BadTarget, &[b"OPTIONS ** HTTP/1.1\r\n"]);
}

#[test]
fn an_authority_as_target_goes_with_connect_only() {
    let head = request_head(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").expect("valid");
    assert_eq!((head.form(), head.authority().expect("one").as_bytes()), (Form::Authority, &b"a:443"[..]));
    refused(Refusal::TargetForm, &[b"GET a:443 HTTP/1.1\r\n"]);
    refused(
        Refusal::BadAuthority,
        &[b"CONNECT / HTTP/1.1\r\n", b"CONNECT a HTTP/1.1\r\n", b"CONNECT http://a/ HTTP/1.1\r\n"],
    );
}

#[test]
fn an_absolute_target_is_read_and_its_authority_is_the_host() {
    let head = request_head(b"GET http://A.example:80/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n").expect("valid");
    assert_eq!((head.form(), head.path()), (Form::Absolute, &b"/x?y"[..]));
    assert_eq!(head.authority().expect("one").as_bytes(), b"A.example:80");
}

#[test]
fn an_absolute_target_against_the_host_is_refused() {
    refused(
        Refusal::HostAgainstTarget,
        &[b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", b"GET https://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    );
    refused(Refusal::NoHost, &[b"GET http://a/ HTTP/1.1\r\n\r\n"]);
    refused(Refusal::BadScheme, &[b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", b"GET file:///x HTTP/1.1\r\n"]);
    refused(
        Refusal::BadAuthority,
        &[b"GET http://u:p@a/ HTTP/1.1\r\n", b"GET http:///x HTTP/1.1\r\n", b"GET http://a:x/ HTTP/1.1\r\n"],
    );
}

#[test]
fn a_request_names_one_host_exactly_once() {
    refused(Refusal::NoHost, &[b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: 1\r\n\r\n"]);
    refused(
        Refusal::RepeatedHost,
        &[b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", b"GET / HTTP/1.0\r\nhost: a\r\nHOST: b\r\n\r\n"],
    );
    refused(
        Refusal::BadHost,
        &[
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n",
        ],
    );
}

#[test]
fn http_1_0_needs_no_host() {
    assert_eq!(request_head(b"GET / HTTP/1.0\r\n\r\n").expect("valid").authority(), None);
}

#[test]
fn lf_alone_ends_no_line() {
    refused(
        Refusal::BareLineFeed,
        &[
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
            b"GET / HTTP/1.0\r\n\n",
        ],
    );
}

#[test]
fn cr_alone_is_nothing() {
    refused(
        Refusal::BareCarriageReturn,
        &[
            b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n",
            b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX\r: 1\r\n\r\n",
        ],
    );
}

#[test]
fn folded_lines_are_refused() {
    refused(
        Refusal::FoldedLine,
        &[
            b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\t2\r\n\r\n",
            b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        ],
    );
}

#[test]
fn a_space_before_the_colon_is_refused() {
    let cases: [&[u8]; 2] =
        [b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 1\r\n\r\n"];
    refused(Refusal::SpaceBeforeColon, &cases);
}

#[test]
fn a_field_line_is_a_token_a_colon_and_a_value() {
    refused(Refusal::NoColon, &[b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"]);
    refused(
        Refusal::BadFieldName,
        &[
            b"GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX(1): 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa9: 1\r\n\r\n",
        ],
    );
    refused(Refusal::LongFieldName, &[&with(&format!("{}: 1\r\n", "x".repeat(257)))]);
}

#[test]
fn a_value_has_no_nul_and_no_control_character() {
    for byte in (0..0x20).chain([0x7f]).filter(|byte| !b"\t\r\n".contains(byte)) {
        refused(Refusal::BadFieldValue, &[&with(&format!("X: a{}b\r\n", char::from(byte)))]);
    }
    assert_eq!(
        one(requests(&[b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &b"\xff\x80"[..], b"\r\n\r\n"].concat())).fields[1].1,
        "\\xff\\x80"
    );
}

#[test]
fn a_head_has_as_many_fields_as_allowed() {
    let lines = |count| "X: 1\r\n".repeat(count);
    one(requests(&with(&lines(99))));
    refused(Refusal::ManyFields, &[&with(&lines(100))]);
    assert_eq!(Refusal::ManyFields.status().as_u16(), 431);
}

#[test]
fn a_head_is_as_long_as_allowed_and_an_endless_one_ends_there() {
    let profile = Profile { limits: Limits { head_bytes: 1000, ..Limits::default() }, ..Profile::default() };
    let head = |length: usize| {
        let empty = with("X: \r\n").len();
        with(&format!("X: {}\r\n", "x".repeat(length - empty)))
    };
    assert_eq!(heard(Side::Requests, profile, &head(1000)).refusal, None);
    assert_eq!(heard(Side::Requests, profile, &head(1001)).refusal, Some(Refusal::LongHead));
    assert_eq!(heard(Side::Requests, profile, &head(5000)[..1000]).refusal, Some(Refusal::LongHead));
    assert_eq!(Refusal::LongHead.status().as_u16(), 431);
}

#[test]
fn rubbish_is_refused_at_its_first_line_not_at_its_end() {
    for start in [&b"GET /\r\n"[..], b"GET / HTTP/2.0\r\n", b"hello\r\n", b"\x80"] {
        assert!(requests(start).refusal.is_some(), "{}", start.escape_ascii());
    }
}

#[test]
fn a_length_is_one_decimal_number() {
    assert_eq!(one(requests(&[with("Content-Length: 003\r\n"), b"abc".to_vec()].concat())).data, b"abc");
    for value in
        ["", "+1", "-1", "0x1", "1 2", "1_0", "1.0", "1;", "18446744073709551616", "\"1\"", "1, 1", "1,2", "\u{661}"]
    {
        refused(Refusal::BadLength, &[&with(&format!("Content-Length: {value}\r\n"))]);
    }
}

#[test]
fn a_repeated_length_is_refused_even_when_equal() {
    refused(
        Refusal::RepeatedLength,
        &[&with("Content-Length: 1\r\ncontent-length: 1\r\n"), &with("Content-Length: 1\r\nContent-Length: 2\r\n")],
    );
}

#[test]
fn length_and_coding_together_are_refused() {
    refused(
        Refusal::LengthWithCoding,
        &[
            &with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            &with("transfer-encoding: chunked\r\ncontent-length: 0\r\n"),
        ],
    );
}

#[test]
fn chunked_is_once_and_last_and_in_lower_case() {
    let coded = |value: &str| with(&format!("Transfer-Encoding: {value}\r\n"));
    refused(
        Refusal::ChunkedTwice,
        &[
            &coded("chunked, chunked"),
            &coded("chunked\r\nTransfer-Encoding: chunked"),
            &coded("chunked, gzip, chunked"),
        ],
    );
    refused(
        Refusal::ChunkedNotLast,
        &[
            &coded("chunked, gzip"),
            &coded("gzip"),
            &coded("identity"),
            &coded("chunked\r\nTransfer-Encoding: identity"),
        ],
    );
    refused(Refusal::OddCaseChunked, &[&coded("Chunked"), &coded("CHUNKED"), &coded("chunkeD")]);
    refused(
        Refusal::BadCoding,
        &[
            &coded(""),
            &coded("chunked,"),
            &coded(",chunked"),
            &coded("chunked;q=1"),
            &coded("\"chunked\""),
            &coded("chunked chunked"),
        ],
    );
    refused(Refusal::BadFieldValue, &[&coded("\x0bchunked")]);
}

#[test]
fn an_unknown_coding_is_answered_501() {
    let coded = |value: &str| with(&format!("Transfer-Encoding: {value}\r\n"));
    refused(Refusal::UnknownCoding, &[&coded("gzip, chunked"), &coded("xchunked"), &coded("foo")]);
    assert_eq!(Refusal::UnknownCoding.status().as_u16(), 501);
}

#[test]
fn http_1_0_has_no_coding() {
    refused(
        Refusal::CodingInOldVersion,
        &[
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        ],
    );
}

#[test]
fn a_request_without_length_and_coding_has_no_body() {
    assert_eq!(one(requests(&with(""))).framing, Framing::None);
}

#[test]
fn a_connection_stays_unless_its_version_or_an_option_says_otherwise() {
    let persists = |version: &str, lines: &str| {
        one(requests(format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n").as_bytes())).persists
    };
    assert!(persists("1.1", ""));
    assert!(!persists("1.1", "Connection: close\r\n"));
    assert!(!persists("1.1", "Connection: x, CLOSE\r\n"));
    assert!(!persists("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    assert!(!persists("1.0", ""));
    assert!(persists("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!persists("1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn connection_has_a_few_tokens() {
    refused(
        Refusal::BadConnection,
        &[
            &with("Connection: a b\r\n"),
            &with("Connection: close;\r\n"),
            &with(&format!("Connection: {}\r\n", "a,".repeat(33))),
        ],
    );
    one(requests(&with("Connection: , close,\r\n")));
}

#[test]
fn an_upgrade_is_asked_for_by_both_fields_and_in_http_1_1() {
    let wants = |version: &str, lines: &str| {
        request_head(format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n").as_bytes())
            .expect("valid")
            .head()
            .wants_upgrade()
    };
    assert!(wants("1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(!wants("1.1", "Upgrade: websocket\r\n"));
    assert!(!wants("1.1", "Connection: upgrade\r\n"));
    assert!(!wants("1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n"));
}

#[test]
fn an_expectation_is_100_continue_or_refused() {
    let head = request_head(&with("Expect: 100-Continue\r\nContent-Length: 1\r\n")).expect("valid");
    assert!(head.expects_continue());
    assert!(
        !request_head(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
            .expect("valid")
            .expects_continue()
    );
    assert!(!request_head(&with("Expect: 100-continue\r\n")).expect("valid").expects_continue());
    refused(Refusal::UnknownExpectation, &[&with("Expect: more\r\n")]);
    assert_eq!(Refusal::UnknownExpectation.status().as_u16(), 417);
}

#[test]
fn pipelined_requests_are_read_one_after_the_other() {
    let two = [with("Content-Length: 3\r\n"), b"abc".to_vec(), b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n".to_vec()].concat();
    let heard = requests(&two);
    let firsts: Vec<&str> = heard.messages.iter().map(|message| &*message.first).collect();
    assert_eq!((firsts, heard.rest, heard.refusal), (vec!["POST /", "GET /b"], 0, None));
}

#[test]
fn a_request_smuggled_in_a_body_stays_data() {
    let inner = b"GET /admin HTTP/1.1\r\nHost: b\r\n\r\n";
    let message = one(requests(&[with(&format!("Content-Length: {}\r\n", inner.len())), inner.to_vec()].concat()));
    assert_eq!(message.data, inner);
    let chunk = [format!("{:x}\r\n", inner.len()).as_bytes(), inner, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(one(requests(&[with("Transfer-Encoding: chunked\r\n"), chunk].concat())).data, inner);
}

#[test]
fn bytes_after_the_end_are_the_next_message_or_refused() {
    let case = [with("Content-Length: 1\r\n"), b"a\x00".to_vec()].concat();
    assert_eq!(requests(&case).refusal, Some(Refusal::BadStart));
}

#[test]
fn a_body_longer_than_allowed_is_answered_413() {
    let profile = Profile { limits: Limits { body_bytes: Some(4), ..Limits::default() }, ..Profile::default() };
    let refusal = |bytes: &[u8]| heard(Side::Requests, profile, bytes).refusal;
    assert_eq!(refusal(&with("Content-Length: 5\r\n")), Some(Refusal::LongBody));
    let chunks = |body: &[u8]| [&with("Transfer-Encoding: chunked\r\n"), body].concat();
    assert_eq!(refusal(&chunks(b"3\r\nabc\r\n2\r\n")), Some(Refusal::LongBody));
    assert_eq!(refusal(&chunks(b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")), None);
    assert_eq!(Refusal::LongBody.status().as_u16(), 413);
}

#[test]
fn each_leniency_bears_its_own_fault_and_no_other() {
    type Bear = fn(&mut Leniency);
    let cases: [(Bear, Vec<u8>, Refusal); 4] = [
        (|on| on.bare_line_feed = true, b"POST / HTTP/1.1\nHost: a\n\n".to_vec(), Refusal::BareLineFeed),
        (
            |on| on.chunked_in_any_case = true,
            [with("Transfer-Encoding: Chunked\r\n"), b"0\r\n\r\n".to_vec()].concat(),
            Refusal::OddCaseChunked,
        ),
        (
            |on| on.space_after_chunk_size = true,
            [with("Transfer-Encoding: chunked\r\n"), b"0  \r\n\r\n".to_vec()].concat(),
            Refusal::BadChunkSize,
        ),
        (
            |on| on.repeated_equal_length = true,
            with("Content-Length: 0\r\nContent-Length: 0\r\n"),
            Refusal::RepeatedLength,
        ),
    ];
    for (turn_on, _, why) in &cases {
        let mut profile = Profile::default();
        turn_on(&mut profile.leniency);
        for (_, case, other) in &cases {
            let expected = if why == other { None } else { Some(*other) };
            assert_eq!(heard(Side::Requests, profile, case).refusal, expected, "{why:?}: {}", case.escape_ascii());
        }
    }
}

#[test]
fn known_fields_are_found_by_name() {
    let head = request_head(&with("Cookie: a\r\nX-Forwarded-Port: 1\r\nCOOKIE: b\r\n")).expect("valid");
    let cookies: Vec<&[u8]> = head.head().all(Known::Cookie).map(|value| value.as_bytes()).collect();
    assert_eq!(cookies, [b"a", b"b"]);
    assert_eq!(head.head().first(Known::XForwarded).map(|value| value.as_bytes()), Some(&b"1"[..]));
    assert_eq!(head.head().get(b"x-forwarded-PORT").map(|value| value.as_bytes()), Some(&b"1"[..]));
}

#[test]
fn every_refusal_has_a_status_and_a_sentence() {
    assert_eq!((Refusal::BadHost.status().as_u16(), Refusal::Truncated.may_answer()), (400, false));
    assert_eq!(Refusal::BadHost.to_string(), "Host is not a host with an optional port");
}

#[test]
fn a_connection_that_ends_within_a_head_is_told_from_one_that_ends_between_two() {
    let mut reader = HeadReader::default();
    let mut input = BytesMut::from(&b"GET / HTTP/1.1\r\nHo"[..]);
    let head = reader.request(&mut input, &mut Fields::default(), &Profile::default());
    assert!(head.expect("nothing wrong yet").is_none());
    assert_eq!(reader.closed(&input), Err(Refusal::Truncated));
    assert_eq!(reader.closed(&[]), Ok(()));
}

#[test]
fn a_head_that_comes_byte_by_byte_costs_no_more_than_its_bytes() {
    // Were each byte a new reading of all before, this would be two thousand million steps, and take minutes.
    let head = with(&"X: 123456789\r\n".repeat(90));
    let long = [&head[..head.len() - 2], &b"Y: "[..], &vec![b'y'; 60_000], b"\r\n\r\n"].concat();
    assert_eq!(requests(&long).refusal, None);
}

#[test]
fn a_head_says_which_known_names_came_without_a_search() {
    let head = request_head(b"GET / HTTP/1.1\r\nHost: a\r\nCOOKIE: c\r\nProxy-X: 1\r\n\r\n").expect("valid");
    let head = head.head();
    assert_eq!(head.known(), KnownSet::of(&[Known::Host, Known::Cookie, Known::Proxy]));
    assert_eq!((head.has(Known::Cookie), head.has(Known::Te), head.has(Known::Other)), (true, false, false));
    assert!(head.known().meets(KnownSet::MANAGED));
    assert!(!head.known().meets(KnownSet::of(&[Known::Te, Known::Trailer])));
}
