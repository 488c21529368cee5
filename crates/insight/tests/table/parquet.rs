//! Parquet: the same tables, as other programs pack them.

use std::path::PathBuf;
use std::sync::Arc;

use ambidex_insight::history::{History, Metric};
use ambidex_insight::sources::parquet::read;
use ambidex_insight::sources::table::{Options, TableError};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

use super::{assert_mean, mean, names, said};

/// A column of a file: what is there, and for each row whether it is.
enum Values {
    Texts(Vec<&'static str>),
    Whole(Vec<i64>),
    Numbers(Vec<f64>),
    Some(Vec<f64>, Vec<i16>),
}

/// Writes a file of two groups of the same rows but for their times, which come later in the second.
fn written(schema: &str, compression: Compression, columns: &[Values], later: i64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.parquet");
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let file = std::fs::File::create(&path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");
    for group in 0..2 {
        let mut rows = writer.next_row_group().expect("a group");
        for values in columns {
            let mut column = rows.next_column().expect("a column").expect("as many as the schema has");
            let written = match (values, column.untyped()) {
                (Values::Texts(texts), ColumnWriter::ByteArrayColumnWriter(to)) => {
                    let texts: Vec<ByteArray> = texts.iter().map(|text| (*text).into()).collect();
                    to.write_batch(&texts, None, None)
                }
                (Values::Whole(values), ColumnWriter::Int64ColumnWriter(to)) => {
                    let values: Vec<i64> = values.iter().map(|value| value + group * later).collect();
                    to.write_batch(&values, None, None)
                }
                (Values::Numbers(values), ColumnWriter::DoubleColumnWriter(to)) => to.write_batch(values, None, None),
                (Values::Some(values, there), ColumnWriter::DoubleColumnWriter(to)) => {
                    to.write_batch(values, Some(there), None)
                }
                _ => panic!("the schema has another type"),
            };
            written.expect("values");
            column.close().expect("a column");
        }
        rows.close().expect("a group");
    }
    writer.close().expect("a file");
    (folder, path)
}

fn of(path: &PathBuf) -> Result<History, TableError> {
    read(std::slice::from_ref(path), &Options::default(), &mut |_| {})
}

#[test]
fn a_long_table_is_read_whatever_it_is_packed_by() {
    let schema = "message t {
        required int64 time (TIMESTAMP(MICROS,true));
        required binary node (STRING);
        required binary metric (STRING);
        required double value;
    }";
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
        let columns = [
            Values::Whole(vec![0, 15_000_000, 0, 0]),
            Values::Texts(vec!["a", "a", "b", "b"]),
            Values::Texts(vec!["cpu_percent", "cpu_percent", "cpu_percent", "rps"]),
            Values::Numbers(vec![40.0, 60.0, 10.0, 7.0]),
        ];
        let (_folder, path) = written(schema, compression, &columns, 300_000_000);
        let history = of(&path).expect("a table");
        assert_eq!(names(&history), ["a", "b"]);
        for second in [0, 300] {
            assert_mean(&history, &Metric::Cpu, 0, second, 0.5);
            assert_mean(&history, &Metric::Requests, 1, second, 7.0);
        }
        assert_eq!(mean(&history, &Metric::Cpu, 0, 600), None);
    }
}

#[test]
fn a_wide_table_may_have_gaps_nested_columns_and_text() {
    let schema = "message t {
        required int64 ts;
        required int64 instance;
        optional double cpu_percent;
        required double requests_total;
        required binary note (STRING);
        required group more { required double queue; }
    }";
    let columns = [
        Values::Whole(vec![1_795_341_600, 1_795_341_610, 1_795_341_620]),
        Values::Whole(vec![7, 7, 7]),
        Values::Some(vec![50.0, 30.0], vec![1, 0, 1]),
        Values::Numbers(vec![100.0, 150.0, 30.0]),
        Values::Texts(vec!["x", "y", "z"]),
        Values::Numbers(vec![1.0, 1.0, 1.0]),
    ];
    let (_folder, path) = written(schema, Compression::SNAPPY, &columns, 0);
    let history = of(&path).expect("a table");
    assert_eq!(names(&history), ["7"]);
    assert_mean(&history, &Metric::Cpu, 0, 1_795_341_600, 0.4);
    assert_eq!(said(&history, "column `note` holds text"), 1);
    assert!(!history.series.contains_key(&Metric::Queue));
    // 5 and 3 a second; the second group is the same again, and its times do not go on.
    assert_mean(&history, &Metric::Requests, 0, 1_795_341_600, 4.0);
}

#[test]
fn requests_are_counted_by_route() {
    let schema = "message t {
        required int64 time (TIMESTAMP(MILLIS,true));
        required binary node (STRING);
        required binary route (STRING);
        required int64 count;
        required double duration_ms;
    }";
    let columns = [
        Values::Whole(vec![0, 0]),
        Values::Texts(vec!["a", "b"]),
        Values::Texts(vec!["/x", "/y"]),
        Values::Whole(vec![10, 5]),
        Values::Numbers(vec![50.0, 20.0]),
    ];
    let (_folder, path) = written(schema, Compression::SNAPPY, &columns, 0);
    let history = of(&path).expect("a table");
    let cell = history.traffic.blocks[&0].cells[&(0, 0)];
    assert_eq!((cell.requests, cell.timed), (20, 20));
    assert!((cell.busy - 1.0).abs() < 1e-9);
    assert_eq!(history.traffic.routes, ["/x", "/y"]);
}

#[test]
fn what_is_no_parquet_or_lacks_a_column_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.parquet");
    for bytes in [&b""[..], b"PAR1", b"time,node,cpu\n1,a,0.5\n", b"PAR1 and what is this? PAR1"] {
        std::fs::write(&path, bytes).expect("a file");
        let error = of(&path).expect_err("no table").to_string();
        assert!(error.contains("is no Parquet that can be read"), "{error}");
    }
    let (_folder, path) =
        written("message t { required double cpu; }", Compression::SNAPPY, &[Values::Numbers(vec![1.0])], 0);
    assert!(of(&path).expect_err("no table").to_string().contains("no column holds the time (there are `cpu`)"));
    assert!(of(&PathBuf::from("-")).expect_err("no table").to_string().contains("name a file"));
}

#[test]
fn a_file_with_any_byte_changed_is_read_or_refused() {
    let schema = "message t { required int64 time; required binary node (STRING); required double cpu; }";
    let columns = [Values::Whole(vec![1, 2]), Values::Texts(vec!["a", "b"]), Values::Numbers(vec![0.5, 0.6])];
    let (_folder, path) = written(schema, Compression::UNCOMPRESSED, &columns, 300);
    let bytes = std::fs::read(&path).expect("a file");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        std::fs::write(&path, &changed).expect("a file");
        let _ = of(&path);
    }
}
