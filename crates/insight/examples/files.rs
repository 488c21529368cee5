//! Makes large files and reads them: for measuring how fast and in how much memory sources of files are.
//!
//! ```text
//! cargo run --release -p ambidex-insight --example files -- make log /tmp/a.log 1000        megabytes
//! cargo run --release -p ambidex-insight --example files -- make long /tmp/l.parquet 57600  thousands of figures
//! cargo run --release -p ambidex-insight --example files -- make wide /tmp/w.parquet 57600
//! command time -v target/release/examples/files read /tmp/a.log
//! command time -v target/release/examples/files judge /tmp/w.parquet
//! target/release/examples/files keep /tmp/w.parquet /tmp/kept                               as a folder, which is read and judged, too
//! ```

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambidex_insight::doctor::{Options, diagnose};
use ambidex_insight::history::{History, kept};
use ambidex_insight::sources::{access_log, csv, parquet as tables, table};
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts[..] {
        ["make", "log", path, megabytes] => log(path.as_ref(), megabytes.parse()?, false),
        ["make", "json", path, megabytes] => log(path.as_ref(), megabytes.parse()?, true),
        ["make", "csv", path, thousands] => sheet(path.as_ref(), thousands.parse()?),
        ["make", "long", path, thousands] => parquet(path.as_ref(), thousands.parse()?, false),
        ["make", "wide", path, thousands] => parquet(path.as_ref(), thousands.parse()?, true),
        ["read", path] => {
            told(&read(path)?);
            Ok(())
        }
        ["keep", path, folder] => {
            let history = read(path)?;
            let told = kept::Keeper::open(folder.as_ref(), kept::Limits::default())?.keep(&history)?;
            println!("{told:?}");
            Ok(())
        }
        ["judge", path] => {
            let diagnosis = diagnose(&read(path)?, &Options::default());
            println!("{} findings, {} groups", diagnosis.findings.len(), diagnosis.groups.len());
            Ok(())
        }
        _ => Err("make log|json|csv|long|wide PATH SIZE, keep PATH FOLDER, read PATH, or judge PATH".into()),
    }
}

fn read(path: &str) -> Result<History, Failed> {
    let paths = [PathBuf::from(path)];
    let tables_of = table::Options::default();
    Ok(match paths[0].extension().and_then(|end| end.to_str()) {
        None if paths[0].is_dir() => kept::read(&paths[0], None, &mut |_| {})?,
        Some("parquet") => tables::read(&paths, &tables_of, &mut |_| {})?,
        Some("csv") => csv::read(&paths, &tables_of, &mut |_| {})?,
        Some("log") => {
            let options = access_log::Options { format: Some(FORMAT.parse()?), ..access_log::Options::default() };
            access_log::read(&paths, &options, &mut |_| {})?
        }
        _ => access_log::read(&paths, &access_log::Options::default(), &mut |_| {})?,
    })
}

fn told(history: &History) {
    let figures: usize = history.series.values().flatten().map(|series| series.windows().count()).sum();
    let requests: u64 =
        history.traffic.blocks.values().flat_map(|block| block.cells.values()).map(|cell| cell.requests).sum();
    println!("{} nodes, {figures} figures, {requests} requests", history.nodes.len());
    for remark in &history.remarks {
        println!("{} x {}", remark.times, remark.what);
    }
}

/// Requests of a day to 50 servers, by 20,000 clients.
fn log(path: &Path, megabytes: u64, json: bool) -> Result<(), Failed> {
    let mut out = BufWriter::new(File::create(path)?);
    let lines = megabytes * 1_000_000 / if json { 330 } else { 235 };
    for line in 0..lines {
        let second = line * 86_400 / lines;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let draw = line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let (client, node, item, took) = (draw % 20_000, draw % 53 % 50, draw % 99_991, draw % 180);
        let (a, b) = (client / 200, client % 200);
        if json {
            writeln!(
                out,
                "{{\"time\":\"2026-11-22T{hour:02}:{minute:02}:{second:02}+00:00\",\"remote_addr\":\"203.{a}.7.{b}\",\"request\":\
                 \"GET /shop/items/{item}?page=2 HTTP/2.0\",\"status\":200,\"body_bytes_sent\":{item},\"http_user_agent\":\
                 \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\",\"upstream_addr\":\"10.0.1.{node}:8080\",\
                 \"upstream_status\":\"200\",\"upstream_response_time\":\"0.{took:03}\",\"request_time\":\"0.{took:03}\"}}"
            )?;
        } else {
            writeln!(
                out,
                "203.{a}.7.{b} - - [22/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET /shop/items/{item}?page=2 HTTP/2.0\" \
                 200 {item} \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/129.0 Safari\" \
                 10.0.1.{node}:8080 200 0.{took:03} 0.{took:03}"
            )?;
        }
    }
    Ok(out.flush()?)
}

/// Figures in the order in which monitors write them: by time, then node, then metric.
struct Figures {
    times: u64,
}

impl Figures {
    fn of(thousands: u64) -> Self {
        Self { times: thousands * 1_000 / (NODES * METRICS.len() as u64) }
    }

    fn at(time: u64) -> i64 {
        1_795_305_600 + i64::try_from(time * 15).unwrap_or(0)
    }

    fn value(time: u64, node: u64, metric: u64) -> f64 {
        let draw = (time * 31 + node * 17 + metric).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
        draw as f64 / 1_048_576.0
    }
}

fn sheet(path: &Path, thousands: u64) -> Result<(), Failed> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "time,node,metric,value")?;
    for time in 0..Figures::of(thousands).times {
        for node in 0..NODES {
            for (number, metric) in (0..).zip(METRICS) {
                writeln!(
                    out,
                    "{},node-{node:04},{metric},{:.4}",
                    Figures::at(time),
                    Figures::value(time, node, number)
                )?;
            }
        }
    }
    Ok(out.flush()?)
}

/// A row: its time, node and metric by number.
type Row = (u64, u64, u64);

fn parquet(path: &Path, thousands: u64, wide: bool) -> Result<(), Failed> {
    let columns = if wide {
        METRICS.iter().map(|metric| format!("required double {metric};")).collect()
    } else {
        "required binary metric (STRING); required double value;".to_owned()
    };
    let schema = format!(
        "message t {{ required int64 time (TIMESTAMP(MILLIS,true)); required binary node (STRING); {columns} }}"
    );
    let mut writer = writer(path, &schema)?;
    let times: Vec<u64> = (0..Figures::of(thousands).times).collect();
    let (many, metrics) = if wide { (1_000, 1) } else { (100, 10) };
    for times in times.chunks(many) {
        let of = |time: u64| (0..NODES).flat_map(move |node| (0..metrics).map(move |metric| (time, node, metric)));
        let rows: Vec<Row> = times.iter().flat_map(|time| of(*time)).collect();
        let mut group = writer.next_row_group()?;
        let mut number = 0;
        while let Some(mut column) = group.next_column()? {
            let name = column.untyped();
            if let ColumnWriter::Int64ColumnWriter(to) = name {
                to.write_batch(&rows.iter().map(|row| Figures::at(row.0) * 1_000).collect::<Vec<_>>(), None, None)?;
            } else if let ColumnWriter::DoubleColumnWriter(to) = name {
                let value = |row: &Row| Figures::value(row.0, row.1, if wide { number } else { row.2 });
                to.write_batch(&rows.iter().map(value).collect::<Vec<_>>(), None, None)?;
                number += 1;
            } else if let ColumnWriter::ByteArrayColumnWriter(to) = name {
                let is_node = to.get_descriptor().name() == "node";
                to.write_batch(&names(&rows, is_node), None, None)?;
            }
            column.close()?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn names(rows: &[Row], is_node: bool) -> Vec<ByteArray> {
    let nodes: Vec<ByteArray> = (0..NODES).map(|node| format!("node-{node:04}").as_str().into()).collect();
    let metrics = METRICS.map(ByteArray::from);
    let at = |number: u64| usize::try_from(number).unwrap_or(0);
    rows.iter().map(|row| if is_node { nodes[at(row.1)].clone() } else { metrics[at(row.2)].clone() }).collect()
}

fn writer(path: &Path, schema: &str) -> Result<SerializedFileWriter<File>, Failed> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    Ok(SerializedFileWriter::new(File::create(path)?, Arc::new(parse_message_type(schema)?), Arc::new(properties))?)
}

const FORMAT: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time $request_time"#;
const NODES: u64 = 1_000;
const METRICS: [&str; 10] =
    ["cpu", "memory_ratio", "rps", "errors", "p50", "p95", "p99", "in_flight", "connections", "network_bytes"];
