//! `ambidex demo`: unlike workers, open-loop load, gateway and dashboard in one process.
//!
//! Two arms over the same workers and the same arrivals: first static round robin, then the loop. Every figure is
//! measured while you watch; nothing is scripted but the workers' own nature.
//!
//! ```text
//! load (Poisson) -> gateway -> fast     16 slots,  20 ms   800/s
//!                              middling  8 slots,  20 ms   400/s   (two of them)
//!                              slow      4 slots,  40 ms   100/s
//!                              pausing   8 slots,  20 ms   400/s, stands still 300 ms every 3 s
//! ```

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_gateway::config::ListenAddress;
use ambidex_lab::load::{self, Load, LoadOptions, Outcome};
use ambidex_lab::worker::{self, Pauses, ReportStyle, Worker, WorkerOptions};
use ambidex_lab::{Service, Shape};
use anyhow::Context as _;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{End, complain};
use crate::config::{self, Config};
use crate::run::Process;
use crate::system::System;

/// Runs the demonstration, until Ctrl-C or for `length`.
pub(crate) fn run(length: Option<Span>, admin: SocketAddr) -> End {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the demonstration cannot start: {error}\n"));
            return End::Failed;
        }
    };
    match runtime.block_on(show(length, admin)) {
        Ok(()) => End::Worked,
        Err(error) => {
            complain(&format!("the demonstration ended: {error:#}\n"));
            End::Failed
        }
    }
}

/// One arm of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    RoundRobin,
    Loop,
}

impl Arm {
    const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "static round robin",
            Self::Loop => "the loop",
        }
    }

    const fn settings(self) -> &'static str {
        match self {
            Self::RoundRobin => r#""balance": "round-robin", "weights": "static""#,
            Self::Loop => r#""balance": "auto", "weights": "capacity""#,
        }
    }
}

async fn show(length: Option<Span>, admin: SocketAddr) -> anyhow::Result<()> {
    let mut end = Stop::listen()?;
    let workers = worker::start_all(fleet()).context("the workers cannot start")?;
    let process = Process::<System>::start(file(&workers, Arm::RoundRobin, admin)?, None)?;
    let target = tcp(&process)?;
    println!("{}", opening(&workers, target, process.dashboard()));
    let half = length.map_or(ARM, |length| Span::from_nanos(length.as_nanos() / 2) - WARM_UP).clamp(LEAST, ARM);
    let mut outcomes = Vec::new();
    for arm in [Arm::RoundRobin, Arm::Loop] {
        process.apply(file(&workers, arm, admin)?).map_err(anyhow::Error::msg)?;
        let load = load::start(load_options(target, half)).context("the load cannot start")?;
        let Some(outcome) = watch(arm, load, &mut end).await else { break };
        outcomes.push((arm, outcome));
    }
    if !outcomes.is_empty() {
        println!("\n{}", comparison(&outcomes));
    }
    if length.is_none() && outcomes.len() == 2 {
        println!("The load goes on, and the dashboard stays. Ctrl-C ends it.\n");
        let load = load::start(load_options(target, FOREVER)).context("the load cannot start")?;
        drop(watch(Arm::Loop, load, &mut end).await);
    }
    process.end(Span::from_secs(1));
    workers.into_iter().for_each(Worker::stop);
    Ok(())
}

/// Shows a row a second until the load is over; `None` when it was interrupted.
async fn watch(arm: Arm, load: Load, end: &mut Stop) -> Option<Outcome> {
    println!("{}\n{}", arm.name(), live_header());
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    while !load.is_over() {
        tokio::select! {
            _ = second.tick() => {
                println!("{}", live_row(&load.lately()));
                std::io::stdout().flush().ok();
            }
            () = end.came() => {
                println!();
                drop(load.stop());
                return None;
            }
        }
    }
    Some(load.finish())
}

/// Waits for Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    async fn came(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn fleet() -> Vec<WorkerOptions> {
    let like = |name: &str, slots: u32, millis: u64| WorkerOptions {
        name: name.into(),
        slots,
        service: Service { mean: Span::from_millis(millis), shape: Shape::Exponential },
        report: ReportStyle::ServerLoad,
        report_window: Span::from_secs(5),
        ..WorkerOptions::default()
    };
    let pauses = Pauses { length: Span::from_millis(300), every: Span::from_secs(3), first: Span::from_secs(2) };
    vec![
        like("fast", 16, 20),
        like("middling-a", 8, 20),
        like("middling-b", 8, 20),
        like("slow", 4, 40),
        WorkerOptions { pauses: Some(pauses), ..like("pausing", 8, 20) },
    ]
}

fn file(workers: &[Worker], arm: Arm, admin: SocketAddr) -> anyhow::Result<Config> {
    let members =
        workers.iter().map(|worker| format!(r#"{{"url": "http://{}", "name": "{}"}}"#, worker.address, worker.name));
    let members = members.collect::<Vec<_>>().join(", ");
    let text = format!(
        r#"{{"listeners": [{{"address": "127.0.0.1:0"}}], "threads": 1, "admin": {{"address": "{admin}"}},
            "pools": {{"demo": {{"workers": [{members}], {}}}}}}}"#,
        arm.settings()
    );
    config::check("the demonstration's configuration", text).map_err(|findings| anyhow::anyhow!(findings.render(false)))
}

fn load_options(target: SocketAddr, duration: Span) -> LoadOptions {
    LoadOptions {
        target,
        rate: RATE,
        connections: 512,
        warm_up: WARM_UP,
        duration,
        timeout: PATIENCE,
        ..LoadOptions::default()
    }
}

fn tcp(process: &Process<System>) -> anyhow::Result<SocketAddr> {
    let tcp = |address| match address {
        ListenAddress::Tcp(address) => Some(address),
        ListenAddress::Unix(_) => None,
    };
    process.addresses().into_iter().find_map(tcp).context("the gateway listens nowhere")
}

fn opening(workers: &[Worker], target: SocketAddr, dashboard: Option<String>) -> String {
    let mut text = format!("gateway    http://{target}\n");
    if let Some(dashboard) = dashboard {
        let _ = writeln!(text, "dashboard  {dashboard}");
    }
    let capacity: f64 = fleet().iter().map(WorkerOptions::capacity).sum();
    let _ = writeln!(text, "workers    {} unlike ones, {capacity:.0} requests/s together", workers.len());
    let _ = writeln!(text, "load       {RATE:.0} requests/s, open loop: arrivals wait for nobody");
    text
}

fn live_header() -> String {
    format!("{:>9} {:>9} {:>9} {:>8}   share of each worker", "answers/s", "p50 ms", "p99 ms", "errors")
}

fn live_row(outcome: &Outcome) -> String {
    let total: u64 = outcome.workers.iter().map(|worker| worker.requests).sum();
    let shares = outcome
        .workers
        .iter()
        .map(|worker| format!("{} {:.0}%", worker.name, 100.0 * worker.requests as f64 / total.max(1) as f64));
    let shares = shares.collect::<Vec<_>>().join("  ");
    let Outcome { rate, latency, .. } = outcome;
    let failed = outcome.failures.total();
    format!("{rate:>9.0} {:>9.1} {:>9.1} {failed:>8}   {shares}", latency.p50_ms, latency.p99_ms)
}

fn comparison(outcomes: &[(Arm, Outcome)]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(["same workers, same arrivals", "answers", "p50 ms", "p99 ms", "errors"]);
    for (arm, outcome) in outcomes {
        let Outcome { ok, latency, failures, .. } = outcome;
        table.add_row([
            arm.name().to_owned(),
            ok.to_string(),
            format!("{:.1}", latency.p50_ms),
            format!("{:.1}", latency.p99_ms),
            failures.total().to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.to_string();
    for (arm, outcome) in outcomes.iter().filter(|(_, outcome)| !outcome.held) {
        let late = outcome.lag_p99_ms;
        let _ = write!(text, "\nThe machine was too busy to keep the rate of {} ({late:.0} ms late).", arm.name());
    }
    text
}

/// Requests a second: two thirds of what the workers can carry together, and more than a fifth of it is more than the
/// slow one can.
const RATE: f64 = 1_200.0;
/// How long one arm is measured.
const ARM: Span = Span::from_secs(15);
/// What is not counted at an arm's start.
const WARM_UP: Span = Span::from_secs(2);
/// The least that gives percentiles.
const LEAST: Span = Span::from_secs(1);
/// A request that takes longer counts as failed; so an overloaded arm ends soon after its time.
const PATIENCE: Span = Span::from_secs(3);
/// As long as anybody watches.
const FOREVER: Span = Span::from_secs(7 * 24 * 3_600);
