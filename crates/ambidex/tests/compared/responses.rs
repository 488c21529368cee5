//! Answers of workers: what the gateway makes of them is what the codec says, and what nginx and HAProxy make of them is
//! the same or listed.

use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::time::Duration;

use ambidex_http1::Asked;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::answers;
use crate::codec::{self, Answer, Worth, name};
use crate::hostile::Hostile;
use crate::lanes::{self, LANES, bound};
use crate::listed::{self, RESPONSES};
use crate::proxies::Peers;
use crate::{cases, proxies};

/// A few are asked for by HEAD: those whose length says so, so that it is the same at every run.
fn is_head(case: &[u8]) -> bool {
    case.len() % 7 == 3
}

fn asked(case: &[u8]) -> Asked {
    Asked { head: is_head(case), connect: false, upgrade: false }
}

fn request(case: &[u8], path: &str, connection: &str) -> String {
    let method = if is_head(case) && path == "/case" { "HEAD" } else { "GET" };
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{connection}\r\n")
}

#[test]
fn nginx_and_haproxy_pass_answers_on_as_we_do_or_the_difference_is_listed() {
    let mut peers = Peers::start();
    let found = Mutex::new(listed::Found::default());
    let begin = |ways: [proxies::Way; 2]| ways.map(|way| (way.peer, way.listen, Hostile::start(way.origin)));
    lanes::each(std::mem::take(&mut peers.lanes), &cases::responses(), begin, async |ways: &[_; 2], case: &[u8]| {
        let worth = codec::of_responses(case, asked(case));
        let [one, other] = ways.each_ref().map(|(peer, listen, hostile)| {
            let worth = &worth;
            async move {
                hostile.set(case, true);
                let mut stream = TcpStream::connect(listen).await.expect("the peer listens");
                let _ = stream.write_all(request(case, "/case", "Connection: close\r\n").as_bytes()).await;
                let mut got = Vec::new();
                let read = timeout(LONGEST, stream.read_to_end(&mut got)).await;
                assert!(read.is_ok(), "{peer:?} never closes: {}", case.escape_ascii());
                let theirs = answer(&got, is_head(case), true);
                (*peer, differences(worth, &theirs), theirs)
            }
        });
        for (peer, seen, theirs) in <[_; 2]>::from(tokio::join!(one, other)) {
            found.lock().expect("no panic in it").note(peer, seen, case, &theirs);
        }
    });
    found.into_inner().expect("no panic in it").check(RESPONSES);
}

/// The answer that a client's bytes are.
fn answer(got: &[u8], head: bool, ended: bool) -> Answer {
    let mut read = answers::read(got, ended, |_| head);
    match (read.finals.pop(), read.odd) {
        (Some(last), _) if !read.finals.is_empty() => {
            Answer::Odd(if last.whole { "TwoAnswers" } else { "MoreThanAnswer" })
        }
        (Some(last), None) if last.status == 502 => Answer::Own(502),
        (Some(last), None) if last.whole => Answer::Whole(last.status, last.data),
        (Some(last), Some(_)) if last.whole => Answer::Odd("BytesAfter"),
        (Some(last), _) => Answer::Broken(last.status, last.data),
        (None, Some(odd)) => Answer::Odd(odd),
        (None, None) => Answer::Broken(0, Vec::new()),
    }
}

/// How a peer's answer differs from what we make of the same bytes.
fn differences(worth: &Worth, theirs: &Answer) -> Vec<String> {
    let why = worth.refusal.map_or("Truncated", name);
    let what = match (&worth.answer, theirs) {
        (our, their) if our == their => return Vec::new(),
        // How much of it comes is a matter of buffers.
        (Answer::Broken(_, our), Answer::Broken(_, their)) if our.starts_with(their) => return Vec::new(),
        (Answer::Odd(_), _) => unreachable!("we pass nothing odd on"),
        (Answer::Broken(..), Answer::Own(_)) => "answers 502 where we break off".to_owned(),
        (Answer::Own(_), Answer::Own(status)) => format!("answers {status}, not 502"),
        (Answer::Own(_), Answer::Broken(0, _)) => "closes without a word, where we answer 502".to_owned(),
        (Answer::Own(_) | Answer::Broken(..), Answer::Whole(..) | Answer::Broken(..) | Answer::Odd(_)) => {
            format!("passes on: {why}")
        }
        (Answer::Whole(..), Answer::Own(_)) => "answers 502 to what we pass on".to_owned(),
        (Answer::Whole(..), Answer::Broken(..)) => "breaks off what we pass on".to_owned(),
        (Answer::Whole(our, _), Answer::Whole(their, _)) if our != their => "passes on another status".to_owned(),
        (Answer::Whole(..), Answer::Whole(..)) => "passes on another body".to_owned(),
        (Answer::Whole(..), Answer::Odd(odd)) => format!("writes what we refuse: {odd}"),
    };
    vec![what]
}

#[test]
fn the_gateway_makes_of_answers_what_the_codec_says() {
    let wrong = Mutex::new(String::new());
    let origins = (0..LANES).map(|_| bound()).collect();
    let begin = |listener: TcpListener| {
        let hostile = Hostile::start(listener);
        let gateway = proxies::ambidex(hostile.address);
        let address: SocketAddr = gateway.listener.parse().expect("an address");
        (gateway, address, hostile)
    };
    lanes::each(origins, &cases::responses(), begin, async |(gateway, address, hostile), case| {
        let worth = codec::of_responses(case, asked(case));
        let mut why = against(&worth, *address, hostile, case).await;
        if gateway.log().contains("panicked") {
            why.push("it panicked".to_owned());
        }
        if !why.is_empty() {
            *wrong.lock().expect("no panic in it") += &format!("{why:?}: {}\n", case.escape_ascii());
        }
    });
    let wrong = wrong.into_inner().expect("no panic in it");
    assert!(wrong.is_empty(), "{} cases:\n{wrong}", wrong.lines().count());
}

/// Asks for the case, then for something else as the same client: what of both is not as it has to be.
async fn against(worth: &Worth, gateway: SocketAddr, hostile: &Hostile, case: &[u8]) -> Vec<String> {
    let mut wrong = Vec::new();
    hostile.set(case, worth.needs_end);
    let mut stream = TcpStream::connect(gateway).await.expect("the gateway listens");
    let _ = stream.write_all(request(case, "/case", "").as_bytes()).await;
    let (got, ended) = one(&mut stream, is_head(case)).await;
    let answer = answer(&got, is_head(case), ended);
    match (&worth.answer, &answer) {
        (our, their) if our == their => {}
        (Answer::Broken(_, our), Answer::Broken(_, their)) if our.starts_with(their) => {}
        // The fault came with the head, so that nothing had gone on yet.
        (Answer::Broken(..), Answer::Own(502)) => {}
        (our, their) => wrong.push(format!("{their:?}, and not {our:?}, {:?}", worth.refusal)),
    }
    if ended {
        stream = TcpStream::connect(gateway).await.expect("the gateway listens");
    }
    let mut second = Vec::new();
    if stream.write_all(request(case, "/next", "").as_bytes()).await.is_ok() {
        second = one(&mut stream, false).await.0;
    }
    if second.is_empty() {
        // It closed after its answer, which was seen only now.
        stream = TcpStream::connect(gateway).await.expect("the gateway listens");
        let _ = stream.write_all(request(case, "/next", "").as_bytes()).await;
        second = one(&mut stream, false).await.0;
    }
    let next = self::answer(&second, false, false);
    if next != Answer::Whole(200, b"good".to_vec()) {
        wrong.push(format!("the next request got {next:?}"));
    }
    let scene = hostile.asked();
    if scene.cases.len() != 1 || scene.others.len() != 1 {
        wrong.push(format!("asked {} and {} times", scene.cases.len(), scene.others.len()));
    } else if worth.spoils && scene.cases == scene.others {
        wrong.push("its connection was used again".to_owned());
    }
    wrong
}

/// Reads until one whole answer came, or the end; says which.
async fn one(stream: &mut TcpStream, head: bool) -> (Vec<u8>, bool) {
    let mut got = Vec::new();
    loop {
        let read = answers::read(&got, false, |_| head);
        if read.odd.is_some() || read.finals.iter().any(|answer| answer.whole) {
            return (got, false);
        }
        match timeout(LONGEST, stream.read_buf(&mut got)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return (got, true),
            Err(_) => panic!("neither answer nor end: {}", got.escape_ascii()),
        }
    }
}

/// Longer than anything takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);
