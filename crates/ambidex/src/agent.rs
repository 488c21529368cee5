//! The agent: the worker's gate before the gateway. Neither knows of the other; here they meet.

pub(crate) mod shards;

use std::sync::Arc;
use std::time::Instant;

use ambidex_control::config::FollowTls;
use ambidex_control::facts::{Family, Kind};
use ambidex_control::tls::secured_for_heartbeats;
use ambidex_core::guard::shed::{Asked, CLASSES, Shed, Why};
use ambidex_gateway::admission::{Admission, Admitted, Find, Lines, Permit};
use ambidex_worker::heartbeats::{BeatTls, Duplex, Secure, Securing};
use ambidex_worker::{Clock, Gate, HostKind, Reporter, StartError, Word, WorkerConfig, answer};
use http::{HeaderValue, StatusCode};
use tokio::net::TcpStream;

/// How coordinators at `grpcs://` are spoken to: as those that gateways follow.
#[derive(Debug)]
struct ByTls;

impl Secure for ByTls {
    fn secure(&self, stream: TcpStream, host: &str, tls: &BeatTls) -> Securing {
        let BeatTls { ca, sni, client_cert, client_key } = tls.clone();
        let (tls, host) = (FollowTls { ca, sni, client_cert, client_key }, host.to_owned());
        Box::pin(async move {
            let secured = secured_for_heartbeats(stream, tls, host).await?;
            Ok(Box::new(secured) as Box<dyn Duplex>)
        })
    }
}

/// What stands before a worker.
#[derive(Debug)]
pub(crate) struct Agent {
    gate: Arc<Gate>,
    reporter: Reporter,
}

impl Agent {
    /// Begins to sum up, opens the endpoint, and sends heartbeats.
    ///
    /// # Errors
    /// A port, a key or a thread that cannot be had.
    pub(crate) fn start(config: &WorkerConfig, origin: Instant) -> Result<Self, StartError> {
        let gate = Gate::new(config, Clock::starting_at(origin));
        let reporter = Reporter::start_securing(Arc::clone(&gate), config, Some(Arc::new(ByTls)))?;
        Ok(Self { gate, reporter })
    }

    /// What the gateway asks.
    pub(crate) fn admission(&self) -> Arc<dyn Admission> {
        Arc::new(Asking(Arc::clone(&self.gate)))
    }

    /// Says that nothing new is wanted.
    pub(crate) fn leave(&self) {
        self.gate.accept(false);
    }

    /// Where the endpoint listens.
    pub(crate) fn endpoint(&self) -> Option<std::net::SocketAddr> {
        self.reporter.address()
    }

    /// Its numbers, for the metrics of the process.
    pub(crate) fn families(&self) -> Vec<Family> {
        let (counts, report) = (self.gate.counts(), self.gate.report());
        let class = |class: usize| ("class", class.to_string());
        let admitted = (0..CLASSES).map(|at| (vec![class(at)], counts.admitted[at] as f64)).collect();
        let shed = |at: usize| {
            let of = move |why: Why| (vec![class(at), ("why", why.word().to_owned())], why as usize);
            Why::ALL.map(of).map(|(labels, why)| (labels, counts.shed[at][why] as f64))
        };
        let shed = (0..CLASSES).flat_map(shed).collect();
        let family = |name, help, kind, samples| Family { name, help, kind, samples };
        let one = |value: f64| vec![(Vec::new(), value)];
        let now = |value: Option<u32>| value.map_or(Vec::new(), |value| one(f64::from(value)));
        let heartbeats = self.reporter.heartbeats().map(|sent| {
            let sent = sent.all().map(|(came, count)| (vec![("came", came.to_owned())], count as f64));
            family("worker_heartbeats", "Heartbeats, and sessions that were taken over", Kind::Counter, sent.into())
        });
        let mut families = vec![
            family("worker_admitted", "Requests that were let in, by class", Kind::Counter, admitted),
            family("worker_shed", "Requests that were shed, or would have been, by class", Kind::Counter, shed),
            family("worker_waited", "Requests that had to wait", Kind::Counter, one(counts.waited as f64)),
            family("worker_in_flight", "Requests that the worker serves", Kind::Gauge, now(report.in_flight)),
            family("worker_waiting", "Requests that wait for the worker", Kind::Gauge, now(report.queue)),
            family("worker_limit", "Requests that the worker gets at once at most", Kind::Gauge, now(report.limit)),
        ];
        if !self.gate.is_beside() {
            let done = self.gate.done();
            families.extend([
                family(
                    "worker_busy_seconds",
                    "Time of all requests that were served",
                    Kind::Counter,
                    one(done.busy.as_secs_f64()),
                ),
                family("worker_failed", "Requests that the worker failed", Kind::Counter, one(done.failed as f64)),
            ]);
        }
        families.extend(heartbeats);
        families.extend(self.host());
        families
    }

    fn host(&self) -> Vec<Family> {
        let seen = self.reporter.host();
        let family = |family: &ambidex_worker::HostFamily| {
            let kind = match family.kind {
                HostKind::Counter => Kind::Counter,
                HostKind::Gauge => Kind::Gauge,
            };
            Family { name: family.name, help: family.help, kind, samples: family.samples.clone() }
        };
        seen.iter().map(family).collect()
    }
}

#[derive(Debug)]
struct Asking(Arc<Gate>);

impl Admission for Asking {
    fn ask<'a>(&self, find: &Find<'a>) -> Admitted {
        let gate = &self.0;
        let deadline = answer::time_left(find).map(|left| gate.deadline(left));
        let asked = Asked { class: gate.priority().by(find), deadline };
        match gate.ask(asked) {
            Word::Begin(permit) => Admitted::Now(Served::of(gate, permit)),
            Word::Shed(shed) => Admitted::Never(refused(gate, &shed)),
            Word::Wait(waiting) => {
                let gate = Arc::clone(gate);
                Admitted::Later(Box::pin(async move {
                    let told = waiting.turn().await;
                    told.map(|permit| Served::of(&gate, permit)).map_err(|shed| refused(&gate, &shed))
                }))
            }
        }
    }
}

/// A request that the worker serves.
struct Served {
    gate: Arc<Gate>,
    permit: ambidex_worker::Permit,
    over: bool,
}

impl Served {
    fn of(gate: &Arc<Gate>, permit: ambidex_worker::Permit) -> Box<dyn Permit> {
        Box::new(Self { gate: Arc::clone(gate), permit, over: false })
    }
}

impl Permit for Served {
    fn answered<'a>(&mut self, status: StatusCode, find: &Find<'a>) -> Lines {
        self.permit.answered(status.is_server_error(), answer::is_drop(status));
        self.over = answer::is_endless(status, find("content-type"));
        reported(&self.gate).collect()
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

fn refused(gate: &Gate, shed: &Shed) -> Lines {
    answer::shed(shed).into_iter().map(text).chain(reported(gate)).collect()
}

fn reported(gate: &Gate) -> impl Iterator<Item = (&'static str, String)> {
    answer::reported(gate.reports(), &gate.report()).map(text)
}

/// What the worker's side writes is ASCII.
fn text((name, value): (&'static str, HeaderValue)) -> (&'static str, String) {
    (name, String::from_utf8_lossy(value.as_bytes()).into_owned())
}
