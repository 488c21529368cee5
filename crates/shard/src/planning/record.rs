//! Decisions with all that they rest on, to be written down: each record can be decided again by itself.
//!
//! A second in which the same is decided as in the one that was recorded last is not recorded. What changes is, at most 16 KiB a second in
//! the mean; what is done always is, so that nothing is done that nobody can explain.

use ambidex_core::shard::plan::{Decision, Fate, Memory, PlanConfig, Reason, Sample, Subject, decide};
use ambidex_core::time::{Mono, Span};
use serde::{Deserialize, Serialize};

/// One second's decisions of a keyspace, and all that they rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Of which keyspace.
    pub keyspace: String,
    /// When, by the mover's clock.
    pub now: Mono,
    /// Thresholds and limits.
    pub config: PlanConfig,
    /// What was remembered before.
    pub memory: Memory,
    /// How the keyspace was.
    pub sample: Sample,
    /// What was decided.
    pub decisions: Vec<Decision>,
}

impl PlanRecord {
    /// Decides again.
    #[must_use]
    pub fn again(&self) -> Vec<Decision> {
        decide(&self.config, &mut self.memory.clone(), self.now, &self.sample)
    }
}

/// Chooses what is recorded.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// What was decided when something was recorded last.
    last: Vec<(Subject, Reason, bool)>,
    /// Nothing that only changed is recorded before that.
    not_before: Mono,
}

impl Recorder {
    pub(super) fn record(
        &mut self,
        now: Mono,
        config: &PlanConfig,
        (keyspace, memory): (&str, Memory),
        sample: &Sample,
        decisions: &[Decision],
    ) -> Option<PlanRecord> {
        let key = |decision: &Decision| (decision.subject, decision.reason, decision.action.is_some());
        let decided: Vec<_> = decisions.iter().map(key).collect();
        let done = decisions.iter().any(|decision| matches!(decision.action, Some((_, Fate::Done))));
        if !done && (decided == self.last || now < self.not_before) {
            return None;
        }
        self.last = decided;
        // About what a record has in bytes, before it is made smaller.
        let size = SLICE_BYTES * (sample.slices.len() + sample.workers.len()) as u64 + EMPTY_BYTES;
        self.not_before = now + Span::from_millis(size * 1_000 / BYTES_A_SECOND);
        Some(PlanRecord {
            keyspace: keyspace.to_owned(),
            now,
            config: config.clone(),
            memory,
            sample: sample.clone(),
            decisions: decisions.to_vec(),
        })
    }
}

/// Source: measured by the test below, about 200 bytes of MessagePack with names for each slice.
const SLICE_BYTES: u64 = 200;
const EMPTY_BYTES: u64 = 4_096;
/// Source: ours; the journal of a process that is watched by nobody must not fill with one keyspace's samples.
const BYTES_A_SECOND: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use ambidex_core::shard::plan::{Action, Mode, SliceNow, WorkerNow};
    use ambidex_core::shard::records::SliceId;
    use ambidex_core::shard::space::{Point, Range};
    use ambidex_core::worker::WorkerId;

    use super::*;

    /// Two workers of which one is hot, by four slices.
    fn sample() -> Sample {
        let worker = |worker, utilization| WorkerNow {
            worker: WorkerId(worker),
            heard: true,
            healthy: true,
            utilization,
            depth: 0.0,
            depth_limit: 0.0,
            wait_p95: Span::from_micros(1_234),
            wait_objective: Span::ZERO,
        };
        let width = 1_u64 << 61;
        let slice = |place: u64| SliceNow {
            slice: SliceId(place + 1),
            range: Range::new(Point(place * width), Point(place * width + (width - 1))).expect("in order"),
            owner: WorkerId(u32::from(place >= 7) + 1),
            load: 0.13 + place as f64 / 1e9,
            forecast: None,
            bytes: 77,
            middle: Some(Point(place * width + 3)),
            last_part: 1.0 / 3.0,
            hottest: Some((Point(place * width + 5), 0.1)),
            age: Span::from_secs(9_999),
        };
        Sample {
            workers: vec![worker(1, 0.91), worker(2, 0.13)],
            slices: (0..8).map(slice).collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn a_record_that_was_written_and_read_is_decided_again_as_it_was() {
        let config = PlanConfig { mode: Mode::Auto, ..PlanConfig::default() };
        let (mut memory, mut recorder) = (Memory::default(), Recorder::default());
        let mut acted = 0;
        for second in 0..40 {
            let now = Mono::default() + Span::from_secs(second);
            let before = memory.clone();
            let sample = sample();
            let decisions = decide(&config, &mut memory, now, &sample);
            let record = recorder.record(now, &config, ("carts", before), &sample, &decisions);
            for (action, _) in decisions.iter().filter_map(|decision| decision.action) {
                acted += usize::from(matches!(action, Action::Move { .. } | Action::Split { .. }));
                memory.began(now, &sample, action);
            }
            let Some(record) = record else { continue };
            let text = serde_json::to_vec(&record).expect("it can be written");
            let read: PlanRecord = serde_json::from_slice(&text).expect("and read");
            assert_eq!(read, record);
            assert_eq!(read.again(), decisions);
        }
        assert!(acted > 0);
    }

    #[test]
    fn what_stays_as_it_is_is_recorded_once_and_what_is_done_always() {
        let (config, mut recorder) = (PlanConfig::default(), Recorder::default());
        let sample = sample();
        let mut recorded = |second, decisions: &[Decision]| {
            let now = Mono::default() + Span::from_secs(second);
            recorder.record(now, &config, ("carts", Memory::default()), &sample, decisions).is_some()
        };
        let (none, action) = (
            Decision {
                subject: Subject::Keyspace,
                action: None,
                reason: Reason::AllWell,
                load: 0.0,
                mean: 0.0,
                gain: 0.0,
            },
            Action::Split { slice: SliceId(1), at: Point(9) },
        );
        let done = Decision { action: Some((action, Fate::Done)), ..none };
        assert!(recorded(1, &[none]));
        assert!(!recorded(60, &[none]));
        assert!(recorded(61, &[done]) && recorded(61, &[done]));
    }
}
