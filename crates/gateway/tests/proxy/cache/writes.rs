//! Writes: what they throw out, and what of their answers is kept.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::json;

use super::{Scripted, answer, on};
use crate::common::eventually;

/// Answers reads with their number, and writes with these lines.
fn writable(status: &'static str, lines: &'static str) -> Scripted {
    Scripted::new(move |number, request| {
        if request.starts_with("GET ") {
            return answer("cache-control: max-age=60", &format!("read {number}"));
        }
        let body = format!("written {number}");
        format!("HTTP/1.1 {status}\r\n{lines}content-length: {}\r\n\r\n{body}", body.len())
    })
}

#[test]
fn a_write_throws_out_what_is_kept_of_its_resource_and_of_those_that_it_names() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "M-SEARCH"] {
        let worker = writable("200 OK", "location: /b\r\ncontent-location: http://A.example/c\r\n");
        let setup = worker.behind(on());
        for path in ["/a", "/b", "/c", "/d"] {
            setup.get(path, "");
        }
        let got = setup.by(method, "/a", "content-length: 0");
        assert_eq!((got.body.as_str(), got.cache()), ("written 4", "ambidex; fwd=method"), "{method}");
        let bodies: Vec<_> = ["/a", "/b", "/c", "/d"].iter().map(|path| setup.get(path, "").body).collect();
        assert_eq!(bodies, ["read 5", "read 6", "read 7", "read 3"], "{method}");
        assert_eq!(setup.gateway.stats().cache.invalidated, 3);
    }
}

#[test]
fn a_write_that_was_refused_throws_nothing_out_and_one_without_an_answer_does() {
    let worker = writable("403 Forbidden", "location: /b\r\n");
    let setup = worker.behind(on());
    setup.get("/a", "");
    setup.by("PUT", "/a", "content-length: 0");
    assert_eq!(setup.get("/a", "").body, "read 0");
    let worker = Scripted::new(|number, request| match request.starts_with("GET ") {
        true => answer("cache-control: max-age=60", &format!("read {number}")),
        false => String::new(),
    });
    let setup = worker.behind(on());
    setup.get("/a", "");
    assert_eq!(setup.by("PUT", "/a", "content-length: 0").status(), "502");
    assert_eq!(setup.get("/a", "").body, "read 2");
}

#[test]
fn a_write_whose_client_left_has_thrown_out_what_it_may_have_changed() {
    let worker = Scripted::new(|number, request| {
        if request.starts_with("GET ") {
            return answer("cache-control: max-age=60", &format!("read {number}"));
        }
        // Nobody waits for it.
        std::sync::mpsc::channel::<()>().1.recv_timeout(std::time::Duration::from_millis(1)).unwrap_err();
        String::new()
    });
    let setup = worker.behind(on());
    setup.get("/a", "");
    let mut client = setup.connect();
    client.write_all(b"PUT /a HTTP/1.1\r\nhost: a.example\r\ncontent-length: 0\r\n\r\n").expect("sent");
    eventually("the worker got it", || worker.asked() == 2);
    drop(client);
    eventually("it was thrown out", || setup.gateway.stats().cache.invalidated == 1);
    assert_eq!(setup.get("/a", "").body, "read 2");
}

#[test]
fn a_read_that_began_before_a_write_is_not_kept_after_it() {
    let (goes, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (go, write) = (Arc::clone(&goes), Arc::clone(&written));
    let worker = Scripted::new(move |number, request| {
        if request.starts_with("GET ") && number == 0 {
            go.store(true, SeqCst);
            eventually("the write is over", || write.load(SeqCst));
        }
        answer("cache-control: max-age=60", &format!("answer {number}"))
    });
    let setup = worker.behind(on());
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| setup.get("/", "").body);
        eventually("the read is under way", || goes.load(SeqCst));
        assert_eq!(setup.by("PUT", "/", "content-length: 0").status(), "200");
        written.store(true, SeqCst);
        assert_eq!(reading.join().expect("answered"), "answer 0");
    });
    assert_eq!(setup.get("/", "").body, "answer 2");
}

#[test]
fn a_write_through_puts_its_answer_in_the_place_of_what_was_kept() {
    for (lines, kept) in [
        ("cache-control: max-age=60\r\n", true),
        ("content-location: /a\r\ncache-control: max-age=60\r\n", true),
        ("content-location: /other\r\n", false),
        ("cache-control: no-store, max-age=60\r\n", false),
        ("", false),
    ] {
        let worker = writable("200 OK", lines);
        let setup = worker.behind(json!({"writes": "write-through"}));
        setup.get("/a", "");
        setup.by("PUT", "/a", "content-length: 0");
        let expected = if kept { "written 1" } else { "read 2" };
        assert_eq!(setup.get("/a", "").body, expected, "{lines}");
    }
}
