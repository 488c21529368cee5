//! Connections to members of an etcd: plain, or over TLS with files that are read anew at each connecting.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::config::EtcdConfig;

/// A connection to one member, made when it is first needed and made again when it is lost. Within a runtime only.
pub(super) fn channel(config: &EtcdConfig, member: &Uri) -> Option<Channel> {
    let authority = member.authority()?.as_str();
    let timeout = config.timeout().into();
    // Written as a plain one: TLS is this file's business, and not the library's.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .ok()?
        .origin(member.clone())
        .connect_timeout(timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(timeout)
        .keep_alive_timeout(timeout)
        .keep_alive_while_idle(true);
    if member.scheme_str() != Some("https") {
        return Some(endpoint.connect_lazy());
    }
    let config = config.clone();
    Some(endpoint.connect_with_connector_lazy(tower::service_fn(move |to: Uri| over_tls(config.clone(), to))))
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<TlsStream<TcpStream>>>> + Send>>;

fn over_tls(config: EtcdConfig, to: Uri) -> Connecting {
    Box::pin(async move {
        let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = tls(&config)?;
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let stream = TcpStream::connect((host.as_str(), to.port_u16().unwrap_or(2379))).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(TlsConnector::from(Arc::new(tls)).connect(name, stream).await?))
    })
}

fn tls(config: &EtcdConfig) -> io::Result<ClientConfig> {
    let (ca, shown) = config.files();
    let mut roots = RootCertStore::empty();
    for certificate in ca.map(|path| certificates(path)).transpose()?.unwrap_or_default() {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let mut tls = match shown {
        Some((cert, key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
            builder.with_client_auth_cert(certificates(cert)?, key_der).map_err(io::Error::other)?
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(some) if !some.is_empty() => Ok(some),
        Ok(_) => Err(io::Error::other(format!("{} holds no certificate", path.display()))),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &rustls::pki_types::pem::Error) -> io::Error {
    io::Error::other(format!("cannot read {}: {error}", path.display()))
}
