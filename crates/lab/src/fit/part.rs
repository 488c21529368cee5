//! Parts of a request by which a key or a tenant is known: `path`, `host`, `header:NAME`, `query:NAME`.

use std::str::FromStr;

use ambidex_wire::recording::Exchange;

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The value of a header field, in lower case: `header:x-tenant`.
    Header(String),
    /// The value of a parameter of the query: `query:id`.
    Query(String),
    /// The path.
    Path,
    /// The host.
    Host,
}

/// Why a text names no part of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part of a request: write path, host, header:NAME or query:NAME")]
pub struct PartError(String);

impl Part {
    /// What it is in an exchange, where it is there.
    pub(super) fn of(&self, exchange: &Exchange) -> Option<String> {
        match self {
            Self::Header(name) => exchange.field(name).map(|value| String::from_utf8_lossy(value).into_owned()),
            Self::Query(name) => {
                let (_, query) = exchange.target.split_once('?')?;
                let named =
                    |parameter: &str| Some(parameter.split_once('=').filter(|(known, _)| known == name)?.1.to_owned());
                query.split('&').find_map(named)
            }
            Self::Path => Some(exchange.path().to_owned()),
            Self::Host => Some(exchange.host.clone()).filter(|host| !host.is_empty()),
        }
    }
}

impl FromStr for Part {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        match text.split_once(':') {
            None if text == "path" => Ok(Self::Path),
            None if text == "host" => Ok(Self::Host),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            Some(_) | None => Err(PartError(text.to_owned())),
        }
    }
}
