//! Polls of workers with `https:` URLs, over the whole process: the pool's `upstream.tls` says whom they believe.

mod process;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use process::{Running, until};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

const REPORT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{\"current_load\":3}";

/// A worker that reports over TLS as `w.test`, and its certificate.
fn secure_worker() -> (SocketAddr, String) {
    let issued = rcgen::generate_simple_self_signed(["w.test".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![issued.cert.der().clone()], key);
    let config = Arc::new(config.expect("a pair"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = StreamOwned::new(session, stream.expect("accepted"));
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(REPORT);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (address, issued.cert.pem())
}

fn seen(running: &Running, name: &str) -> Value {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    workers.iter().find(|worker| worker["name"] == name).expect("it is in the pool").clone()
}

#[test]
fn an_https_worker_is_polled_when_its_certificate_is_believed_and_else_silent_with_the_reason() {
    let ((known, certificate), (stranger, _)) = (secure_worker(), secure_worker());
    let folder = TempDir::new().expect("a folder");
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, certificate).expect("written");
    let running = Running::run(&format!(
        "\
listeners: [{{address: \"127.0.0.1:0\"}}]
pools:
  api:
    workers: [{{url: \"https://{known}\", name: known}}, {{url: \"https://{stranger}\", name: stranger}}]
    reports: {{poll: {{path: /load, interval: 1s}}}}
    upstream: {{tls: {{ca: \"{}\", sni: w.test}}}}
admin: {{address: \"127.0.0.1:0\"}}
threads: 1
",
        ca.display()
    ));
    until(|| seen(&running, "known")["report"].is_object().then_some(()));
    let says = "the worker's certificate is not believed";
    let stranger = until(|| {
        let stranger = seen(&running, "stranger");
        stranger["poll_fault"].as_str().is_some_and(|why| why.contains(says)).then_some(stranger)
    });
    assert!(!stranger["report"].is_object(), "{stranger}");
    assert!(running.log().contains(says), "{}", running.log());
}
