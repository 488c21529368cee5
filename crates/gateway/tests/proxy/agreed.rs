//! A listener with TLS, and a client that has agreed with it on HTTP/2.

use std::fs;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::{Setup, Wanted};

/// Starts the gateway with a certificate for `a.example`, and shakes hands with it.
pub(crate) async fn agreed(wanted: Wanted) -> (Setup, TlsStream<TcpStream>) {
    let folder = tempfile::tempdir().expect("a folder");
    let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    fs::write(&cert, issued.cert.pem()).expect("written");
    fs::write(&key, issued.signing_key.serialize_pem()).expect("written");
    let setup = wanted.listener(json!({"tls": {"certificates": [{"cert": cert, "key": key}]}})).start();
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(setup.address).await.expect("connects");
    let name = ServerName::try_from("a.example").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("agreed");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    (setup, stream)
}
