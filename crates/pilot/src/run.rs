//! A plan carried out: one slot after the other, within what may move in a minute.
//!
//! | what happens | then |
//! |---|---|
//! | a slot's value is too large, or an end refuses it | it stays, and the next one goes; after three in a row it ends |
//! | a slot stays half open | it ends |
//! | it is to stop | it ends after the slot under way, or its batch |
//! | as much load was moved in a minute as may be | it waits |
//!
//! Nothing needs to be remembered for going on later: a new plan begins where this one ended.

use std::collections::VecDeque;
use std::time::Duration;

use ambidex_core::shard::pilot::{Plan, Shift};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::carry::{self, Broken, Carried, Errand, Pace, Stop};
use crate::cluster::Cluster;

/// What happens while it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A slot is there.
    Moved(&'a Shift, &'a Carried),
    /// A slot stays.
    Left(&'a Shift, &'a Broken),
    /// It waits so long, as a minute's load has been moved.
    Waits(Duration),
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Slots that went.
    pub slots: usize,
    /// Keys that went with them.
    pub keys: u64,
    /// How long the longest batch held its source up.
    pub longest: Duration,
    /// Slots that stay, and why.
    pub left: Vec<Broken>,
    /// The slot that is half open.
    pub half_open: Option<Broken>,
    /// Whether it was to stop.
    pub stopped: bool,
    /// Nodes that were not told of a slot's owner.
    pub untold: Vec<String>,
}

/// Carries a plan out. `per_minute`: which part of all load may move in a minute; a slot that is more goes alone.
pub async fn run(
    cluster: &mut Cluster,
    plan: &Plan,
    pace: &Pace,
    per_minute: f64,
    stop: &mut watch::Receiver<Stop>,
    mut told: impl FnMut(Event<'_>),
) -> Summary {
    let all = plan.mean * plan.verdicts.len() as f64;
    let mut minute = Minute { most: per_minute * all, moved: VecDeque::new() };
    let (mut summary, mut in_a_row) = (Summary::default(), 0);
    for shift in &plan.shifts {
        let mut said = false;
        while let Some(wait) = minute.wait(shift.slot.load)
            && *stop.borrow() == Stop::Go
        {
            if !said {
                told(Event::Waits(wait));
                said = true;
            }
            tokio::select! {
                () = sleep(wait) => {}
                // Nobody is left who could say so: it goes on.
                changed = stop.changed() => if changed.is_err() { sleep(wait).await },
            }
        }
        if *stop.borrow() != Stop::Go {
            summary.stopped = true;
            break;
        }
        match shifted(cluster, shift, pace, stop).await {
            Ok(carried) => {
                minute.moved.push_back((Instant::now(), shift.slot.load));
                (summary.slots, in_a_row) = (summary.slots + 1, 0);
                summary.keys += carried.keys;
                summary.longest = summary.longest.max(carried.longest);
                summary.untold.extend(carried.untold.iter().take(MOST_UNTOLD).cloned());
                told(Event::Moved(shift, &carried));
            }
            Err(broken) => {
                told(Event::Left(shift, &broken));
                in_a_row += 1;
                match &broken {
                    Broken::Left { .. } => summary.left.push(broken),
                    Broken::HalfOpen { .. } => {
                        summary.stopped = *stop.borrow() != Stop::Go;
                        summary.half_open = Some(broken);
                        break;
                    }
                }
                if in_a_row >= MOST_LEFT {
                    break;
                }
            }
        }
    }
    summary.untold.truncate(MOST_UNTOLD);
    summary
}

async fn shifted(
    cluster: &mut Cluster,
    shift: &Shift,
    pace: &Pace,
    stop: &watch::Receiver<Stop>,
) -> Result<Carried, Broken> {
    let slot = shift.slot.slot;
    let errand = Errand { slot, from: shift.from, to: shift.to, source_wins: true };
    let left = |why: String| Broken::Left { slot, why };
    match carry::too_large(cluster, &errand, pace).await {
        Ok(None) => carry::carry(cluster, errand, pace, stop).await,
        Ok(Some(why)) => Err(left(why)),
        Err(error) => Err(left(error.to_string())),
    }
}

/// What was moved of late.
struct Minute {
    most: f64,
    moved: VecDeque<(Instant, f64)>,
}

impl Minute {
    /// How long a slot has to wait; none where it may go.
    fn wait(&mut self, load: f64) -> Option<Duration> {
        while self.moved.front().is_some_and(|(at, _)| at.elapsed() >= MINUTE) {
            self.moved.pop_front();
        }
        let (first, _) = self.moved.front()?;
        let sum: f64 = self.moved.iter().map(|(_, load)| load).sum();
        (sum > 0.0 && sum + load > self.most).then(|| MINUTE.saturating_sub(first.elapsed()))
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Slots in a row that stay before it is clear that it does not work. Source: ours.
const MOST_LEFT: usize = 3;
const MOST_UNTOLD: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_load_goes_in_a_minute_than_may_and_a_hotter_slot_goes_alone() {
        let mut minute = Minute { most: 0.3, moved: VecDeque::new() };
        assert_eq!(minute.wait(0.5), None);
        minute.moved.push_back((Instant::now(), 0.5));
        assert_eq!(minute.wait(0.1), Some(MINUTE));
        sleep(Duration::from_secs(50)).await;
        assert_eq!(minute.wait(0.1), Some(Duration::from_secs(10)));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(minute.wait(0.1), None);
    }
}
