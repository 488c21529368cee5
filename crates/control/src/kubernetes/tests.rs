//! What is shown to an API server, and what is believed of it.

use super::*;
use crate::config::KubernetesService;

fn client(json: &str) -> Client {
    Client::new(serde_json::from_str::<KubernetesService>(json).expect("sound").access)
}

#[tokio::test]
async fn a_token_is_shown_as_its_file_says_it_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let client =
        client(&format!(r#"{{"service":"api","server":"https://10.0.0.1:6443","token_file":"{}"}}"#, file.display()));
    let shown = async || {
        let request = client.request(Method::GET, "/api").await?;
        Ok::<_, String>(request.headers()[header::AUTHORIZATION].to_str().expect("text").to_owned())
    };
    assert!(shown().await.is_err_and(|why| why.contains("the token in") && why.contains("cannot be read")));
    std::fs::write(&file, "one\n").expect("written");
    assert_eq!(shown().await.as_deref(), Ok("Bearer one"));
    std::fs::write(&file, "two\n").expect("written");
    assert_eq!(shown().await.as_deref(), Ok("Bearer two"));
}

#[tokio::test]
async fn a_server_is_believed_whose_certificate_is_signed_by_the_file() {
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("versions").with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.expect("a certificate with its key")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let _server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0_u8; 4096];
            let read = stream.read(&mut head).await.unwrap_or_default();
            let token = String::from_utf8_lossy(&head[..read]).contains("authorization: Bearer secret");
            let body = if token { "{}" } else { "no" };
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{body}");
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("token"), "secret").expect("written");
    std::fs::write(at("ca"), made.cert.pem()).expect("written");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(at("other"), other.cert.pem()).expect("written");
    let asked = async |ca: &str| {
        let (token, ca) = (at("token"), at(ca));
        let json = format!(
            r#"{{"service":"api","server":"https://localhost:{port}","token_file":"{token}","ca_file":"{ca}"}}"#
        );
        client(&json).get("/api", "application/json").await
    };
    assert!(matches!(asked("ca").await, Ok(Ok(body)) if *body == b"{}"[..]));
    let why = asked("other").await.expect_err("not believed");
    assert!(why.contains("no TLS") && why.contains("is `ca_file`"), "{why}");
}
