//! Reads files by blocks: one thread reads, others take lines apart, and what they found is put together in the order of the file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, mpsc};
use std::thread;

use super::blocks::Blocks;
use super::line::{Reading, Wrong};
use super::settle::{self, settle};
use super::take::{Part, WrongLines};
use super::{AccessLogError, Options};
use crate::history::{Bounds, History, Recorder, Weigh};
use crate::sources::Progress;
use crate::sources::packed::{Foreign, Unpacked};

/// Reads files one after the other.
pub(super) fn files(
    paths: &[PathBuf],
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, AccessLogError> {
    let nodes = names_of(paths);
    let size = |path: &PathBuf| path.metadata().ok().filter(|_| path != Path::new("-")).map(|data| data.len());
    let of = paths.iter().map(size).sum::<Option<u64>>();
    let mut all = All::new(options, of);
    for (number, path) in paths.iter().enumerate() {
        let name = path.display().to_string();
        let node = nodes.as_ref().map(|nodes| nodes[number].as_str());
        if path == Path::new("-") {
            all.add("standard input", node, io::stdin().lock(), progress)?;
        } else {
            let file = File::open(path).map_err(|error| AccessLogError::Read { file: name.clone(), error })?;
            all.add(&name, node, file, progress)?;
        }
    }
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    Ok(all.finish(names.join(", ")))
}

/// Reads one input.
pub(super) fn input(
    name: &str,
    input: impl Read,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, AccessLogError> {
    let mut all = All::new(options, None);
    all.add(name, None, input, progress)?;
    Ok(all.finish(name.to_owned()))
}

/// What all files say together.
struct All<'o> {
    options: &'o Options,
    recorder: Option<Recorder>,
    weigh: Weigh,
    done: u64,
    of: Option<u64>,
    pace: Pace,
}

/// How a file is read.
#[derive(Clone, Copy, Debug)]
struct Pace {
    threads: usize,
    block: usize,
}

/// What one file says beside its requests.
#[derive(Default)]
struct Told {
    lines: u64,
    wrong: BTreeMap<Wrong, WrongLines>,
    nowhere: u64,
    zoneless: u64,
}

impl<'o> All<'o> {
    fn new(options: &'o Options, of: Option<u64>) -> Self {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS);
        let threads = options.threads.map_or_else(cores, NonZeroUsize::get);
        Self { options, recorder: None, weigh: Weigh::Count, done: 0, of, pace: Pace { threads, block: BLOCK } }
    }

    fn add(
        &mut self,
        name: &str,
        node: Option<&str>,
        input: impl Read,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), AccessLogError> {
        let failed = |error| AccessLogError::Read { file: name.to_owned(), error };
        let input = Unpacked::new(input).map_err(failed)?;
        let input = input.map_err(|Foreign(tool)| AccessLogError::Compressed { file: name.to_owned(), tool })?;
        let mut blocks = Blocks::new(input, self.pace.block);
        let mut head = Vec::new();
        blocks.next(&mut head).map_err(failed)?;
        if let Some(why) = blocks.input.broken().filter(|_| head.is_empty()) {
            return Err(AccessLogError::Broken { file: name.to_owned(), why: why.to_string() });
        }
        let reading = settle(&settle::File { name, head: &head, node }, self.options)?;
        if self.recorder.is_none() {
            self.weigh = if reading.timed { Weigh::Time } else { Weigh::Count };
        }
        let (bounds, weigh) = (self.options.bounds, self.weigh);
        let recorder = self.recorder.get_or_insert_with(|| Recorder::new(bounds, weigh));
        let mut told = Told::default();
        let (before, of) = (self.done, self.of);
        let mut tell = |read: u64| progress(Progress { what: name.to_owned(), done: before + read, of });
        let settled = Settled { reading: &reading, bounds, weigh };
        self.pace.read(&settled, head, &mut blocks, &mut |part| told.add(part, recorder), &mut tell).map_err(failed)?;
        self.done += blocks.input.taken();
        told.finish(name, &reading, recorder);
        if let Some(broken) = blocks.input.broken() {
            recorder.lacks(format!("{name}: {broken}"));
        }
        Ok(())
    }

    fn finish(self, name: String) -> History {
        let (bounds, weigh) = (self.options.bounds, self.weigh);
        self.recorder.unwrap_or_else(|| Recorder::new(bounds, weigh)).finish(name)
    }
}

/// What each part is read by.
#[derive(Clone, Copy)]
struct Settled<'r> {
    reading: &'r Reading,
    bounds: Bounds,
    weigh: Weigh,
}

impl<'r> Settled<'r> {
    fn part(&self, block: &[u8]) -> Part<'r> {
        let mut part = Part::new(self.reading, self.bounds, self.weigh);
        part.block(block);
        part
    }
}

impl Pace {
    /// Reads all blocks, the first of which is `head`; `take` gets the parts in order.
    fn read<'r, R: Read>(
        self,
        settled: &Settled<'r>,
        head: Vec<u8>,
        blocks: &mut Blocks<Unpacked<R>>,
        take: &mut dyn FnMut(Part<'r>),
        tell: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        let (send, waiting) = mpsc::sync_channel::<(u64, Vec<u8>)>(self.threads);
        let waiting = Mutex::new(waiting);
        let (done, parts) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.threads {
                let (done, waiting) = (done.clone(), &waiting);
                scope.spawn(move || {
                    while let Some((number, block)) = waiting.lock().ok().and_then(|waiting| waiting.recv().ok()) {
                        if done.send((number, settled.part(&block), block)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            // The sender ends with this scope's body, and with it the threads.
            let send = send;
            let mut line = Line { sent: 0, taken: 0, early: BTreeMap::new() };
            let (mut next, mut more) = (head, true);
            while more || line.taken < line.sent {
                if more && line.sent - line.taken < 2 * self.threads as u64 {
                    if send.send((line.sent, std::mem::take(&mut next))).is_err() {
                        return Err(io::Error::other("a thread that took lines apart has ended"));
                    }
                    line.sent += 1;
                    more = blocks.next(&mut next)?;
                    tell(blocks.input.taken());
                    continue;
                }
                let (number, part, block) =
                    parts.recv().map_err(|_| io::Error::other("a thread that took lines apart has ended"))?;
                if next.is_empty() {
                    next = block;
                }
                line.early.insert(number, part);
                while let Some(part) = line.early.remove(&line.taken) {
                    take(part);
                    line.taken += 1;
                }
            }
            Ok(())
        })
    }
}

/// Blocks on their way.
struct Line<'r> {
    sent: u64,
    taken: u64,
    /// Parts that came before an earlier one.
    early: BTreeMap<u64, Part<'r>>,
}

impl Told {
    fn add(&mut self, part: Part<'_>, recorder: &mut Recorder) {
        for (wrong, mut lines) in part.wrong {
            lines.first += self.lines;
            match self.wrong.get_mut(&wrong) {
                Some(known) => known.times += lines.times,
                None => drop(self.wrong.insert(wrong, lines)),
            }
        }
        self.lines += part.lines;
        self.nowhere += part.nowhere;
        self.zoneless += part.zoneless;
        recorder.merge(part.recorder);
    }

    /// Says what the reader of the report must know of the file.
    fn finish(self, name: &str, reading: &Reading, recorder: &mut Recorder) {
        for granted in &reading.granted {
            recorder.remark(granted.clone());
        }
        for lines in self.wrong.into_values() {
            let WrongLines { times, first, excerpt, expected } = lines;
            let what = format!("{name}, line {first}: expected {expected}, found `{excerpt}`: left out");
            recorder.remark_times(what, times);
        }
        if self.nowhere > 0 {
            recorder.remark_times(format!("{name}: lines that no server had a part in"), self.nowhere);
        }
        if self.zoneless > 0 {
            let zone = match reading.offset {
                0 => "UTC".to_owned(),
                minutes => format!("UTC and {minutes} minutes"),
            };
            recorder.remark_times(format!("{name}: times without a zone, taken for {zone}"), self.zoneless);
        }
    }
}

/// What nodes are called whose files these are; `None` where the files' names do not tell them apart.
fn names_of(paths: &[PathBuf]) -> Option<Vec<String>> {
    let stems: Vec<String> = paths.iter().map(|path| stem(path)).collect();
    if differ(&stems) {
        return Some(stems);
    }
    let folder =
        |path: &PathBuf| path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    paths.iter().map(folder).collect::<Option<Vec<_>>>().filter(|folders| differ(folders))
}

/// A file's name without what rotation adds: `web1.log.2.gz` and `web1.log-20261122` are of `web1`.
fn stem(path: &Path) -> String {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let undated = |name: &str| match name.rsplit_once(['-', '.']) {
        Some((rest, date)) if date.len() == 8 && digits(date) => rest.to_owned(),
        Some(_) | None => name.to_owned(),
    };
    let name = [".gz", ".zst", ".xz"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let name = match name.rsplit_once('.') {
        Some((rest, number)) if digits(number) && rest.ends_with(".log") => rest,
        Some(_) | None => name,
    };
    let name = undated(name);
    let name = [".log", ".txt", ".json", ".jsonl"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    undated(name)
}

fn differ(names: &[String]) -> bool {
    names.iter().any(|name| *name != names[0])
}

/// Bytes that threads take at a time. Source: ours; some ten thousand lines.
const BLOCK: usize = 4 << 20;
/// Source: ours; one thread reads and puts together, and cannot feed more.
const MOST_THREADS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Block, Metric};

    #[test]
    fn files_are_told_apart_by_what_rotation_does_not_change() {
        let names = |paths: &[&str]| names_of(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        let of = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["/l/web-1.log", "/l/web-2.log.1", "/l/web-2.log.2.gz"]), of(&["web-1", "web-2", "web-2"]));
        assert_eq!(names(&["/l/10.0.0.1.log", "/l/10.0.0.2.log-20261122"]), of(&["10.0.0.1", "10.0.0.2"]));
        assert_eq!(names(&["/a/access.log", "/b/access.log"]), of(&["a", "b"]));
        assert_eq!(names(&["/l/access.log", "/l/access.log.1"]), None);
        assert_eq!(names(&["-"]), None);
    }

    /// Lines of three servers over two hours.
    fn log(lines: usize) -> String {
        let line = |number: usize| {
            let (minute, second, node) = (number * 120 / lines, number % 60, number * number % 7 % 3);
            format!(
                "10.0.{}.9 [22/Nov/2026:{:02}:{:02}:{second:02} +0000] \"GET /u/{number}/{} HTTP/1.1\" {} 10.0.1.{node}:80 0.0{}\n",
                number % 5,
                10 + minute / 60,
                minute % 60,
                number % 4,
                if number.is_multiple_of(50) { 502 } else { 200 },
                10 + number % 80,
            )
        };
        (0..lines).map(line).collect()
    }

    fn history(text: &str, pace: Pace) -> History {
        let format =
            "$remote_addr [$time_local] \"$request\" $status $upstream_addr $request_time".parse().expect("a format");
        let options = Options { format: Some(format), ..Options::default() };
        let mut all = All::new(&options, None);
        all.pace = pace;
        all.add("log", None, text.as_bytes(), &mut |_| {}).expect("a log");
        all.finish("log".into())
    }

    #[test]
    fn parts_that_threads_take_say_what_one_reader_says() {
        let text = log(40_000);
        let whole = history(&text, Pace { threads: 1, block: 1 << 30 });
        let parts = history(&text, Pace { threads: 3, block: 0 });
        let again = history(&text, Pace { threads: 1, block: 0 });
        assert!(text.len() > 3 * super::super::LONGEST_LINE, "more than one block");
        assert_eq!(whole.nodes, parts.nodes);
        assert_eq!(whole.traffic.routes, parts.traffic.routes);
        for (number, block) in &whole.traffic.blocks {
            let other = &parts.traffic.blocks[number];
            assert_eq!(block.cells.len(), other.cells.len());
            for (at, cell) in &block.cells {
                let (theirs, busy) = (other.cells[at], other.cells[at].busy);
                assert_eq!((cell.requests, cell.failed, cell.timed), (theirs.requests, theirs.failed, theirs.timed));
                assert!((cell.busy - busy).abs() < 1e-6 && cell.requests > 0);
            }
            assert_eq!(block.latency, other.latency);
            let clients = |block: &Block| {
                let top =
                    block.values[&(0, 0)].top(9).into_iter().map(|(client, weight)| format!("{client} {weight:.6}"));
                top.collect::<Vec<_>>()
            };
            assert_eq!(clients(block), clients(other));
        }
        for node in 0..3 {
            for window in parts.whole_windows() {
                let rate = |history: &History| history.figure(&Metric::Requests, node, window);
                assert_eq!((rate(&whole), rate(&parts)), (rate(&parts), rate(&again)));
            }
        }
    }

    #[test]
    fn lines_are_numbered_through_all_blocks() {
        let mut text = log(20_000);
        text.push_str("what is this\n");
        text.push_str(&log(2));
        text.push_str("10.0.0.9 [22/Nov/2026:10:00");
        let history = history(&text, Pace { threads: 2, block: 0 });
        let said =
            |part: &str| history.remarks.iter().find(|remark| remark.what.contains(part)).map(|remark| remark.times);
        assert_eq!(
            said("log, line 20001: expected ` [` after $remote_addr, found `what is this`"),
            Some(1),
            "{:?}",
            history.remarks
        );
        assert_eq!(said("log, line 20004: expected a whole line"), Some(1), "{:?}", history.remarks);
    }
}
