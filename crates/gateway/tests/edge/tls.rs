//! TLS: who is shown which certificate, what is agreed, how certificates are renewed, and who waits too long.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use ambidex_gateway::Gateway;
use ambidex_gateway::config::Listener;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::common::{LONG, address, closed, config, connect, eventually, get, head, listener, shared, start};

/// A certificate made out to `names`, written to `folder`/`file`.pem and .key.
fn issue(folder: &Path, file: &str, names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let issued = rcgen::generate_simple_self_signed(names).expect("a certificate");
    fs::write(folder.join(file).with_extension("key"), issued.signing_key.serialize_pem()).expect("written");
    fs::write(folder.join(file).with_extension("pem"), issued.cert.pem()).expect("written");
    issued.cert.der().clone()
}

fn tls(folder: &Path, files: &[&str]) -> Listener {
    let of = |file: &&str| {
        let path = folder.join(file);
        json!({"cert": path.with_extension("pem"), "key": path.with_extension("key")})
    };
    let certificates: Vec<_> = files.iter().map(of).collect();
    listener(json!({"address": "127.0.0.1:0", "handshake_timeout": "300ms", "tls": {"certificates": certificates}}))
}

type Client = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands as a client that trusts only `trusted`.
fn shake(at: SocketAddr, name: &str, trusted: &CertificateDer<'static>, alpn: &[&str]) -> std::io::Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let session = ClientConnection::new(Arc::new(client), name).expect("a session");
    let mut stream = StreamOwned::new(session, connect(at));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

#[test]
fn the_protocol_is_agreed_by_alpn() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = issue(folder.path(), "a", &["a.test"]);
    let gateway = start(config(vec![tls(folder.path(), &["a"])]));
    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some(&b"h2"[..])), (&["http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        let stream = shake(address(&gateway, 0), "a.test", &certificate, offered).expect("agreed");
        assert_eq!(stream.conn.alpn_protocol(), agreed);
    }
    let mut stream = shake(address(&gateway, 0), "a.test", &certificate, &["http/1.1"]).expect("agreed");
    assert!(get(&mut stream, "/").expect("an answer").starts_with("HTTP/1.1 "));
}

#[test]
fn each_name_is_shown_its_own_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = issue(folder.path(), "a", &["a.test"]);
    let second = issue(folder.path(), "b", &["b.test", "*.b.test"]);
    let gateway = start(config(vec![tls(folder.path(), &["a", "b"])]));
    let at = address(&gateway, 0);
    for (name, certificate) in [("a.test", &first), ("b.test", &second), ("X.b.test", &second), ("other.test", &first)]
    {
        let shown = shake(at, name, certificate, &[]);
        assert_eq!(shown.is_ok(), name != "other.test", "{name}: {:?}", shown.err());
    }
}

#[test]
fn a_connection_carries_no_request_for_a_host_with_another_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = issue(folder.path(), "a", &["a.test"]);
    let second = issue(folder.path(), "b", &["b.test", "*.b.test"]);
    let both = issue(folder.path(), "c", &["c.test", "a.test"]);
    let gateway = start(config(vec![tls(folder.path(), &["a", "b", "c"])]));
    for (asked, certificate, host, misdirected) in [
        ("a.test", &first, "a.test", false),
        ("a.test", &first, "A.Test:443", false),
        ("a.test", &first, "b.test", true),
        ("a.test", &first, "x.b.test", true),
        ("b.test", &second, "x.b.test", false),
        ("x.b.test", &second, "a.test", true),
        ("c.test", &both, "a.test", false),
        ("a.test", &first, "c.test", true),
        ("a.test", &first, "nobody.test", false),
    ] {
        let mut stream = shake(address(&gateway, 0), asked, certificate, &["http/1.1"]).expect("agreed");
        for (host, misdirected) in [(host, misdirected), (asked, false)] {
            write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").expect("sent");
            let told = head(&mut stream).expect("an answer");
            let length = told.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            stream.read_exact(&mut vec![0; length.expect("a length")]).expect("a body");
            assert_eq!(told.starts_with("HTTP/1.1 421 "), misdirected, "{asked} asks for {host}: {told}");
        }
    }
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = issue(folder.path(), "a", &["a.test"]);
    let gateway = start(config(vec![tls(folder.path(), &["a"])]));
    let at = address(&gateway, 0);
    let mut stream = shake(at, "a.test", &old, &["http/1.1"]).expect("agreed");
    get(&mut stream, "/").expect("an answer");
    let new = issue(folder.path(), "a", &["a.test"]);
    eventually("the new certificate is shown", || shake(at, "a.test", &new, &[]).is_ok());
    assert!(shake(at, "a.test", &old, &[]).is_err());
    get(&mut stream, "/").expect("the old connection goes on");
}

#[test]
fn a_reload_shows_other_certificates_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = issue(folder.path(), "a", &["a.test"]);
    let new = issue(folder.path(), "b", &["a.test"]);
    let gateway = start(config(vec![tls(folder.path(), &["a"])]));
    let at = address(&gateway, 0);
    fs::copy(folder.path().join("a.key"), folder.path().join("c.key")).expect("copied");
    fs::copy(folder.path().join("b.pem"), folder.path().join("c.pem")).expect("copied");
    let error = gateway.reload(config(vec![tls(folder.path(), &["c"])])).expect_err("unlike").to_string();
    assert!(error.contains("c.key does not belong to the certificate"), "{error}");
    shake(at, "a.test", &old, &[]).expect("nothing has changed");
    gateway.reload(config(vec![tls(folder.path(), &["b"])])).expect("taken");
    assert_eq!(address(&gateway, 0), at);
    shake(at, "a.test", &new, &[]).expect("the new certificate is shown");
}

#[test]
fn who_does_not_shake_hands_is_closed_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    issue(folder.path(), "a", &["a.test"]);
    let gateway = start(config(vec![tls(folder.path(), &["a"])]));
    let mut silent = connect(address(&gateway, 0));
    let mut plain = connect(address(&gateway, 0));
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").expect("sent");
    assert!(closed(&mut silent));
    eventually("both are counted", || gateway.stats().listeners[0].failed_handshake == 2);
    eventually("both are gone", || gateway.stats().listeners[0].open == 0);
    gateway.drain(LONG);
}

#[test]
fn what_is_wrong_with_a_file_is_told_and_no_secret_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    issue(folder.path(), "a", &["a.test"]);
    let key = fs::read_to_string(folder.path().join("a.key")).expect("a key");
    for (file, content, told) in [
        ("cert", Some(""), "holds no certificate"),
        ("cert", Some(key.as_str()), "holds no certificate"),
        (
            "key",
            Some("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"),
            "of a kind that is not spoken",
        ),
        ("key", Some("secret"), "holds no private key"),
        ("key", None, "cannot read"),
    ] {
        let wrong = folder.path().join("wrong");
        let _ = fs::remove_file(&wrong);
        if let Some(content) = content {
            fs::write(&wrong, content).expect("written");
        }
        let mut pair = json!({"cert": folder.path().join("a.pem"), "key": folder.path().join("a.key")});
        pair[file] = json!(wrong);
        let listener = listener(json!({"address": "127.0.0.1:0", "tls": {"certificates": [pair]}}));
        let error = Gateway::start(config(vec![listener]), shared()).expect_err("a wrong file").to_string();
        assert!(error.contains(told) && error.contains(&*wrong.to_string_lossy()), "{error}");
        assert!(!error.contains("secret") && !error.contains("c2VjcmV0"), "{error}");
    }
}
