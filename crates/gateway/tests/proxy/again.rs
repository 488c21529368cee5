//! Second chances of a route, over sockets: hedges, quorums, retries of what failed or was answered with a failure.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ambidex_core::again::counts::{Came, Chance};
use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, eventually, exactly, head, next, read_all, worker};

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const DOWN: &str = "HTTP/1.1 503 Down\r\ncontent-length: 4\r\n\r\ndown";

/// A worker that never answers, and tells each request that it got and each connection that was closed on it.
fn silent() -> (SocketAddr, Receiver<&'static str>) {
    let (told, happened) = channel();
    let told = Mutex::new(told);
    let address = worker(move |_, mut stream| {
        let tell = |what| _ = told.lock().expect("unpoisoned").send(what);
        if !head(&mut stream).is_empty() {
            tell("asked");
            head(&mut stream);
            tell("closed");
        }
    });
    (address, happened)
}

fn told(happened: &Receiver<&'static str>) -> &'static str {
    happened.recv_timeout(Duration::from_secs(60)).expect("it happens")
}

fn count(setup: &Setup, chance: Chance, came: Came) -> u64 {
    setup.view.load().pools()[0].budget.counts().get(chance, came)
}

#[test]
fn a_hedge_answers_for_a_worker_that_is_silent_and_the_loser_is_closed() {
    let ((slow, happened), (fast, _heads)) = (silent(), answering(OK));
    let setup = Wanted::before(&[slow, fast]).route(json!({"hedge": {"after": "50ms", "budget": "100%"}})).start();
    assert!(setup.ask(GET).ends_with("hi"), "round robin begins with the silent worker");
    assert_eq!((told(&happened), told(&happened)), ("asked", "closed"));
    assert_eq!(count(&setup, Chance::Hedge, Came::Mattered), 1);
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

#[test]
fn a_post_is_never_hedged_though_its_body_is_kept() {
    let (slow, happened) = silent();
    let (fast, heads) = answering(OK);
    let route = json!({"hedge": {"after": "5ms", "budget": "100%"}, "deadline": "2s"});
    let setup = Wanted::before(&[slow, fast]).route(route).start();
    let post = "POST /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab";
    let answers = [setup.ask(post), setup.ask(post)];
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 504")).count(), 1, "{answers:?}");
    assert_eq!(told(&happened), "asked");
    next(&heads);
    heads.try_recv().expect_err("the other one was sent once, to the silent worker");
}

#[test]
fn a_put_with_a_body_is_hedged_where_the_route_says_that_it_may_run_twice() {
    let (slow, happened) = silent();
    let (told_body, bodies) = channel();
    let told_body = Mutex::new(told_body);
    let fast = worker(move |_, mut stream| {
        while head(&mut stream).contains("content-length: 5") {
            let _ = told_body.lock().expect("unpoisoned").send(exactly(&mut stream, 5));
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    let hedge = json!({"after": "50ms", "budget": "100%"});
    let route = json!({"hedge": hedge, "repeat": "idempotent", "match": {"methods": ["PUT"]}});
    let setup = Wanted::before(&[slow, fast]).route(route).start();
    for _ in 0..2 {
        let answer = setup.ask("PUT /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello");
        assert!(answer.ends_with("hi"), "{answer}");
    }
    assert_eq!(told(&happened), "asked");
    let got: Vec<_> = (0..2).map(|_| bodies.recv_timeout(Duration::from_secs(60)).expect("a body")).collect();
    assert_eq!(got, ["hello", "hello"]);
}

/// A worker that reads a chunked body to its end, tells it, and then answers.
fn reading(answer: &'static str) -> (SocketAddr, Receiver<String>) {
    let (told, bodies) = channel();
    let told = Mutex::new(told);
    let address = worker(move |_, mut stream| {
        while head(&mut stream).contains("transfer-encoding: chunked") {
            let mut body = String::new();
            while !body.ends_with("0\r\n\r\n") {
                body.push_str(&exactly(&mut stream, 1));
            }
            let _ = told.lock().expect("unpoisoned").send(body);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, bodies)
}

fn put_of(body: &str) -> String {
    let head = "PUT /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[test]
fn a_body_of_unknown_length_is_kept_as_it_comes_and_hedged() {
    // What is no answer keeps its client waiting.
    let ((slow, came), (fast, bodies)) = (reading("HTTP/1.1 100 Continue\r\n\r\n"), reading(OK));
    let hedge = json!({"after": "50ms", "budget": "100%"});
    let setup = Wanted::before(&[slow, fast]).route(json!({"hedge": hedge, "repeat": "idempotent"})).start();
    for _ in 0..2 {
        let answer = setup.ask(&put_of("hello"));
        assert!(answer.ends_with("hi"), "{answer}");
        assert!(bodies.recv_timeout(Duration::from_secs(60)).expect("a body").contains("hello"));
    }
    assert!(came.recv_timeout(Duration::from_secs(60)).expect("a body").contains("hello"));
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

#[test]
fn a_body_of_unknown_length_goes_to_a_second_worker_after_the_first_failed() {
    let ((broken, broke), (fine, bodies)) = (reading(DOWN), reading(OK));
    let setup = Wanted::before(&[broken, fine]).route(json!({"retry": {}, "repeat": "idempotent"})).start();
    let answers = [setup.ask(&put_of("hello")), setup.ask(&put_of("hello"))];
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    for got in [broke, bodies] {
        assert!(got.recv_timeout(Duration::from_secs(60)).expect("a body").contains("hello"));
    }
}

#[test]
fn a_body_of_unknown_length_beyond_what_is_kept_is_sent_once_and_whole() {
    let ((broken, broke), (fine, bodies)) = (reading(DOWN), reading(OK));
    let route = json!({"retry": {}, "hedge": {"after": "5ms"}, "repeat": "idempotent", "keep_body": "4B"});
    let setup = Wanted::before(&[broken, fine]).route(route).start();
    let answers = [setup.ask(&put_of("hello")), setup.ask(&put_of("hello"))];
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503")).count(), 1, "{answers:?}");
    for got in [broke, bodies] {
        assert!(got.recv_timeout(Duration::from_secs(60)).expect("a body").contains("hello"));
        got.try_recv().expect_err("it was sent once to each");
    }
}

#[test]
fn the_first_worker_gets_an_upload_as_it_comes_though_it_is_kept() {
    let (told_first, came) = channel();
    let told_first = Mutex::new(told_first);
    let slow = worker(move |_, mut stream| {
        head(&mut stream);
        let _ = told_first.lock().expect("unpoisoned").send(exactly(&mut stream, "5\r\nfirst\r\n".len()));
        let _ = exactly(&mut stream, "4\r\nlast\r\n0\r\n\r\n".len());
        let _ = stream.write_all(OK.as_bytes());
    });
    let route = json!({"hedge": {"after": "5ms", "budget": "100%"}, "retry": {}, "repeat": "idempotent"});
    let setup = Wanted::before(&[slow]).route(route).start();
    let mut client = setup.connect();
    let head = "PUT /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(format!("{head}5\r\nfirst\r\n").as_bytes()).expect("sent");
    assert!(came.recv_timeout(Duration::from_secs(60)).expect("it is not waited for").contains("first"));
    client.write_all(b"4\r\nlast\r\n0\r\n\r\n").expect("sent");
    assert!(read_all(&mut client).ends_with("hi"));
}

#[test]
fn a_body_longer_than_is_kept_is_sent_once() {
    let (broken, _) = answering(DOWN);
    let (fine, heads) = answering(OK);
    let route = json!({"retry": {}, "repeat": "idempotent", "keep_body": "4B"});
    let setup = Wanted::before(&[broken, fine]).route(route).start();
    let put = |body: &str| {
        let text = format!("PUT /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        setup.ask(&(text + body))
    };
    let long = [put("hello"), put("hello")];
    assert_eq!(long.iter().filter(|answer| answer.starts_with("HTTP/1.1 503")).count(), 1, "{long:?}");
    next(&heads);
    let short = [put("hell"), put("hell")];
    assert!(short.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{short:?}");
}

#[test]
fn an_answer_that_says_that_its_worker_failed_is_asked_for_elsewhere() {
    let ((broken, _), (fine, _heads)) = (answering(DOWN), answering(OK));
    let setup = Wanted::before(&[broken, fine]).route(json!({"retry": {}})).start();
    let answer = setup.ask(GET);
    assert!(answer.contains("ambidex-attempts: 2") && answer.ends_with("hi"), "{answer}");
    assert_eq!(count(&setup, Chance::RetryAnswer, Came::Taken), 1);
}

#[test]
fn when_all_fail_the_client_gets_what_a_worker_said() {
    let ((one, _), (other, _heads)) = (answering(DOWN), answering(DOWN));
    let setup = Wanted::before(&[one, other]).route(json!({"retry": {}})).start();
    let answer = setup.ask(GET);
    assert!(answer.starts_with("HTTP/1.1 503 Down") && answer.ends_with("down"), "{answer}");
}

#[test]
fn what_only_watches_counts_and_changes_nothing() {
    let ((broken, _), (fine, _heads)) = (answering(DOWN), answering(OK));
    let setup = Wanted::before(&[broken, fine]).route(json!({"retry": {"answers": "observe"}})).start();
    let answers = [setup.ask(GET), setup.ask(GET)];
    assert_eq!(answers.iter().filter(|answer| answer.ends_with("down")).count(), 1, "{answers:?}");
    assert_eq!(count(&setup, Chance::RetryAnswer, Came::Watched), 1);
}

#[test]
fn a_get_that_was_reset_is_sent_again_and_a_post_is_not() {
    let broken = worker(|_, mut stream| _ = head(&mut stream));
    let (fine, _heads) = answering(OK);
    let setup = Wanted::before(&[broken, fine]).route(json!({"retry": {"answers": "off"}})).start();
    let gets = [setup.ask(GET), setup.ask(GET)];
    assert!(gets.iter().all(|answer| answer.ends_with("hi")), "{gets:?}");
    let post = "POST /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let posts = [setup.ask(post), setup.ask(post)];
    assert_eq!(posts.iter().filter(|answer| answer.starts_with("HTTP/1.1 502")).count(), 1, "{posts:?}");
}

#[test]
fn a_first_try_that_is_slow_is_given_up_for_another_worker() {
    let ((slow, happened), (fast, _heads)) = (silent(), answering(OK));
    let setup = Wanted::before(&[slow, fast]).route(json!({"first_try": {"after": "50ms"}})).start();
    assert!(setup.ask(GET).ends_with("hi"));
    assert_eq!((told(&happened), told(&happened)), ("asked", "closed"));
}

/// Workers that answer with these bodies and versions.
fn replicas(says: &[(&'static str, u32)]) -> (Vec<SocketAddr>, Arc<Mutex<Vec<String>>>) {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let replica = |&(body, version): &(&'static str, u32)| {
        let heads = Arc::clone(&heads);
        worker(move |_, mut stream| {
            loop {
                let head = head(&mut stream);
                if head.is_empty() {
                    return;
                }
                heads.lock().expect("unpoisoned").push(head);
                let length = body.len();
                let fields = format!("x-version: {version}\r\ncache-control: max-age=60\r\ncontent-length: {length}");
                let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes());
            }
        })
    };
    (says.iter().map(replica).collect(), heads)
}

#[test]
fn a_quorum_answers_with_what_most_replicas_say() {
    let (replicas, heads) = replicas(&[("old", 1), ("new", 2), ("new", 2)]);
    let setup = Wanted::before(&replicas).route(json!({"quorum": {"ask": 3}})).start();
    for _ in 0..4 {
        let answer = setup.ask(GET);
        assert!(answer.ends_with("new"), "{answer}");
    }
    assert_eq!(heads.lock().expect("unpoisoned").len(), 12);
    assert_eq!(count(&setup, Chance::Quorum, Came::Mattered), 4);
}

#[test]
fn the_newest_version_wins_whoever_is_the_first() {
    let (replicas, _) = replicas(&[("old", 9), ("new", 10), ("old", 9)]);
    let quorum = json!({"ask": 3, "rule": "newest", "compare": "header:x-version"});
    let setup = Wanted::before(&replicas).route(json!({"quorum": quorum})).start();
    assert!(setup.ask(GET).ends_with("new"));
}

#[test]
fn a_long_answer_of_a_quorum_comes_whole() {
    let long = |_: usize, mut stream: std::net::TcpStream| {
        while !head(&mut stream).is_empty() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 700000\r\n\r\nxxxxx");
            let _ = stream.write_all(&[b'x'; 699_995]);
        }
    };
    let replicas = [worker(long), worker(long)];
    let setup = Wanted::before(&replicas).route(json!({"quorum": {"ask": 2}})).start();
    let answer = setup.ask(GET);
    assert_eq!(answer.split_once("\r\n\r\n").expect("a head").1.len(), 700_000);
    assert_eq!(count(&setup, Chance::Quorum, Came::Mattered), 0);
}

#[test]
fn long_answers_that_differ_at_their_ends_are_told_after_the_client_has_one() {
    let long = |last: u8| {
        worker(move |_, mut stream| {
            while !head(&mut stream).is_empty() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 700000\r\n\r\n");
                let _ = stream.write_all(&[b'x'; 699_999]);
                let _ = stream.write_all(&[last]);
            }
        })
    };
    let (hook, posts) = hook();
    let quorum = json!({"ask": 3, "repair": format!("http://{hook}/fix")});
    let setup = Wanted::before(&[long(b'a'), long(b'b'), long(b'a')]).route(json!({"quorum": quorum})).start();
    assert_eq!(setup.ask(GET).split_once("\r\n\r\n").expect("a head").1.len(), 700_000);
    let (_, body) = posts.recv_timeout(Duration::from_secs(60)).expect("the hook hears");
    let body: serde_json::Value = serde_json::from_str(&body).expect("json");
    assert_eq!(body["of"], json!(3), "{body}");
    assert_eq!(count(&setup, Chance::Quorum, Came::Mattered), 1);
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

/// A repair hook that tells head and body of each post.
fn hook() -> (SocketAddr, Receiver<(String, String)>) {
    let (told, posts) = channel();
    let told = Mutex::new(told);
    let hook = worker(move |_, mut stream| {
        let head = head(&mut stream);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let body = exactly(&mut stream, length.expect("a length"));
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        let _ = told.lock().expect("unpoisoned").send((head, body));
    });
    (hook, posts)
}

#[test]
fn a_repair_hook_hears_who_said_what() {
    let (hook, posts) = hook();
    let (replicas, _) = replicas(&[("a", 1), ("b", 2)]);
    let quorum = json!({"ask": 2, "repair": format!("http://{hook}/fix")});
    let setup = Wanted::before(&replicas).route(json!({"quorum": quorum})).start();
    setup.ask(GET);
    let (head, body) = posts.recv_timeout(Duration::from_secs(60)).expect("the hook hears");
    assert!(head.starts_with("POST /fix HTTP/1.1\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("json");
    assert_eq!((&body["path"], &body["of"], &body["agreeing"]), (&json!("/a"), &json!(2), &json!(1)), "{body}");
    assert_ne!(body["answers"][0]["mark"], body["answers"][1]["mark"]);
    eventually("it is counted", || setup.gateway.stats().traffic.repairs == 1);
}

#[test]
fn what_is_not_urgent_asks_one_replica() {
    let (replicas, heads) = replicas(&[("a", 1), ("a", 1)]);
    let setup = Wanted::before(&replicas).route(json!({"quorum": {"ask": 2, "urgency": 3}})).start();
    setup.ask(GET);
    setup.ask("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\npriority: u=5, i\r\n\r\n");
    assert_eq!(heads.lock().expect("unpoisoned").len(), 3);
}

#[test]
fn only_what_is_asked_often_is_read_from_several_replicas() {
    let (replicas, heads) = replicas(&[("a", 1), ("a", 1)]);
    let setup = Wanted::before(&replicas).route(json!({"quorum": {"ask": 2, "hot_keys": "10%"}})).start();
    let get = |path: &str| setup.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
    (0..40).for_each(|number| _ = get(&format!("/cold/{number}")));
    (0..20).for_each(|_| _ = get("/hot"));
    let before = heads.lock().expect("unpoisoned").len();
    get("/hot");
    get("/cold/100");
    assert_eq!(heads.lock().expect("unpoisoned").len() - before, 3);
}

#[test]
fn what_is_asked_often_comes_from_several_replicas_and_the_rest_from_the_cache() {
    let (replicas, heads) = replicas(&[("a", 1), ("a", 1)]);
    let route = json!({"quorum": {"ask": 2, "hot_keys": "3%"}, "cache": {}});
    let setup = Wanted::before(&replicas).route(route).start();
    let get = |path: &str| setup.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
    (0..40).for_each(|number| _ = get(&format!("/cold/{number}")));
    (0..20).for_each(|_| _ = get("/hot"));
    (0..10).for_each(|_| _ = get("/warm"));
    let asked = || heads.lock().expect("unpoisoned").len();
    // Which keys are hot is worked out four times a second.
    let mut cold = (0..40).cycle();
    eventually("a cold key comes from the cache", || {
        let before = asked();
        get(&format!("/cold/{}", cold.next().expect("no end")));
        asked() == before
    });
    let before = asked();
    get("/hot");
    assert_eq!(asked() - before, 2);
}
