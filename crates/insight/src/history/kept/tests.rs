//! Histories that are kept: what comes back, what counts once, what is damaged, and what goes.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::history::{At, Call, Caller, Happening, HappeningKind, Metric, NodeAt, Peers, Requests};

const MINUTE: i64 = 60_000;
/// 2026-11-22T10:00Z.
const BEGIN: i64 = 498_706 * HOUR;

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

fn recorder() -> Recorder {
    Recorder::new(Bounds::default(), Weigh::Time)
}

fn node(recorder: &mut Recorder, name: &str) -> NodeAt {
    let peers = Peers { service: Some("api".into()), ..Peers::default() };
    recorder.node(name, &peers).expect("there is room")
}

/// So many minutes from a minute on, of some nodes: their CPU each quarter of a minute, and requests.
fn history(names: &[&str], minutes: std::ops::Range<i64>, cpu: f64) -> History {
    let mut recorder = recorder();
    for name in names {
        let number = name.as_bytes()[0] - b'a';
        let node = node(&mut recorder, name);
        recorder.capacity(node, 2.0);
        recorder.zone(node, "a");
        for minute in minutes.clone() {
            for quarter in 0..4 {
                let at = At(BEGIN + minute * MINUTE + quarter * 15_000);
                recorder.sample(node, &Metric::Cpu, at, cpu + f64::from(number) * 0.1);
                recorder.sample(node, &Metric::Named("Load 1".into()), at, 3.0);
            }
            let (at, busy) = (At(BEGIN + minute * MINUTE), Some(Span::from_millis(20)));
            let values = [("tenant", if minute % 2 == 0 { "t1" } else { "t2" })];
            recorder.requests(&Requests { at, node, route: "GET /", count: 1, failed: 0, busy, values: &values });
            let caller = Caller { service: Some("edge"), instance: Some("gw-1") };
            let route = (minute % 3 > 0).then_some("GET /");
            recorder.called(&Call { at, node, caller, route, count: 1.0 });
        }
    }
    recorder.finish("a test".into())
}

fn keep(folder: &Path, history: &History) -> Told {
    Keeper::open(folder, Limits::default()).expect("opened").keep(history).expect("kept")
}

fn back(folder: &Path) -> History {
    read(folder, None, &mut |_| ()).expect("a history")
}

/// All that is measured, as text that can be compared.
fn said(history: &History) -> String {
    let mut text = format!("{:?} {:?} {}\n", history.span, history.nodes, history.step);
    for (metric, all) in &history.series {
        for (node, series) in history.nodes.iter().zip(all) {
            let figures: Vec<_> = series.windows().filter_map(|window| Some((window, series.at(window)?))).collect();
            text.push_str(&format!("{metric:?} {} {figures:?}\n", node.name));
        }
    }
    for (number, block) in &history.traffic.blocks {
        let mut cells: Vec<_> = block.cells.iter().map(|((_, node), cell)| (*node, *cell)).collect();
        cells.sort_by_key(|(node, _)| *node);
        text.push_str(&format!("{number} {cells:?}\n"));
    }
    text
}

#[test]
fn what_is_kept_is_read_as_it_was() {
    let (folder, mut told) = (folder(), history(&["a", "b"], 0..150, 0.3));
    let at = At(BEGIN + 70 * MINUTE);
    told.happenings.push(Happening { at, kind: HappeningKind::Deploy, node: Some("a".into()), text: "v2".into() });
    assert_eq!(keep(folder.path(), &told), Told { hours: 3, ..Told::default() });
    let read = back(folder.path());
    assert_eq!(said(&read), said(&told));
    assert_eq!((&read.happenings, read.partial), (&told.happenings, false));
    let block = &read.traffic.blocks[&(BEGIN / HOUR)];
    assert_eq!(block.latency[&0].count(), 60);
    assert_eq!(block.values[&(0, 0)].top(2).len(), 2);
    let (mut calls, mut before): (Vec<_>, Vec<_>) =
        (block.calls.each().collect(), told.traffic.blocks[&(BEGIN / HOUR)].calls.each().collect());
    calls.sort_by_key(|(caller, route, node, _)| (*caller, *route, *node));
    before.sort_by_key(|(caller, route, node, _)| (*caller, *route, *node));
    assert!(calls == before && calls.len() == 4, "{calls:?}");
    assert!(read.source.contains("a test"), "{}", read.source);
}

#[test]
fn what_is_told_again_counts_once_and_what_is_told_more_fully_stands() {
    let (once, twice) = (folder(), folder());
    let whole = history(&["a", "b"], 0..120, 0.3);
    keep(once.path(), &whole);
    // As rounds of a watch tell it: each begins and ends in the midst of a window.
    for begin in [0, 7, 33, 58, 3, 61] {
        keep(twice.path(), &history(&["b", "a"], begin..(begin + 62).min(120), 0.3));
        keep(twice.path(), &history(&["a"], begin..begin + 2, 0.3));
    }
    keep(twice.path(), &whole);
    let (one, other) = (back(once.path()), back(twice.path()));
    for name in ["a", "b"] {
        let at = |history: &History| history.nodes.iter().position(|node| node.name == name).expect("it is there");
        for window in one.whole_windows() {
            for metric in [Metric::Cpu, Metric::Requests, Metric::Busy] {
                let figures = [&one, &other].map(|history| history.figure(&metric, at(history), window));
                assert_eq!(figures[0], figures[1], "{name} {metric} {window}");
            }
        }
    }
    assert_eq!(one.traffic.blocks.len(), other.traffic.blocks.len());
}

#[test]
fn a_keeper_of_rounds_writes_the_newest_hours_only() {
    let folder = folder();
    let mut keeper = Keeper::open(folder.path(), Limits::default()).expect("opened");
    assert_eq!(keeper.keep(&history(&["a"], 0..600, 0.3)).expect("kept").hours, 10);
    assert_eq!(keeper.keep(&history(&["a"], 0..605, 0.3)).expect("kept").hours, 3);
    assert_eq!(back(folder.path()).span, history(&["a"], 0..605, 0.3).span);
}

#[test]
fn windows_of_other_lengths_become_those_of_a_history() {
    let folder = folder();
    let mut short = Recorder::of_windows(Bounds::default(), Weigh::Time, 60);
    let one = node(&mut short, "a");
    for second in 0..3_600 {
        short.sample(one, &Metric::Cpu, At(BEGIN + second * 1_000), second as f64);
    }
    keep(folder.path(), &short.finish("short".into()));
    let read = back(folder.path());
    let figure = read.figure(&Metric::Cpu, 0, BEGIN / 300_000 + 1).expect("a figure");
    assert_eq!((figure.samples, figure.mean.round()), (300, 450.0));
    let mut long = history(&["a"], 60..180, 0.5);
    long.series.retain(|metric, _| *metric == Metric::Cpu);
    long.series.values_mut().flatten().for_each(|series| series.coarsen(9));
    long.step = 2_700;
    keep(folder.path(), &long);
    let read = back(folder.path());
    assert_eq!(read.step, 900, "hours that are finer are read as the coarsest");
    let means: Vec<_> = (4..12).map(|at| read.figure(&Metric::Cpu, 0, BEGIN / 900_000 + at)).collect();
    assert!(means.iter().all(|figure| figure.is_some_and(|figure| (figure.mean - 0.5).abs() < 1e-6)), "{means:?}");
}

#[test]
fn a_damaged_hour_is_left_out_and_named_and_put_aside_when_it_is_written() {
    let folder = folder();
    keep(folder.path(), &history(&["a"], 0..180, 0.3));
    let file = folder.path().join("20261122T11Z.hour");
    let whole = fs::read(&file).expect("it is there");
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    for (bytes, why) in [
        (&flipped[..], "checksum"),
        (&whole[..whole.len() / 2], "checksum"),
        (&whole[..10], "begin"),
        (&whole[..20], "cut off"),
        (b"", "begin"),
    ] {
        fs::write(&file, bytes).expect("written");
        let read = back(folder.path());
        let told = read.remarks.iter().any(|remark| remark.what.contains("T11Z") && remark.what.contains(why));
        assert!(read.partial && told, "{why}: {:?}", read.remarks);
        assert_eq!(read.figure(&Metric::Cpu, 0, BEGIN / 300_000 + 13), None);
        assert!(read.figure(&Metric::Cpu, 0, BEGIN / 300_000 + 25).is_some());
    }
    let told = keep(folder.path(), &history(&["a"], 0..180, 0.3));
    assert!(told.problems[0].contains("20261122T11Z.hour.damaged"), "{told:?}");
    assert!(!back(folder.path()).partial);
}

#[test]
fn what_a_process_left_that_died_is_removed_and_never_read() {
    let folder = folder();
    keep(folder.path(), &history(&["a"], 0..60, 0.3));
    let half = folder.path().join("20261122T11Z.hour.half");
    fs::write(&half, b"ambidex ho").expect("written");
    assert_eq!(back(folder.path()).nodes.len(), 1);
    drop(Keeper::open(folder.path(), Limits::default()).expect("opened"));
    assert!(!half.exists());
}

#[test]
fn one_process_writes_and_others_read() {
    let folder = folder();
    keep(folder.path(), &history(&["a"], 0..60, 0.3));
    let keeper = Keeper::open(folder.path(), Limits::default()).expect("opened");
    let second = Keeper::open(folder.path(), Limits::default());
    assert!(second.as_ref().is_err_and(|error| error.to_string().contains("by another process")), "{second:?}");
    assert_eq!(back(folder.path()).nodes.len(), 1);
    drop(keeper);
    assert!(Keeper::open(folder.path(), Limits::default()).is_ok());
}

#[test]
fn what_is_newer_foreign_or_missing_is_refused() {
    let folder = folder();
    let missing = read(&folder.path().join("nowhere"), None, &mut |_| ());
    assert!(missing.is_err_and(|error| error.to_string().contains("--keep")));
    fs::write(folder.path().join("letter.txt"), "Dear reader").expect("written");
    let foreign = Keeper::open(folder.path(), Limits::default());
    assert!(foreign.is_err_and(|error| error.to_string().contains("holds other things")));
    assert!(!folder.path().join("lock").exists(), "nothing is left there");
    fs::remove_file(folder.path().join("letter.txt")).expect("removed");
    keep(folder.path(), &history(&["a"], 0..60, 0.3));
    let file = folder.path().join("20261122T10Z.hour");
    let mut bytes = fs::read(&file).expect("it is there");
    bytes[12] = 2;
    fs::write(&file, &bytes).expect("written");
    let newer = read(folder.path(), None, &mut |_| ());
    assert!(newer.is_err_and(|error| error.to_string().contains("a newer ambidex (form 2)")));
    let newer = Keeper::open(folder.path(), Limits::default()).expect("opened").keep(&history(&["a"], 0..60, 0.3));
    assert!(matches!(newer, Err(KeptError::Newer { form: 2, .. })), "{newer:?}");
    fs::write(folder.path().join("ambidex-history"), "a history of ambidex, form 7\n").expect("written");
    let newer = Keeper::open(folder.path(), Limits::default());
    assert!(matches!(newer, Err(KeptError::Newer { form: 7, .. })), "{newer:?}");
}

#[test]
fn a_disk_that_cannot_be_written_loses_nothing_and_is_tried_again() {
    let folder = folder();
    let mut keeper = Keeper::open(folder.path(), Limits::default()).expect("opened");
    keeper.keep(&history(&["a"], 0..50, 0.3)).expect("kept");
    // What stands where the new file is to go makes it fail as a full disk does, whoever runs the test.
    let half = folder.path().join("20261122T10Z.hour.half");
    fs::create_dir_all(half.join("in the way")).expect("made");
    let failed = keeper.keep(&history(&["a"], 0..70, 0.3));
    assert!(matches!(failed, Err(KeptError::Write { .. })), "{failed:?}");
    assert_eq!(back(folder.path()).span, history(&["a"], 0..50, 0.3).span);
    fs::remove_dir_all(&half).expect("removed");
    assert_eq!(keeper.keep(&history(&["a"], 0..70, 0.3)).expect("kept").hours, 2);
    assert_eq!(back(folder.path()).span, history(&["a"], 0..70, 0.3).span);
}

#[test]
fn what_is_old_goes_and_what_is_too_much_gets_coarser_first() {
    let folder = folder();
    let days = |hours: i64| history(&["a", "b", "c"], 0..hours * 60, 0.3);
    let count = || Files::to_read(folder.path()).expect("there").hours().expect("listed");
    let limits = Limits { age: Span::from_secs(30 * 3_600), ..Limits::default() };
    let told = Keeper::open(folder.path(), limits).expect("opened").keep(&days(40)).expect("kept");
    assert_eq!((told.removed, count().len()), (10, 30));
    // A third of an hour's figures remain, so a little less than what there is, is a matter of some hours.
    let size = count().values().sum::<u64>();
    let limits = Limits { size: Size::bytes(size * 95 / 100), ..Limits::default() };
    let told = Keeper::open(folder.path(), limits).expect("opened").keep(&days(40)).expect("kept");
    assert!(count().values().sum::<u64>() <= limits.size.get(), "{told:?}");
    let read = back(folder.path());
    assert_eq!(read.step, 900);
    assert!(read.series[&Metric::Cpu][0].windows().count() >= 30 * 4 - 8, "{told:?}");
    let newest = super::read(folder.path(), Some(Span::from_secs(20 * 3_600)), &mut |_| ()).expect("a history");
    assert_eq!(newest.step, 300, "the newest day stays as it was");
    let limits = Limits { size: Size::bytes(1), ..Limits::default() };
    let told = Keeper::open(folder.path(), limits).expect("opened").keep(&days(40)).expect("kept");
    assert!(told.removed > 10 && count().len() == 1, "the newest hour stays: {told:?}");
}

#[test]
fn only_so_much_is_read_as_is_asked_for() {
    let folder = folder();
    keep(folder.path(), &history(&["a"], 0..600, 0.3));
    let read = read(folder.path(), Some(Span::from_secs(3 * 3_600)), &mut |_| ()).expect("a history");
    assert_eq!(read.span.expect("something").0, At(BEGIN + 360 * MINUTE));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_in_which_parts_are_kept_does_not_matter(
        parts in proptest::collection::vec((0_i64..100, 1_i64..80, 0_usize..3), 1..6),
    ) {
        let told: Vec<History> = (parts.iter())
            .map(|(begin, many, names)| history(&["a", "b", "c"][..=*names], *begin..begin + many, 0.3))
            .collect();
        let (one, other) = (folder(), folder());
        told.iter().for_each(|history| drop(keep(one.path(), history)));
        told.iter().rev().chain(&told).for_each(|history| drop(keep(other.path(), history)));
        let figures = |history: &History| {
            let mut all = Vec::new();
            for (metric, series) in &history.series {
                for (node, series) in history.nodes.iter().zip(series) {
                    let named = |window| Some(format!("{metric} {} {window} {:?}", node.name, series.at(window)?));
                    all.extend(series.windows().filter_map(named));
                }
            }
            all.sort();
            all
        };
        prop_assert_eq!(figures(&back(one.path())), figures(&back(other.path())));
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..1_000, flip in any::<u8>()) {
        let _ = form::read(&bytes, 1);
        let piece = Piece::of(&history(&["a", "b"], 0..60, 0.3), BEGIN / HOUR).expect("a piece");
        let mut whole = form::write(&piece);
        let length = whole.len();
        whole[at % length] ^= flip;
        let _ = form::read(&whole, BEGIN / HOUR);
        bytes.splice(0..0, form::write(&piece)[..24].iter().copied());
        let _ = form::read(&bytes, BEGIN / HOUR);
    }
}
