//! A fleet for a coordinator to coordinate: thousands of workers that send heartbeats, and hundreds of gateways that
//! follow. What `cargo xtask bench coordinator` loads a coordinator with.
//!
//! ```text
//! fleet --beats-to 127.0.0.1:9903 --key beats.key --gateways http://127.0.0.1:9904 --token gateways-token
//!       [--workers 10000] [--per-second 2] [--subscribers 1000] [--hits 100] [--moved 1] [--seconds 20] [--warm 15]
//! ```
//! Workers are called w-0, w-1, .., the pool `api`, its tick is a second. In each tick `--moved` percent of the workers
//! become three times as slow, and those of the tick before are well again. Each gateway counts requests to `--hits`
//! workers in each tick. Prints `measuring` and the heartbeats sent
//! before, then one line of JSON.
#![allow(
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a load has a clock of its own, and counts that fit"
)]

mod beats;
mod gateways;
mod heads;
mod options;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use options::Options;
use serde_json::json;

/// Which workers are slow now: a turn of a hundred or so, and the next ones at the next tick.
#[derive(Debug)]
struct Slow {
    turn: AtomicU64,
    workers: usize,
    each: usize,
}

impl Slow {
    fn holds(&self, worker: usize) -> bool {
        let first = usize::try_from(self.turn.load(Relaxed)).unwrap_or(0) * self.each % self.workers;
        (worker + self.workers - first) % self.workers < self.each
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::read(std::env::args().skip(1))?;
    let each = options.workers * options.moved / 100;
    let slow = Arc::new(Slow { turn: AtomicU64::new(0), workers: options.workers, each });
    let over = Arc::new(AtomicBool::new(false));
    let so_far = Arc::new(AtomicU64::new(0));
    let sender = {
        let (options, slow, over, so_far) =
            (options.clone(), Arc::clone(&slow), Arc::clone(&over), Arc::clone(&so_far));
        std::thread::spawn(move || beats::send(&options, &slow, &over, &so_far).map_err(|error| error.to_string()))
    };
    let gateways = gateways::Fleet::start(&options, Arc::clone(&slow))?;
    let began = Instant::now();
    while began.elapsed() < options.warm && !sender.is_finished() {
        std::thread::sleep(Duration::from_millis(100));
    }
    gateways.begin_measuring();
    println!("measuring {}", so_far.load(Relaxed));
    let measured = Instant::now();
    while measured.elapsed() < options.measured && !sender.is_finished() {
        slow.turn.fetch_add(1, Relaxed);
        std::thread::sleep(Duration::from_secs(1));
    }
    let seen = gateways.end();
    over.store(true, Relaxed);
    let sent = sender.join().map_err(|_| "the sender of heartbeats panicked")??;
    println!("{}", json!({ "heartbeats": sent.as_json(), "gateways": seen }));
    Ok(())
}
