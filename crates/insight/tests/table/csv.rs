//! CSV: long, wide, and of requests.

use std::io::Write as _;

use ambidex_insight::history::{History, Metric};
use ambidex_insight::sources::csv::{read, read_from};
use ambidex_insight::sources::table::{Options, TableError};
use proptest::prelude::*;

use super::{assert_mean, held, mapped, mean, names, said};

fn of(table: &str, options: &Options) -> Result<History, TableError> {
    read_from("t.csv", table.as_bytes(), options, &mut |_| {})
}

#[track_caller]
fn history(table: &str) -> History {
    of(table, &Options::default()).expect("a table")
}

#[track_caller]
fn error(table: &str, options: &Options) -> String {
    of(table, options).expect_err("no such table can be read").to_string()
}

#[test]
fn a_long_table_has_a_figure_a_row() {
    let history = history(
        "time,node,metric,value,service,zone\n\
         0,a,cpu_percent,40,api,z1\n\
         15,a,cpu_percent,60,api,z1\n\
         0,b,cpu_percent,10,api,z2\n\
         0,b,Latency P99 (ms),250,api,z2\n",
    );
    assert_eq!(names(&history), ["a", "b"]);
    assert_mean(&history, &Metric::Cpu, 0, 0, 0.5);
    assert_mean(&history, &Metric::LatencyP99, 1, 0, 0.25);
    assert_eq!(mean(&history, &Metric::LatencyP99, 0, 0), None);
    assert_eq!(history.nodes[1].zone.as_deref(), Some("z2"));
    assert_eq!(history.nodes[1].peers.service.as_deref(), Some("api"));
}

#[test]
fn a_table_of_requests_may_say_who_sent_them() {
    let history = history(
        "time,node,route,count,caller,source_service\n\
         0,a,/x,40,gw-1,edge\n\
         5,a,/x,2,gw-1,edge\n\
         0,b,/x,7, ,edge\n\
         0,b,/x,9,,\n",
    );
    let block = history.traffic.blocks.values().next().expect("a block");
    let mut calls: Vec<_> = (block.calls.each())
        .map(|(caller, _, node, count)| {
            (caller.service, caller.instance, names(&history)[node as usize], count.to_string())
        })
        .collect();
    calls.sort_unstable();
    assert_eq!(calls, [(Some("edge"), None, "b", "7".to_owned()), (Some("edge"), Some("gw-1"), "a", "42".to_owned())]);
}

#[test]
fn a_packed_table_is_read_as_it_is_and_one_that_is_cut_off_in_part() {
    let rows = (0..20_000).map(|row: u64| format!("{},n{},{}\n", row / 4 * 15, row % 4, row * 7_919 % 9_973));
    let table = format!("time,node,rps\n{}", rows.collect::<String>());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(table.as_bytes()).expect("memory");
    let packed = encoder.finish().expect("memory");
    let read = |bytes: &[u8]| read_from("t.csv", bytes, &Options::default(), &mut |_| {});
    let (whole, plain) = (read(&packed).expect("a table"), history(&table));
    assert!(!whole.partial && whole.span == plain.span);
    for node in 0..4 {
        assert_eq!(mean(&whole, &Metric::Requests, node, 600), mean(&plain, &Metric::Requests, node, 600));
    }
    let part = read(&packed[..packed.len() / 2]).expect("half a table");
    assert!(part.partial && said(&part, "t.csv: its gzip is cut off after ") == 1, "{:?}", part.remarks);
    assert!(said(&part, "expected") == 0 && part.span < whole.span, "no half row was taken: {:?}", part.remarks);
    let said = read(&packed[..8]).expect_err("nothing is there").to_string();
    assert!(
        said.contains("t.csv: its gzip is cut off after 0 bytes") && said.contains("fetch the file again"),
        "{said}"
    );
}

#[test]
fn a_wide_table_has_a_metric_a_column() {
    let history = history(
        "Timestamp;Instance;CPU %;rps;capacity;batch size;comment\n\
         2026-11-22T10:00:00Z;a;40;100,5;8;3;warm\n\
         2026-11-22T10:00:15Z;a;;101,5;8;;\n\
         2026-11-22T10:00:15Z;b;NaN;7;16;5;cold\n",
    );
    let second = 1_795_341_600;
    assert_mean(&history, &Metric::Cpu, 0, second, 0.4);
    assert_mean(&history, &Metric::Requests, 0, second, 101.0);
    assert_mean(&history, &Metric::Named("batch size".into()), 1, second, 5.0);
    assert_eq!(mean(&history, &Metric::Cpu, 1, second), None);
    assert_eq!((history.nodes[0].capacity, history.nodes[1].capacity), (Some(8.0), Some(16.0)));
    assert_eq!(said(&history, "column `comment` holds text"), 2);
}

#[test]
fn a_counter_becomes_a_rate_over_resets_and_not_over_gaps() {
    let table = "time,node,requests_total\n0,a,100\n60,a,160\n120,a,30\n600,a,500\n660,a,620\n";
    let history = history(table);
    // 60 and 30 over a minute each, in one window; nothing from 120 to 600; then 120.
    assert_mean(&history, &Metric::Requests, 0, 0, 0.75);
    assert_eq!(mean(&history, &Metric::Requests, 0, 300), None);
    assert_mean(&history, &Metric::Requests, 0, 600, 2.0);
    assert_eq!((said(&history, "taken for a counter"), said(&history, "which say nothing")), (1, 1));
}

#[test]
fn metrics_may_be_renamed_scaled_and_said_to_be_counters() {
    let options = mapped(&["load=cpu*0.01", "served=requests:counter"]);
    let history = of("time,node,load,served\n0,a,50,0\n10,a,50,70\n", &options).expect("a table");
    assert_mean(&history, &Metric::Cpu, 0, 0, 0.5);
    assert_mean(&history, &Metric::Requests, 0, 0, 7.0);
}

#[test]
fn parts_of_a_whole_without_a_unit_are_told_by_their_size() {
    let percent = history("time,node,cpu\n0,a,40\n0,b,1\n");
    assert_mean(&percent, &Metric::Cpu, 1, 0, 0.01);
    assert_eq!(said(&percent, "`cpu` is taken for percent"), 1);
    let parts = history("time,node,cpu\n0,a,0.4\n0,b,1\n");
    assert_mean(&parts, &Metric::Cpu, 1, 0, 1.0);
    assert_eq!(said(&parts, "taken for percent"), 0);
}

#[test]
fn requests_are_counted_by_route_with_what_they_took() {
    let options = Options { attributes: vec!["tenant".into()], ..Options::default() };
    let table =
        "time,node,route,count,failed,duration_ms,tenant\n0,a,/x,10,2,50,acme\n0,a,/y,1,0,,\n60,b,/x,5,0,20,acme\n";
    let history = of(table, &options).expect("a table");
    let cell = history.traffic.blocks[&0].cells[&(0, 0)];
    assert_eq!((cell.requests, cell.failed, cell.timed), (10, 2, 10));
    assert!((cell.busy - 0.5).abs() < 1e-9);
    assert_eq!(history.traffic.routes, ["/x", "/y"]);
    assert_eq!(history.traffic.blocks[&0].values[&(0, 1)].top(1), [("acme", 0.1)]);
    assert_mean(&history, &Metric::Requests, 0, 0, 11.0 / 300.0);
}

#[test]
fn rows_may_come_in_any_order_and_twice() {
    let rows: Vec<_> = (0..80).map(|turn| format!("{},n{},{}", turn / 2 * 15, turn % 2, turn / 2 % 20)).collect();
    let table = |rows: &[String]| format!("time,node,queue\n{}\n", rows.join("\n"));
    let in_order = history(&table(&rows));
    let mut sorted = rows.clone();
    sorted.sort_by_key(|row| row.split(',').nth(1).map(str::to_owned));
    let newest_first: Vec<_> = rows.iter().rev().cloned().collect();
    let twice: Vec<_> = sorted.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
    for other in [sorted, newest_first, twice] {
        let other = history(&table(&other));
        for (node, window) in [(0, 0), (1, 0), (0, 300), (1, 300)] {
            let of = |history: &History| {
                let at = history.nodes.iter().position(|known| known.name == format!("n{node}")).expect("the node");
                mean(history, &Metric::Queue, at, window)
            };
            assert_eq!(of(&in_order), of(&other));
        }
    }
}

#[test]
fn quotes_marks_tabs_and_comments_do_no_harm() {
    let history = history("\u{feff}\"time\"\t\"node\"\t\"cpu %\"\r\n0\t\"a, \"\"b\"\"\"\t40%\r\n");
    assert_eq!(names(&history), ["a, \"b\""]);
    assert_mean(&history, &Metric::Cpu, 0, 0, 0.4);
}

#[test]
fn a_column_that_is_named_for_what_a_form_has_not_is_refused() {
    let wide = error("time,node,cpu,from\n0,a,1,x\n", &held(&["caller=from"]));
    assert_eq!(
        wide,
        "t.csv: `caller=from` means nothing here: without a column of routes (`route=COLUMN`), or of metric and value, \
         each column but those of time and node is a metric"
    );
    let long = error("time,node,metric,value,many\n0,a,cpu,1,2\n", &held(&["count=many"]));
    assert!(long.contains("`count=many` means nothing here: its columns of metric and value"), "{long}");
}

#[test]
fn a_wrong_cell_is_named_with_its_place() {
    let mut table = String::from("time,node,cpu\n");
    for turn in 0..10 {
        table.push_str(&format!("{turn},a,0.5\n"));
    }
    table.push_str("10,a,much\nnever,a,0.5\n11,,0.5\n12,a\n13,a,0.5\n");
    let history = history(&table);
    for part in [
        "t.csv, line 12, column `cpu`: found `much`, expected a number",
        "line 13, column `time`: found `never`, expected a time",
        "line 14, column `node`: found ``, expected a node's name",
        "line 15, column `(all)`: found `2 cells`, expected as many as the header has",
    ] {
        assert_eq!(said(&history, part), 1, "{part}: {:?}", history.remarks);
    }
    assert_eq!(history.figure(&Metric::Cpu, 0, 0).map(|figure| figure.samples), Some(11));
}

#[test]
fn a_table_that_is_wrong_for_the_most_part_is_refused() {
    let text = error("time,node,cpu\n1,a,x\n2,a,0.5\n3,a,y\n", &Options::default());
    assert!(
        text.contains(
            "t.csv: 2 of the first 3 rows cannot be read; line 2, column `cpu`: found `x`, expected a number"
        ),
        "{text}"
    );
    let rows: String = (0..5_000).map(|turn| format!("{turn},a,x\n")).collect();
    let text = error(&format!("time,node,cpu\n{rows}"), &Options::default());
    assert!(text.contains("1000 of the first 1000"), "{text}");
}

#[test]
fn a_header_that_lacks_something_says_what() {
    assert!(error("", &Options::default()).contains("a header was expected"));
    assert!(error("a,b,c\n", &Options::default()).contains("no column holds the time (there are `a`, `b`, `c`)"));
    let text = error("time,cpu\n", &Options::default());
    assert!(text.contains("no column holds the node") && text.contains("`node=COLUMN`"), "{text}");
    let missing = read(&["/no/such.csv".into()], &Options::default(), &mut |_| {});
    assert!(missing.is_err_and(|error| error.to_string().contains("/no/such.csv: cannot be read")));
}

#[test]
fn files_are_one_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["a.csv", "b.csv"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], "time,node,cpu_percent\n0,a,50\n").expect("a file");
    std::fs::write(&paths[1], "time,node,metric,value\n300,a,cpu_ratio,0.7\n0,b,queue,3\n").expect("a file");
    let mut told = Vec::new();
    let history =
        read(&paths, &Options::default(), &mut |progress| told.push((progress.done, progress.of))).expect("tables");
    assert_mean(&history, &Metric::Cpu, 0, 0, 0.5);
    assert_mean(&history, &Metric::Cpu, 0, 300, 0.7);
    assert_mean(&history, &Metric::Queue, 1, 0, 3.0);
    let all = paths.iter().map(|path| path.metadata().expect("a file").len()).sum();
    assert_eq!(told.last(), Some(&(all, Some(all))));
}

proptest! {
    #[test]
    fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_from("x", &bytes[..], &Options::default(), &mut |_| {});
    }

    #[test]
    fn any_cells_are_read_or_refused(rows in prop::collection::vec("[-0-9a-zA-Z.,;:\"% \n]{0,30}", 0..30), form in 0_usize..3) {
        let header = ["time,node,metric,value", "time,node,cpu,x", "time,node,route,count,duration"][form];
        let _ = of(&format!("{header}\n{}\n", rows.join("\n")), &Options::default());
    }
}
