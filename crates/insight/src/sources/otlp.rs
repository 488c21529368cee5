//! OpenTelemetry: spans and metrics, from a file as the collector's file exporter writes it, or as they are sent.
//!
//! ```text
//! {"resourceSpans": [..]}      a line an export, also packed by gzip or zstd
//! {"resourceMetrics": [..]}
//! length | protobuf            an export behind its length in four bytes, also packed one by one by zstd
//! ```
//! | what is told | what becomes of it |
//! |---|---|
//! | a span of kind server or consumer | a request of the node: when it ended, how long it took, its route, whether it failed, attributes |
//! | `http.server.request.duration` and its kin | requests by route, with the time they took and latencies |
//! | metrics of processors, memory, disks, networks, pods | figures, by the semantic conventions ([`pushed`](super::pushed)) |
//! | other spans, logs, metrics of other names | counted, and remarked |
//!
//! A node is the first of `k8s.pod.name`, `service.instance.id`, `container.name`, `container.id`, `faas.instance`, `host.name`,
//! `k8s.node.name`, `host.id` that its resource has; its peers are those of `service.name` (within `service.namespace`) and
//! `service.version`.

mod file;
mod frames;
mod lenient;
pub(crate) mod messages;
mod points;
mod resource;
mod spans;

use std::io::Read;
use std::path::PathBuf;

use super::Progress;
use super::pushed::{Dialect, Identity, Options, OptionsError, Pushed, View};
use crate::history::{At, History, Recorder};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// What the user says cannot be.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The system says why.
    #[error("{file}: cannot be read: {error}")]
    Read {
        /// The file.
        file: String,
        /// As the system says it.
        #[source]
        error: std::io::Error,
    },
    /// It is packed by what nobody here unpacks, or broken before its first line.
    #[error("{file}: {what}")]
    Packed {
        /// The file.
        file: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// It is another kind of file.
    #[error(
        "{file}, line {line}: is no export of OpenTelemetry: {why}; a line was expected as `{{\"resourceSpans\": [..]}}` or \
         `{{\"resourceMetrics\": [..]}}`, as the collector's file exporter writes it with `format: json`"
    )]
    Other {
        /// The file.
        file: String,
        /// The first line that is none.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It begins as a file of protobuf, and is none.
    #[error(
        "{file}, export {number}: is no export of OpenTelemetry: {why}; each was expected behind its length in four bytes, as the \
         collector's file exporter writes it with `format: proto`"
    )]
    OtherExport {
        /// The file.
        file: String,
        /// The first export that is none.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It has no requests and no figures.
    #[error("{file}: nothing in it is of a node: {why}")]
    Nothing {
        /// The file, or files.
        file: String,
        /// What there is instead.
        why: String,
    },
}

/// Takes spans and metrics.
#[derive(Clone, Debug)]
pub(crate) struct Otlp {
    pub(crate) pushed: Pushed,
    options: Options,
    /// Attributes that requests are told apart by, with where they may stand.
    told_apart: Vec<(String, Vec<String>)>,
    tally: Tally,
    /// A route, written again and again.
    path: String,
}

/// What was left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    other_spans: u64,
    nowhere: u64,
    timeless: u64,
    backwards: u64,
    placeless: u64,
    logs: u64,
}

/// Reads files, one after the other, all as one history. The path `-` is what comes in.
///
/// # Errors
/// When a file cannot be read, is of another kind, or says nothing of any node.
pub fn read(paths: &[PathBuf], options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, OtlpError> {
    file::read(paths, options, progress)
}

/// Reads one file from whatever can be read, which people call `name`.
///
/// # Errors
/// As [`read`].
pub fn read_from(
    name: &str,
    input: impl Read,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, OtlpError> {
    file::read_from(name, input, options, progress)
}

impl Otlp {
    /// Nothing taken yet.
    pub(crate) fn new(options: Options) -> Result<Self, OptionsError> {
        Self::of_windows(options, None)
    }

    /// The same; windows of so many seconds, at first.
    pub(crate) fn of_windows(options: Options, window: Option<u32>) -> Result<Self, OptionsError> {
        options.checked()?;
        let pushed = Pushed::new(&options, Dialect::Semantic, window);
        let told_apart = options.told_apart();
        Ok(Self { pushed, options, told_apart, tally: Tally::default(), path: String::new() })
    }

    /// Counts an export of logs.
    pub(crate) fn logs(&mut self) {
        self.tally.logs += 1;
    }

    /// Begins a new span of time; what is older than the last one goes.
    pub(crate) fn turn(&mut self, now: At) {
        self.pushed.turn(now);
    }

    /// All that was taken.
    pub(crate) fn into_recorder(mut self) -> Recorder {
        for (times, what) in self.left_out() {
            if times > 0 {
                self.pushed.remark(what, times);
            }
        }
        self.pushed.into_recorder()
    }

    fn left_out(&self) -> [(u64, String); 6] {
        let Tally { other_spans, nowhere, timeless, backwards, placeless, logs } = self.tally;
        let kinds = match self.options.view {
            View::Server => "spans of other kinds than server and consumer: no requests of a node",
            View::Client => "spans of other kinds than client and producer: no requests to a peer",
        };
        let no_node = match &self.options.node {
            Some(label) => format!("spans or metrics without `{label}`, which is to name the node: left out"),
            None => format!(
                "spans or metrics that name no node (none of {}): left out; `--node-label NAME` says which attribute does",
                spans::names(self.options.view)
            ),
        };
        [
            (other_spans, kinds.to_owned()),
            (nowhere, no_node),
            (timeless, "spans or points without a time: left out".to_owned()),
            (backwards, "spans that began after their end, or at no time: how long they took is not known".to_owned()),
            (
                placeless,
                "points of sums that do not say of which time they are, or only by how much a level moved: left out"
                    .to_owned(),
            ),
            (logs, "exports of logs: left out".to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests;
