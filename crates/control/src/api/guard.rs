//! Who is refused, before any handler runs.
//!
//! - A `Host` that is no address, not `localhost` and not named in `admin.hosts`: a foreign page that bound its own
//!   name to this address (DNS rebinding) could read everything. Addresses cannot be rebound.
//! - A change whose `Origin` is another one than ours, or that a browser says comes from another site: a foreign page
//!   must not order anything, whatever it knows.
//! - A change without the token.
//! - Where other machines reach the address: a read without it, but of metrics. A browser asks for it as a password.
//!
//! Probes ask under any name; they learn one word.

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::answer::Refused;

pub(crate) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = match check(&api, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let asks = is_read && response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    if asks {
        let password = HeaderValue::from_static("Basic realm=\"ambidex: any user, the admin token as password\"");
        headers.insert(header::WWW_AUTHENTICATE, password);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
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
    let single = headers.get_all(header::AUTHORIZATION).iter().count() <= 1;
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let open = !api.open_to_others || request.uri().path() == "/metrics";
        let allowed = open || single && api.token.allows_reading(text(headers, header::AUTHORIZATION));
        return if allowed { Ok(()) } else { Err(unauthorized(api, "reading from another machine")) };
    }
    if is_foreign(headers, &host) {
        let message = "changes are taken from this address's own pages and from programs, not from other sites";
        return Err(Refused::new(StatusCode::FORBIDDEN, "foreign_origin", message));
    }
    if !single || !api.token.allows(text(headers, header::AUTHORIZATION)) {
        return Err(unauthorized(api, "a change"));
    }
    Ok(())
}

fn unauthorized(api: &Api, what: &str) -> Refused {
    let path = api.token.path().display();
    let message =
        format!("{what} needs `Authorization: Bearer TOKEN`; the token is in {path} on the machine that runs this");
    Refused::new(StatusCode::UNAUTHORIZED, "no_token", message)
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
    let site = text(headers, header::HeaderName::from_static("sec-fetch-site"));
    let by_site = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let by_origin = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        authority != Some(host)
    });
    by_site || by_origin
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
