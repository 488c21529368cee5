//! Asking: one question to the query API, and many over a range in parts, a few at once.
//!
//! ```text
//! queue of jobs -> four tasks: a part of one job, then its next -> a channel that holds four answers -> who records them
//!
//! part      30 points -> so many that 200,000 values come, at most 10,000
//! no answer -> half as many points, at least 10; three times, then the job ends where it is
//! ```
//! The channel is short on purpose: who records slowly is not overrun, and no more answers than that are in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_core::time::Span;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use super::answer::{self, Labels, Told, Untold};
use super::who::{Owners, Who};
use crate::history::{At, Metric};
use crate::sources::fetch::{FetchError, Site};

/// The query API at one place.
pub(super) struct Api {
    site: Site,
    /// Jobs in a row that got no answer at all.
    silent: AtomicU32,
}

/// Why there is no answer to a question.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Untold(#[from] Untold),
}

/// From when to when is asked, and at which points: whole multiples of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) begin: At,
    pub(super) end: At,
    pub(super) step: Span,
}

/// One query over the range.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// As remarks call it.
    pub(super) name: String,
    pub(super) promql: String,
    pub(super) factor: f64,
    pub(super) into: Use,
    pub(super) who: Arc<Who>,
    pub(super) owners: Arc<Owners>,
}

/// What becomes of values.
#[derive(Clone, Debug)]
pub(super) enum Use {
    Of(Metric),
    Capacity,
    Calls(Callers),
}

/// Which labels say who sends requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Callers {
    pub(super) instance: Option<String>,
    /// Joined by `/`.
    pub(super) service: Vec<String>,
}

impl Callers {
    /// Service and instance, as labels say them.
    pub(super) fn of(&self, labels: &Labels) -> (Option<String>, Option<String>) {
        let parts: Vec<&str> = self.service.iter().filter_map(|label| labels.get(label)).map(String::as_str).collect();
        let service = (!parts.is_empty()).then(|| parts.join("/"));
        (service, self.instance.as_ref().and_then(|label| labels.get(label)).cloned())
    }
}

/// What came of a part of a job; a failure is its last.
pub(super) struct Part {
    pub(super) job: Arc<Job>,
    /// Points of time that are done with.
    pub(super) points: u64,
    pub(super) told: Result<Told, String>,
}

/// Parts as they come; asking ends when this is dropped.
pub(super) struct Asked {
    parts: Receiver<Part>,
    _tasks: JoinSet<()>,
}

impl Asked {
    pub(super) async fn next(&mut self) -> Option<Part> {
        self.parts.recv().await
    }
}

impl Range {
    /// What ends at `now`.
    pub(super) fn of(now: At, since: Span, step: Span) -> Self {
        let millis = |span: Span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let (step_millis, since) = (millis(step).max(1), millis(since));
        let floor = |at: i64| at.div_euclid(step_millis) * step_millis;
        Self { begin: At(floor(now.0.saturating_sub(since))), end: At(floor(now.0)), step }
    }

    /// How many points it has.
    pub(super) fn points(&self) -> u64 {
        let length = u64::try_from(self.end.0 - self.begin.0).unwrap_or(0);
        length / self.step.as_millis().max(1) + 1
    }

    /// So many points from a point on, or what is left of them.
    fn part(&self, from: u64, points: u64) -> Self {
        let at = |point: u64| {
            let millis = i64::try_from(point * self.step.as_millis()).unwrap_or(i64::MAX);
            At(self.begin.0.saturating_add(millis).min(self.end.0))
        };
        Self { begin: at(from), end: at(from + points.max(1) - 1), step: self.step }
    }
}

impl Api {
    pub(super) fn new(site: Site) -> Self {
        Self { site, silent: AtomicU32::new(0) }
    }

    pub(super) fn shown(&self) -> String {
        self.site.shown().to_owned()
    }

    /// The values of a moment.
    pub(super) async fn instant(&self, promql: &str, at: At) -> Result<Told, Failed> {
        let (time, within) = (seconds(at), self.within());
        let query = [("query", promql), ("time", &time), ("timeout", &within)];
        Ok(answer::read(&self.site.get("/api/v1/query", &query).await?)?)
    }

    async fn range(&self, promql: &str, part: Range) -> Result<Told, Failed> {
        let step = format!("{}", part.step.as_secs_f64());
        let (start, end, within) = (seconds(part.begin), seconds(part.end), self.within());
        let query = [("query", promql), ("start", &start), ("end", &end), ("step", &step), ("timeout", &within)];
        Ok(answer::read(&self.site.get("/api/v1/query_range", &query).await?)?)
    }

    /// What the server is told to give up after: the same as we.
    fn within(&self) -> String {
        super::words::length(self.site.within())
    }
}

impl Failed {
    fn passes(&self) -> bool {
        match self {
            Self::Fetch(error) => error.passes(),
            Self::Untold(untold) => untold.passes(),
        }
    }
}

/// Asks all jobs, a few at once.
pub(super) fn all(api: &Arc<Api>, range: Range, jobs: Vec<Job>) -> Asked {
    let queue: Arc<Mutex<VecDeque<Arc<Job>>>> = Arc::new(Mutex::new(jobs.into_iter().map(Arc::new).collect()));
    let (sender, parts) = channel(AT_ONCE);
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (api, queue, sender) = (Arc::clone(api), Arc::clone(&queue), sender.clone());
        tasks.spawn(async move {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(job) = next() {
                if ask(&api, range, &job, &sender).await.is_none() {
                    return;
                }
            }
        });
    }
    Asked { parts, _tasks: tasks }
}

/// Asks one job to its end; `None` when nobody wants more.
async fn ask(api: &Api, range: Range, job: &Arc<Job>, sender: &Sender<Part>) -> Option<()> {
    let (all, mut done, mut points, mut failures) = (range.points(), 0, FIRST_POINTS, 0);
    let part = |points, told| Part { job: Arc::clone(job), points, told };
    while done < all {
        if api.silent.load(Relaxed) >= MOST_SILENT {
            let why = format!("{}: not asked any more: {MOST_SILENT} queries in a row got no answer", job.name);
            return sender.send(part(all - done, Err(why))).await.ok();
        }
        let asked = points.min(all - done);
        match api.range(&job.promql, range.part(done, asked)).await {
            Ok(told) => {
                api.silent.store(0, Relaxed);
                points = fitting(told.rows.len());
                (done, failures) = (done + asked, 0);
                sender.send(part(asked, Ok(told))).await.ok()?;
            }
            Err(failed) if failed.passes() && failures < MOST_FAILURES => {
                failures += 1;
                points = (asked / 2).max(LEAST_POINTS);
                if matches!(failed, Failed::Untold(Untold::Busy { .. })) {
                    tokio::time::sleep(PAUSE * failures).await;
                }
            }
            Err(failed) => {
                if matches!(failed, Failed::Fetch(_)) {
                    api.silent.fetch_add(1, Relaxed);
                }
                let after = if done == 0 { String::new() } else { format!(" after {done} of {all} points") };
                let why = format!("{}: left out{after}: {failed}", job.name);
                return sender.send(part(all - done, Err(why))).await.ok();
            }
        }
    }
    Some(())
}

/// How many points of so many series an answer may have.
fn fitting(series: usize) -> u64 {
    (MOST_VALUES / (series as u64).max(1)).clamp(LEAST_POINTS, MOST_POINTS)
}

fn seconds(at: At) -> String {
    format!("{}.{:03}", at.0.div_euclid(1_000), at.0.rem_euclid(1_000))
}

/// Source: ours; a Prometheus has twenty by default, for all who ask.
const AT_ONCE: usize = 4;
/// Of a first part, whose series nobody has counted. Source: ours; 20,000 series of them are 20 MB.
const FIRST_POINTS: u64 = 30;
/// Source: ours; fewer cost more questions than they spare.
const LEAST_POINTS: u64 = 10;
/// Source: Prometheus refuses more than 11,000.
const MOST_POINTS: u64 = 10_000;
/// Of an answer. Source: ours; some 6 MB of text.
const MOST_VALUES: u64 = 200_000;
/// Of a part. Source: ours.
const MOST_FAILURES: u32 = 3;
/// Jobs in a row without an answer at all, after which no other is asked. Source: ours; as many as are asked at once.
const MOST_SILENT: u32 = 4;
/// Before a server that has too much to do is asked again; longer each time. Source: ours.
const PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_at_multiples_of_the_step_and_parts_cover_all_of_them() {
        let range = Range::of(At(1_000_061_000), Span::from_secs(600), Span::from_secs(30));
        assert_eq!((range.begin.0 % 30_000, range.end.0 % 30_000), (0, 0));
        assert_eq!(range.points(), 21);
        let (first, last) = (range.part(0, 10), range.part(20, 10));
        assert_eq!((first.begin, first.points()), (range.begin, 10));
        assert_eq!((last.begin, last.end), (range.end, range.end));
        assert_eq!(range.part(10, 10).begin.0, first.end.0 + 30_000);
    }

    #[test]
    fn a_part_is_shorter_the_more_series_there_are() {
        assert_eq!([0, 1, 200, 10_000, 1_000_000].map(fitting), [10_000, 10_000, 1_000, 20, 10]);
    }

    #[test]
    fn moments_are_seconds_with_three_digits() {
        assert_eq!(seconds(At(1_700_000_000_050)), "1700000000.050");
    }
}
