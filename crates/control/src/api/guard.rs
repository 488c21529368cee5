//! Who is refused, before any handler runs.
//!
//! - A `Host` that is no address, not `localhost` and not named in `admin.hosts`: a foreign page that bound its own
//!   name to this address (DNS rebinding) could read everything. Addresses cannot be rebound.
//! - A change whose `Origin` is another one than ours, or that a browser says comes from another site: a foreign page
//!   must not order anything, whatever it knows.
//! - A change without the token as a bearer's (`Authorization: Bearer`). A browser sends such a header only when a
//!   script of the same origin makes it; a password it sends on its own, also for a foreign page, so that one opens
//!   reads at most.
//! - Where other machines reach the address, a read without the token, as a bearer's or as a password: that is how a
//!   person gets to the dashboard, without a page for signing in, and a browser's streams of events carry it, too. Not
//!   with the password when a foreign page asks, for which the person did nothing.
//!
//! Prometheus needs no token: its page holds counts and the names of workers. Probes ask under any name; they learn one
//! word.

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::answer::Refused;
use super::refusals::Lack;
use super::serve::Peer;
use crate::token::Shown;

pub(crate) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = match check(&api, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(SAME_ORIGIN.0, SAME_ORIGIN.1);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let nothing = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(nothing));
    response
}

fn check(api: &Api, request: &Request) -> Result<(), Refused> {
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return Ok(());
    }
    let headers = request.headers();
    let host = host(request.uri(), headers)?;
    if !is_ours(api, &host) {
        let message =
            format!("this is not served under the name `{host}`: use its address, or add it to `admin.hosts`");
        return Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", message));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let open = !api.open_to_others || request.uri().path() == "/metrics";
        return if open { Ok(()) } else { may_read(api, request) };
    }
    if is_foreign(headers, &host) {
        let message = "changes are taken from this address's own pages and from programs, not from other sites";
        return Err(Refused::new(StatusCode::FORBIDDEN, "foreign_origin", message));
    }
    may_change(api, request)
}

fn may_read(api: &Api, request: &Request) -> Result<(), Refused> {
    let headers = request.headers();
    let lack = match shown(api, headers) {
        Shown::Bearer => return Ok(()),
        Shown::Password if is_of_another_site(headers) && !is_navigation(headers) => {
            let message = "the password opens this address's own pages, not what other sites ask for";
            return Err(Refused::new(StatusCode::FORBIDDEN, "foreign_origin", message));
        }
        Shown::Password => return Ok(()),
        Shown::Nothing => Lack::Nothing,
        Shown::Wrong => Lack::Wrong,
    };
    let how = "other machines reach this address, so it shows nothing without the token: send `Authorization: Bearer \
               TOKEN`, or in a browser the token as password of any user";
    Err(refusal(api, request, lack, READ_CHALLENGE, how))
}

fn may_change(api: &Api, request: &Request) -> Result<(), Refused> {
    let lack = match shown(api, request.headers()) {
        Shown::Bearer => return Ok(()),
        Shown::Password => Lack::OnlyPassword,
        Shown::Nothing => Lack::Nothing,
        Shown::Wrong => Lack::Wrong,
    };
    Err(refusal(api, request, lack, CHANGE_CHALLENGE, "a change needs `Authorization: Bearer TOKEN`"))
}

fn refusal(api: &Api, request: &Request, lack: Lack, challenge: &'static str, how: &str) -> Refused {
    if let Some(count) = api.refusals.count(api.shared.clock.now(), lack) {
        let peer = request.extensions().get::<Peer>().map(|Peer(address)| tracing::field::display(*address));
        let reason = lack.code();
        tracing::warn!(
            count,
            reason,
            peer,
            "requests to the admin API showed a wrong token, this many since the last such line"
        );
    }
    let what = match lack {
        Lack::Nothing => "",
        Lack::Wrong => "this is not the token; ",
        Lack::OnlyPassword => "a password opens reads only; ",
    };
    // Strangers need not know how the machine's folders are called.
    let place = if api.open_to_others { "the data folder".to_owned() } else { api.token.path().display().to_string() };
    let message = format!("{what}{how}; the token is in {place} on the machine that runs this");
    Refused::challenge(lack.code(), challenge, message)
}

fn shown(api: &Api, headers: &HeaderMap) -> Shown {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (None, _) => Shown::Nothing,
        (Some(one), None) => one.to_str().map_or(Shown::Wrong, |one| api.token.shown(one)),
        (Some(_), Some(_)) => Shown::Wrong,
    }
}

/// The authority that was asked for, in lower case.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<String, Refused> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = match (uri.authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => None,
        (Some(authority), _, None) => Some(authority.as_str()),
        (None, host, None) => host.and_then(|host| host.to_str().ok()),
    };
    named.map(str::to_ascii_lowercase).ok_or_else(|| Refused::wrong("a request needs one Host"))
}

fn is_ours(api: &Api, authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    name.parse::<std::net::IpAddr>().is_ok() || name == "localhost" || api.hosts.iter().any(|host| host == name)
}

fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let by_origin = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        authority != Some(host)
    });
    is_of_another_site(headers) || by_origin
}

/// Whether the browser says that the page that asks is of another site. Browsers say so over TLS and on loopback.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    text(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

/// Whether a person goes there, by a link perhaps.
fn is_navigation(headers: &HeaderMap) -> bool {
    text(headers, "sec-fetch-mode") == Some("navigate")
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What makes a browser ask the person.
const READ_CHALLENGE: &str = r#"Basic realm="Ambidex: any user, the token as password", charset="UTF-8""#;
/// Asks nobody: no browser can answer it.
const CHANGE_CHALLENGE: &str = r#"Bearer realm="Ambidex""#;
/// Foreign pages cannot embed answers, whatever the browser sends along.
const SAME_ORIGIN: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
