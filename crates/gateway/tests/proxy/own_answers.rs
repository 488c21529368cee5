//! Never an answer meant for another request (reliability.md "Figures to reach"): workers that send more than was asked
//! for, in every way that there is, while many clients ask at once; each answer names the request that it is for.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::common::{OK, Setup, Wanted, connect, eventually, exactly, head, worker};

/// What nobody asked for, in the shape of an answer.
const POISON: &str = "HTTP/1.1 200 OK\r\nx-id: poison\r\ncontent-length: 6\r\n\r\npoison";

/// What a worker does beside answering. All of it comes with the answer: what comes later, when the next request is on its
/// way already, is that request's answer by all that HTTP/1 knows; what comes in between is met in a test of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    Well,
    /// A second answer in one piece with the first.
    TwoAtOnce,
    /// More body than announced.
    TooMuch,
    /// The same after the last chunk.
    TooMuchInChunks,
    /// Less body than announced, and the end.
    TooLittle,
    /// Less body than announced, then a second answer, which belongs to the first one's body by its length.
    TooLittleThenMore,
    /// Interim answers before the answer, and one after it.
    Interim,
    /// A body where there is none.
    NoContent,
    NotModified,
    /// Says that it keeps the connection, and closes it.
    ClosesAfter,
    /// Closes in place of an answer.
    Closes,
    /// The same with a reset.
    Resets,
    /// Begins an answer and breaks it off.
    BreaksOff,
    /// Answers, and resets in the middle of what it sends more.
    ResetsLater,
}

impl Trick {
    const ALL: [Self; 14] = [
        Self::Well,
        Self::TwoAtOnce,
        Self::TooMuch,
        Self::TooMuchInChunks,
        Self::TooLittle,
        Self::TooLittleThenMore,
        Self::Interim,
        Self::NoContent,
        Self::NotModified,
        Self::ClosesAfter,
        Self::Closes,
        Self::Resets,
        Self::BreaksOff,
        Self::ResetsLater,
    ];

    /// What it sends to a request of this id. A request of HEAD gets the body, too: one more trick.
    fn bytes(self, id: &str) -> String {
        let (length, named) = (id.len(), format!("x-id: {id}\r\n"));
        let plain = format!("HTTP/1.1 200 OK\r\n{named}content-length: {length}\r\n\r\n{id}");
        let chunked =
            format!("HTTP/1.1 200 OK\r\n{named}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{id}\r\n0\r\n\r\n");
        match self {
            Self::Well | Self::ClosesAfter => plain,
            Self::TwoAtOnce | Self::TooMuch | Self::ResetsLater => plain + POISON,
            Self::TooMuchInChunks => chunked + POISON,
            Self::TooLittle | Self::BreaksOff => {
                format!("HTTP/1.1 200 OK\r\n{named}content-length: {}\r\n\r\n{id}", length + 10)
            }
            Self::TooLittleThenMore => {
                format!("HTTP/1.1 200 OK\r\n{named}content-length: {}\r\n\r\n{id}{POISON}", length + 10)
            }
            Self::Interim => {
                let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
                format!("{interim}HTTP/1.1 102 Processing\r\n\r\n{plain}{interim}")
            }
            Self::NoContent => format!("HTTP/1.1 204 No Content\r\n{named}\r\n{POISON}"),
            Self::NotModified => format!("HTTP/1.1 304 Not Modified\r\n{named}content-length: 6\r\n\r\n{POISON}"),
            Self::Closes | Self::Resets => String::new(),
        }
    }

    fn play(self, stream: &mut TcpStream, id: &str) {
        let _ = stream.write_all(self.bytes(id).as_bytes());
        match self {
            Self::TooLittle | Self::ClosesAfter | Self::Closes => {
                let _ = stream.shutdown(Shutdown::Both);
            }
            Self::BreaksOff | Self::Resets | Self::ResetsLater => {
                socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).expect("a reset at its end");
                let _ = stream.shutdown(Shutdown::Both);
            }
            Self::Well
            | Self::TwoAtOnce
            | Self::TooMuch
            | Self::TooMuchInChunks
            | Self::TooLittleThenMore
            | Self::Interim
            | Self::NoContent
            | Self::NotModified => {}
        }
    }
}

fn pause(millis: u64) {
    let (_wake, sleep) = channel::<()>();
    let _ = sleep.recv_timeout(Duration::from_millis(millis));
}

/// The value of a field, in small letters.
fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A worker that plays the next trick of the list with each request, whose id is a field of it.
fn trickster() -> std::net::SocketAddr {
    let played = AtomicUsize::new(0);
    worker(move |_, mut stream| {
        loop {
            let head = head(&mut stream);
            let Some(id) = field(&head, "x-id") else { return };
            let length = field(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if stream.read_exact(&mut vec![0; length]).is_err() {
                return;
            }
            Trick::ALL[played.fetch_add(1, SeqCst) % Trick::ALL.len()].play(&mut stream, id);
        }
    })
}

/// What became of a client's requests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    answered: usize,
    refused: usize,
    broken: usize,
}

/// Asks so often, on as few connections as it may, and checks that whatever comes is its own.
fn ask_often(address: std::net::SocketAddr, client: usize, requests: usize) -> Seen {
    let (mut seen, mut open) = (Seen::default(), None);
    for request in 0..requests {
        let id = format!("{client}-{request}-{}", "x".repeat(request % 7));
        let method = ["GET", "POST", "HEAD"][request % 3];
        let body = if method == "POST" { id.as_str() } else { "" };
        let mut stream = open.take().unwrap_or_else(|| BufReader::new(connect(address)));
        let asked =
            format!("{method} / HTTP/1.1\r\nhost: a\r\nx-id: {id}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.get_mut().write_all(asked.as_bytes()).is_err() {
            continue;
        }
        match answer(&mut stream, &id, method == "HEAD") {
            Some(Ours::Answered) => {
                seen.answered += 1;
                open = Some(stream);
            }
            Some(Ours::Refused) => seen.refused += 1,
            None => seen.broken += 1,
        }
    }
    seen
}

enum Ours {
    Answered,
    Refused,
}

/// One answer; none when the connection broke.
fn answer(stream: &mut BufReader<TcpStream>, id: &str, to_head: bool) -> Option<Ours> {
    let head = loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        if !head.starts_with("HTTP/1.1 1") {
            break head;
        }
    };
    assert!(!head.contains("poison"), "{id}: {head}");
    if field(&head, "ambidex-error").is_some() {
        return Some(Ours::Refused);
    }
    assert_eq!(field(&head, "x-id"), Some(id), "{head}");
    let bodiless = to_head || head.starts_with("HTTP/1.1 204 ") || head.starts_with("HTTP/1.1 304 ");
    let mut body = String::new();
    if field(&head, "transfer-encoding") == Some("chunked") && !bodiless {
        while !body.ends_with("0\r\n\r\n") {
            if stream.read_line(&mut body).ok()? == 0 {
                return None;
            }
        }
        assert!(body.contains(&format!("\r\n{id}\r\n")), "{id}: {body}");
    } else if !bodiless {
        let length = field(&head, "content-length")?.parse().expect("a number");
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).ok()?;
        body = String::from_utf8(bytes).expect("text");
        // What came within an announced length is of that answer, however odd.
        assert!(body.starts_with(id), "{id}: {body}");
    }
    Some(Ours::Answered)
}

#[test]
fn many_clients_before_workers_full_of_tricks_get_their_own_answers_or_none() {
    let workers = [trickster(), trickster()];
    let setup = Wanted::before(&workers).route(json!({"deadline": "5s", "retries": 2})).start();
    let (clients, requests) = (8, 90);
    let address = setup.address;
    let asking: Vec<_> =
        (0..clients).map(|client| thread::spawn(move || ask_often(address, client, requests))).collect();
    let mut sum = Seen::default();
    for seen in asking.into_iter().map(|client| client.join().expect("each answer was its own")) {
        sum.answered += seen.answered;
        sum.refused += seen.refused;
        sum.broken += seen.broken;
    }
    // Of fourteen tricks, nine leave an answer whole.
    assert!(sum.answered > clients * requests / 4, "{sum:?}");
    assert!(sum.refused + sum.broken > 0, "{sum:?}");
    eventually("nothing is in flight", || setup.in_flight() == 0);
    eventually("no client's connection is left", || setup.gateway.stats().listeners[0].open == 0);
}

/// A worker that plays `trick` once, and answers as it should after that.
fn once(trick: Trick) -> Setup {
    Setup::before(worker(move |number, mut stream| {
        while !head(&mut stream).is_empty() {
            if number == 0 {
                trick.play(&mut stream, "mine");
                // Whatever is asked now is asked in the wrong place.
                if !head(&mut stream).is_empty() {
                    let _ = stream.write_all(POISON.as_bytes());
                }
                return;
            }
            let _ = stream.write_all(OK.as_bytes());
        }
    }))
}

/// Asks by `method`, and says the status; then asks again and gets a new connection's answer.
fn then_another(trick: Trick, method: &str) -> String {
    let setup = once(trick);
    let mut client = setup.connect();
    write!(client, "{method} / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    let mut first = head(&mut client);
    while first.starts_with("HTTP/1.1 10") {
        first = head(&mut client);
    }
    assert_eq!(field(&first, "x-id"), Some("mine"), "{first}");
    let length = field(&first, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let chunked = if field(&first, "transfer-encoding").is_some() { "4\r\nmine\r\n0\r\n\r\n".len() } else { 0 };
    let bodiless = method == "HEAD" || !first.starts_with("HTTP/1.1 200 ");
    let body = exactly(&mut client, if bodiless { 0 } else { length + chunked });
    assert!(bodiless || body.contains("mine"), "{body}");
    eventually("the worker's connection is idle or closed", || setup.in_flight() == 0);
    client.write_all(b"GET /again HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    let second = head(&mut client);
    assert!(second.starts_with("HTTP/1.1 200 ") && !second.contains("poison"), "{trick:?}: {second}");
    assert_eq!(exactly(&mut client, 2), "hi", "{trick:?}");
    assert_eq!(setup.gateway.stats().traffic.connects, 2, "{trick:?}: the odd connection is not used again");
    let totals = setup.view.load().pools()[0].workers[0].cells.totals();
    assert_eq!((totals.failed, totals.broken), (0, 0), "{trick:?}: both answers were whole");
    first[..12].to_owned()
}

#[test]
fn who_sends_more_than_an_answer_has_answered_and_loses_its_connection() {
    for trick in [Trick::TwoAtOnce, Trick::TooMuchInChunks, Trick::Interim, Trick::ClosesAfter] {
        assert_eq!(then_another(trick, "GET"), "HTTP/1.1 200", "{trick:?}");
    }
    assert_eq!(then_another(Trick::NoContent, "GET"), "HTTP/1.1 204");
    assert_eq!(then_another(Trick::NotModified, "GET"), "HTTP/1.1 304");
}

#[test]
fn an_answer_to_head_that_has_a_body_loses_its_connection() {
    for trick in [Trick::Well, Trick::TooMuch, Trick::TooLittle] {
        assert_eq!(then_another(trick, "HEAD"), "HTTP/1.1 200", "{trick:?}");
    }
}

#[test]
fn what_comes_on_a_connection_that_is_idle_is_no_answer() {
    let (told, sent) = channel();
    let told = std::sync::Mutex::new(told);
    let setup = Setup::before(worker(move |number, mut stream| {
        while !head(&mut stream).is_empty() {
            let _ = stream.write_all(OK.as_bytes());
            if number == 0 {
                pause(50);
                let _ = stream.write_all(POISON.as_bytes());
                let _ = told.lock().expect("unpoisoned").send(());
            }
        }
    }));
    let mut client = setup.connect();
    for _ in 0..2 {
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
        let answer = head(&mut client);
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("poison"), "{answer}");
        assert_eq!(exactly(&mut client, 2), "hi");
        if setup.gateway.stats().traffic.connects == 1 {
            sent.recv_timeout(Duration::from_secs(60)).expect("it sends more");
        }
    }
    assert_eq!(setup.gateway.stats().traffic.connects, 2);
}
