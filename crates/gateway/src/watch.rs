//! Who is told of finished requests: access log, recording and trace export, as one thing that a reload changes as a
//! whole.

use std::rc::Rc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use ambidex_tower::Clock;

use crate::access_log::{self, FLUSH_EACH, Log, LogError, LogStats, Pen};
use crate::config::GatewayConfig;
use crate::recording::{self, Recorder, RecordingStats, Reel};
use crate::trace::export::{self, Exporter, TraceStats};

/// Access log, recording and trace export of the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    log: Option<Log>,
    recorder: Option<Recorder>,
    exporter: Option<Exporter>,
}

/// Tells when log, recorder and exporter of a [`Watch`] have ended.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    log: Option<access_log::Ended>,
    recorder: Option<recording::Ended>,
    exporter: Option<export::Ended>,
}

/// Why requests cannot be watched as configured.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The access log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The recorder has no thread.
    #[error("record: its thread could not be started: {0}")]
    Recorder(std::io::Error),
    /// The exporter has no thread.
    #[error("tracing: its thread could not be started: {0}")]
    Thread(std::io::Error),
}

impl Watch {
    /// What `config` wants; what stays the same goes on. `ends` tells of what this returns.
    pub(crate) fn changed(&self, config: &GatewayConfig, clock: Clock, ends: &mut Ends) -> Result<Self, WatchError> {
        let log = match (&config.access_log, &self.log) {
            (None, _) => None,
            (Some(wanted), Some(log)) if log.config() == wanted => Some(log.clone()),
            (Some(wanted), _) => {
                let (log, ended) = Log::open(wanted)?;
                ends.log = Some(ended);
                Some(log)
            }
        };
        let recorder = match (&config.record, &self.recorder) {
            (None, _) => None,
            (Some(wanted), Some(recorder)) if recorder.config() == wanted => Some(recorder.clone()),
            (Some(wanted), _) => {
                let (recorder, ended) = Recorder::start(wanted, clock).map_err(WatchError::Recorder)?;
                ends.recorder = Some(ended);
                Some(recorder)
            }
        };
        let exporter = match (&config.tracing, &self.exporter) {
            (None, _) => None,
            (Some(wanted), Some(exporter)) if exporter.config() == wanted => Some(exporter.clone()),
            (Some(wanted), _) => {
                let (exporter, ended) = Exporter::start(wanted).map_err(WatchError::Thread)?;
                ends.exporter = Some(ended);
                Some(exporter)
            }
        };
        Ok(Self { log, recorder, exporter })
    }

    /// Opens the log's file again.
    pub(crate) fn reopen(&self) {
        self.log.iter().for_each(Log::reopen);
    }

    /// For one thread; `None` when nobody watches. To be called in the thread's runtime.
    pub(crate) fn observer(&self) -> Option<Rc<Observer>> {
        let Self { log, recorder, exporter } = self;
        if log.is_none() && recorder.is_none() && exporter.is_none() {
            return None;
        }
        let (pen, reel) = (log.as_ref().map(Log::pen), recorder.as_ref().map(Recorder::reel));
        let observer = Rc::new(Observer { pen, reel, exporter: exporter.clone() });
        if observer.pen.is_some() || observer.reel.is_some() {
            let weak = Rc::downgrade(&observer);
            tokio::task::spawn_local(async move {
                while let Some(observer) = weak.upgrade() {
                    observer.pen.iter().for_each(Pen::flush);
                    observer.reel.iter().for_each(|reel| reel.flush());
                    drop(observer);
                    tokio::time::sleep(FLUSH_EACH).await;
                }
            });
        }
        Some(observer)
    }

    /// The numbers of now.
    pub(crate) fn stats(&self) -> (LogStats, RecordingStats, TraceStats) {
        let log = self.log.as_ref().map(Log::stats).unwrap_or_default();
        let recording = self.recorder.as_ref().map(Recorder::stats).unwrap_or_default();
        (log, recording, self.exporter.as_ref().map(Exporter::stats).unwrap_or_default())
    }
}

impl Ends {
    /// Tells of what is in `newer`, too; what that replaces ends by itself.
    pub(crate) fn take_over(&mut self, newer: Self) {
        self.log = newer.log.or(self.log.take());
        self.recorder = newer.recorder.or(self.recorder.take());
        self.exporter = newer.exporter.or(self.exporter.take());
    }

    /// Waits until all is written and sent, for a while: a pipe that nobody reads must not keep the process.
    pub(crate) fn wait(&self) {
        for ended in self.log.iter().chain(&self.recorder).chain(&self.exporter) {
            if ended.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!(
                    "some lines of the access log, of the recording or spans are lost, since nobody takes them"
                );
            }
        }
    }
}

/// One thread's share of a [`Watch`].
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) pen: Option<Pen>,
    pub(crate) reel: Option<Rc<Reel>>,
    pub(crate) exporter: Option<Exporter>,
}

/// How long the end waits for each. Source: well under the time that process supervisors give after SIGTERM.
const LAST_WORDS: Duration = Duration::from_secs(2);
