//! `ambidex diagnose --listen`: what others push is received for a while, or until Ctrl-C.

use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_insight::history::{History, STEP};
use ambidex_insight::sources::Progress;
use ambidex_insight::sources::receive::{Options, Receiver};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

use super::super::{End, complain};
use super::keep::Keeping;

/// Receives for so long, or until Ctrl-C.
pub(super) fn once(
    options: &Options,
    lasts: Span,
    mut keeping: Option<&mut Keeping>,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, String> {
    if !(LEAST..=MOST).contains(&lasts) {
        return Err(format!("--for {lasts}: something is received for {LEAST} to {MOST}"));
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let mut interrupts =
            signal(SignalKind::interrupt()).map_err(|error| format!("Ctrl-C cannot be listened for: {error}"))?;
        let receiver = open(options).await?;
        let (begin, mut seconds) = (Instant::now(), interval(Duration::from_secs(1)));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut keeps = interval_at(begin + KEPT_EVERY, KEPT_EVERY);
        keeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = sleep_until(begin + lasts.into());
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                _ = interrupts.recv() => break,
                _ = keeps.tick() => {
                    if let Some(keeping) = &mut keeping {
                        keeping.keep(&receiver.history());
                    }
                }
                _ = seconds.tick() => {
                    let what = format!("receiving: {} exports", receiver.exports());
                    progress(Progress { what, done: begin.elapsed().as_secs(), of: Some(lasts.as_millis() / 1_000) });
                }
            }
        }
        let history = receiver.history();
        if history.nodes.is_empty() {
            return Err(nothing(&receiver, &history));
        }
        Ok(history)
    })
}

/// Listens, if something is to be received; else how it ends.
pub(super) fn opened(runtime: &Runtime, options: Option<Options>) -> Result<Option<Receiver>, End> {
    options.map(|options| runtime.block_on(open(&options))).transpose().map_err(|problem| {
        complain(&format!("{problem}\n"));
        End::Wrong
    })
}

/// Listens, and says where.
pub(super) async fn open(options: &Options) -> Result<Receiver, String> {
    let receiver = Receiver::open(options).await.map_err(|error| error.to_string())?;
    for address in receiver.addresses() {
        complain(&format!(
            "receiving at {address}: OTLP by gRPC and by HTTP (/v1/traces, /v1/metrics), remote write at http://{address}/api/v1/write\n"
        ));
    }
    Ok(receiver)
}

fn nothing(receiver: &Receiver, history: &History) -> String {
    let told: Vec<_> = history.remarks.iter().map(|remark| format!("{} {}", remark.times, remark.what)).collect();
    let told = if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) };
    format!("{} exports came, and nothing of them is of a node{told}", receiver.exports())
}

/// Seconds of windows, so that there are about twelve.
pub(super) fn window_of(lasts: Span) -> u32 {
    let seconds = lasts.as_millis() / 1_000 / WINDOWS;
    u32::try_from(seconds).unwrap_or(STEP).clamp(SHORTEST, STEP)
}

/// How often what is received is kept. Source: ours; a window of a history.
const KEPT_EVERY: Duration = Duration::from_secs(300);
/// Source: ours; an hour of history has as many.
const WINDOWS: u64 = 12;
/// Source: ours; who scrapes each 15 s, or pushes each 10 s, has a figure in nearly each of them.
const SHORTEST: u32 = 15;
/// Source: ours.
const LEAST: Span = Span::from_secs(1);
/// Source: ours; what goes on for longer is watched (`--again-every`).
const MOST: Span = Span::from_secs(7 * 86_400);
