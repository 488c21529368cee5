//! Laws of the format: what is written reads back, whatever is in it; what is damaged is named.

use proptest::option;
use proptest::prelude::*;

use super::*;

fn header(began_ms: u64) -> Header {
    let (sample, bodies) = (Share::percent(10), Size::kib(64));
    Header { version: VERSION, began_ms, sample, bodies, redacted: vec!["cookie".into()], writer: "test".into() }
}

fn exchange(at: u64, target: &str) -> Exchange {
    let body = Body { length: 5, digest: Some(Digest::of(b"hello")), whole: true, base64: None };
    let answer = Answer { status: 200, took: Span::from_micros(7), body, attempts: 1, ..Answer::default() };
    let (at, method, target) = (Span::from_micros(at), "GET".to_owned(), target.to_owned());
    Exchange { at, method, target, answer: Some(answer), ..Exchange::default() }
}

fn written(header_at: u64, exchanges: &[Exchange]) -> Vec<u8> {
    let mut out = Vec::new();
    write_header(&header(header_at), &mut out);
    exchanges.iter().for_each(|exchange| write_exchange(exchange, &mut out));
    out
}

fn read(bytes: &[u8]) -> Result<Recording, RecordingError> {
    Recording::read(bytes)
}

fn said(bytes: &[u8]) -> String {
    read(bytes).expect_err("refused").to_string()
}

/// What version 1 wrote on its first day. When this fails, recordings in the field no longer read.
#[test]
fn recordings_of_the_first_day_still_read() {
    const FIRST_DAY: &[u8] = include_bytes!("version_1.jsonl");
    let mut first = exchange(1_250, "/items/7?x=1");
    first.fields = vec![
        ("accept".into(), FieldValue::Plain(b"*/*".to_vec())),
        ("cookie".into(), FieldValue::Redacted),
        ("x-latin".into(), FieldValue::Plain(b"caf\xe9".to_vec())),
    ];
    let (digest, base64) = (Some(Digest::of(b"a=1")), Some(b"a=1".to_vec()));
    first.body = Some(Body { length: 3, digest, whole: true, base64 });
    let exchanges = [first, exchange(1_900, "/")];
    let again = written(1_795_219_199_000, &exchanges);
    assert_eq!(String::from_utf8_lossy(FIRST_DAY), String::from_utf8_lossy(&again));
    let recording = read(FIRST_DAY).expect("read");
    assert_eq!((recording.parts, recording.exchanges), (vec![header(1_795_219_199_000)], exchanges.to_vec()));
}

#[test]
fn half_a_line_at_the_end_costs_itself_and_is_named() {
    let whole = written(0, &[exchange(1, "/a"), exchange(2, "/b")]);
    let recording = read(&whole[..whole.len() - 5]).expect("read");
    assert_eq!(recording.exchanges, [exchange(1, "/a")]);
    assert_eq!(recording.torn, [3]);
}

#[test]
fn half_a_line_before_another_part_costs_itself_and_is_named() {
    let first = written(1_000, &[exchange(1, "/a"), exchange(2, "/b")]);
    let second = written(3_000, &[exchange(5, "/c")]);
    let recording = read(&[&first[..first.len() - 5], b"\n", &second].concat()).expect("read");
    assert_eq!(recording.exchanges, [exchange(1, "/a"), exchange(2_000_005, "/c")]);
    assert_eq!((recording.torn, recording.parts.len()), (vec![3], 2));
}

#[test]
fn half_a_line_in_the_middle_is_refused_with_its_number() {
    let (first, second) = (written(0, &[exchange(1, "/a")]), written(0, &[exchange(2, "/b")]));
    let second = second.split_inclusive(|byte| *byte == b'\n').nth(1).expect("an exchange");
    let text = said(&[&first[..first.len() - 5], b"\n", second].concat());
    assert!(text.starts_with("line 2: "), "{text}");
}

#[test]
fn a_changed_line_is_refused_unless_its_check_is_taken_out() {
    let whole = String::from_utf8(written(0, &[exchange(1, "/a"), exchange(2, "/b")])).expect("text");
    let changed = whole.replace("\"/a\"", "\"/A\"");
    assert!(said(changed.as_bytes()).starts_with("line 2: its `check` is of other bytes"), "{changed}");
    let without: String =
        changed.lines().map(|line| format!("{}}}\n", line.split(",\"check\"").next().expect("a line"))).collect();
    assert_eq!(read(without.as_bytes()).expect("read").exchanges[0].target, "/A");
}

#[test]
fn what_is_no_recording_is_refused() {
    assert_eq!(said(b""), "it is empty");
    assert!(said(b"hello\n").starts_with("line 1 is no header of a recording"), "text");
    assert!(
        said(b"{\"at_us\":1,\"method\":\"GET\",\"target\":\"/\"}\n").starts_with("line 1 is no header"),
        "exchange"
    );
    assert_eq!(
        said(b"{\"ambidex_recording\":2,\"began_ms\":0}\n"),
        "line 1 is a header of version 2; this program reads version 1"
    );
    let parts = [written(5, &[]), written(4, &[])].concat();
    assert!(said(&parts).starts_with("line 2 begins a part that is older"), "order");
    assert_eq!(said(&vec![b' '; MOST_LINE + 1]), format!("line 1 is longer than {MOST_LINE} bytes"));
}

#[test]
fn exchanges_stand_in_the_order_of_their_requests() {
    let recording = read(&written(0, &[exchange(9, "/later"), exchange(3, "/sooner")])).expect("read");
    assert_eq!(recording.exchanges.iter().map(|exchange| &*exchange.target).collect::<Vec<_>>(), ["/sooner", "/later"]);
}

#[test]
fn a_digest_in_pieces_is_that_of_the_whole() {
    let mut digester = Digester::default();
    digester.take(b"hel");
    digester.take(b"lo");
    assert_eq!((digester.digest(), digester.length()), (Digest::of(b"hello"), 5));
    // As `printf hello | xxhsum -H2` says.
    assert_eq!(Digest::of(b"hello").to_string(), "b5e9c1ad071b3e7fc779cfaa5e523818");
}

fn any_value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        Just(FieldValue::Redacted),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::Plain),
        ".{0,20}".prop_map(|text| FieldValue::Plain(text.into_bytes())),
    ]
}

fn any_body() -> impl Strategy<Value = Body> {
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    (any::<u64>(), option::of(any::<u128>()), any::<bool>(), option::of(bytes))
        .prop_map(|(length, digest, whole, base64)| Body { length, digest: digest.map(Digest), whole, base64 })
}

fn any_exchange() -> impl Strategy<Value = Exchange> {
    let micros = || (0..u64::MAX / 1_000).prop_map(Span::from_micros);
    let answer = (any::<u16>(), micros(), any_body(), ".{0,9}", any::<u32>(), "[a-z]{0,9}").prop_map(
        |(status, took, body, worker, attempts, refused)| Answer { status, took, body, worker, attempts, refused },
    );
    let named = (".{0,9}", ".{0,9}", ".{0,9}", ".{0,9}", ".{0,9}", ".{0,9}", ".{0,30}");
    let fields = prop::collection::vec(("[a-z-]{1,12}", any_value()), 0..5);
    let sample = option::of((0..=100_u8).prop_map(Share::percent));
    (micros(), named, sample, fields, option::of(any_body()), option::of(answer)).prop_map(
        |(at, named, sample, fields, body, answer)| {
            let (connection, listener, route, version, method, host, target) = named;
            Exchange { at, connection, listener, route, sample, version, method, host, target, fields, body, answer }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(exchange in any_exchange()) {
        let bytes = written(0, std::slice::from_ref(&exchange));
        prop_assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 2);
        prop_assert_eq!(read(&bytes).expect("read").exchanges, [exchange]);
    }

    #[test]
    fn a_flipped_bit_is_never_read_as_something_else(exchange in any_exchange(), at: prop::sample::Index, bit in 0..8_u8) {
        let mut bytes = written(0, std::slice::from_ref(&exchange));
        let start = bytes.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
        // Within the exchange, its check and the end of its line left out: without these it is another line.
        let body = bytes.len() - start - 30;
        let at = start + at.index(body);
        bytes[at] ^= 1 << bit;
        if let Ok(recording) = read(&bytes) {
            prop_assert_eq!(recording.exchanges, []);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&[&written(0, &[]), &bytes[..]].concat());
    }
}
