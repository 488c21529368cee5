//! Files of the collector: an export a line, as JSON; or one behind its length ([`frames`]).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::frames::{self, Frame};
use super::messages::{Either, Metrics, Traces};
use super::{Options, Otlp, OtlpError};
use crate::history::History;
use crate::sources::Progress;
use crate::sources::packed::{Foreign, Unpacked};

pub(super) fn read(
    paths: &[PathBuf],
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, OtlpError> {
    let size = |path: &PathBuf| path.metadata().ok().filter(|_| path != Path::new("-")).map(|data| data.len());
    let mut told = Told { progress, before: 0, of: paths.iter().map(size).sum() };
    let mut otlp = Otlp::new(options.clone())?;
    for path in paths {
        let name = path.display().to_string();
        if path == Path::new("-") {
            one("standard input", io::stdin().lock(), &mut otlp, &mut told)?;
        } else {
            let file = File::open(path).map_err(|error| OtlpError::Read { file: name.clone(), error })?;
            one(&name, file, &mut otlp, &mut told)?;
        }
    }
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    whole(otlp.into_recorder().finish(names.join(", ")))
}

pub(super) fn read_from(
    name: &str,
    input: impl Read,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, OtlpError> {
    let mut otlp = Otlp::new(options.clone())?;
    one(name, input, &mut otlp, &mut Told { progress, before: 0, of: None })?;
    whole(otlp.into_recorder().finish(name.to_owned()))
}

/// A history that says something.
fn whole(history: History) -> Result<History, OtlpError> {
    if !history.nodes.is_empty() {
        return Ok(history);
    }
    let why: Vec<_> = history.remarks.iter().map(|remark| format!("{} {}", remark.times, remark.what)).collect();
    let why = if why.is_empty() { "it is empty".to_owned() } else { why.join("; ") };
    Err(OtlpError::Nothing { file: history.source, why })
}

/// Who is told how far the reading is.
struct Told<'p> {
    progress: &'p mut dyn FnMut(Progress),
    before: u64,
    of: Option<u64>,
}

impl Told<'_> {
    fn tell(&mut self, name: &str, taken: u64) {
        (self.progress)(Progress { what: name.to_owned(), done: self.before + taken, of: self.of });
    }
}

/// Lines, or exports behind their lengths, that are none; and how many are good.
#[derive(Default)]
struct Wrong {
    good: u64,
    lines: u64,
    first: Option<(u64, String)>,
}

impl Wrong {
    fn count(&mut self, number: u64, taken: Result<(), String>) {
        match taken {
            Ok(()) => self.good += 1,
            Err(why) => {
                self.lines += 1;
                self.first.get_or_insert((number, why));
            }
        }
    }

    /// Whether it is of another kind, and no hiccup of the writer's.
    const fn is_enough(&self) -> bool {
        self.lines > self.good && (self.good == 0 || self.lines >= ENOUGH_WRONG)
    }
}

fn one(name: &str, input: impl Read, otlp: &mut Otlp, told: &mut Told<'_>) -> Result<(), OtlpError> {
    let failed = |error| OtlpError::Read { file: name.to_owned(), error };
    let packed = |what| OtlpError::Packed { file: name.to_owned(), what };
    let input = Unpacked::new(input).map_err(failed)?;
    let input = input.map_err(|Foreign(tool)| {
        packed(format!("is compressed; unpack it on the way, as in `{tool} {name} | ambidex diagnose --otlp -`"))
    })?;
    let mut reader = BufReader::with_capacity(CAPACITY, input);
    let is_framed = frames::begins(&mut reader).map_err(failed)?;
    let read = if is_framed { exports } else { lines };
    let wrong = read(name, &mut reader, otlp, told).map_err(failed)?;
    told.before += reader.get_ref().taken();
    let broken = reader.get_ref().broken().map(ToString::to_string);
    match (wrong.first, broken) {
        (Some((number, why)), _) if wrong.lines > wrong.good => {
            let file = name.to_owned();
            return Err(match is_framed {
                true => OtlpError::OtherExport { file, number, why },
                false => OtlpError::Other { file, line: number, why },
            });
        }
        (None, Some(why)) if wrong.good == 0 => {
            return Err(packed(format!("{why}, and no line stands before that; fetch the file again")));
        }
        (first, broken) => {
            if let Some((number, why)) = first {
                let what = if is_framed { "export" } else { "line" };
                let what = format!("{name}, {what} {number}: is no export of OpenTelemetry: {why}: left out");
                otlp.pushed.remark(what, wrong.lines);
            }
            if let Some(why) = broken {
                otlp.pushed.lacks(format!("{name}: {why}"));
            }
        }
    }
    Ok(())
}

fn lines<R: Read>(
    name: &str,
    reader: &mut BufReader<Unpacked<R>>,
    otlp: &mut Otlp,
    told: &mut Told<'_>,
) -> io::Result<Wrong> {
    let (mut line, mut number, mut wrong) = (Vec::new(), 0, Wrong::default());
    while !wrong.is_enough() && next(reader, &mut line)? {
        number += 1;
        let text = line.trim_ascii();
        if !text.is_empty() {
            wrong.count(number, taken(text, otlp));
            told.tell(name, reader.get_ref().taken());
        }
    }
    Ok(wrong)
}

fn exports<R: Read>(
    name: &str,
    reader: &mut BufReader<Unpacked<R>>,
    otlp: &mut Otlp,
    told: &mut Told<'_>,
) -> io::Result<Wrong> {
    let (mut number, mut wrong) = (0, Wrong::default());
    while !wrong.is_enough() {
        let Some(frame) = frames::next(reader)? else { break };
        number += 1;
        let (taken, is_last) = match frame {
            Frame::Whole(export) => (frames::taken(&export, otlp), false),
            Frame::Half => (Err("it ends in the midst".to_owned()), true),
            Frame::Lost(length) => (Err(format!("it says that it has {length} bytes: what follows is not read")), true),
        };
        wrong.count(number, taken);
        told.tell(name, reader.get_ref().taken());
        if is_last {
            break;
        }
    }
    Ok(wrong)
}

/// Reads a line; of one that is too long, as much as shows that. Whether there was one.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let got = Read::by_ref(reader).take(LONGEST as u64 + 1).read_until(b'\n', line)?;
    if line.len() > LONGEST {
        reader.skip_until(b'\n')?;
    }
    Ok(got > 0)
}

/// Takes an export as JSON.
pub(super) fn taken(text: &[u8], otlp: &mut Otlp) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    if text[0] != b'{' {
        let begin: String = String::from_utf8_lossy(&text[..text.len().min(40)]).escape_debug().collect();
        return Err(format!("it begins with `{begin}`"));
    }
    let either: Either = serde_json::from_slice(text).map_err(|error| match error.is_eof() {
        true => format!("it ends in the midst ({error})"),
        false => error.to_string(),
    })?;
    let Either { resource_spans, resource_metrics, resource_logs } = either;
    if resource_spans.is_none() && resource_metrics.is_none() && resource_logs.is_none() {
        return Err("it has neither resourceSpans nor resourceMetrics".into());
    }
    if let Some(resource_spans) = resource_spans {
        otlp.traces(&Traces { resource_spans });
    }
    if let Some(resource_metrics) = resource_metrics {
        otlp.metrics(&Metrics { resource_metrics });
    }
    if resource_logs.is_some() {
        otlp.logs();
    }
    Ok(())
}

/// Bytes that are read at a time. Source: ours.
const CAPACITY: usize = 1 << 18;
/// Bytes of an export. Source: ours; eight times the collector's usual batch of 8,192 spans.
pub(super) const LONGEST: usize = 64 << 20;
/// Wrong lines that are more than the good ones, so that it is another kind of file. Source: ours.
const ENOUGH_WRONG: u64 = 10;
