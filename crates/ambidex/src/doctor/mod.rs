//! The doctor of this process: looks at its coordinator's workers all the time, judges now and then, and tells the coordinator's pages.
//!
//! ```text
//!              every `window`/60            every `every`
//! Observer ----look----> Clerk ----history----> diagnose ----tell----> Board (folder of reviews, if any) ----> Observer
//!                          ^---- start ---- Chronicle (folder of histories, if any) <---- round
//! ```
//! | what happens | what follows |
//! |---|---|
//! | a round takes long | looks wait for it; requests, ticks and pages do not, since it has a thread of its own and holds no lock of theirs |
//! | a round panics | that is told, what was told before stays, and the next round is in its time |
//! | the folder of reviews cannot be used | findings are told without it, and the board says why |
//! | the folder of the history cannot be used | what was noted is in memory only, a remark says why, and each round tries again |
//! | another configuration | taken between two looks; what was noted stays, unless windows have another length |
//! | the end of the process | waited for at most five seconds: the doctor holds nothing that must be written |
//!
//! It reads what the coordinator has counted anyway, so that it costs requests nothing. Only what a person approved is changed, and only
//! where `carry_out` wants it: that is [`carry`]'s, on another thread.

mod board;
mod carry;
mod chronicle;
mod clerk;
mod config;
mod ledger;
mod tell;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_control::doctor::{DoctorState, DoctorStatus, Observer};
use ambidex_core::time::{Mono, Span};
use ambidex_gateway::RouteCounts;
use ambidex_insight::doctor::diagnose;
use ambidex_insight::history::At;

use board::Board;
use carry::Call;
use chronicle::Chronicle;
use clerk::Clerk;
pub(crate) use config::{DoctorConfig, DoctorSection};

/// The running doctor; ends when dropped.
#[derive(Debug)]
pub(crate) struct Doctor {
    orders: Sender<Order>,
    calls: Sender<Call>,
    /// Something comes from each of its threads that is over.
    over: Mutex<Receiver<()>>,
}

#[derive(Debug)]
enum Order {
    /// Go by these settings; `None`: look no more.
    Take(Option<DoctorConfig>),
    End,
}

impl Doctor {
    /// Starts it on a thread of its own. `routes`: what workers had of each route, where requests go through this process.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        observer: Observer,
        routes: Option<RouteCounts>,
        section: &DoctorSection,
    ) -> std::io::Result<Self> {
        let ((orders, heard), (calls, called), (ended, over)) = (channel(), channel(), channel());
        let board = Arc::new(Board::new(observer.clone(), calls.clone()));
        observer.keep_reviews(Arc::clone(&board) as _);
        let first = section.on().cloned();
        let carries = Arc::new(AtomicBool::new(false));
        let (ours, theirs, may, end) = (observer.clone(), Arc::clone(&board), Arc::clone(&carries), ended.clone());
        std::thread::Builder::new().name("reviews".into()).spawn(move || {
            carry::run(&ours, &theirs, &called, || may.load(Relaxed));
            let _ = end.send(());
        })?;
        let call = calls.clone();
        std::thread::Builder::new().name("doctor".into()).spawn(move || {
            run(&Practitioner { observer, routes, board, carries, call }, first, &heard);
            let _ = ended.send(());
        })?;
        Ok(Self { orders, calls, over: Mutex::new(over) })
    }

    /// Goes by other settings from now on.
    pub(crate) fn take(&self, section: &DoctorSection) {
        // One that is over takes nothing.
        let _ = self.orders.send(Order::Take(section.on().cloned()));
    }
}

impl Drop for Doctor {
    fn drop(&mut self) {
        // Changes first: what is in a canary is to be taken back while there is a coordinator.
        let _ = (self.calls.send(Call::End), self.orders.send(Order::End));
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..THREADS {
            if over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!("the doctor is in the middle of something: it is left behind");
            }
        }
    }
}

/// Where the doctor works.
#[derive(Debug)]
struct Practitioner {
    observer: Observer,
    /// What workers had of each route, where requests go through this process.
    routes: Option<RouteCounts>,
    board: Arc<Board>,
    /// Whether approved changes are carried out here.
    carries: Arc<AtomicBool>,
    /// Wakes who carries them out.
    call: Sender<Call>,
}

fn run(here: &Practitioner, first: Option<DoctorConfig>, orders: &Receiver<Order>) {
    let mut practice = None;
    here.settle(&mut practice, first);
    loop {
        let wait = practice.as_ref().map_or(IDLE, |practice: &Practice| practice.due().since(here.observer.now()));
        match orders.recv_timeout(wait.into()) {
            Ok(Order::Take(config)) => here.settle(&mut practice, config),
            Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                practice.iter_mut().for_each(|practice| practice.turn(here));
            }
        }
    }
}

impl Practitioner {
    /// Goes by these settings, with what was noted before where that still fits.
    fn settle(&self, practice: &mut Option<Practice>, config: Option<DoctorConfig>) {
        let before = practice.take();
        let folder = config.as_ref().and_then(|config| config.reviews.clone());
        self.carries.store(folder.is_some() && config.as_ref().is_some_and(|config| config.carry_out), Relaxed);
        self.board.keep_in(folder);
        // Who carries nothing out any more takes back what it has in a canary.
        let _ = self.call.send(Call::Look);
        let Some(config) = config else { return self.board.say(|status| *status = DoctorStatus::default()) };
        let now = self.observer.now();
        let (every, reviews) = (config.every, config.reviews.is_some());
        let (mut clerk, mut chronicle) = (None, None);
        if let Some(before) = before {
            let same = before.config.window == config.window && before.config.keep == config.keep;
            clerk = same.then_some(before.clerk);
            chronicle = before.chronicle.filter(|chronicle| Some(&chronicle.folder) == config.history.as_ref());
        }
        let mut chronicle = chronicle.or_else(|| config.history.clone().map(Chronicle::of));
        // Who notes already keeps what it has in a new folder, and reads nothing there: it may be its own.
        let clerk = clerk.unwrap_or_else(|| self.clerk(&config, chronicle.as_mut()));
        let rules = serde_json::to_value(config.rules).ok().and_then(|word| word.as_str().map(str::to_owned));
        *practice =
            Some(Practice { config, clerk, chronicle, next_look: now, next_round: now + every, next_refresh: now });
        self.board.say(|status| {
            if status.state == DoctorState::Off {
                (status.state, status.why) = (DoctorState::Waiting, Some(format!("its first round is after {every}")));
            }
            (status.every_ms, status.rules) = (every.as_millis(), rules.unwrap_or_default());
            status.board = status.board.take().filter(|_| reviews);
        });
    }

    /// A clerk that has noted nothing itself.
    fn clerk(&self, config: &DoctorConfig, chronicle: Option<&mut Chronicle>) -> Clerk {
        let mut clerk = Clerk::new(config.window, config.keep, self.routes.clone());
        let now = At(i64::try_from(self.observer.wall_millis()).unwrap_or(0));
        if let Some(chronicle) = chronicle {
            clerk.recall(now, |from, bounds| chronicle.recall(from, bounds));
        }
        clerk
    }
}

/// What the doctor goes by, and when.
#[derive(Debug)]
struct Practice {
    config: DoctorConfig,
    clerk: Clerk,
    chronicle: Option<Chronicle>,
    next_look: Mono,
    next_round: Mono,
    next_refresh: Mono,
}

impl Practice {
    fn due(&self) -> Mono {
        let refresh = if self.config.reviews.is_some() { self.next_refresh } else { self.next_round };
        self.next_look.min(self.next_round).min(refresh)
    }

    /// Does what is due.
    fn turn(&mut self, here: &Practitioner) {
        let Practitioner { observer, board, .. } = here;
        let now = observer.now();
        if self.next_look <= now {
            // Looks that were due meanwhile are left out.
            self.next_look = (self.next_look + self.clerk.pause()).max(now);
            let clerk = &mut self.clerk;
            if catch_unwind(AssertUnwindSafe(|| clerk.look(observer))).is_err() {
                // What it noted may be half of something.
                self.clerk = here.clerk(&self.config, self.chronicle.as_mut());
                board.say(|status| {
                    failed(status, "a look broke off, and what was noted since the last round is forgotten")
                });
            }
        }
        if self.next_round <= now {
            self.round(observer, board);
            self.next_round = (self.next_round + self.config.every).max(observer.now());
        }
        if self.config.reviews.is_some() && self.next_refresh <= now {
            if catch_unwind(AssertUnwindSafe(|| board.refresh())).is_err() {
                board.say(|status| failed(status, "the folder of reviews could not be looked at"));
            }
            self.next_refresh = observer.now() + REFRESH;
        }
    }

    /// Judges, and tells.
    fn round(&mut self, observer: &Observer, board: &Board) {
        let began = observer.now();
        let Self { config, clerk, chronicle, .. } = self;
        let worked = catch_unwind(AssertUnwindSafe(|| {
            let history = clerk.history();
            let diagnosis = diagnose(&history, &config.options());
            let unkept = chronicle.as_mut().and_then(|chronicle| chronicle.keep(&history).map(str::to_owned));
            let before = observer.told();
            let mut status = DoctorStatus {
                state: DoctorState::Judged,
                rounds: before.rounds + 1,
                failed: before.failed,
                at_ms: Some(observer.wall_millis()),
                took_ms: Some(observer.now().since(began).as_secs_f64() * 1e3),
                every_ms: config.every.as_millis(),
                rules: before.rules.clone(),
                ..tell::status(&diagnosis)
            };
            status.remarks.extend(unkept.map(|why| format!("what was noted is in memory only: {why}")));
            board.round(&diagnosis, status);
        }));
        if worked.is_err() {
            tracing::error!("a round of the doctor broke off; nothing else is touched by that");
            board.say(|status| failed(status, "that is a fault of this program, and its log says where"));
        }
    }
}

fn failed(status: &mut DoctorStatus, why: &str) {
    (status.state, status.why) = (DoctorState::Failed, Some(why.to_owned()));
    status.failed += 1;
}

/// Between two looks at orders while there is nothing to do. Source: ours.
const IDLE: Span = Span::from_secs(3_600);
/// Between two looks at what others made of the reviews. Source: ours.
const REFRESH: Span = Span::from_secs(60);
/// How long the end of the process waits for a round. Source: ours.
const PATIENCE: Duration = Duration::from_secs(5);
/// Its own, and who carries changes out.
const THREADS: usize = 2;
