//! A connection to a coordinator, plain or after a handshake: of a gateway that follows it, of an agent that sends heartbeats.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::files::{self, TlsError};
use super::words::{self, Keys};
use crate::config::FollowTls;
use crate::reach::Stream;

/// Where a coordinator is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// Host and port, as in a URL.
    pub(crate) authority: String,
    /// For `https:`.
    pub(crate) tls: Option<FollowTls>,
}

impl Visit {
    /// A new connection; why there is none, in words.
    pub(crate) async fn connect(self) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|error| format!("no connection: {error}"))?;
        // A connection that is gone already is noticed by who reads it.
        let _ = stream.set_nodelay(true);
        match self.tls {
            None => Ok(Box::new(stream)),
            Some(settings) => {
                let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
                secured(stream, settings, host, &words::OF_A_GATEWAY).await
            }
        }
    }
}

/// The connection of an agent that sends heartbeats, after a handshake with who may call itself `host`; why there is none, in
/// words.
///
/// # Errors
/// Files that cannot be read, and a coordinator that cannot show who it is.
pub async fn secured_for_heartbeats(
    stream: TcpStream,
    settings: FollowTls,
    host: String,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send, String> {
    secured(stream, settings, &host, &words::OF_AN_AGENT).await
}

async fn secured(stream: TcpStream, settings: FollowTls, host: &str, keys: &Keys) -> Result<Box<dyn Stream>, String> {
    let asked = settings.sni.as_deref().unwrap_or(host).trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(asked.clone()).map_err(|_| format!("`{asked}` is no name of a host"))?;
    // The authorities of the system are some hundred files.
    let read = tokio::task::spawn_blocking(move || client_config(&settings)).await;
    let config = read.map_err(|why| format!("TLS could not be set up: {why}"))?.map_err(|why| why.to_string())?;
    let failed = |error: io::Error| words::at_a_visit(&words::cause(&error), &asked, keys);
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(failed)?;
    // With TLS 1.3 we are through before the other side has looked at our certificate: what it makes of it comes with its
    // first bytes, which an HTTP/2 server sends unasked.
    match tokio::time::timeout(FIRST_WORD_WITHIN, stream.fill_buf()).await {
        Ok(Err(error)) => Err(failed(error)),
        Ok(Ok([])) => Err("the coordinator ended the connection after the handshake: its log says why".to_owned()),
        Ok(Ok(_)) | Err(_) => Ok(Box::new(stream)),
    }
}

fn client_config(settings: &FollowTls) -> Result<ClientConfig, TlsError> {
    let own = settings.client_cert.as_deref().zip(settings.client_key.as_deref());
    let believed = settings.ca.as_deref().map(files::authorities).transpose()?;
    let mut config = match (believed, own) {
        (Some(roots), None) => ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
        (Some(roots), Some((cert, key))) => ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(files::chain(cert)?, files::private_key(key)?)?,
        (None, None) => ClientConfig::with_platform_verifier()?,
        (None, Some((cert, key))) => {
            let provider = Arc::clone(ClientConfig::builder().crypto_provider());
            let verifier = rustls_platform_verifier::Verifier::new(provider)?;
            let builder = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            builder.with_client_auth_cert(files::chain(cert)?, files::private_key(key)?)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// How long the coordinator's first word is waited for; what it says later is heard as well, but without its reason.
/// Source: ours; ours speaks at once.
const FIRST_WORD_WITHIN: Duration = Duration::from_secs(1);
