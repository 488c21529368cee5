//! Requests: what the gateway does is what the codec says, and what nginx and HAProxy do is the same or listed.

use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ambidex_http1::Framing;

use crate::client::{self, Patience};
use crate::codec::{self, Verdict, name};
use crate::lanes::{self, LANES, bound};
use crate::listed::{self, REQUESTS};
use crate::origin::Origin;
use crate::proxies::Peers;
use crate::told::{Course, End, Step, Told};
use crate::{cases, proxies};

/// Follows every case on its connection: who takes the case's end for something else shows it.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn all() -> Vec<Vec<u8>> {
    cases::requests().into_iter().map(|case| [&case[..], LAST].concat()).collect()
}

#[test]
fn nginx_and_haproxy_pass_requests_on_as_we_do_or_the_difference_is_listed() {
    let mut peers = Peers::start();
    let found = Mutex::new(listed::Found::default());
    let begin = |ways: [proxies::Way; 2]| ways.map(|way| (way.peer, way.listen, Origin::start(way.origin)));
    lanes::each(std::mem::take(&mut peers.lanes), &all(), begin, async |ways: &[_; 2], case: &[u8]| {
        let verdict = codec::of_requests(case);
        let [one, other] = ways.each_ref().map(|(peer, listen, origin)| {
            let verdict = &verdict;
            async move {
                let mut looks = PAUSES.into_iter();
                let (seen, theirs) = loop {
                    let pause = looks.next().expect("the last look is taken as it is");
                    let (theirs, _) = client::course(*listen, origin, case, Patience::Quiet(pause)).await;
                    let seen = differences(case, verdict, &theirs);
                    if looks.len() == 0 || seen.iter().all(|what| listed::has(REQUESTS, *peer, what)) {
                        break (seen, theirs);
                    }
                    // What was taken for waiting may have been work, which is not to be seen as the next look's.
                    tokio::time::sleep(pause * 10).await;
                    origin.take();
                };
                (*peer, seen, theirs)
            }
        });
        for (peer, seen, theirs) in <[_; 2]>::from(tokio::join!(one, other)) {
            found.lock().expect("no panic in it").note(peer, seen, case, &theirs);
        }
    });
    found.into_inner().expect("no panic in it").check(REQUESTS);
}

#[test]
fn the_gateway_does_with_requests_what_the_codec_says() {
    let wrong = Mutex::new(String::new());
    let balance = AtomicI64::new(0);
    let origins = (0..LANES).map(|_| bound()).collect();
    let begin = |listener: TcpListener| {
        let origin = Origin::start(listener);
        let gateway = proxies::ambidex(origin.address);
        let address: SocketAddr = gateway.listener.parse().expect("an address");
        (gateway, address, origin)
    };
    lanes::each(origins, &all(), begin, async |(gateway, address, origin), case| {
        let verdict = codec::of_requests(case);
        let wanted = &verdict.course;
        let patience = match wanted.end {
            End::Waits => Patience::Answers(wanted.steps.len(), PAUSE),
            End::Closed | End::Stuck => Patience::UntilClosed,
        };
        let (course, cut) = client::course(*address, origin, case, patience).await;
        let mut why = against(&verdict, &course);
        // What is streamed before its end is seen may be cut off, once, and only where the codec never saw its end. It
        // may come after its client has gone.
        balance.fetch_add(i64::from(verdict.begun), Ordering::SeqCst);
        let cuts = i64::try_from(cut.len()).expect("few");
        if balance.fetch_sub(cuts, Ordering::SeqCst) < cuts {
            why.push(format!("cut off: {cut:?}"));
        }
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

/// What of a course that the gateway took is not as the codec says.
fn against(verdict: &Verdict, course: &Course) -> Vec<String> {
    let mut wrong = Vec::new();
    if course.end == End::Stuck {
        wrong.push("the connection stays open".to_owned());
    }
    if let Some(odd) = course.steps.iter().find(|step| matches!(step, Step::PassedOdd(_))) {
        wrong.push(format!("a worker got {odd:?}"));
    }
    if !course.is(&verdict.course) {
        wrong.push(format!("{course:?}, and not {verdict:?}"));
    }
    wrong
}

/// How a peer's course differs from ours.
fn differences(case: &[u8], verdict: &Verdict, theirs: &Course) -> Vec<String> {
    let Verdict { course: ours, refusal, .. } = verdict;
    let why = refusal.map_or("the method", name);
    let mut found = Vec::new();
    for (at, our) in ours.steps.iter().enumerate() {
        let Some(their) = theirs.steps.get(at) else {
            found.push(match (our, theirs.end) {
                (Step::Own(_), End::Waits) => format!("passes on: {why}"),
                (Step::Own(_), End::Closed | End::Stuck) if at > 0 && is_almost_close(case) => {
                    format!("closes before {ALMOST_CLOSE}")
                }
                (Step::Own(_), End::Closed | End::Stuck) => format!("closes without a word: {why}"),
                (Step::Passed(told), End::Waits) => format!("waits for more of {}", remarkable(case, told)),
                (Step::Passed(told), End::Closed | End::Stuck) => format!("closes before {}", remarkable(case, told)),
                (Step::PassedOdd(_), _) => unreachable!("we pass nothing odd on"),
            });
            return found;
        };
        match (our, their) {
            (Step::Passed(our), Step::Passed(their)) => found.extend(unlike(our, their)),
            (Step::Passed(_), Step::PassedOdd(why)) => {
                found.push(format!("writes what we refuse: {why}"));
                return found;
            }
            (Step::Passed(told), Step::Own(status)) => {
                found.push(format!("answers {status} to {}", remarkable(case, told)));
                return found;
            }
            (Step::Own(our), Step::Own(their)) => {
                match *their {
                    0 => found.push(format!("answers without a head, not {our}")),
                    their if their != *our => found.push(format!("answers {their}, not {our}")),
                    _ => {}
                }
                return found;
            }
            (Step::Own(_), Step::Passed(_) | Step::PassedOdd(_)) => {
                found.push(format!("passes on: {why}"));
                return found;
            }
            (Step::PassedOdd(_), _) => unreachable!("we pass nothing odd on"),
        }
    }
    let after = theirs.steps.get(ours.steps.len());
    found.extend(match (ours.end, after, theirs.end) {
        (End::Waits, Some(Step::Own(status)), _) => Some(format!("answers {status} where we wait")),
        (End::Waits, Some(Step::Passed(_) | Step::PassedOdd(_)), _) => Some("passes on where we wait".to_owned()),
        (End::Waits, None, End::Closed) => Some("closes where we wait".to_owned()),
        (End::Closed, Some(Step::Own(status)), _) => Some(format!("goes on where we close, and answers {status}")),
        (End::Closed, Some(Step::Passed(_) | Step::PassedOdd(_)), _) => Some("goes on where we close".to_owned()),
        (End::Closed, None, End::Waits) => Some("goes on where we close, and waits".to_owned()),
        (End::Waits, None, End::Waits | End::Stuck) | (End::Closed, None, End::Closed | End::Stuck) => None,
        (End::Stuck, ..) => unreachable!("the codec is never stuck"),
    });
    found
}

/// How two requests that went on differ.
fn unlike(our: &Told, their: &Told) -> Vec<String> {
    let mut found = Vec::new();
    if our.method != their.method {
        found.push("passes on another method".to_owned());
    }
    if our.target != their.target {
        found.push("passes on another target".to_owned());
    }
    if our.host.is_some() && our.host != their.host {
        found.push("passes on another host".to_owned());
    }
    if our.data != their.data {
        found.push("passes on another body".to_owned());
    }
    match (our.framing, their.framing) {
        (our, their) if our == their => {}
        (Framing::Chunked, Framing::Length(length)) if length == our.data.len() as u64 => {
            found.push("gathers a body and says its length".to_owned());
        }
        (our, their) => found.push(format!("frames {our:?} as {their:?}")),
    }
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    for field @ (name, _) in our.fields.iter().filter(|field| !their.fields.contains(field)) {
        found.push(if plain(name) {
            format!("drops {field:?}")
        } else {
            "drops a field with an unusual name".to_owned()
        });
    }
    for field @ (name, _) in their.fields.iter().filter(|field| !our.fields.contains(field)) {
        let named = their.hops.contains(name) || our.hops.contains(name);
        found.push(if named { "keeps what Connection names".to_owned() } else { format!("adds {field:?}") });
    }
    found
}

/// Whether `Connection` has an option that is not `close`, but is to nginx.
fn is_almost_close(case: &[u8]) -> bool {
    case.windows(6).any(|part| part == b"close0")
}

const ALMOST_CLOSE: &str = "what follows an option that begins with close";

/// What about a request makes others refuse it.
fn remarkable(case: &[u8], told: &Told) -> String {
    let has = |text: &[u8]| case.windows(text.len()).any(|part| part == text);
    let method = told.method.bytes().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte));
    let mut escapes = told.target.split('%').skip(1);
    let hexadecimal = |byte: &u8| byte.is_ascii_hexdigit();
    let escape = |text: &str| !text.starts_with("00") && text.bytes().take(2).filter(hexadecimal).count() == 2;
    match told.target.as_str() {
        target if target.starts_with("/?") && has(b"://") => "an absolute target without path".to_owned(),
        _ if !method => "a method not of capitals".to_owned(),
        "*" => "a target of *".to_owned(),
        _ if !escapes.all(escape) => "an escaped NUL, or an escape that is none".to_owned(),
        _ if has(b"websocket") => "a WebSocket without its version".to_owned(),
        _ if has(b"\t") => "a tab beside a value".to_owned(),
        _ if is_almost_close(case) => ALMOST_CLOSE.to_owned(),
        _ if has(b"Expect: 100-continue\r\nExpect:") => "two expectations".to_owned(),
        target => format!("{} {target} {:?}", told.method, told.host),
    }
}

/// Without a byte for so long, the gateway is taken to wait when it has done all that it has to.
const PAUSE: Duration = Duration::from_millis(30);
/// The same for a peer; longer for each look after one whose result is not listed, because on a busy machine a pause may
/// be too short to tell waiting from working.
const PAUSES: [Duration; 3] = [PAUSE, Duration::from_millis(500), Duration::from_secs(3)];
