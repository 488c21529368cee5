//! What happened to slices, for the journal and for metrics: told once, by who leads the map.

use serde::{Deserialize, Serialize};

use crate::status::EndedStatus;

/// A step of a move that somebody will want to read about later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ShardTold")]
pub struct Told {
    /// Of which keyspace.
    pub keyspace: String,
    /// What.
    pub step: Step,
    /// The move's number.
    #[serde(rename = "move")]
    pub id: String,
    /// The slice.
    pub slice: String,
    /// Who had it.
    pub from: String,
    /// Who is to have it, or has it now.
    pub to: String,
    /// Why it was aborted.
    pub why: Option<String>,
    /// Entries that were handed over so far.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Since it began, in milliseconds.
    pub millis: u64,
    /// For how long writes to the slice waited, in milliseconds.
    pub pause_millis: Option<f64>,
}

/// Which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ShardStep")]
pub enum Step {
    /// It is to be stored that the slice is in this move.
    Begun,
    /// The target owns the slice.
    Committed,
    /// The source owns the slice as before.
    Aborted,
}

/// How often what happened since this process began to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardCounts")]
pub struct Counts {
    /// Moves that began.
    pub begun: u64,
    /// Moves that were committed.
    pub committed: u64,
    /// Moves that were aborted, by reason.
    pub aborted: std::collections::BTreeMap<&'static str, u64>,
    /// Entries that moves handed over, by those that are over.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

impl Told {
    /// A step, by how the move stands.
    pub(crate) fn of(keyspace: &str, step: Step, stands: &EndedStatus) -> Self {
        let EndedStatus { id, slice, from, to, end: _, why, entries, bytes, millis, pause_millis } = stands.clone();
        let (keyspace, why) = (keyspace.to_owned(), why.map(str::to_owned));
        Self { keyspace, step, id, slice, from, to, why, entries, bytes, millis, pause_millis }
    }

    /// The same in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { id, slice, from, to, entries, millis, .. } = self;
        let pause = self.pause_millis.map_or(String::new(), |pause| format!("; its writes waited {pause:.0} ms"));
        match self.step {
            Step::Begun => format!("slice {slice} begins to move from {from} to {to} (move {id})"),
            Step::Committed => {
                format!("slice {slice} moved from {from} to {to}: {entries} entries in {millis} ms{pause} (move {id})")
            }
            Step::Aborted => {
                let why = self.why.as_deref().unwrap_or("unknown");
                format!("slice {slice} stays with {from}: its move to {to} was aborted ({why}){pause} (move {id})")
            }
        }
    }

    /// Whether somebody should be told at once.
    #[must_use]
    pub fn alerts(&self) -> bool {
        match self.step {
            Step::Begun | Step::Committed => false,
            // What an operator aborted, and what went with a coordinator, is nobody's fault.
            Step::Aborted => !matches!(self.why.as_deref(), Some("operator" | "taken_over")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_who_has_the_slice_now() {
        let told = |step, why: Option<&str>| Told {
            keyspace: "carts".to_owned(),
            step,
            id: "07".to_owned(),
            slice: "01".to_owned(),
            from: "a".to_owned(),
            to: "b".to_owned(),
            why: why.map(str::to_owned),
            entries: 9,
            bytes: 900,
            millis: 120,
            pause_millis: (step == Step::Committed).then_some(4.0),
        };
        let moved = "slice 01 moved from a to b: 9 entries in 120 ms; its writes waited 4 ms (move 07)";
        assert_eq!(told(Step::Committed, None).sentence(), moved);
        let stays = "slice 01 stays with a: its move to b was aborted (differs) (move 07)";
        assert_eq!(told(Step::Aborted, Some("differs")).sentence(), stays);
        let alerts = ["differs", "operator", "taken_over"].map(|why| told(Step::Aborted, Some(why)).alerts());
        assert_eq!(alerts, [true, false, false]);
    }
}
