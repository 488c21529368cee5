//! Exports of protobuf, and packed ones, each behind its length: they say what lines of JSON say.

use ambidex_insight::history::History;
use ambidex_insight::sources::pushed::Options;
use proptest::prelude::*;
use serde_json::Value;

use super::{read, said, text};

const TRACES: &[u8] = include_bytes!("traces.bin");
const METRICS: &[u8] = include_bytes!("metrics.bin");

/// A file as the collector writes it that does not write lines.
fn framed(exports: &[Vec<u8>]) -> Vec<u8> {
    let length = |export: &[u8]| u32::try_from(export.len()).expect("short").to_be_bytes();
    exports.iter().flat_map(|export| [&length(export)[..], export].concat()).collect()
}

fn packed(exports: &[Vec<u8>]) -> Vec<Vec<u8>> {
    exports.iter().map(|export| zstd::encode_all(&export[..], 1).expect("memory")).collect()
}

/// All that a file says.
fn told(history: &History) -> String {
    format!("{:?} {:?} {:?} {:?}", history.nodes, history.series, history.traffic.routes, history.remarks)
}

#[test]
fn protobuf_says_what_lines_of_json_say() {
    let json = [include_str!("traces.json"), include_str!("metrics.json")];
    let json = json.map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    let lines = told(&read(text(&json), &Options::default()).expect("lines"));
    let protobuf = [TRACES.to_vec(), METRICS.to_vec()];
    let texts = json.map(|json| json.to_string().into_bytes());
    let all = framed(&protobuf);
    for file in [
        framed(&packed(&protobuf)),
        framed(&packed(&texts)),
        framed(&texts),
        zstd::encode_all(&all[..], 1).expect("memory"),
        all.clone(),
    ] {
        assert_eq!(told(&read(&file, &Options::default()).expect("exports")), lines);
    }
}

#[test]
fn half_an_export_is_left_out_and_told() {
    let whole = framed(&[TRACES.to_vec(), METRICS.to_vec()]);
    for cut in [1, METRICS.len() - 1, METRICS.len() + 3] {
        let history = read(&whole[..whole.len() - cut], &Options::default()).expect("an export");
        assert_eq!(said(&history, "t.json, export 2: is no export of OpenTelemetry: it ends in the midst"), 1);
    }
    let lost = [&whole[..], &[8, 0, 0, 0], &whole[..]].concat();
    let history = read(lost, &Options::default()).expect("exports");
    assert_eq!(said(&history, "export 3: is no export of OpenTelemetry: it says that it has 134217728 bytes"), 1);
}

#[test]
fn what_is_neither_lines_nor_exports_is_refused_with_what_was_expected() {
    for (file, part) in [
        (&b"\x00\x00\x00\x05hello"[..], "export 1: is no export of OpenTelemetry: it is no protobuf"),
        (b"\x00\x00\x00\x04\x28\xb5\x2f\xfd", "its zstd cannot be unpacked"),
        (b"\x01\x02", "it ends in the midst"),
        (b"\x08\xff\xff\xff", "it says that it has 150994943 bytes"),
    ] {
        let error = read(file, &Options::default()).expect_err("no such file can be read").to_string();
        assert!(error.contains(part) && error.contains("`format: proto`"), "{error}");
    }
}

proptest! {
    #[test]
    fn exports_with_any_change_are_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut file = framed(&[TRACES.to_vec(), METRICS.to_vec()]);
        let at = at.index(file.len());
        file[at] = byte;
        let _ = read(&file, &Options::default());
    }
}
