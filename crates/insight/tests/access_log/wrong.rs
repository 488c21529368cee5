//! What is no log, or only in part.

use std::io::Write as _;

use ambidex_insight::history::Bounds;
use ambidex_insight::sources::access_log::{AccessLogError, NodeFrom, Options, read_from};
use proptest::prelude::*;

use super::{assert_cell, cells, history, of_format, read, said};

const FORMAT: &str = "[$time_iso8601] \"$request\" $status $upstream_addr $upstream_response_time";
const LINE: &str = "[2026-11-22T10:15:30+00:00] \"GET /a HTTP/1.1\" 200 10.0.0.1:80 0.010";

#[track_caller]
fn error(log: impl AsRef<[u8]>, options: &Options) -> String {
    read(log, options).expect_err("no such log can be read").to_string()
}

#[test]
fn a_log_that_does_not_say_who_answered_is_refused_with_what_would_say_it() {
    let combined = "10.0.0.9 - - [22/Nov/2026:10:15:30 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n";
    let text = error(combined, &Options::default());
    assert!(text.contains("the format `combined` does not say the server that answered"), "{text}");
    assert!(text.contains("$upstream_addr") && text.contains("log_format"), "{text}");
    let text = error("\"GET /a HTTP/1.1\" 10.0.0.1:80\n", &of_format("\"$request\" $upstream_addr"));
    assert!(text.contains("does not say the time"), "{text}");
}

#[test]
fn lines_of_no_known_format_are_shown_with_what_to_do() {
    let text = error("what is this\nno log\n", &Options::default());
    assert!(text.contains("test.log, line 1: of no known format (json, alb,"), "{text}");
    assert!(text.contains("`what is this`") && text.contains("--log-format"), "{text}");
}

#[test]
fn a_format_that_most_lines_are_not_of_is_refused_with_the_first_one() {
    let log = format!("{LINE}\n{}", "10.0.0.9 - -\n".repeat(2));
    let text = error(log, &of_format(FORMAT));
    assert!(text.contains("2 of the first 3 lines are not"), "{text}");
    assert!(text.contains("line 2 is `10.0.0.9 - -`, expected was `[`"), "{text}");
}

#[test]
fn a_format_string_that_cannot_be_used_says_why() {
    let text = error(LINE, &of_format("$time_local$status"));
    assert!(text.contains("nothing stands between `time_local` and `status`"), "{text}");
}

#[test]
fn what_is_packed_or_empty_says_so() {
    assert!(error(b"BZh91AY&SY", &Options::default()).contains("`bzcat test.log | ambidex"));
    assert!(error(b"\x1f\x8b\x08\x00rest", &Options::default()).contains("its gzip is cut off after 0 bytes of text"));
    assert!(error("", &Options::default()).contains("holds no line"));
    assert!(error("\n# a comment\n\n", &Options::default()).contains("holds no line"));
    let missing =
        ambidex_insight::sources::access_log::read(&["/no/such/log".into()], &Options::default(), &mut |_| {});
    assert!(matches!(missing, Err(AccessLogError::Read { .. })));
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn packed_logs_are_read_as_they_are_whatever_their_parts_are_packed_by() {
    let log = format!("{LINE}\n").repeat(40);
    let zstd = zstd::encode_all(log.as_bytes(), 1).expect("memory");
    for packed in [[gzip(&log), gzip(&log)].concat(), [zstd.clone(), zstd].concat()] {
        let history = read(packed, &of_format(FORMAT)).expect("a log");
        assert_cell(&history, "10.0.0.1:80", "GET /a", 80, 0, 0.8);
        assert!(!history.partial);
    }
}

#[test]
fn of_a_packed_log_that_is_cut_off_the_begin_counts_and_the_cut_is_told() {
    let lines = (0..40_000).map(|number| LINE.replace("/a", &format!("/a/{}", number * 7_919 % 40_000)) + "\n");
    let packed = gzip(&lines.collect::<String>());
    let history = read(&packed[..packed.len() / 2], &of_format(FORMAT)).expect("half a log");
    let requests: u64 = cells(&history).values().map(|cell| cell.0).sum();
    assert!((5_000..35_000).contains(&requests), "{requests}");
    assert!(history.partial && said(&history, "test.log: its gzip is cut off after ") == 1, "{:?}", history.remarks);
    assert_eq!(said(&history, "expected"), 0, "no half line was taken: {:?}", history.remarks);
}

#[test]
fn nodes_are_not_called_by_one_file() {
    let options = Options { node: NodeFrom::File, ..of_format(FORMAT) };
    assert!(error(LINE, &options).contains("one file only"));
}

#[test]
fn more_attributes_than_can_be_looked_at_are_refused() {
    let attributes = (0..9).map(|number| format!("a{number}").parse().expect("an attribute")).collect();
    assert!(error(LINE, &Options { attributes, ..of_format(FORMAT) }).contains("at most 8"));
}

#[test]
fn wrong_lines_are_left_out_and_the_first_of_a_kind_is_shown() {
    let log =
        format!("{LINE}\nrubbish\n{LINE}\n{LINE}\nrubbish 2\n{}\n", LINE.replace("2026-11-22T10", "2026-11-22T99"));
    let history = read(log, &of_format(FORMAT)).expect("a log");
    assert_cell(&history, "10.0.0.1:80", "GET /a", 3, 0, 0.03);
    assert_eq!(said(&history, "test.log, line 2: expected `[`, found `rubbish`: left out"), 2, "{:?}", history.remarks);
    assert_eq!(said(&history, "line 6: expected a time"), 1, "{:?}", history.remarks);
}

#[test]
fn ends_of_lines_marks_and_other_encodings_do_no_harm() {
    let odd = LINE.replace("/a", "/caf\u{e9}");
    let mut log = b"\xef\xbb\xbf".to_vec();
    log.extend_from_slice(format!("{LINE}\r\n\r\n").as_bytes());
    log.extend(odd.chars().map(|character| u8::try_from(u32::from(character)).expect("Latin-1")));
    log.extend_from_slice(b"\n");
    log.extend_from_slice(LINE.as_bytes());
    let history = read(log, &of_format(FORMAT)).expect("a log");
    assert_cell(&history, "10.0.0.1:80", "GET /a", 2, 0, 0.02);
    assert_eq!(cells(&history).values().map(|cell| cell.0).sum::<u64>(), 3);
}

#[test]
fn half_a_last_line_is_told() {
    let history = read(format!("{LINE}\n{LINE}\n{}", &LINE[..40]), &of_format(FORMAT)).expect("a log");
    assert_cell(&history, "10.0.0.1:80", "GET /a", 2, 0, 0.02);
    assert_eq!(said(&history, "line 3: expected a whole line: the file ends in the midst of it"), 1);
}

#[test]
fn a_line_of_megabytes_is_left_out_and_what_follows_is_read() {
    for length in [2 << 20, 9 << 20] {
        let history = read(format!("{LINE}\n{}\n{LINE}\n", "x".repeat(length)), &of_format(FORMAT)).expect("a log");
        assert_cell(&history, "10.0.0.1:80", "GET /a", 2, 0, 0.02);
        assert_eq!(said(&history, "line 2: expected at most 1048576 bytes"), 1, "{:?}", history.remarks);
    }
}

#[test]
fn a_clock_that_jumps_is_told() {
    let log = format!("{}\n{}", format!("{LINE}\n").repeat(300), LINE.replace("2026", "2019"));
    let history = read(log, &of_format(FORMAT)).expect("a log");
    assert_cell(&history, "10.0.0.1:80", "GET /a", 300, 0, 3.0);
    assert_eq!(said(&history, "days from the rest"), 1);
}

#[test]
fn memory_is_bounded_whatever_clients_ask_for() {
    let lines = (0..3_000).map(|number| {
        let word: String = format!("{number:04}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        LINE.replace("/a", &format!("/{word}")).replace("10.0.0.1", &format!("10.0.{}.{}", number / 200, number % 200))
    });
    let log = lines.collect::<Vec<_>>().join("\n");
    let options = Options { bounds: Bounds { nodes: 50, routes: 40, ..Bounds::default() }, ..of_format(FORMAT) };
    let history = read(log, &options).expect("a log");
    assert!(history.nodes.len() == 50 && history.traffic.routes.len() <= 41);
    assert_eq!(said(&history, "more than 50 nodes"), 2_950);
}

#[test]
fn times_without_a_zone_are_in_the_zone_that_is_named() {
    let log = "[2026-11-22 11:15:30] \"GET /a HTTP/1.1\" 200 n:1 0.1\n";
    let utc = read(log, &of_format(FORMAT)).expect("a log");
    let ahead = read(log, &Options { offset: 60, ..of_format(FORMAT) }).expect("a log");
    let begin = |history: &ambidex_insight::history::History| history.span.expect("a moment").0.0;
    assert_eq!(begin(&utc) - begin(&ahead), 3_600_000);
    assert_eq!((said(&utc, "taken for UTC"), said(&ahead, "taken for UTC and 60 minutes")), (1, 1));
}

#[test]
fn an_answer_that_never_came_is_a_failure() {
    let format = "[$time_iso8601] \"$request\" $status $upstream_addr $upstream_status";
    let line =
        |status: &str, own: &str| format!("[2026-11-22T10:15:30Z] \"GET /a HTTP/1.1\" {status} 10.0.0.1:80 {own}\n");
    let log = [line("200", "200"), line("504", "504"), line("499", "-"), line("502", "-"), line("404", "404")].concat();
    assert_cell(&read(log, &of_format(format)).expect("a log"), "10.0.0.1:80", "GET /a", 5, 2, 0.0);
}

proptest! {
    #[test]
    fn any_bytes_are_a_log_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_from("x", &bytes[..], &Options::default(), &mut |_| {});
    }

    #[test]
    fn a_log_with_any_change_is_read_or_refused(at in 0_usize..70, byte in any::<u8>(), format in 0_usize..3) {
        let mut log = format!("{LINE}\n").repeat(4).into_bytes();
        log[at] = byte;
        let format = [FORMAT, "json", "haproxy"][format];
        if let Ok(history) = read(&log, &of_format(format)) {
            prop_assert!(cells(&history).values().map(|cell| cell.0).sum::<u64>() <= 5);
        }
    }

    #[test]
    fn the_order_of_lines_does_not_change_what_is_counted(order in Just((0..60_u32).collect::<Vec<_>>()).prop_shuffle()) {
        let line = |number: &u32| LINE.replace(":15:30", &format!(":{:02}:30", number % 60)).replace("0.1:80", &format!("0.{}:80", number % 3)) + "\n";
        let log: String = order.iter().map(line).collect();
        let history = read(log, &of_format(FORMAT)).expect("a log");
        for node in ["10.0.0.0:80", "10.0.0.1:80", "10.0.0.2:80"] {
            prop_assert_eq!(cells(&history)[&(node.to_owned(), "GET /a".to_owned())].0, 20);
        }
    }
}

#[test]
fn a_log_of_our_own_gateway_is_told_by_its_lines() {
    let line = r#"{"time":"2026-11-22T10:15:30.123Z","id":"7","method":"GET","path":"/a","status":0,"bytes":0,"duration_ms":5.000,"worker":"b","attempts":1}"#;
    assert_cell(&history(line), "b", "GET /a", 1, 0, 0.005);
}
