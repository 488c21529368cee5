//! A gateway that asks whether a request is to be served: what it says goes with the answer, and its permit ends with it.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use ambidex_gateway::admission::{Admission, Admitted, Find, Lines, Permit};
use http::StatusCode;
use tokio::sync::Semaphore;

use crate::common::{OK, Wanted, answering, connect, eventually, exactly, head, read_all, worker};

/// Lets in what says `x-in: now`, later what says `later`, and nothing else.
#[derive(Debug)]
struct Scripted {
    held: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
    turns: Arc<Semaphore>,
    statuses: Arc<Mutex<Vec<u16>>>,
}

struct Held(Arc<AtomicUsize>, Arc<Mutex<Vec<u16>>>);

impl Scripted {
    fn new() -> Arc<Self> {
        let turns = Arc::new(Semaphore::new(0));
        Arc::new(Self { held: Arc::default(), waiting: Arc::default(), turns, statuses: Arc::default() })
    }

    fn held(&self) -> usize {
        self.held.load(SeqCst)
    }
}

impl Held {
    fn permit(held: &Arc<AtomicUsize>, statuses: &Arc<Mutex<Vec<u16>>>) -> Box<dyn Permit> {
        held.fetch_add(1, SeqCst);
        Box::new(Self(Arc::clone(held), Arc::clone(statuses)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Permit for Held {
    fn answered<'a>(&mut self, status: StatusCode, find: &Find<'a>) -> Lines {
        self.1.lock().expect("no panic").push(status.as_u16());
        let kind = find("content-type").map(|kind| String::from_utf8_lossy(kind).into_owned());
        vec![("server-load", format!("in_flight={}", self.0.load(SeqCst))), ("x-kind", kind.unwrap_or_default())]
    }

    fn is_over(&self) -> bool {
        false
    }
}

impl Admission for Scripted {
    fn ask<'a>(&self, find: &Find<'a>) -> Admitted {
        let (held, statuses) = (Arc::clone(&self.held), Arc::clone(&self.statuses));
        match find("x-in") {
            Some(b"now") => Admitted::Now(Held::permit(&held, &statuses)),
            Some(b"later") => {
                let (turns, waiting) = (Arc::clone(&self.turns), Arc::clone(&self.waiting));
                waiting.fetch_add(1, SeqCst);
                let left = Waits(waiting);
                Admitted::Later(Box::pin(async move {
                    turns.acquire().await.expect("open").forget();
                    drop(left);
                    Ok(Held::permit(&held, &statuses))
                }))
            }
            _ => Admitted::Never(vec![("retry-after", "7".to_owned()), ("ambidex-shed", "other".to_owned())]),
        }
    }
}

struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn asking(admission: &Arc<Scripted>, worker: std::net::SocketAddr) -> crate::common::Setup {
    let mut wanted = Wanted::before(&[worker]);
    wanted.admission = Some(Arc::clone(admission) as _);
    wanted.start()
}

#[test]
fn what_is_not_let_in_gets_503_with_what_is_to_be_said_and_never_reaches_the_worker() {
    let (worker, heads) = answering(OK);
    let setup = asking(&Scripted::new(), worker);
    let answer = setup.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    for line in ["ambidex-error: shed\r\n", "retry-after: 7\r\n", "ambidex-shed: other\r\n"] {
        assert!(answer.contains(line), "{line}{answer}");
    }
    assert!(heads.try_recv().is_err());
}

#[test]
fn a_permit_lasts_until_its_answer_has_ended() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let worker = worker(move |_, mut stream| {
        head(&mut stream);
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/a\r\nserver-load: in_flight=9\r\ncontent-length: 4\r\n\r\nab"
        )
        .expect("sent");
        let _ = released.lock().expect("no panic").recv();
        let _ = stream.write_all(b"cd");
    });
    let admission = Scripted::new();
    let setup = asking(&admission, worker);
    let mut client = connect(setup.address);
    write!(client, "GET / HTTP/1.1\r\nHost: a\r\nx-in: now\r\n\r\n").expect("sent");
    let answer = head(&mut client);
    assert!(answer.contains("server-load: in_flight=1\r\n") && answer.contains("x-kind: text/a\r\n"), "{answer}");
    assert!(!answer.contains("in_flight=9"), "the worker's own word is not passed on: {answer}");
    assert_eq!(exactly(&mut client, 2), "ab");
    assert_eq!(admission.held(), 1);
    release.send(()).expect("it waits");
    assert_eq!(exactly(&mut client, 2), "cd");
    eventually("the permit ends", || admission.held() == 0);
}

#[test]
fn who_waits_is_served_in_its_turn_and_who_leaves_gives_its_place_back() {
    let (worker, _heads) = answering(OK);
    let admission = Scripted::new();
    let setup = asking(&admission, worker);
    let waits = |count| eventually("it waits", || admission.waiting.load(SeqCst) == count);
    let mut stays = connect(setup.address);
    write!(stays, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-in: later\r\n\r\n").expect("sent");
    waits(1);
    let mut leaves = connect(setup.address);
    write!(leaves, "GET / HTTP/1.1\r\nHost: a\r\nx-in: later\r\n\r\n").expect("sent");
    waits(2);
    drop(leaves);
    waits(1);
    admission.turns.add_permits(1);
    assert!(read_all(&mut stays).starts_with("HTTP/1.1 200 "));
    eventually("the permit ends", || admission.held() == 0);
}

#[test]
fn an_answer_of_our_own_counts_as_one() {
    let admission = Scripted::new();
    // Nobody listens there.
    let setup = asking(&admission, std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let answer = setup.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-in: now\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("server-load: "), "{answer}");
    assert_eq!(*admission.statuses.lock().expect("no panic"), [502]);
    eventually("the permit ends", || admission.held() == 0);
}
