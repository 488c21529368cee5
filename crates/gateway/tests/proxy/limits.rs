//! Limits of a route: rates of clients, and the time that a request has.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, connect, eventually, exactly, head, next, read_all, worker};

fn ask(setup: &Setup, lines: &str) -> String {
    setup.ask(&format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}connection: close\r\n\r\n"))
}

#[test]
fn a_client_over_its_rate_is_told_when_to_come_again_and_no_worker_is_asked() {
    let (worker, heads) = answering(OK);
    let setup = Wanted::before(&[worker]).route(json!({"rate_limit": {"requests": 2, "in": "1h"}})).start();
    for _ in 0..2 {
        assert!(ask(&setup, "").starts_with("HTTP/1.1 200 "));
        next(&heads);
    }
    let refused = ask(&setup, "");
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    for line in [
        "ambidex-error: rate-limited\r\n",
        "ratelimit-policy: \"client\";q=2;w=3600\r\n",
        "ratelimit: \"client\";r=0;t=1",
        "retry-after: 1",
    ] {
        assert!(refused.to_ascii_lowercase().contains(line), "{line} in {refused}");
    }
    assert!(heads.try_recv().is_err(), "a worker was asked");
    let stats = setup.gateway.stats();
    assert_eq!(stats.limits.clients, 1);
}

#[test]
fn where_the_route_says_so_served_answers_tell_how_much_is_left() {
    let (worker, _heads) = answering(OK);
    let told = |limit: serde_json::Value| {
        let setup = Wanted::before(&[worker]).route(json!({"rate_limit": limit})).start();
        let answers = [ask(&setup, ""), ask(&setup, "")].map(|answer| answer.to_ascii_lowercase());
        answers.map(|answer| {
            assert!(answer.starts_with("http/1.1 200 "), "{answer}");
            answer.lines().filter(|line| line.starts_with("ratelimit")).collect::<Vec<_>>().join(" ")
        })
    };
    let policy = "ratelimit-policy: \"client\";q=3;w=3600 ratelimit: \"client\"";
    let wanted = [format!("{policy};r=2;t=1200"), format!("{policy};r=1;t=2400")];
    assert_eq!(told(json!({"requests": 3, "in": "1h", "tell": true})), wanted);
    assert_eq!(told(json!({"requests": 3, "in": "1h"})), ["", ""]);
}

#[test]
fn a_connection_goes_on_after_a_refusal_for_its_rate() {
    let (worker, _heads) = answering(OK);
    let limit = json!({"rate_limit": {"requests": 1, "in": "1h", "per": {"header": "x-key"}}});
    let setup = Wanted::before(&[worker]).route(limit).start();
    let mut stream = setup.connect();
    for (key, status) in [("a", "200"), ("a", "429"), ("b", "200")] {
        write!(stream, "GET / HTTP/1.1\r\nhost: a\r\nx-key: {key}\r\n\r\n").expect("sent");
        let answer = head(&mut stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{key}: {answer}");
        let lines = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        exactly(&mut stream, lines.parse().expect("a number"));
    }
}

#[test]
fn clients_behind_a_trusted_proxy_have_a_rate_each() {
    let (worker, _heads) = answering(OK);
    let setup = Wanted::before(&[worker])
        .listener(json!({"trusted": ["127.0.0.0/8"]}))
        .route(json!({"rate_limit": {"requests": 1, "in": "1h"}}))
        .start();
    let status = |client: &str| ask(&setup, &format!("x-forwarded-for: {client}\r\n"))[9..12].to_owned();
    assert_eq!([status("1.1.1.1"), status("1.1.1.1"), status("2.2.2.2")], ["200", "429", "200"]);
}

#[test]
fn a_worker_is_told_how_much_time_is_left() {
    let (worker, heads) = answering(OK);
    let setup = Wanted::before(&[worker]).route(json!({"deadline": "20s", "pass_deadline": true})).start();
    let told = |lines: &str, name: &str| {
        assert!(ask(&setup, lines).starts_with("HTTP/1.1 200 "));
        let head = next(&heads).to_ascii_lowercase();
        let mut values = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
        let value = values.next().unwrap_or_else(|| panic!("{name} in {head}"));
        assert_eq!(values.next(), None, "said once: {head}");
        value
    };
    let millis = |text: String| text.parse::<u64>().expect("a number");
    let whole = millis(told("", "ambidex-deadline-ms"));
    assert!((10_000..=20_000).contains(&whole), "{whole}");
    let shorter = millis(told("ambidex-deadline-ms: 9000\r\n", "ambidex-deadline-ms"));
    assert!((1..=9_000).contains(&shorter), "{shorter}");
    let longer = millis(told("ambidex-deadline-ms: 999000\r\n", "ambidex-deadline-ms"));
    assert!(longer <= 20_000, "{longer}");
    let grpc = told("content-type: application/grpc\r\ngrpc-timeout: 5S\r\n", "grpc-timeout");
    let micros: u64 = grpc.strip_suffix('u').expect("in microseconds").parse().expect("a number");
    assert!((1..=5_000_000).contains(&micros), "{grpc}");
}

#[test]
fn a_client_s_own_deadline_shortens_ours_and_none_left_is_a_504_at_once() {
    let silent = worker(|_, mut stream| {
        head(&mut stream);
        // Nothing more comes until the gateway gives up.
        head(&mut stream);
    });
    let setup = Wanted::before(&[silent]).route(json!({"deadline": "1h", "pass_deadline": true})).start();
    for lines in ["grpc-timeout: 50m\r\n", "ambidex-deadline-ms: 50\r\n", "ambidex-deadline-ms: 0\r\n"] {
        let answer = ask(&setup, lines);
        assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("ambidex-error: deadline\r\n"), "{answer}");
    }
    assert_eq!(setup.gateway.stats().traffic.connects, 2, "the last was not sent");
}

#[test]
fn without_pass_deadline_a_clients_time_is_nobodys_business() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    assert!(ask(&setup, "ambidex-deadline-ms: 0\r\n").starts_with("HTTP/1.1 200 "));
    assert!(!next(&heads).to_ascii_lowercase().contains("deadline"));
}

#[test]
fn a_deadline_that_follows_its_route_cuts_what_takes_far_longer_than_usual() {
    let patient = worker(|_, mut stream| {
        loop {
            let asked = head(&mut stream);
            if asked.is_empty() || asked.starts_with("GET /stuck") {
                // Held until the gateway gives up.
                head(&mut stream);
                return;
            }
            if stream.write_all(OK.as_bytes()).is_err() {
                return;
            }
        }
    });
    let adaptive = json!({"deadline": {"adaptive": {"times": 3, "least": "100ms", "most": "1h"}}});
    let setup = Wanted::before(&[patient]).route(adaptive).start();
    (0..40).for_each(|_| assert!(ask(&setup, "").starts_with("HTTP/1.1 200 ")));
    // A quantile that was worked out serves a quarter of a second, the one of too few requests as well.
    let mut looks = 0;
    eventually("it is worked out anew", || {
        looks += 1;
        looks > 40
    });
    let stuck = setup.ask("GET /stuck HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(stuck.starts_with("HTTP/1.1 504 "), "{stuck}");
}

#[test]
fn one_client_gets_no_more_connections_than_it_may_and_one_that_leaves_makes_room() {
    let (worker, _heads) = answering(OK);
    let setup = Wanted::before(&[worker]).listener(json!({"max_connections_per_client": 2})).start();
    let served = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = head(stream);
        if answer.starts_with("HTTP/1.1 200 ") {
            exactly(stream, 2);
            return true;
        }
        false
    };
    let (mut first, mut second) = (setup.connect(), setup.connect());
    assert!(served(&mut first) && served(&mut second));
    let mut third = setup.connect();
    assert!(!served(&mut third));
    assert_eq!(setup.gateway.stats().listeners[0].refused_client, 1);
    drop(first);
    eventually("there is room again", || served(&mut connect(setup.address)));
}

#[test]
fn connections_by_the_proxy_protocol_count_for_the_client_that_it_names() {
    let (worker, _heads) = answering(OK);
    let setup =
        Wanted::before(&[worker]).listener(json!({"max_connections_per_client": 1, "proxy_protocol": true})).start();
    let open = |client: &str| {
        let mut stream = setup.connect();
        write!(stream, "PROXY TCP4 {client} 10.0.0.1 5000 80\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
        let answer = head(&mut stream);
        (stream, answer.starts_with("HTTP/1.1 200 "))
    };
    let (_first, served) = open("1.1.1.1");
    assert!(served);
    let (mut again, served) = open("1.1.1.1");
    assert!(!served && read_all(&mut again).is_empty());
    assert!(open("2.2.2.2").1);
}
