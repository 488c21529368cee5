//! What a change costs: a cluster of 10,000 endpoints at a real Envoy, of which 1 % change with each push.
//!
//! `cargo run --release -p ambidex-xds --example push -- target/peers/envoy/envoy/_bin/envoy [ENDPOINTS] [PUSHES] [--whole]`

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;
use ambidex_xds::bootstrap::Bootstrap;
use ambidex_xds::loads::ClusterLoad;
use ambidex_xds::picture::{Cluster, Endpoint, EnvoyOffer, EnvoyPick, Health, Offer, Picture};
use ambidex_xds::server::{Options, Outside, TcpIncoming, serve};
use ambidex_xds::status::Board;
use ambidex_xds::stream::Dialect;
use tokio::net::TcpListener;
use tokio::sync::watch;

struct Nobody;

impl Outside for Nobody {
    fn now(&self) -> Mono {
        Mono::default()
    }

    fn loads(&self, _loads: Vec<ClusterLoad>) {}
}

/// Pool `api`; `turn` moves the weights of every hundredth endpoint.
fn picture(endpoints: usize, turn: u64) -> Picture {
    let endpoint = |at: usize| {
        let moved = at.is_multiple_of(100) && turn > 0;
        let [_, _, high, low] = u32::try_from(at).unwrap_or_default().to_be_bytes();
        Endpoint {
            name: format!("worker-{at}").into(),
            address: Address::Ip(([127, 1, high, low], 9_000).into()),
            weight: if moved { 0.5 + 0.001 * (turn % 500) as f64 } else { 1.0 },
            health: Health::Healthy,
            zone: "".into(),
            priority: 0,
        }
    };
    let (pick, connect_timeout) = (EnvoyPick::LeastRequest, Span::from_secs(1));
    let offer = Offer::Envoy(EnvoyOffer { pick, connect_timeout, http2: false, metrics: Vec::new() });
    let cluster = Cluster { name: "api".into(), endpoints: (0..endpoints).map(endpoint).collect(), offer };
    Picture { revision: turn + 1, clusters: vec![Arc::new(cluster)] }
}

/// Processor time of a process in milliseconds, by the ticks of 10 ms that the kernel counts.
fn cpu_ms(process: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

fn envoy(binary: &Path, bootstrap: &Bootstrap, folder: &Path) -> std::io::Result<Child> {
    let file = folder.join("push.yaml");
    std::fs::write(&file, bootstrap.yaml())?;
    Command::new(binary)
        .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"])
        .arg(file)
        .stdout(Stdio::null())
        .spawn()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let whole = words.iter().position(|word| word == "--whole").map(|at| words.remove(at)).is_some();
    let binary = words.first().ok_or("say where Envoy's binary is")?;
    let number = |at: usize, usual| words.get(at).map_or(Ok(usual), |word| word.parse());
    let (endpoints, pushes) = (number(1, 10_000)?, number(2, 100)? as u64);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (server, any) = (listener.local_addr()?, ([127, 0, 0, 1], 0).into());
    let dialect = if whole { Dialect::StateOfTheWorld } else { Dialect::Delta };
    let listeners = vec![("api".to_owned(), any)];
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let bootstrap = Bootstrap { node: "push".into(), server, dialect, tls: None, sni: None, admin: any, listeners };
    let (told, pictures) = watch::channel(Arc::new(picture(endpoints, 0)));
    let board = Arc::new(Board::default());
    tokio::spawn(serve(incoming, Options::default(), pictures, Arc::new(Nobody), Arc::clone(&board)));
    let folder = std::env::temp_dir();
    let mut envoy = envoy(Path::new(binary), &bootstrap, &folder)?;
    let process = envoy.id().to_string();
    until(&board, 1).await;
    // It warms up for a while after its first answers.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, ours, theirs) = (board.status().counts, cpu_ms("self"), cpu_ms(&process));
    let mut drawing = Duration::ZERO;
    for turn in 1..=pushes {
        let began = tokio::time::Instant::now();
        let next = picture(endpoints, turn);
        drawing += began.elapsed();
        told.send_replace(Arc::new(next));
        until(&board, turn + 1).await;
    }
    let after = board.status().counts;
    let each = |sum: u64| sum as f64 / pushes as f64;
    println!(
        "{endpoints} endpoints, {dialect:?}, {pushes} pushes of 1 % each: {:.0} bytes a push; CPU a push: server {:.2} ms \
         (of which the picture {:.2} ms), Envoy {:.2} ms",
        each(after.bytes - before.bytes),
        each(cpu_ms("self") - ours),
        drawing.as_secs_f64() * 1e3 / pushes as f64,
        each(cpu_ms(&process) - theirs),
    );
    envoy.kill()?;
    envoy.wait()?;
    Ok(())
}

/// Waits until a picture is in force.
async fn until(board: &Board, revision: u64) {
    while !board.status().streams.iter().any(|stream| stream.in_force >= Some(revision)) {
        board.changed().await;
    }
}
