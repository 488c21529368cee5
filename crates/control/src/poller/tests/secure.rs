//! Polls of workers that speak TLS.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::Spoken;

struct Issued {
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Issued {
    fn to(name: &str) -> Self {
        let issued = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
        Self { cert: issued.cert.der().clone(), key }
    }

    fn root(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.cert.clone()).expect("a root");
        roots
    }
}

/// A worker with this certificate, for clients that show `client`'s if one is named.
async fn secure_worker(own: &Issued, client: Option<&Issued>, answer: &'static str) -> std::net::SocketAddr {
    let builder = ServerConfig::builder();
    let builder = match client {
        Some(client) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder(Arc::new(client.root())).build().expect("a verifier"),
        ),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(vec![own.cert.clone()], own.key.clone_key()).expect("a pair");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0_u8; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

/// TLS that believes `root`, shows `client` and asks for `sni`.
fn tls(root: &Issued, client: Option<&Issued>, sni: Option<&str>) -> Option<PollTls> {
    let builder = ClientConfig::builder().with_root_certificates(root.root());
    let config = match client {
        Some(client) => {
            builder.with_client_auth_cert(vec![client.cert.clone()], client.key.clone_key()).expect("a pair")
        }
        None => builder.with_no_client_auth(),
    };
    let name = sni.map(|name| ServerName::try_from(name.to_owned()).expect("a name"));
    let spoken = Spoken { config: Arc::new(config), name };
    Some(PollTls::new(move || Ok(spoken.clone())))
}

const REPORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"current_load\":3}";
const URL: &str = "https://worker.test:1";

#[tokio::test]
async fn a_worker_with_an_https_url_is_asked_over_tls() {
    let own = Issued::to("worker.test");
    let address = secure_worker(&own, None, REPORT).await;
    let report = heard_at(URL, address, "{}", tls(&own, None, None)).await.expect("a report");
    assert_eq!(report.in_flight, Some(3));
}

#[tokio::test]
async fn the_name_of_the_settings_is_asked_for_before_that_of_the_url() {
    let own = Issued::to("inner.test");
    let address = secure_worker(&own, None, REPORT).await;
    heard_at(URL, address, "{}", tls(&own, None, Some("inner.test"))).await.expect("a report");
    let why = heard_at(URL, address, "{}", tls(&own, None, None)).await.expect_err("another name");
    assert!(why.contains("certificate is not believed"), "{why}");
}

#[tokio::test]
async fn a_certificate_that_is_not_believed_is_a_fault_that_says_so() {
    let (own, other) = (Issued::to("worker.test"), Issued::to("worker.test"));
    let address = secure_worker(&own, None, REPORT).await;
    let why = heard_at(URL, address, "{}", tls(&other, None, None)).await.expect_err("not believed");
    assert!(why.contains("certificate is not believed") && why.contains("upstream.tls.ca"), "{why}");
}

#[tokio::test]
async fn a_worker_that_asks_for_a_certificate_is_shown_ours() {
    let (own, ours) = (Issued::to("worker.test"), Issued::to("gateway.test"));
    let address = secure_worker(&own, Some(&ours), REPORT).await;
    heard_at(URL, address, "{}", tls(&own, Some(&ours), None)).await.expect("a report");
    heard_at(URL, address, "{}", tls(&own, None, None)).await.expect_err("nothing shown");
}

#[tokio::test]
async fn what_is_no_good_answer_over_tls_is_a_fault_too() {
    let own = Issued::to("worker.test");
    for (answer, reason) in [
        ("HTTP/1.1 302 Found\r\nlocation: http://a/\r\ncontent-length: 0\r\n\r\n", "not followed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"current_load\":3}", "no whole"),
    ] {
        let address = secure_worker(&own, None, answer).await;
        let why = heard_at(URL, address, "{}", tls(&own, None, None)).await.expect_err(answer);
        assert!(why.contains(reason), "{answer:?}: {why}");
    }
    let plain = saying(REPORT, None).await;
    let why = heard_at(URL, plain, "{}", tls(&own, None, None)).await.expect_err("plain HTTP");
    assert!(why.contains("no TLS"), "{why}");
    let unset = PollTls::new(|| Err("upstream.tls: cannot read ca.pem".into()));
    let why = heard_at(URL, plain, "{}", Some(unset)).await.expect_err("no files");
    assert!(why.contains("cannot read ca.pem"), "{why}");
}
