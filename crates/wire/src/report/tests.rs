//! Reports in headers and pages: the forms that are read, and what is refused of each.

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use http::HeaderValue;
use proptest::prelude::*;

use super::endpoint::FieldMap;
use super::*;

fn headers(lines: &[(&HeaderName, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, HeaderValue::from_str(value).expect("a header's value"));
    }
    map
}

fn only(name: &HeaderName, value: &str) -> Result<Report, ReportFault> {
    take(&mut headers(&[(name, value)])).expect("a report header")
}

fn ms(millis: u64) -> Option<Span> {
    Some(Span::from_millis(millis))
}

#[test]
fn the_architectures_example_is_read_in_full() {
    let report = only(&SERVER_LOAD, "in_flight=3, queue=0, p50_ms=12, p99_ms=80, err=0.01, util=0.42, limit=32");
    let wanted = Report {
        in_flight: Some(3),
        queue: Some(0),
        p50: ms(12),
        p99: ms(80),
        errors: Some(Share::percent(1)),
        utilization: Some(0.42),
        limit: Some(32),
        ..Report::default()
    };
    assert_eq!(report, Ok(wanted));
}

#[test]
fn the_three_forms_of_orca_say_the_same() {
    let text = "TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, named_metrics.in_flight=4";
    let json = r#"JSON {"cpu_utilization": 0.3, "mem_utilization": 0.8, "rps_fractional": 10.0, "eps": 1,
        "named_metrics": {"in_flight": 4, "unknown": 7}}"#
        .replace('\n', "");
    let report = only(&LOAD_METRICS, text).expect("text");
    assert_eq!((report.cpu, report.memory, report.rate), (Some(0.3), Some(0.8), Some(10.0)));
    assert_eq!((report.errors, report.in_flight), (Some(Share::percent(10)), Some(4)));
    assert_eq!(only(&LOAD_METRICS, text.strip_prefix("TEXT ").expect("prefix")), Ok(report));
    assert_eq!(only(&LOAD_METRICS, &json), Ok(report));
    let binary = orca::OrcaLoadReport {
        cpu_utilization: 0.3,
        mem_utilization: 0.8,
        rps_fractional: 10.0,
        eps: 1.0,
        named_metrics: [("in_flight".to_owned(), 4.0)].into(),
        ..Default::default()
    };
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, prost::Message::encode_to_vec(&binary));
    assert_eq!(only(&LOAD_METRICS_BIN, &encoded), Ok(report));
    assert_eq!(only(&LOAD_METRICS, &format!("BIN {encoded}")), Ok(report));
    assert_eq!(only(&LOAD_METRICS_BIN, encoded.trim_end_matches('=')), Ok(report));
}

/// The bytes of the design document's example: cpu_utilization 0.1, rps_fractional 2, named metrics foo 0.1, bar 0.2.
#[test]
fn the_field_numbers_are_those_of_the_published_example() {
    let published = "CZqZmZmZmbk/MQAAAAAAAABAQg4KA2ZvbxGamZmZmZm5P0IOCgNiYXIRmpmZmZmZyT8=";
    let report = only(&LOAD_METRICS_BIN, published).expect("readable");
    assert_eq!(report, Report { cpu: Some(0.1), rate: Some(2.0), ..Report::default() });
}

#[test]
fn all_report_headers_leave_the_answer_and_nothing_else_does() {
    let other = HeaderName::from_static("x-other");
    let mut map = headers(&[
        (&SERVER_LOAD, "in_flight=3"),
        (&SERVER_LOAD, "queue=2"),
        (&LOAD_METRICS, "TEXT cpu_utilization=0.3"),
        (&LOAD_METRICS_BIN, "%%%"),
        (&other, "stays"),
    ]);
    let report = take(&mut map).expect("there").expect("sound");
    assert_eq!(report, Report { in_flight: Some(3), queue: Some(2), ..Report::default() });
    assert_eq!(map.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-other"]);
    assert_eq!(take(&mut map), None);
}

#[test]
fn absurd_values_are_refused_by_name() {
    for (name, value) in [
        (&SERVER_LOAD, "in_flight=-3"),
        (&SERVER_LOAD, "p99_ms=999999999"),
        (&SERVER_LOAD, "err=1.5"),
        (&LOAD_METRICS, "TEXT cpu_utilization=NaN"),
        (&LOAD_METRICS, "TEXT cpu_utilization=inf"),
        (&LOAD_METRICS, "TEXT rps_fractional=1, eps=2"),
        (&LOAD_METRICS, "TEXT named_metrics.sequence=-1"),
        (&LOAD_METRICS, "TEXT named_metrics.accepting=0.5"),
        (&LOAD_METRICS, r#"JSON {"named_metrics": {"queue": 1e99}}"#),
    ] {
        assert!(matches!(only(name, value), Err(ReportFault::Absurd { .. })), "{value}: {:?}", only(name, value));
    }
}

#[test]
fn what_could_mean_two_things_or_nothing_is_refused() {
    for (name, value) in [
        (&SERVER_LOAD, "in_flight=many"),
        (&SERVER_LOAD, "in_flight=(1 2)"),
        (&SERVER_LOAD, "In-Flight=3"),
        (&LOAD_METRICS, "TEXT cpu_utilization=0.1, cpu_utilization=0.2"),
        (&LOAD_METRICS, "TEXT cpu_utilization"),
        (&LOAD_METRICS, "JSON [1]"),
        (&LOAD_METRICS_BIN, "!!"),
    ] {
        assert!(matches!(only(name, value), Err(ReportFault::Unreadable(_))), "{value}: {:?}", only(name, value));
    }
    assert_eq!(only(&LOAD_METRICS, "TEXT unknown=1"), Err(ReportFault::Empty));
}

#[test]
fn a_header_or_body_beyond_its_bound_is_refused_unread() {
    let long = format!("in_flight=3, x=\"{}\"", "y".repeat(MOST_HEADER_BYTES));
    assert!(matches!(only(&SERVER_LOAD, &long), Err(ReportFault::Unreadable(_))));
    let body = format!("{{\"current_load\": 3, \"x\": \"{}\"}}", "y".repeat(endpoint::MOST_BODY_BYTES));
    assert!(matches!(endpoint::parse(body.as_bytes(), &FieldMap::default()), Err(ReportFault::Unreadable(_))));
}

#[test]
fn the_catalogues_endpoint_is_read_without_a_mapping() {
    let body = br#"{"current_load": 3, "queue_depth": 1, "average_latency_ms": 12.5, "error_rate": 0.01,
        "max_capacity": 32, "accepting": false, "cpu_percent": 73, "version": "1.2"}"#;
    let wanted = Report {
        in_flight: Some(3),
        queue: Some(1),
        mean: Some(Span::from_micros(12_500)),
        errors: Some(Share::percent(1)),
        limit: Some(32),
        accepting: Some(false),
        cpu: Some(0.73),
        ..Report::default()
    };
    assert_eq!(endpoint::parse(body, &FieldMap::default()), Ok(wanted));
}

#[test]
fn a_mapping_finds_fields_elsewhere_and_turns_their_units() {
    let map: FieldMap = serde_json::from_str(
        r#"{"in_flight": "/stats/connections", "cpu": {"at": "/host/cpu", "unit": "percent"},
            "p99_ms": {"at": "/lat/0", "unit": "s"}}"#,
    )
    .expect("a mapping");
    let body = br#"{"stats": {"connections": 7}, "host": {"cpu": 55}, "lat": [0.25], "current_load": 99}"#;
    let report = endpoint::parse(body, &map).expect("sound");
    assert_eq!((report.in_flight, report.cpu, report.p99), (Some(7), Some(0.55), ms(250)));
    let again: FieldMap = serde_json::from_str(&serde_json::to_string(&map).expect("written")).expect("read");
    assert_eq!(again, map);
}

#[test]
fn a_wrong_mapping_says_what_would_be_right() {
    for (text, wanted) in [
        (r#"{"inflight": "/a"}"#, "in_flight"),
        (r#"{"queue": "a.b"}"#, "begins with `/`"),
        (r#"{"queue": {"at": "/q", "unit": "percent"}}"#, "no unit"),
        (r#"{"cpu": {"at": "/q", "unit": "ms"}}"#, "percent"),
    ] {
        let error = serde_json::from_str::<FieldMap>(text).expect_err("wrong").to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

/// Reports whose numbers every form can carry: milliseconds and shares with three places, no zeros in ORCA's own fields.
fn reports() -> impl Strategy<Value = Report> {
    use prop::option::of;
    let micros = || of((1..3_600_000_000_u64).prop_map(Span::from_micros));
    let thousandths = || of((1..1000_u32).prop_map(|thousandths| f64::from(thousandths) / 1e3));
    let count = || of(0..1_000_000_u32);
    let loads = (count(), count(), micros(), micros(), micros(), micros());
    let shares = (thousandths(), thousandths(), thousandths(), thousandths(), thousandths());
    let rest = (count(), of(any::<bool>()), of(0..999_999_999_999_u64));
    (loads, shares, rest).prop_map(|(loads, shares, rest)| Report {
        in_flight: loads.0,
        queue: loads.1,
        mean: loads.2,
        p50: loads.3,
        p95: loads.4,
        p99: loads.5,
        rate: shares.0,
        errors: shares.1.map(Share::clamped),
        utilization: shares.2,
        cpu: shares.3,
        memory: shares.4,
        limit: rest.0,
        accepting: rest.1,
        sequence: rest.2,
    })
}

/// Reads back what was written, to the microsecond that three decimals of a millisecond hold.
fn rounded(report: Result<Report, ReportFault>) -> Result<Report, ReportFault> {
    let round = |span: Option<Span>| span.map(|span| Span::from_micros((span.as_nanos() + 500) / 1_000));
    report.map(|report| Report {
        mean: round(report.mean),
        p50: round(report.p50),
        p95: round(report.p95),
        p99: round(report.p99),
        ..report
    })
}

proptest! {
    #[test]
    fn every_writer_reads_back(report in reports().prop_filter("says something", |report| *report != Report::default())) {
        let mut map = HeaderMap::new();
        for (name, value) in [
            (&SERVER_LOAD, server_load::write(&report)),
            (&LOAD_METRICS, orca::write_text(&report)),
            (&LOAD_METRICS, orca::write_json(&report)),
            (&LOAD_METRICS_BIN, orca::write_base64(&report)),
        ] {
            map.insert(name, value.clone());
            prop_assert_eq!(rounded(take(&mut map).expect("there")), Ok(report), "{:?}", value);
        }
        let body = endpoint::write(&report);
        prop_assert_eq!(rounded(endpoint::parse(body.as_bytes(), &FieldMap::default())), Ok(report), "{}", body);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = server_load::parse(&bytes);
        let _ = orca::parse(&bytes);
        let _ = orca::parse_base64(&bytes);
        let _ = endpoint::parse(&bytes, &FieldMap::default());
        let prefixed = [b"JSON ".as_slice(), &bytes].concat();
        let _ = orca::parse(&prefixed);
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes);
        let _ = orca::parse_base64(encoded.as_bytes());
    }

    #[test]
    fn no_text_near_the_forms_makes_a_reader_panic(
        text in "(TEXT |JSON |BIN )?([{\\[\"]{0,3}(cpu_utilization|in_flight|p99_ms|accepting)[=: \"]{0,3}-?[0-9.eE+]{0,8}[,}; ]{0,3}){0,6}"
    ) {
        let _ = server_load::parse(text.as_bytes());
        let _ = orca::parse(text.as_bytes());
        let _ = endpoint::parse(text.as_bytes(), &FieldMap::default());
    }
}

#[test]
fn a_question_out_of_band_reads_back_and_a_bad_one_is_refused() {
    for asked in [Span::from_millis(500), Span::from_secs(90)] {
        assert_eq!(orca::read_question(&orca::write_question(asked)), Ok(Some(asked)));
    }
    assert_eq!(orca::read_question(&orca::frame(&[])), Ok(None), "how often is left to the worker");
    // Seconds under 0, a compressed message, half of one, none.
    for bad in [
        &orca::frame(b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")[..],
        b"\x01\0\0\0\0",
        b"\0\0\0\0\x02\x0a",
        b"",
    ] {
        assert!(orca::read_question(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_report_as_a_message_reads_back() {
    let report = Report { in_flight: Some(3), p99: Some(Span::from_millis(80)), cpu: Some(0.5), ..Report::default() };
    assert_eq!(orca::parse_message(&orca::write_message(&report)), Ok(report));
}
