//! Workers behind TLS and behind Unix sockets.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::common::{OK, Wanted, head, worker};

/// A certificate made out to `name`, written to `folder`/`name`.pem and .key.
fn issue(folder: &Path, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let issued = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    fs::write(folder.join(format!("{name}.pem")), issued.cert.pem()).expect("written");
    fs::write(folder.join(format!("{name}.key")), issued.signing_key.serialize_pem()).expect("written");
    (issued.cert.der().clone(), PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into()))
}

/// A worker that speaks TLS as `name`, shown by `folder`, to clients that show `client`'s certificate if one is named.
fn secure_worker(folder: &Path, name: &str, client: Option<&str>) -> SocketAddr {
    let (cert, key) = issue(folder, name);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match client {
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(issue(folder, client).0).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(vec![cert], key).expect("a pair");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    worker(move |_, stream| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut stream = StreamOwned::new(session, stream);
        while !head(&mut stream).is_empty() {
            let _ = stream.write_all(OK.as_bytes());
        }
    })
}

const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn wanted(worker: SocketAddr, tls: serde_json::Value) -> Wanted {
    let mut wanted = Wanted::before(&[worker]).upstream(json!({"tls": tls}));
    wanted.urls = vec![format!("https://{worker}")];
    wanted
}

#[test]
fn a_worker_is_believed_when_its_certificate_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let worker = secure_worker(folder.path(), "w.example", None);
    let ca = folder.path().join("w.example.pem");
    let setup = wanted(worker, json!({"ca": ca, "sni": "w.example"})).start();
    assert!(setup.ask(ASK).starts_with("HTTP/1.1 200 "));
    let other = wanted(worker, json!({"ca": ca, "sni": "other.example"})).route(json!({"retries": 0})).start();
    let answer = other.ask(ASK);
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("ambidex-error: upstream-tls"), "{answer}");
}

#[test]
fn a_worker_that_asks_for_a_certificate_is_shown_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let worker = secure_worker(folder.path(), "w.example", Some("gateway.example"));
    let path = |file: &str| folder.path().join(file);
    let tls = json!({
        "ca": path("w.example.pem"), "sni": "w.example",
        "client_cert": path("gateway.example.pem"), "client_key": path("gateway.example.key"),
    });
    let setup = wanted(worker, tls).start();
    assert!(setup.ask(ASK).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_worker_may_listen_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            while !head(&mut stream).is_empty() {
                let _ = stream.write_all(OK.as_bytes());
            }
            let _ = stream.read(&mut [0]);
        }
    });
    let mut wanted = Wanted::before(&[]);
    wanted.urls = vec![format!("unix:{}", path.display())];
    let setup = wanted.start();
    assert!(setup.ask(ASK).starts_with("HTTP/1.1 200 "));
}
