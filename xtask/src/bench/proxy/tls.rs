//! Closed-loop load over TLS 1.3: each connection asks again as soon as it is answered.
//!
//! Not wrk, because wrk resumes sessions (nginx logged 801 of 803 as reused), so it would not measure handshakes. This
//! client never resumes and offers one group (X25519) and one suite (TLS_AES_128_GCM_SHA256), so that every balancer
//! does the same work. To be cheap, it compares the certificate with the one it expects instead of checking
//! signatures: the balancer's work is measured, not ours.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::CONNECTIONS;
use super::generators::Count;

/// The one certificate that every balancer shows: ECDSA with P-256.
pub(super) struct Site {
    dir: PathBuf,
    certificate: CertificateDer<'static>,
}

impl Site {
    /// Makes one and writes it where the balancers find it.
    pub(super) fn write(dir: &Path) -> Result<Self> {
        let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]).context("cannot make a certificate")?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let site = Self { dir: dir.to_path_buf(), certificate: issued.cert.der().clone() };
        fs::write(site.chain(), issued.cert.pem()).context("cannot write the certificate")?;
        fs::write(dir.join("site.pem.key"), issued.signing_key.serialize_pem()).context("cannot write its key")?;
        Ok(site)
    }

    pub(super) fn chain(&self) -> PathBuf {
        self.dir.join("site.pem")
    }

    fn connector(&self) -> Result<TlsConnector> {
        let ours = aws_lc_rs::default_provider();
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![aws_lc_rs::kx_group::X25519],
            ..ours
        });
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Expected(self.certificate.clone())))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Takes one certificate and no other.
#[derive(Debug)]
struct Expected(CertificateDer<'static>);

impl ServerCertVerifier for Expected {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.0 { Ok(ServerCertVerified::assertion()) } else { Err(Error::General("another site".into())) }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Loads for so long; every answer must be 200 with `bytes` bytes.
pub(super) fn load(site: &Site, target: SocketAddr, bytes: usize, each: bool, seconds: u64) -> Result<Count> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let client = Arc::new(Client { connector: site.connector()?, target, bytes, each });
    let start = now();
    let end = start + Duration::from_secs(seconds);
    let (count, reason) = runtime.block_on(async {
        let mut lines = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let client = Arc::clone(&client);
            lines.spawn_local(async move { client.until(end).await });
        }
        let (mut sum, mut reason) = (Count::default(), None);
        while let Some(line) = lines.join_next().await {
            let (count, why) = line.expect("no line panics or is cancelled");
            sum.answered += count.answered;
            sum.failed += count.failed;
            reason = reason.or(why);
        }
        (sum, reason)
    });
    match reason {
        Some(error) if count.answered < 1.0 => Err(error),
        Some(error) => {
            println!("{} requests failed, such as: {error:#}", count.failed);
            Ok(Count { seconds: (now() - start).as_secs_f64(), ..count })
        }
        None => Ok(Count { seconds: (now() - start).as_secs_f64(), ..count }),
    }
}

struct Client {
    connector: TlsConnector,
    target: SocketAddr,
    bytes: usize,
    each: bool,
}

impl Client {
    /// Asks until `end`; gives the counts and the first failure.
    async fn until(&self, end: Instant) -> (Count, Option<anyhow::Error>) {
        let close = if self.each { "connection: close\r\n" } else { "" };
        let request = format!("GET / HTTP/1.1\r\nhost: {NAME}\r\n{close}\r\n");
        let (mut count, mut reason) = (Count::default(), None);
        let mut stream = None;
        let mut buffer = Vec::with_capacity(16 << 10);
        while now() < end {
            let one = self.ask(&mut stream, request.as_bytes(), &mut buffer);
            match tokio::time::timeout(PATIENCE, one).await.context("no answer in time").flatten() {
                Ok(()) => count.answered += 1.0,
                Err(error) => {
                    count.failed += 1.0;
                    reason = reason.or(Some(error));
                    stream = None;
                    // A balancer that refuses must not be asked a million times.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            if self.each {
                stream = None;
            }
        }
        (count, reason)
    }

    async fn ask(&self, stream: &mut Option<TlsStream<TcpStream>>, request: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
        let stream = match stream {
            Some(stream) => stream,
            empty => empty.insert(self.connect().await?),
        };
        stream.write_all(request).await.context("writing")?;
        buffer.clear();
        loop {
            if stream.read_buf(buffer).await.context("reading")? == 0 {
                bail!("closed after {} bytes of an answer", buffer.len());
            }
            if whole(buffer, self.bytes)? {
                return Ok(());
            }
        }
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.target).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(NAME).context("the site's name")?;
        self.connector.connect(name, stream).await.context("the handshake")
    }
}

/// Whether `answer` is all there; an error when it is not 200 with a body of `bytes`.
fn whole(answer: &[u8], bytes: usize) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..end]).context("the head is no text")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("answered with {}", head.lines().next().unwrap_or_default());
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    if length != Some(bytes) || answer.len() > end + 4 + bytes {
        bail!("content-length {length:?} and {} bytes instead of {bytes}", answer.len() - end - 4);
    }
    Ok(answer.len() == end + 4 + bytes)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Instant {
    Instant::now()
}

const NAME: &str = "ambidex.bench";
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there_and_wrong_ones_are_errors() {
        let whole = |text: &str| whole(text.as_bytes(), 2);
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Le").expect("a part"));
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx").expect("a part"));
        assert!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxx").expect("the whole"));
        assert!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxxx").is_err());
        assert!(whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxxx").is_err());
        assert!(whole("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nxx").is_err());
    }
}
