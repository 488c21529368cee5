//! `ambidex diagnose --every 5m`: judges again and again, and tells what has changed to people and to receivers of alerts.
//!
//! A finding opens after three rounds, so a pause of five minutes opens it after a quarter of an hour. What a receiver did not take is
//! sent again with the next round. A source that cannot be read is told, and asked again.

use std::collections::VecDeque;
use std::net::SocketAddr;

use ambidex_core::time::Span;
use ambidex_insight::alerts::{Book, Change, Notice, Receiver};
use ambidex_insight::clock;
use ambidex_insight::doctor::{Diagnosis, Level, diagnose};
use ambidex_insight::export::desired;
use ambidex_insight::history::History;
use ambidex_insight::sources::receive::Receiver as Received;
use clap::Args;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::super::{End, Output, answer, complain};
use super::keep::Keeping;
use super::metrics::Page;
use super::{DiagnoseArguments, receive};

#[derive(Debug, Args)]
pub(super) struct WatchArguments {
    /// Judge again after this long, until Ctrl-C, and tell what has changed.
    #[arg(long = "again-every", value_name = "DURATION")]
    pub(super) again_every: Option<Span>,
    /// Send what has changed as JSON to this address.
    #[arg(long, value_name = "URL", requires = "again_every")]
    alert_webhook: Option<String>,
    /// Send what has changed to this Alertmanager.
    #[arg(long, value_name = "URL", requires = "again_every")]
    alertmanager: Option<String>,
    /// Serve the last round as metrics at this address, such as 127.0.0.1:9905: how many nodes the load takes, for autoscalers.
    #[arg(long, value_name = "ADDRESS", requires = "again_every")]
    metrics: Option<SocketAddr>,
}

/// Where notices go, and those that it has not taken.
struct Outbox {
    receiver: Receiver,
    waiting: VecDeque<Notice>,
}

pub(super) fn watch(arguments: &DiagnoseArguments, mut keeping: Option<Keeping>, pause: Span, output: Output) -> End {
    if !(LEAST..=MOST).contains(&pause) {
        complain(&format!("--again-every {pause}: it must be {LEAST} to {MOST}\n"));
        return End::Wrong;
    }
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no runtime: {error}\n"));
            return End::Failed;
        }
    };
    // Listened for from the begin: one that comes while a source is read counts after it, and is not lost.
    let listening = runtime.block_on(async { signal(SignalKind::interrupt()) });
    let mut interrupts = match listening {
        Ok(interrupts) => interrupts,
        Err(error) => {
            complain(&format!("Ctrl-C cannot be listened for: {error}\n"));
            return End::Failed;
        }
    };
    let page = Page::default();
    page.set(desired::failed());
    if let Err(end) = arguments.watch.metrics.map_or(Ok(()), |address| serve(&page, address)) {
        return end;
    }
    let receiver = match receive::opened(&runtime, arguments.source.listens(WINDOW)) {
        Ok(receiver) => receiver,
        Err(end) => return end,
    };
    let mut wait = || runtime.block_on(waited(&mut interrupts, pause));
    let (mut book, mut outboxes) = (Book::default(), arguments.watch.outboxes());
    // What is received must come first.
    if let Some(receiver) = receiver.as_ref().filter(|_| wait()) {
        received(receiver, keeping.as_mut());
        return End::Worked;
    }
    loop {
        let read = match &receiver {
            Some(receiver) => Ok(received(receiver, keeping.as_mut())),
            None => arguments.source.read(keeping.as_mut()),
        };
        match read {
            Ok(history) => {
                let diagnosis = diagnose(&history, &arguments.judge.options());
                let notices = book.round(clock::now(), &diagnosis);
                page.set(desired::page(clock::now(), &diagnosis));
                tell(&diagnosis, &notices, &book, output);
                // A folder that cannot be written is told each round, and keeps nobody from being told of findings.
                if let Some(folder) = &arguments.report.review
                    && let Err(problem) = super::reviews::take_in(folder, &diagnosis)
                {
                    complain(&format!("--review {}: {problem}\n", folder.display()));
                }
                for outbox in &mut outboxes {
                    outbox.send(&runtime, &diagnosis.source, &notices, pause);
                }
            }
            Err(problem) => {
                page.set(desired::failed());
                complain(&format!("{problem}\n"));
            }
        }
        if wait() {
            // What came since the last round is kept, too.
            receiver.iter().for_each(|receiver| drop(received(receiver, keeping.as_mut())));
            return End::Worked;
        }
    }
}

/// Waits for the next round; whether it was ended meanwhile.
async fn waited(interrupts: &mut Signal, pause: Span) -> bool {
    tokio::select! {
        _ = interrupts.recv() => true,
        () = tokio::time::sleep(pause.into()) => false,
    }
}

/// What was received by now, which is kept.
fn received(receiver: &Received, keeping: Option<&mut Keeping>) -> History {
    let history = receiver.history();
    if let Some(keeping) = keeping {
        keeping.keep(&history);
    }
    history
}

fn serve(page: &Page, address: SocketAddr) -> Result<(), End> {
    match page.serve(address) {
        Ok(bound) => {
            complain(&format!("metrics: http://{bound}/metrics\n"));
            Ok(())
        }
        Err(error) => {
            complain(&format!("--metrics {address}: nobody can listen there: {error}\n"));
            Err(End::Wrong)
        }
    }
}

impl WatchArguments {
    fn outboxes(&self) -> Vec<Outbox> {
        let access = |url: &String| ambidex_insight::sources::Access { url: url.clone(), ..Default::default() };
        let webhook = self.alert_webhook.as_ref().map(|url| Receiver::Webhook(access(url)));
        let alertmanager = self.alertmanager.as_ref().map(|url| Receiver::Alertmanager(access(url)));
        let all = webhook.into_iter().chain(alertmanager);
        all.map(|receiver| Outbox { receiver, waiting: VecDeque::new() }).collect()
    }
}

impl Outbox {
    fn send(&mut self, runtime: &Runtime, source: &str, notices: &[Notice], pause: Span) {
        self.waiting.extend(notices.iter().cloned());
        // The oldest go first when a receiver is away for days.
        let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
        self.waiting.drain(..surplus);
        if self.waiting.is_empty() {
            return;
        }
        // Alertmanager hears of a finding when it changes, not in each round.
        let ends_after = Span::from_millis(pause.as_millis().saturating_mul(ROUNDS));
        match runtime.block_on(self.receiver.send(source, self.waiting.make_contiguous(), ends_after)) {
            Ok(()) => self.waiting.clear(),
            Err(why) => complain(&format!("{why}; {} notices wait\n", self.waiting.len())),
        }
    }
}

fn tell(diagnosis: &Diagnosis, notices: &[Notice], book: &Book, output: Output) {
    match output {
        Output::Json => {
            for notice in notices {
                answer(&format!("{}\n", json!(notice)));
            }
        }
        Output::Text => {
            for notice in notices {
                let change = match notice.change {
                    Change::Opened => "opened",
                    Change::Escalated => "escalated",
                    Change::Inconclusive => "inconclusive",
                    Change::Closed => "closed",
                };
                let finding = &notice.finding;
                let cause = finding.hypotheses.first().map_or_else(String::new, |first| format!(": {}", first.cause));
                answer(&format!("{change}: {}{cause}\n", finding.title));
            }
            let worst = diagnosis.findings.iter().filter(|finding| finding.level > Level::Notice).count();
            let (seen, open) = (diagnosis.findings.len(), book.open().count());
            answer(&format!("round: {seen} findings, {worst} of them warnings or worse; {open} open\n"));
        }
    }
}

/// Seconds of a window of what is received. Source: ours; four scrapes of a Prometheus.
const WINDOW: u32 = 60;
/// Between rounds. Source: ours; nothing is seen sooner.
const LEAST: Span = Span::from_secs(1);
/// Source: ours; a day.
const MOST: Span = Span::from_secs(86_400);
/// Notices that wait for a receiver. Source: ours.
const MOST_WAITING: usize = 1_000;
/// Rounds after which Alertmanager ends what nobody has closed. Source: ours; a day of rounds of five minutes.
const ROUNDS: u64 = 288;
