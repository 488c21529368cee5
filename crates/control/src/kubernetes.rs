//! A small client of Kubernetes' API server: get, list and watch, apply, create and replace. For discovery, the publisher,
//! and the election.
//!
//! Own, on the HTTP/1 that polls use: a general client brings the whole API as types, minutes of building for six calls.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{ACCOUNT, Host, KubernetesAccess, Scheme};
use crate::line::{Answer, Line};

pub(crate) use self::mirror::{Mirror, News, Object};
pub(crate) use self::talk::{Question, Talk};

mod mirror;
#[cfg(test)]
pub(crate) mod sample;
mod talk;
#[cfg(test)]
mod tests;

/// Who asks the API server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    access: KubernetesAccess,
    /// For a whole answer.
    within: Duration,
}

/// What every object says of itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) resource_version: String,
    pub(crate) annotations: std::collections::BTreeMap<String, String>,
}

/// What the API server answers when something is wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) message: String,
    pub(crate) details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    pub(crate) causes: Vec<Cause>,
}

/// One of several reasons.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cause {
    pub(crate) reason: String,
}

/// What an API server says to one question: what was asked for, or that and why it refuses.
pub(crate) type Answered = Result<Bytes, Refusal>;

impl Client {
    pub(crate) fn new(access: KubernetesAccess) -> Self {
        Self { access, within: WITHIN }
    }

    /// The same for somebody who cannot wait that long.
    pub(crate) fn answering_within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// A new connection. The token is read anew for each request: Kubernetes replaces it hourly.
    async fn line(&self) -> Result<Line, String> {
        let server = &self.access.server;
        let failed = |error: &dyn std::fmt::Display| format!("no connection to the API server at {server}: {error}");
        let connected = match server.host() {
            Host::Ip(address) => TcpStream::connect(address).await,
            Host::Name(name, port) => TcpStream::connect((&**name, *port)).await,
            Host::Unix(path) => return Err(format!("the API server is asked by TCP, not at {path}")),
        };
        let stream = connected.map_err(|error| failed(&error))?;
        match server.scheme() {
            Scheme::Http => Line::over(stream).await,
            Scheme::Https => Line::over(self.secured(stream).await.map_err(|why| failed(&why))?).await,
        }
    }

    async fn secured(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let file = self.access.ca_file.clone();
        let read = tokio::task::spawn_blocking(move || trusting(&file)).await;
        let config = read.unwrap_or_else(|error| Err(error.to_string()))?;
        let name: ServerName<'static> = match self.access.server.host() {
            Host::Ip(address) => Ok(ServerName::from(address.ip())),
            Host::Name(name, _) => ServerName::try_from(name.to_string()).map_err(|error| error.to_string()),
            Host::Unix(path) => Err(format!("{path} is no host")),
        }?;
        let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        secured.map_err(|error| format!("no TLS: {error}; is `ca_file` {} right?", self.access.ca_file.display()))
    }

    async fn request(&self, method: Method, path: &str) -> Result<Request<Full<Bytes>>, String> {
        let server = self.access.server.text();
        let authority = server.split_once("://").map_or(&**server, |(_, authority)| authority);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, concat!("ambidex/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &self.access.token_file {
            let token = text(file).await.map_err(|why| format!("the token in {why}"))?;
            let mut value = header::HeaderValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| format!("what is in {} is no token", file.display()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        request.body(Full::default()).map_err(|error| format!("no request: {error}"))
    }

    /// A whole object or list, as `accept` wants it; anything but a success is an error in the server's words.
    pub(crate) async fn get(&self, path: &str, accept: &'static str) -> Result<Answered, String> {
        let mut request = self.request(Method::GET, path).await?;
        request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static(accept));
        self.asked(request).await
    }

    /// Applies what we want to be so, as field manager `manager`, and no more.
    pub(crate) async fn apply(&self, path: &str, manager: &str, force: bool, text: String) -> Result<Answered, String> {
        let mut request = self.request(Method::PATCH, &format!("{path}?fieldManager={manager}&force={force}")).await?;
        let media = header::HeaderValue::from_static("application/apply-patch+yaml");
        request.headers_mut().insert(header::CONTENT_TYPE, media);
        *request.body_mut() = Full::from(text);
        self.asked(request).await
    }

    async fn asked(&self, request: Request<Full<Bytes>>) -> Result<Answered, String> {
        self.in_time(async {
            let mut line = self.line().await?;
            self.over(&mut line, request).await
        })
        .await
    }

    /// Over a connection that is there.
    async fn over(&self, line: &mut Line, request: Request<Full<Bytes>>) -> Result<Answered, String> {
        let answered = async { Answer::whole(line.ask(request).await?, MOST_BYTES).await };
        let answer = answered.await.map_err(|why| format!("the API server at {}: {why}", self.access.server))?;
        Ok(if answer.status.is_success() { Ok(answer.body) } else { Err(Refusal::read(answer.status, &answer.body)) })
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let (server, within) = (&self.access.server, self.within);
        let late = |_| Err(format!("no whole answer from the API server at {server} within {within:?}"));
        tokio::time::timeout(within, asked).await.unwrap_or_else(late)
    }
}

impl Refusal {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let mut refusal: Self = serde_json::from_slice(body).unwrap_or_default();
        refusal.code = status.as_u16();
        refusal
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let help = match self.code {
            401 => "; is the token that of a service account of this cluster?",
            403 => "; grant it by a role, as deploy/kubernetes does",
            _ => "",
        };
        let said = if self.message.is_empty() { "it gave no reason" } else { &self.message };
        let said: String = said.chars().take(MOST_WORDS).collect();
        write!(f, "the API server refused with status {}: {said}{help}", self.code)
    }
}

/// The namespace that is named, else the one that this process runs in.
///
/// # Errors
/// It is not in a pod.
pub(crate) async fn namespace(named: Option<&Arc<str>>) -> Result<Arc<str>, String> {
    match named {
        Some(named) => Ok(Arc::clone(named)),
        None => match text(&Path::new(ACCOUNT).join("namespace")).await {
            Ok(own) => crate::config::kubernetes_name(own.trim()).map_err(|error| error.to_string()),
            Err(why) => Err(format!("this is no pod, so say `namespace`: {why}")),
        },
    }
}

/// A small file of the service account, read off the loop's thread.
async fn text(file: &Path) -> Result<String, String> {
    let path = file.to_path_buf();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let wrong = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", file.display());
    read.map_err(|error| wrong(&error))?.map_err(|error| wrong(&error))
}

/// TLS to a server whose certificate is signed by those in the file.
fn trusting(file: &Path) -> Result<ClientConfig, String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("the certificates in {} cannot be read: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        roots.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

/// Of a list's page, or one object: 250 slices of 100 endpoints each have 12 MB.
const MOST_BYTES: usize = 32 << 20;
/// For a whole answer. Source: ours; the API server itself gives up after 60 s.
const WITHIN: Duration = Duration::from_secs(30);
/// Of the server's words in an error.
const MOST_WORDS: usize = 400;
