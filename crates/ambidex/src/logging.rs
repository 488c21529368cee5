//! The log of the process: lines to standard error, for people or for programs.

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

use crate::config::{Level, Log, LogFormat};
use crate::env;

/// Starts the log, and has panics told there. A second call changes nothing.
pub(crate) fn start(log: Log) {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    if LEVEL.set(handle).is_err() {
        return;
    }
    let colored = io::stderr().is_terminal() && !env::colorless();
    let lines = match log.format {
        LogFormat::Text => fmt::layer().with_writer(io::stderr).with_ansi(colored).with_target(false).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
    };
    // The lines are filtered as a whole: a library's debug lines are seldom what is looked for.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(%panic, "a fault in this program: please report it");
        told(panic);
    }));
}

/// Changes what is logged while running.
pub(crate) fn set(level: Level) {
    if let Some(handle) = LEVEL.get() {
        // The subscriber lives as long as the process.
        let _ = handle.reload(filter(level));
    }
}

static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}
