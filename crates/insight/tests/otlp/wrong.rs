//! What is no export, or only in part.

use ambidex_insight::sources::pushed::Options;
use proptest::prelude::*;
use serde_json::json;

use super::{attributes, cell, nanos, read, said, shop, spans, text};

#[track_caller]
fn error(file: impl AsRef<[u8]>) -> String {
    read(file, &Options::default()).expect_err("no such file can be read").to_string()
}

fn one() -> String {
    let span = json!({"name": "a", "kind": 2, "startTimeUnixNano": nanos(0.0), "endTimeUnixNano": nanos(0.1)});
    text(&[spans(&shop("a"), &[span])])
}

#[test]
fn a_file_of_another_kind_is_refused_with_what_was_expected() {
    for (file, part) in [
        ("time,node\n1,a\n", "t.json, line 1: is no export of OpenTelemetry: it begins with `time,node`"),
        ("{\"a\": 1}\n", "line 1: is no export of OpenTelemetry: it has neither resourceSpans nor resourceMetrics"),
        ("{\"resourceSpans\": 7}\n", "invalid type: integer `7`, expected a sequence"),
        ("{\"resourceSpans\": [\n", "it ends in the midst"),
        ("\n\n\u{7}\u{0}binary", "line 3: is no export of OpenTelemetry: it begins with `\\u{7}\\0binary`"),
    ] {
        let said = error(file);
        assert!(said.contains(part) && said.contains("`format: json`"), "{said}");
    }
    assert!(error("").contains("t.json: nothing in it is of a node: it is empty"));
    assert!(error(b"BZh91AY&SY").contains("`bzcat t.json | ambidex diagnose --otlp -`"));
    assert!(error("{\"resourceLogs\": []}\n").contains("1 exports of logs: left out"));
}

#[test]
fn a_file_without_nodes_says_which_attribute_would_name_them() {
    let resource = json!({"attributes": attributes(&[("service.name", "shop")])});
    let span = json!({"name": "a", "kind": 2, "startTimeUnixNano": nanos(0.0), "endTimeUnixNano": nanos(0.1)});
    let said = error(text(&[spans(&resource, &[span])]));
    assert!(
        said.contains("1 spans or metrics that name no node (none of k8s.pod.name, service.instance.id, "),
        "{said}"
    );
    assert!(said.contains("`--node-label NAME`"), "{said}");
}

#[test]
fn half_a_line_is_left_out_and_told() {
    let line = one();
    let history = read(format!("{line}{line}{}", &line[..line.len() / 2]), &Options::default()).expect("exports");
    assert_eq!(cell(&history, "a", "a").0, 2);
    assert_eq!(said(&history, "t.json, line 3: is no export of OpenTelemetry: it ends in the midst"), 1);
}

#[test]
fn a_packed_file_is_read_as_it_is_and_one_that_is_cut_off_in_part() {
    let file = (0..4_000).map(|number| one().replace("\"a\",", &format!("\"a{}\",", number % 7))).collect::<String>();
    let packed = zstd::encode_all(file.as_bytes(), 1).expect("memory");
    let whole = read(&packed, &Options::default()).expect("exports");
    assert!(!whole.partial);
    let half = read(&packed[..packed.len() / 2], &Options::default()).expect("exports");
    assert!(half.partial && said(&half, "t.json: its zstd is cut off after ") == 1, "{:?}", half.remarks);
}

#[test]
fn too_many_attributes_are_refused() {
    let attributes = (0..9).map(|number| format!("a{number}").parse().expect("an attribute")).collect();
    let said = read(one(), &Options { attributes, ..Options::default() }).expect_err("too many").to_string();
    assert!(said.contains("9 attributes are named: at most 8"), "{said}");
}

proptest! {
    #[test]
    fn an_export_with_any_change_is_read_or_refused(at in 0_usize..300, byte in any::<u8>()) {
        let mut file = one().repeat(3).into_bytes();
        let at = at % file.len();
        file[at] = byte;
        let _ = read(&file, &Options::default());
    }

    #[test]
    fn any_numbers_make_finite_figures(values in prop::collection::vec((0_u64..4_000, any::<f64>(), any::<bool>()), 1..40)) {
        let points = values.iter().map(|(second, value, _)| json!({"timeUnixNano": nanos(*second as f64), "asDouble": value.to_string()}));
        let sums: Vec<_> = points.collect();
        let line = json!({"resourceMetrics": [{"resource": shop("a"), "scopeMetrics": [{"metrics": [
            {"name": "system.cpu.time", "sum": {"dataPoints": sums, "aggregationTemporality": if values[0].2 { 1 } else { 2 }, "isMonotonic": true}},
            {"name": "system.cpu.load_average.1m", "gauge": {"dataPoints": sums}},
        ]}]}]});
        if let Ok(history) = read(text(&[line]), &Options::default()) {
            for series in history.series.values().flatten() {
                for figure in series.windows().filter_map(|window| series.at(window)) {
                    prop_assert!(!figure.mean.is_nan());
                }
            }
        }
    }
}
