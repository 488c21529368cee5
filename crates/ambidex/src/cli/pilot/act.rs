//! What the pilot does after consent: repairs, plans carried out, slots that were named.

use ambidex_core::shard::pilot::{Plan, Shift, Slot};
use ambidex_core::shard::plan::Reason;
use ambidex_core::shard::slot::SLOTS;
use ambidex_pilot::carry::{Broken, Stop};
use ambidex_pilot::cluster::Cluster;
use ambidex_pilot::mend::HalfOpen;
use ambidex_pilot::run::{Event, Summary, run};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Fault, Looking, Pacing, Where, show};
use crate::cli::change::Consent;
use crate::cli::{End, Output, answer, answer_json, complain, counted};

/// Plans, repairs what is open, and carries the plan out.
pub(super) async fn apply(
    given: &Where,
    look: &Looking,
    pacing: &Pacing,
    consent: &Consent,
    output: Output,
) -> Result<End, Fault> {
    pacing.pace()?;
    look.look()?;
    let mut cluster = given.whole().await?;
    let half = cluster.half_open().await.map_err(failed)?;
    let (look, measured, mut plan) = look.plan(&mut cluster).await?;
    complain(&show::half_open(&cluster, &half));
    complain(&show::planned(&cluster, look, &measured, &plan));
    // What is repaired may be at another node by then.
    plan.shifts.retain(|shift| half.iter().all(|half| half.slot != shift.slot.slot));
    if plan.shifts.is_empty() && half.is_empty() {
        tell(&Summary::default(), 0, output);
        return Ok(End::Worked);
    }
    if !consent.given() {
        return Ok(End::Wrong);
    }
    let mut stop = signals()?;
    let repaired = mend(&mut cluster, &half, pacing, false, &stop).await?;
    let summary = fly(&mut cluster, &plan, pacing, &mut stop).await?;
    tell(&summary, repaired, output);
    Ok(end(&summary))
}

/// Closes what is open.
pub(super) async fn repair(
    given: &Where,
    source_wins: bool,
    pacing: &Pacing,
    consent: &Consent,
    output: Output,
) -> Result<End, Fault> {
    pacing.pace()?;
    let mut cluster = Cluster::read(&given.config()?).await.map_err(failed)?;
    let half = cluster.half_open().await.map_err(failed)?;
    complain(&show::half_open(&cluster, &half));
    if half.is_empty() {
        tell(&Summary::default(), 0, output);
        return Ok(End::Worked);
    }
    if !consent.given() {
        return Ok(End::Wrong);
    }
    let stop = signals()?;
    let repaired = mend(&mut cluster, &half, pacing, source_wins, &stop).await?;
    tell(&Summary::default(), repaired, output);
    Ok(End::Worked)
}

/// Moves the slots that were named.
pub(super) async fn shift(
    given: &Where,
    (slots, to): (&str, &str),
    pacing: &Pacing,
    consent: &Consent,
    output: Output,
) -> Result<End, Fault> {
    pacing.pace()?;
    let slots = named(slots)?;
    let mut cluster = given.whole().await?;
    let place = (0..cluster.view.primaries.len()).find(|place| cluster.address(*place).to_string() == to);
    let Some(target) = place else {
        let names: Vec<String> =
            (0..cluster.view.primaries.len()).map(|place| cluster.address(place).to_string()).collect();
        return Err(Fault::Wrong(format!("`{to}` is no primary of it: write one of {}", names.join(", "))));
    };
    let half = cluster.half_open().await.map_err(failed)?;
    if let Some(one) = half.iter().find(|half| slots.contains(&half.slot)) {
        complain(&show::half_open(&cluster, &half));
        return Err(Fault::Failed(format!("slot {} is half open: repair it first", one.slot)));
    }
    let shift = |slot: u16| {
        let from = cluster.view.claims(slot).next().filter(|from| *from != target)?;
        Some(Shift { slot: Slot { slot, ..Slot::default() }, from, to: target, reason: Reason::Scheduled })
    };
    let plan = Plan { shifts: slots.iter().filter_map(|slot| shift(*slot)).collect(), ..Plan::default() };
    complain(&format!("will move {} to {to}\n", counted(plan.shifts.len(), "slot")));
    if plan.shifts.is_empty() {
        tell(&Summary::default(), 0, output);
        return Ok(End::Worked);
    }
    if !consent.given() {
        return Ok(End::Wrong);
    }
    let mut stop = signals()?;
    let summary = fly(&mut cluster, &plan, pacing, &mut stop).await?;
    tell(&summary, 0, output);
    Ok(end(&summary))
}

async fn mend(
    cluster: &mut Cluster,
    half: &[HalfOpen],
    pacing: &Pacing,
    source_wins: bool,
    stop: &watch::Receiver<Stop>,
) -> Result<usize, Fault> {
    let (pace, mut wrong) = (pacing.pace()?, Vec::new());
    for (done, one) in half.iter().enumerate() {
        if *stop.borrow() != Stop::Go {
            return Err(Fault::Failed(format!("stopped: {} of {} slots are closed", done, half.len())));
        }
        match cluster.mend(one, &pace, source_wins, stop).await {
            Ok(carried) => complain(&format!("slot {} is closed, {} went\n", one.slot, keys(carried.keys))),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    if wrong.is_empty() { Ok(half.len()) } else { Err(Fault::Failed(wrong.join("\nerror: "))) }
}

async fn fly(
    cluster: &mut Cluster,
    plan: &Plan,
    pacing: &Pacing,
    stop: &mut watch::Receiver<Stop>,
) -> Result<Summary, Fault> {
    let (pace, count, mut done) = (pacing.pace()?, plan.shifts.len(), 0);
    let told = |event: Event<'_>| match event {
        Event::Moved(shift, carried) => {
            done += 1;
            let (slot, longest) = (shift.slot.slot, carried.longest.as_secs_f64() * 1e3);
            let keys = keys(carried.keys);
            complain(&format!("slot {slot} moved ({done} of {count}): {keys}, longest batch {longest:.1} ms\n"));
        }
        Event::Left(_, broken) => complain(&format!("{broken}\n")),
        Event::Waits(wait) => complain(&format!(
            "waits {:.0} s: as much load as may be was moved in this minute (minute_spent, --per-minute)\n",
            wait.as_secs_f64()
        )),
    };
    Ok(run(cluster, plan, &pace, pacing.per_minute.get(), stop, told).await)
}

fn tell(summary: &Summary, repaired: usize, output: Output) {
    let Summary { slots, keys: count, longest, left, half_open, stopped, untold } = summary;
    let all = |broken: &[Broken]| broken.iter().map(ToString::to_string).collect::<Vec<_>>();
    let half: Option<String> = half_open.as_ref().map(ToString::to_string);
    let longest = longest.as_secs_f64() * 1e3;
    if output == Output::Json {
        return answer_json(&json!({"schema_version": 1, "repaired": repaired, "moved": slots, "keys": count,
            "longest_batch_ms": longest, "left": all(left), "half_open": half, "stopped": stopped, "untold": untold}));
    }
    if *slots == 0 && repaired == 0 && left.is_empty() && half.is_none() && !stopped {
        return answer("nothing was to be done\n");
    }
    let mut out = format!("{} repaired, {} moved with {}", repaired, counted(*slots, "slot"), keys(*count));
    if *slots > 0 {
        out.push_str(&format!(", longest batch {longest:.1} ms"));
    }
    out.push('\n');
    untold.iter().for_each(|node| out.push_str(&format!("note: {node}; it hears of the move from the others\n")));
    if *stopped {
        out.push_str("stopped; run it again to go on\n");
    }
    out.push_str(&half.unwrap_or_else(|| "nothing is half open".to_owned()));
    out.push('\n');
    answer(&out);
}

fn keys(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "key")
}

fn end(summary: &Summary) -> End {
    let whole = summary.left.is_empty() && summary.half_open.is_none() && !summary.stopped;
    if whole { End::Worked } else { End::Failed }
}

/// What signals say: the first one ends it after a slot, the second after a batch.
fn signals() -> Result<watch::Receiver<Stop>, Fault> {
    let (say, stop) = watch::channel(Stop::Go);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::spawn(async move {
        for (next, words) in [
            (Stop::AfterSlot, "stops after the slot under way; once more leaves it half open, and says so\n"),
            (Stop::Now, "stops after the batch under way\n"),
        ] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            complain(words);
            let _ = say.send(next);
        }
        // Whoever listens is told when this ends.
        say.closed().await;
    });
    Ok(stop)
}

/// Slots of `7`, `0-99`, `7,100-199`.
fn named(text: &str) -> Result<Vec<u16>, Fault> {
    let wrong = |part: &str| {
        Fault::Wrong(format!("`{part}` is no slot: write --slots as 7, 0-99 or 7,100-199, each up to 16383"))
    };
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().ok().filter(|slot| *slot < SLOTS);
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(wrong(part)) };
        if first > last {
            return Err(wrong(part));
        }
        all.extend(first..=last);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn failed(error: impl ToString) -> Fault {
    Fault::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_named_by_numbers_and_ranges() {
        assert_eq!(named("7, 9-11,10").ok(), Some(vec![7, 9, 10, 11]));
        for text in ["", "16384", "5-4", "a", "1-", "1,,2", "-1"] {
            assert!(named(text).is_err(), "{text}");
        }
    }
}
