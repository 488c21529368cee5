//! What workers get for each request of a client while all of them fail: not much more than the request, however eager the
//! route is to ask again [reliability.md row 7].

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

use crate::process::Running;
use crate::rogue::{Manner, Rogue};
use crate::scene::answer;

/// Everything that sends a request again, and nothing that keeps requests back.
fn config(workers: &[Rogue]) -> String {
    let members: Vec<_> = workers.iter().map(Rogue::member).collect();
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: off\nthreads: 2\npools:\n  api:\n    workers: [{}]\n    balance: \
         round-robin\n    breaker: {{consecutive: 100000, errors: off}}\nroutes:\n  - pool: api\n    retries: 3\n    retry: {{sent: on, \
         answers: on}}\n    first_try: {{after: 5s}}\n    hedge: {{after: 1ms, budget: 10%}}\n",
        members.join(", ")
    )
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it took is part of what may be sent")]
fn while_all_workers_reset_two_gateways_of_two_threads_send_a_fifth_more_than_they_were_asked() {
    let workers = ["a", "b", "c"].map(|name| Rogue::start(name, Manner::ResetAtOnce));
    let config = config(&workers);
    let gateways = [Running::run(&config), Running::run(&config)];
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (gateway, next) = (&gateways[client % 2], &next);
            scope.spawn(move || {
                let mut stream = TcpStream::connect(&gateway.listener).expect("connects");
                while next.fetch_add(1, SeqCst) < REQUESTS {
                    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
                    let told = answer(&mut stream);
                    assert!(told.starts_with("HTTP/1.1 50"), "{told}");
                }
            });
        }
    });
    let asked: u64 = workers.iter().map(Rogue::asked).sum();
    // Each gateway has a budget: a fifth of its requests, and ten a second, those of ten seconds, which are counted in
    // whole ones, at once; and threads that look at it at the same moment.
    let floor = 2.0 * 10.0 * (begun.elapsed().as_secs_f64() + 11.0);
    let most = 1.2 * REQUESTS as f64 + floor + CLIENTS as f64;
    assert!(asked as f64 <= most, "{asked} tries for {REQUESTS} requests, {most} at most");
    assert!(asked as f64 >= 1.05 * REQUESTS as f64, "nothing is asked twice, or nothing is proved: {asked}");
    assert!(gateways.iter().all(|gateway| !gateway.log().contains("panic")));
}

/// So many that what is always allowed weighs little.
const REQUESTS: usize = 4_000;
const CLIENTS: usize = 16;
