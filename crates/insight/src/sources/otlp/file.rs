//! Files of the collector: an export a line, as JSON.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

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

/// Lines that are none.
#[derive(Default)]
struct Wrong {
    lines: u64,
    first: Option<(u64, String)>,
}

fn one(name: &str, input: impl Read, otlp: &mut Otlp, told: &mut Told<'_>) -> Result<(), OtlpError> {
    let failed = |error| OtlpError::Read { file: name.to_owned(), error };
    let packed = |what| OtlpError::Packed { file: name.to_owned(), what };
    let input = Unpacked::new(input).map_err(failed)?;
    let input = input.map_err(|Foreign(tool)| {
        packed(format!("is compressed; unpack it on the way, as in `{tool} {name} | ambidex diagnose --otlp -`"))
    })?;
    let mut reader = BufReader::with_capacity(CAPACITY, input);
    let (mut line, mut number, mut good, mut wrong) = (Vec::new(), 0, 0_u64, Wrong::default());
    while next(&mut reader, &mut line).map_err(failed)? {
        number += 1;
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match taken(text, otlp) {
            Ok(()) => good += 1,
            Err(why) => {
                wrong.lines += 1;
                wrong.first.get_or_insert((number, why));
                // Of another kind, and no hiccup of the writer's.
                if wrong.lines > good && (good == 0 || wrong.lines >= ENOUGH_WRONG) {
                    break;
                }
            }
        }
        (told.progress)(Progress { what: name.to_owned(), done: told.before + reader.get_ref().taken(), of: told.of });
    }
    told.before += reader.get_ref().taken();
    let broken = reader.get_ref().broken().map(ToString::to_string);
    match (wrong.first, broken) {
        (Some((line, why)), _) if wrong.lines > good => {
            return Err(OtlpError::Other { file: name.to_owned(), line, why });
        }
        (None, Some(why)) if good == 0 => {
            return Err(packed(format!("{why}, and no line stands before that; fetch the file again")));
        }
        (first, broken) => {
            if let Some((line, why)) = first {
                let what = format!("{name}, line {line}: is no export of OpenTelemetry: {why}: left out");
                otlp.pushed.remark(what, wrong.lines);
            }
            if let Some(why) = broken {
                otlp.pushed.lacks(format!("{name}: {why}"));
            }
        }
    }
    Ok(())
}

/// Reads a line; of one that is too long, as much as shows that. Whether there was one.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let got = Read::by_ref(reader).take(LONGEST_LINE as u64 + 1).read_until(b'\n', line)?;
    if line.len() > LONGEST_LINE {
        reader.skip_until(b'\n')?;
    }
    Ok(got > 0)
}

fn taken(text: &[u8], otlp: &mut Otlp) -> Result<(), String> {
    if text.len() > LONGEST_LINE {
        return Err(format!("it is longer than {LONGEST_LINE} bytes"));
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
/// Bytes of a line. Source: ours; eight times the collector's usual batch of 8,192 spans.
const LONGEST_LINE: usize = 64 << 20;
/// Wrong lines that are more than the good ones, so that it is another kind of file. Source: ours.
const ENOUGH_WRONG: u64 = 10;
