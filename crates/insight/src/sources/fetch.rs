//! One site that is asked by HTTP, again and again: where it is, what it is shown of us, and answers that are bounded in time
//! and size.
//!
//! For: Prometheus and what speaks like it, and Envoy's admin page. Redirects are not followed: who answers with one is a page
//! for logging in, or the address is not the right one, and that is said. `HTTP_PROXY` and its kin are followed, but never to an
//! address of this machine.

mod aws;
mod sign;

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ambidex_core::time::Span;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, Url};

pub use self::aws::Credentials;
pub use self::sign::Signing;
use crate::clock;

/// Where something is, and what it wants to see of us.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Its address: `http://` or `https://`, a host, and a path where it has one.
    pub url: String,
    /// A file with a token, sent as `Authorization: Bearer`.
    pub bearer_file: Option<PathBuf>,
    /// A name and a file with its password.
    pub basic: Option<(String, PathBuf)>,
    /// Further headers, such as `X-Scope-OrgID`: name and value.
    pub headers: Vec<(String, String)>,
    /// A PEM file with the authorities that are believed; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// A PEM file with our certificate and its key, where it asks for one.
    pub identity: Option<PathBuf>,
    /// How requests are signed, where it is AWS; in place of a token or a password.
    pub signing: Option<Signing>,
}

/// Why a site cannot be asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Its address is none.
    #[error("`{url}` is no address of a site: {why}; write it as http://HOST:PORT or https://HOST/PATH")]
    Address {
        /// As it was said, without a password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be used.
    #[error("{what} {}: {why}", path.display())]
    File {
        /// What it is to be.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A header cannot be sent.
    #[error("`{0}` is no header that can be sent: a name, and a value on one line")]
    Header(String),
    /// What AWS wants to know us by cannot be used.
    #[error("credentials of AWS: {0}")]
    Credentials(String),
    /// The client cannot be made.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// There is no connection.
    #[error("no connection to {url}: {why}; is it running, and is that its address?")]
    NoConnection {
        /// Where.
        url: String,
        /// What the system said.
        why: String,
    },
    /// It broke while it was read.
    #[error("the connection to {url} broke: {why}")]
    Broken {
        /// Where.
        url: String,
        /// What the system said.
        why: String,
    },
    /// It took too long.
    #[error("{url} did not answer within {within}")]
    Late {
        /// Where.
        url: String,
        /// How long was waited.
        within: Span,
    },
    /// It is too long.
    #[error("{url} answered more than {MOST_BYTES} bytes")]
    TooLong {
        /// Where.
        url: String,
    },
}

/// What came, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Of HTTP.
    pub(crate) status: u16,
    /// What it says it is.
    pub(crate) kind: String,
    /// Where it sends us instead.
    pub(crate) location: Option<String>,
    /// All of it.
    pub(crate) body: Vec<u8>,
}

/// A site that can be asked.
#[derive(Clone)]
pub(crate) struct Site {
    client: Client,
    /// With name and password, where it has them: the client makes a header of them.
    base: Url,
    shown: String,
    headers: HeaderMap,
    signing: Option<Signing>,
    within: Span,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Site {
    /// From its settings; nothing is asked yet. Each answer may take as long as `within`.
    pub(crate) fn new(access: &Access, within: Span) -> Result<Self, FetchError> {
        let base = address(&access.url)?;
        let (client, headers) = (client(access, &base)?, headers(access)?);
        let signing = access.signing.clone();
        signing.as_ref().map_or(Ok(()), Signing::checked)?;
        Ok(Self { client, shown: shown(&base), base, headers, signing, within })
    }

    /// Its address, without a password.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// How long an answer may take.
    pub(crate) const fn within(&self) -> Span {
        self.within
    }

    /// The same without what people copy along from their browser: all from one of `inner` on, and one of `tails` at its end.
    pub(crate) fn cut(mut self, inner: &[&str], tails: &[&str]) -> Self {
        let path = self.base.path().trim_end_matches('/').to_owned();
        let inner = inner.iter().filter_map(|part| path.find(part)).min();
        let tail = || tails.iter().find_map(|tail| path.strip_suffix(tail)).map(str::len);
        if let Some(at) = inner.or_else(tail) {
            self.base.set_path(&path[..at]);
            self.shown = shown(&self.base);
        }
        self
    }

    /// What it answers to `GET` of a path below its own.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, FetchError> {
        let mut url = self.below(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let signed = self.signed(&Method::GET, &mut url, b"")?;
        self.ask(self.client.get(url).headers(signed)).await
    }

    /// What it answers to `POST` of JSON to a path below its own.
    pub(crate) async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer, FetchError> {
        let (mut url, body) = (self.below(path), body.to_string());
        let signed = self.signed(&Method::POST, &mut url, body.as_bytes())?;
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").headers(signed);
        self.ask(request.body(body)).await
    }

    /// What shows that we signed a request; nothing, where nobody asks for it.
    fn signed(&self, method: &Method, url: &mut Url, body: &[u8]) -> Result<HeaderMap, FetchError> {
        let Some(signing) = &self.signing else { return Ok(HeaderMap::new()) };
        let mut headers = HeaderMap::new();
        for (name, value) in signing.sign(method.as_str(), url, body, clock::now()) {
            headers.insert(HeaderName::from_static(name), sensitive(&value)?);
        }
        Ok(headers)
    }

    fn below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, FetchError> {
        let asked = async {
            let asked = request.headers(self.headers.clone()).send().await;
            let mut response = asked.map_err(|error| self.failed(error))?;
            let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let (kind, location) = (text(CONTENT_TYPE).unwrap_or_default(), text(LOCATION));
            let (status, mut body) = (response.status().as_u16(), Vec::new());
            while let Some(part) = response.chunk().await.map_err(|error| self.failed(error))? {
                if body.len() + part.len() > MOST_BYTES {
                    return Err(FetchError::TooLong { url: self.shown().to_owned() });
                }
                body.extend_from_slice(&part);
            }
            Ok(Answer { status, kind, location, body })
        };
        let late = FetchError::Late { url: self.shown().to_owned(), within: self.within };
        tokio::time::timeout(Duration::from(self.within), asked).await.unwrap_or(Err(late))
    }

    fn failed(&self, error: reqwest::Error) -> FetchError {
        let error = error.without_url();
        let (url, why) = (self.shown().to_owned(), cause(&error));
        if error.is_connect() { FetchError::NoConnection { url, why } } else { FetchError::Broken { url, why } }
    }
}

impl FetchError {
    /// Whether the same question may get an answer a moment later, or a smaller one now.
    pub(crate) const fn passes(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Late { .. } | Self::TooLong { .. })
    }
}

fn shown(base: &Url) -> String {
    let mut shown = base.clone();
    // Neither can fail of a URL with a host.
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    shown.as_str().trim_end_matches('/').to_owned()
}

fn address(text: &str) -> Result<Url, FetchError> {
    let text = text.trim();
    // What stands before the host may hold a password, and is not repeated.
    let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    let wrong = |why: &str| FetchError::Address { url: shown.to_owned(), why: why.to_owned() };
    if !text.contains("://") {
        return Err(wrong("it does not say http:// or https://"));
    }
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http:// and https:// can be asked"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it has no host"));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn headers(access: &Access) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &access.headers {
        let wrong = || FetchError::Header(name.clone());
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if let Some(path) = &access.bearer_file {
        let token = secret("the token file", path)?;
        headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {token}"))?);
    }
    if let Some((name, path)) = &access.basic {
        headers.insert(AUTHORIZATION, basic(name, &secret("the password file", path)?)?);
    }
    Ok(headers)
}

fn basic(name: &str, password: &str) -> Result<HeaderValue, FetchError> {
    use base64::Engine as _;
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    sensitive(&format!("Basic {both}"))
}

fn sensitive(value: &str) -> Result<HeaderValue, FetchError> {
    let mut value = HeaderValue::try_from(value).map_err(|_| FetchError::Header("Authorization".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn secret(what: &'static str, path: &PathBuf) -> Result<String, FetchError> {
    let wrong = |why: String| FetchError::File { what, path: path.clone(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let text = text.trim();
    if text.is_empty() { Err(wrong("it is empty".into())) } else { Ok(text.to_owned()) }
}

fn client(access: &Access, base: &Url) -> Result<Client, FetchError> {
    // Whoever runs this may have done it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("ambidex/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECTS_WITHIN);
    if base.host_str().is_some_and(is_here) {
        builder = builder.no_proxy();
    }
    if let Some(path) = &access.ca {
        let wrong = |why: String| FetchError::File { what: "the file of authorities", path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let all = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(cause(&error)))?;
        if all.is_empty() {
            return Err(wrong("it holds no PEM block CERTIFICATE".into()));
        }
        builder = builder.tls_certs_only(all);
    }
    if let Some(path) = &access.identity {
        let wrong = |why: String| FetchError::File { what: "the file of certificate and key", path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        builder = builder.identity(Identity::from_pem(&pem).map_err(|error| wrong(cause(&error)))?);
    }
    builder.build().map_err(|error| FetchError::Setup(cause(&error)))
}

fn is_here(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The innermost reason: what the system said, and not what each layer made of it.
fn cause(error: &reqwest::Error) -> String {
    let mut inner = error.source();
    let mut words = error.to_string();
    while let Some(error) = inner {
        words = error.to_string();
        inner = error.source();
    }
    words
}

/// The first words of an answer that was not expected, on one line.
pub(crate) fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MOST_WORDS)]);
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = words.char_indices().nth(MOST_WORDS) {
        words.truncate(at);
        words.push_str("...");
    }
    words.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Of an answer. Source: ours; sources ask for less, and one that comes close is an explosion of labels.
pub(crate) const MOST_BYTES: usize = 64 << 20;
/// Of what an error repeats. Source: ours; two lines.
const MOST_WORDS: usize = 200;
/// Source: ours; a host that takes no connection in it is away.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> Result<Site, FetchError> {
        Site::new(&Access { url: url.into(), ..Access::default() }, Span::from_secs(1))
    }

    #[test]
    fn a_password_of_an_address_is_never_shown() {
        let site = site("http://me:geheim@prom:9090/prefix/").expect("an address");
        assert_eq!(site.shown(), "http://prom:9090/prefix");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        let table = [
            ("prom:9090", "does not say http://"),
            ("", "does not say http://"),
            ("ftp://prom", "only http:// and https://"),
            ("http://", "empty host"),
            ("http://[::1", "address"),
            ("me:geheim@prom", "`prom` is no address"),
        ];
        for (url, part) in table {
            let said = site(url).expect_err(url).to_string();
            assert!(said.contains(part) && said.contains("https://HOST/PATH"), "{url}: {said}");
            assert!(!said.contains("geheim"), "{said}");
        }
    }

    #[test]
    fn what_people_copy_from_their_browser_is_cut() {
        for url in ["http://p/x/graph?g0.expr=up", "http://p/x/api/v1/query", "http://p/x/", "http://p/x"] {
            let site = site(url).expect("an address").cut(&["/api/v1"], &["/graph"]);
            assert_eq!(site.shown(), "http://p/x", "{url}");
        }
    }

    #[test]
    fn files_and_headers_that_cannot_be_used_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let empty = dir.path().join("empty");
        std::fs::write(&empty, " \n").expect("written");
        let away = dir.path().join("away");
        let base = Access { url: "https://p".into(), ..Access::default() };
        let table = [
            (Access { bearer_file: Some(away.clone()), ..base.clone() }, "the token file"),
            (Access { bearer_file: Some(empty.clone()), ..base.clone() }, "it is empty"),
            (Access { basic: Some(("me".into(), away.clone())), ..base.clone() }, "the password file"),
            (Access { ca: Some(empty.clone()), ..base.clone() }, "no PEM block CERTIFICATE"),
            (Access { identity: Some(empty.clone()), ..base.clone() }, "certificate and key"),
            (Access { headers: vec![("a b".into(), "c".into())], ..base.clone() }, "`a b` is no header"),
            (Access { headers: vec![("a".into(), "c\nd".into())], ..base.clone() }, "`a` is no header"),
        ];
        for (access, part) in table {
            let said = Site::new(&access, Span::from_secs(1)).expect_err(part).to_string();
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn words_of_an_answer_are_short_and_on_one_line() {
        assert_eq!(words(b"<html>\n  <b>no\x07</b>"), "<html> <b>no?</b>");
        assert!(words(&[b'x'; 10_000]).len() < 300);
        assert_eq!(words(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
    }
}
