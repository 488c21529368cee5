//! Where a worker listens, as people write it: `http://10.0.0.1:9000`, `https://host`, `unix:/run/w.sock`.
//!
//! Only a scheme and an authority: paths belong to requests, credentials to the upstream's settings. Addresses that no
//! worker has (link-local, multicast, unspecified) are denied wherever they come from, so that neither a file nor a DNS
//! answer can point the gateway at a cloud's metadata service.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A worker's URL, checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerUrl {
    text: Arc<str>,
    scheme: Scheme,
    host: Host,
}

/// Whether the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, and Unix sockets.
    Http,
    /// `https`.
    Https,
}

/// What is to be connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address as it stands.
    Ip(SocketAddr),
    /// A name to be resolved.
    Name(Arc<str>, u16),
    /// A Unix socket's path.
    Unix(Arc<str>),
}

/// Why a text is no worker's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not of the form `scheme://host:port`.
    #[error("`{0}` is not a worker's URL: write `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`")]
    Shape(String),
    /// More than scheme and authority.
    #[error("`{0}` names more than scheme, host and port: drop `{1}`")]
    TooMuch(String, String),
    /// An address that no worker has.
    #[error("`{0}`: {1} is {2}; no request is ever sent there")]
    Denied(String, IpAddr, &'static str),
    /// Longer than any host name.
    #[error("a URL of {0} bytes: at most {MOST_BYTES} are allowed")]
    TooLong(usize),
}

const MOST_BYTES: usize = 512;

impl WorkerUrl {
    /// Scheme and authority, as given.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Its scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Where it points.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl FromStr for WorkerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > MOST_BYTES {
            return Err(UrlError::TooLong(text.len()));
        }
        let shape = || UrlError::Shape(text.into());
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.contains(char::is_control) {
                return Err(shape());
            }
            return Ok(Self { text: text.into(), scheme: Scheme::Http, host: Host::Unix(path.into()) });
        }
        let uri: http::Uri = text.parse().map_err(|_| shape())?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(shape()),
        };
        let authority = uri.authority().ok_or_else(shape)?;
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        if !matches!(path, "" | "/") {
            return Err(UrlError::TooMuch(text.into(), path.into()));
        }
        if let Some((user, _)) = authority.as_str().rsplit_once('@') {
            // The name only: what follows a colon is a secret and stays out of errors, as does a token in its place.
            let user = user.split_once(':').map_or("..", |(name, _)| name);
            return Err(UrlError::TooMuch(format!("{}://{}", scheme.name(), authority.host()), format!("{user}@")));
        }
        let rest = authority.as_str().strip_prefix(authority.host()).ok_or_else(shape)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(shape)?,
            None => scheme.port(),
        };
        if authority.host().is_empty() {
            return Err(shape());
        }
        let host = match authority.host().trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => Host::Ip(SocketAddr::new(deny(ip).map_err(|why| UrlError::Denied(text.into(), ip, why))?, port)),
            Err(_) => Host::Name(authority.host().to_ascii_lowercase().into(), port),
        };
        let text = format!("{}://{}", scheme.name(), authority.as_str().to_ascii_lowercase());
        Ok(Self { text: text.into(), scheme, host })
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for WorkerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for WorkerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for WorkerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Lets an address through unless no worker can have it.
///
/// # Errors
/// What kind of address it is.
pub fn deny(ip: IpAddr) -> Result<IpAddr, &'static str> {
    let plain = match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    let kind = match plain {
        ip if ip.is_unspecified() => Some("the unspecified address"),
        ip if ip.is_multicast() => Some("a multicast address"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local address"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V6(v6) if v6 == METADATA_V6 => Some("a cloud's metadata service"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    };
    kind.map_or(Ok(ip), Err)
}

/// `fd00:ec2::254`, the one metadata service that is not link-local.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WorkerUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn each_form_names_its_host() {
        for (text, host) in [
            ("http://10.0.0.1:9000", Host::Ip(([10, 0, 0, 1], 9000).into())),
            ("https://10.0.0.1", Host::Ip(([10, 0, 0, 1], 443).into())),
            ("http://[::1]:80/", Host::Ip("[::1]:80".parse().expect("an address"))),
            ("http://SVC.local:9000", Host::Name("svc.local".into(), 9000)),
            ("unix:/run/w.sock", Host::Unix("/run/w.sock".into())),
        ] {
            assert_eq!(parse(text).expect(text).host(), &host);
        }
    }

    #[test]
    fn a_trailing_slash_and_case_make_no_other_url() {
        assert_eq!(parse("HTTP://Svc:80/"), parse("http://svc:80"));
    }

    #[test]
    fn addresses_that_no_worker_has_are_denied() {
        for text in [
            "http://169.254.169.254",
            "http://[fe80::1]:80",
            "http://[::ffff:169.254.169.254]",
            "http://0.0.0.0:80",
            "http://224.0.0.1",
            "http://[fd00:ec2::254]",
        ] {
            assert!(matches!(parse(text), Err(UrlError::Denied(..))), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_form_that_is_wanted() {
        for text in ["", "10.0.0.1:9000", "ftp://a", "http://", "http://:80", "http://a:99999", "http://a:", "unix:"] {
            assert!(matches!(parse(text), Err(UrlError::Shape(_))), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let error = parse("http://me:hunter2@a:80").expect_err("credentials").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_path_is_refused() {
        assert!(matches!(parse("http://a/load"), Err(UrlError::TooMuch(..))));
    }
}
