//! Scrapes the worker's own Prometheus page, so that its reports say what only the worker knows [R-S5].
//!
//! ```text
//! every `interval`: GET page (bounded, in time) --queries, with the page before--> report --> Gate, over what it measures
//! ```
//! What the page says counts in place of what the gate measures. Three pages missed, and it counts no more: an agent in
//! front of its worker goes on with its own measurements, one beside it says nothing, which coordinators take for silence.

mod config;

use std::sync::Arc;

use ambidex_core::signal::Report;
use ambidex_core::time::Mono;
use ambidex_wire::report::scrape::{MOST_PAGE_BYTES, Page};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::gate::Gate;

pub use config::{ScrapeConfig, ScrapeError};

/// Scrapes until it is dropped.
pub(crate) async fn scrape(config: ScrapeConfig, gate: Arc<Gate>) {
    let clock = Clock::starting_now();
    let mut ticks = tokio::time::interval(config.interval.into());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut missed, mut told): (Option<(Page, Mono)>, u32, Option<String>) = (None, 0, None);
    loop {
        ticks.tick().await;
        let came = tokio::time::timeout(config.timeout.into(), ask(&config)).await;
        let came = came.unwrap_or_else(|_| Err(format!("no whole page within {}", config.timeout)));
        let now = clock.now();
        let report = came.and_then(|text| {
            let page = config.fields.read(&text);
            let then = before.as_ref().map(|(page, at)| (page, now.since(*at)));
            let report = config.fields.report(then, &page).map_err(|fault| fault.to_string());
            before = Some((page, now));
            report
        });
        match report {
            Ok(report) => {
                (missed, told) = (0, None);
                gate.hear(Some(report));
            }
            Err(why) => {
                missed += 1;
                if missed == MISSED {
                    gate.hear(None);
                }
                if told.as_deref() != Some(&why) {
                    tracing::warn!(url = %config.url, "the worker's metrics cannot be read: {why}");
                    told = Some(why);
                }
            }
        }
    }
}

/// One page.
async fn ask(config: &ScrapeConfig) -> Result<String, String> {
    let no_answer = |error: hyper::Error| format!("no HTTP answer: {error}");
    let stream = TcpStream::connect(config.url.authority()).await.map_err(|error| format!("no connection: {error}"))?;
    let handshake = http1::Builder::new().max_buf_size(MOST_HEAD_BYTES).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(no_answer)?;
    let request = Request::get(config.url.path())
        .header(header::HOST, config.url.authority())
        .header(header::ACCEPT, "text/plain; version=0.0.4")
        .header(header::USER_AGENT, concat!("ambidex-agent/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("no request: {error}"))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(no_answer)?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}; redirects are not followed", response.status()));
        }
        let body = Limited::new(response.into_body(), MOST_PAGE_BYTES).collect().await;
        let body = body.map_err(|error| format!("no whole page of at most {MOST_PAGE_BYTES} bytes: {error}"))?;
        String::from_utf8(body.to_bytes().into()).map_err(|_| "the page is not UTF-8".to_owned())
    };
    // The connection is driven here and dropped with this future: a timeout leaves nothing behind.
    let (mut connection, mut answer) = (std::pin::pin!(connection), std::pin::pin!(answer));
    let mut over = false;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            _ = &mut connection, if !over => over = true,
        }
    }
}

/// What was measured, with what the worker's page says in its place.
pub(crate) fn over(measured: Report, said: &Report) -> Report {
    let Report {
        in_flight,
        queue,
        mean,
        p50,
        p95,
        p99,
        rate,
        errors,
        utilization,
        cpu,
        memory,
        limit,
        accepting,
        sequence,
    } = measured;
    Report {
        in_flight: said.in_flight.or(in_flight),
        queue: said.queue.or(queue),
        mean: said.mean.or(mean),
        p50: said.p50.or(p50),
        p95: said.p95.or(p95),
        p99: said.p99.or(p99),
        rate: said.rate.or(rate),
        errors: said.errors.or(errors),
        utilization: said.utilization.or(utilization),
        cpu: said.cpu.or(cpu),
        memory: said.memory.or(memory),
        limit: said.limit.or(limit),
        // Whether it is to get more is the agent's word, and its count of reports its own.
        accepting: accepting.or(said.accepting),
        sequence: sequence.or(said.sequence),
    }
}

/// Pages missed after which the last one counts no more. Source: R-W10, three heartbeats.
const MISSED: u32 = 3;
/// Most bytes of an answer's head. Source: as of polls.
const MOST_HEAD_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests;
