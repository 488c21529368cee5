//! Reasons and actions in words, for people.

use ambidex_core::shard::plan::{Action, Reason};
use ambidex_core::shard::records::SliceId;
use ambidex_core::worker::WorkerId;

use crate::conducting::shown;
use crate::plan::ActionText;

/// Why something is done, or not.
pub(crate) const fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::WorkerHot => "it takes load off a worker that is hot",
        Reason::OutOfBalance => "it takes load off a worker that has much more than the mean",
        Reason::SliceHot => "one slice is too much of its worker",
        Reason::KeyHot => "one key is too much of its slice or worker",
        Reason::Scheduled => "a plan for this time of the day is due",
        Reason::Forecast => "a forecast says that it will be hot",
        Reason::Cold => "neighbours have been cold for long",
        Reason::NeverSmall => "its keys are written faster than they are copied",
        Reason::AllWell => "all workers are cool and level",
        Reason::MetricsMissing => "under 95 % of the workers have said how they are: see which, and why, below",
        Reason::TooManyUnhealthy => "over 20 % of the workers are unhealthy or drained: first they must be well",
        Reason::Deploying => "a drain is running: nothing else is moved meanwhile",
        Reason::StoreSlow => "the metadata store takes over 100 ms for its slowest changes",
        Reason::SwitchedOff => {
            "two moves in a row gained under half of what they promised: automation is off for a while"
        }
        Reason::PatternFasterThanRebalance => "what is hot changes faster than slices can be moved",
        Reason::CostsMore => "it would not gain three times what it costs",
        Reason::NoRoom => "no other worker has room for it: add workers, or give the keys less to do",
        Reason::Overshoots => "each slice, and each swap, would make another worker as hot",
        Reason::TooSmall => "its slices are each too small to matter",
        Reason::Moving => "it is in a move, or its worker has one under way",
        Reason::Resting => "its slice was moved in the last five minutes",
        Reason::Frozen => "it went back and forth, and stays where it is for a while",
        Reason::BackAndForth => "it would be back where it was within half an hour: it is frozen instead",
        Reason::PairBusy => "these two workers have a move between them",
        Reason::WorkerBusy => "this worker has as many moves as it may",
        Reason::AllBusy => "as many workers as may be have moves",
        Reason::MinuteSpent => "9 % of the load was moved in this minute",
        Reason::TickSpent => "as many splits and merges as may be were done in this second",
        Reason::SliceCap => "the keyspace has 64 slices for each worker, which is as many as are split by itself",
        Reason::OrderPerShard => "`ordering: per_shard` keeps the order of a slice's writes, which a split would lose",
        Reason::MonotoneKeys => {
            "new keys are always the last ones, so a split helps only the past: hash a prefix of the key"
        }
        Reason::OneKey => "one key is all of it, so there is nothing to split",
        Reason::KeyTooHot => "one key alone takes over 60 % of a worker: no move helps it",
        Reason::SaltWanted => "one key alone takes over 60 % of a worker: salting would help, and is not there yet",
    }
}

/// An action, with what workers are called.
pub(super) fn told(action: Action, name: impl Fn(WorkerId) -> String) -> ActionText {
    let of = |SliceId(slice)| shown(slice);
    let text = |what, slice, words| ActionText { what, slice, to: None, at: None, other: None, words };
    match action {
        Action::Move { slice, from, to } => {
            let words = format!("move slice {} from {} to {}", of(slice), name(from), name(to));
            ActionText { to: Some(name(to)), ..text("move", of(slice), words) }
        }
        Action::Swap { slice, from, to, back } => {
            let (slice, back) = (of(slice), of(back));
            let words = format!("move slice {slice} from {} to {}, and slice {back} back", name(from), name(to));
            ActionText { to: Some(name(to)), other: Some(back), ..text("swap", slice, words) }
        }
        Action::Split { slice, at } => {
            let words = format!("split slice {} at {at}", of(slice));
            ActionText { at: Some(at.to_string()), ..text("split", of(slice), words) }
        }
        Action::Isolate { slice, key } => {
            let words = format!("give the hot key at {key} of slice {} a slice of its own", of(slice));
            ActionText { at: Some(key.to_string()), ..text("isolate", of(slice), words) }
        }
        Action::Merge { left, right } => {
            let words = format!("merge slices {} and {}", of(left), of(right));
            ActionText { other: Some(of(right)), ..text("merge", of(left), words) }
        }
    }
}
