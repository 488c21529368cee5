//! What is asked of a worker's application: give entries, take entries, make them its own, delete them.
//!
//! ```text
//! POST {prefix}/export    {"keyspace", "first", "last", "limit", "bytes", "after"}      the keys of a range
//!                         {"keyspace", "keys": [{"key", "point"}], "staging"}           these keys
//!                     ->  {"entries": [{"key", "value"}], "next"}
//! POST {prefix}/import    {"keyspace", "staging", "entries": [{"key", "point", "value"}]}   ->  {"total"}
//! POST {prefix}/activate  {"keyspace", "staging", "first", "last"}
//! POST {prefix}/drop      {"keyspace", "first", "last"} | {"keyspace", "staging"} | {"keyspace", "except": [staging]}
//! ```
//! Keys and values are base64, points 16 hexadecimal digits in small letters: so a range is a comparison of texts. A key's point comes with
//! each request for it (`Ambidex-Point`) and with each entry, so no application computes a hash. docs/shard-workers.md says what each
//! must do; what is answered is checked here, because what an application says is not believed.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use ambidex_core::shard::messages::{Bytes, Entry};
use ambidex_core::shard::space::{Point, Range};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What is being done.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApplicationError>> + Send + 'a>>;

/// Who keeps the entries.
pub trait Application: Send + Sync + Debug {
    /// Some entries of a range, after a cursor of its own, at most about so many bytes.
    fn export<'a>(&'a self, keyspace: &'a str, range: Range, after: Option<&'a Bytes>) -> Doing<'a, Page>;

    /// These keys, or of the staging: each with its value, or none, in this order. Fewer of them, from the front, and at least one, where
    /// they have too many bytes.
    fn export_keys<'a>(
        &'a self,
        keyspace: &'a str,
        staging: Option<&'a str>,
        keys: &'a [Bytes],
    ) -> Doing<'a, Vec<Entry>>;

    /// Puts entries into a staging; without a value, takes the key out of it. Says how many it has then, unless it does not count; it is
    /// durable.
    fn import<'a>(&'a self, keyspace: &'a str, staging: &'a str, entries: &'a [Entry]) -> Doing<'a, Option<u64>>;

    /// What a staging shows of the keys of entries that were just put into it.
    fn show<'a>(&'a self, keyspace: &'a str, staging: &'a str, entries: &'a [Entry]) -> Doing<'a, Vec<Entry>>;

    /// Makes room for the staging of a range of which nothing is served here, before anything is put into it.
    fn begin<'a>(&'a self, _keyspace: &'a str, _staging: &'a str, _range: Range) -> Doing<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// How many keys there are outside of these ranges, and one of them: asked where slices are taken up for the first time.
    fn foreign<'a>(&'a self, _ranges: &'a [Range]) -> Doing<'a, Option<(u64, Bytes)>> {
        Box::pin(async { Ok(None) })
    }

    /// Whether what is staged lies where it will be served. It is invisible because no slice there is.
    fn stages_in_place(&self) -> bool {
        false
    }

    /// Makes a staging all that there is in a range. Again: nothing.
    fn activate<'a>(&'a self, keyspace: &'a str, staging: &'a str, range: Range) -> Doing<'a, ()>;

    /// Deletes.
    fn delete<'a>(&'a self, keyspace: &'a str, what: Dropped<'a>) -> Doing<'a, ()>;
}

/// Entries in the order that the application gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// They.
    pub entries: Vec<Entry>,
    /// Where the next ones begin; none at the end.
    pub next: Option<Bytes>,
}

/// What is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped<'a> {
    /// Everything in a range.
    Range(Range),
    /// A staging.
    Staging {
        /// Its name.
        name: &'a str,
        /// The parts of its range of which nothing is held otherwise: none once it was activated.
        parts: &'a [Range],
    },
    /// All stagings but these.
    StagingsExcept {
        /// Their names.
        names: &'a [String],
        /// What is held here otherwise.
        held: &'a [Range],
    },
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationError {
    /// It does not answer.
    #[error("the application does not answer {what}: {why}")]
    Away {
        /// What it was asked.
        what: &'static str,
        /// What is the matter.
        why: String,
    },
    /// It answers that it did not.
    #[error("the application answers {what} with {status}: {text}")]
    Refused {
        /// What it was asked.
        what: &'static str,
        /// Its status.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// An instance of Redis or Valkey says that it did not, or cannot be used.
    #[error("{instance} at {what}: {why}")]
    Instance {
        /// Where it is.
        instance: String,
        /// What it was asked.
        what: &'static str,
        /// What is the matter.
        why: String,
    },
    /// Its answer breaks the contract.
    #[error("the application breaks the contract at {what}: {why} (docs/shard-workers.md)")]
    Breaks {
        /// What it was asked.
        what: &'static str,
        /// How.
        why: String,
    },
}

/// An application that is asked by HTTP.
#[derive(Clone, Debug)]
pub struct HttpApplication {
    client: Client<HttpConnector, Full<bytes::Bytes>>,
    base: String,
    timeout: Duration,
}

impl HttpApplication {
    /// At `http://HOST:PORT`, under a prefix such as `/.ambidex/app/v1`.
    #[must_use]
    pub fn new(url: &str, prefix: &str, timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let base = format!("{}{}", url.trim_end_matches('/'), prefix.trim_end_matches('/'));
        Self { client, base, timeout }
    }

    async fn ask<T: DeserializeOwned>(&self, what: &'static str, asked: &Asked<'_>) -> Result<T, ApplicationError> {
        let away = |why: String| ApplicationError::Away { what, why };
        let body = serde_json::to_vec(asked).map_err(|error| away(error.to_string()))?;
        let uri: Uri = format!("{}/{what}", self.base).parse().map_err(|error| away(format!("{error}")))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()))
            .map_err(|error| away(error.to_string()))?;
        let answered = async {
            let response = self.client.request(request).await.map_err(|error| away(source(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_ANSWER_BYTES).collect().await;
            let body =
                body.map_err(|error| away(format!("no whole answer of at most {MOST_ANSWER_BYTES} bytes: {error}")))?;
            Ok((status, body.to_bytes()))
        };
        let late = |_| Err(away(format!("nothing within {:?}", self.timeout)));
        let (status, body) = tokio::time::timeout(self.timeout, answered).await.unwrap_or_else(late)?;
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body[..body.len().min(MOST_TEXT_BYTES)]).trim().to_owned();
            return Err(ApplicationError::Refused { what, status: status.as_u16(), text });
        }
        let plain: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { &body };
        serde_json::from_slice(plain).map_err(|error| breaks(what, format!("its answer is {error}")))
    }
}

impl Application for HttpApplication {
    fn export<'a>(&'a self, keyspace: &'a str, range: Range, after: Option<&'a Bytes>) -> Doing<'a, Page> {
        Box::pin(async move {
            let after_text = after.map(|after| String::from_utf8_lossy(after).into_owned());
            let asked = Asked {
                after: after_text.as_deref(),
                limit: Some(MOST_ENTRIES),
                bytes: Some(BATCH_BYTES),
                ..Asked::of(keyspace, range)
            };
            let given: Given = self.ask(EXPORT, &asked).await?;
            if given.next.is_some() && given.next == after_text {
                return Err(breaks(
                    EXPORT,
                    "its `next` is the `after` that it was asked with: that has no end".to_owned(),
                ));
            }
            let next = given.next.filter(|next| !next.is_empty()).map(|next| next.into_bytes().into());
            let entries = read(given.entries)?;
            let foreign = entries.iter().find(|entry| !range.contains(Point::of(&entry.key)));
            if let Some(foreign) = foreign {
                return Err(breaks(
                    EXPORT,
                    format!("key {:?} is not of the range", String::from_utf8_lossy(&foreign.key)),
                ));
            }
            Ok(Page { entries: entries.into_iter().filter(|entry| entry.value.is_some()).collect(), next })
        })
    }

    fn export_keys<'a>(
        &'a self,
        keyspace: &'a str,
        staging: Option<&'a str>,
        keys: &'a [Bytes],
    ) -> Doing<'a, Vec<Entry>> {
        Box::pin(async move {
            let named =
                |key: &Bytes| Named { key: STANDARD.encode(key), point: Point::of(key).to_string(), value: None };
            let keys = &keys[..keys.len().min(MOST_ENTRIES)];
            let asked = Asked { staging, keys: Some(keys.iter().map(named).collect()), ..Asked::named(keyspace) };
            let given: Given = self.ask(EXPORT, &asked).await?;
            let entries = read(given.entries)?;
            let wanted: BTreeSet<&Bytes> = keys.iter().collect();
            if let Some(foreign) = entries.iter().find(|entry| !wanted.contains(&entry.key)) {
                return Err(breaks(
                    EXPORT,
                    format!("key {:?} was not asked for", String::from_utf8_lossy(&foreign.key)),
                ));
            }
            let value =
                |key: &Bytes| entries.iter().find(|entry| entry.key == *key).and_then(|entry| entry.value.clone());
            if keys.len() < MANY {
                return Ok(keys.iter().map(|key| Entry { key: key.clone(), value: value(key) }).collect());
            }
            let values: std::collections::BTreeMap<&Bytes, &Entry> =
                entries.iter().map(|entry| (&entry.key, entry)).collect();
            let value = |key: &Bytes| values.get(key).and_then(|entry| entry.value.clone());
            Ok(keys.iter().map(|key| Entry { key: key.clone(), value: value(key) }).collect())
        })
    }

    fn import<'a>(&'a self, keyspace: &'a str, staging: &'a str, entries: &'a [Entry]) -> Doing<'a, Option<u64>> {
        Box::pin(async move {
            let mut total = None;
            let mut rest = entries;
            while total.is_none() || !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(MOST_ENTRIES));
                rest = later;
                let named = |Entry { key, value }: &Entry| Named {
                    key: STANDARD.encode(key),
                    point: Point::of(key).to_string(),
                    value: Some(value.as_ref().map(|value| STANDARD.encode(value))),
                };
                let entries = Some(now.iter().map(named).collect());
                let asked = Asked { staging: Some(staging), entries, ..Asked::named(keyspace) };
                let Total { total: now } = self.ask(IMPORT, &asked).await?;
                total = Some(now);
            }
            Ok(total)
        })
    }

    fn show<'a>(&'a self, keyspace: &'a str, staging: &'a str, entries: &'a [Entry]) -> Doing<'a, Vec<Entry>> {
        Box::pin(async move {
            let mut shown = Vec::with_capacity(entries.len());
            for entries in entries.chunks(MOST_ENTRIES) {
                let keys: Vec<Bytes> = entries.iter().map(|entry| entry.key.clone()).collect();
                shown.extend(self.export_keys(keyspace, Some(staging), &keys).await?);
            }
            Ok(shown)
        })
    }

    fn activate<'a>(&'a self, keyspace: &'a str, staging: &'a str, range: Range) -> Doing<'a, ()> {
        Box::pin(async move {
            let asked = Asked { staging: Some(staging), ..Asked::of(keyspace, range) };
            let Nothing {} = self.ask(ACTIVATE, &asked).await?;
            Ok(())
        })
    }

    fn delete<'a>(&'a self, keyspace: &'a str, what: Dropped<'a>) -> Doing<'a, ()> {
        Box::pin(async move {
            let asked = match what {
                Dropped::Range(range) => Asked::of(keyspace, range),
                Dropped::Staging { name, parts: _ } => Asked { staging: Some(name), ..Asked::named(keyspace) },
                Dropped::StagingsExcept { names, held: _ } => Asked { except: Some(names), ..Asked::named(keyspace) },
            };
            let Nothing {} = self.ask(DROP, &asked).await?;
            Ok(())
        })
    }
}

#[derive(Default, Serialize)]
struct Asked<'a> {
    keyspace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    staging: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<Named>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<Named>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    except: Option<&'a [String]>,
}

impl<'a> Asked<'a> {
    fn named(keyspace: &'a str) -> Self {
        Self { keyspace, ..Self::default() }
    }

    fn of(keyspace: &'a str, range: Range) -> Self {
        Self { first: Some(range.first().to_string()), last: Some(range.last().to_string()), ..Self::named(keyspace) }
    }
}

#[derive(Serialize)]
struct Named {
    key: String,
    point: String,
    /// Left out where a key is only named; `null` where it is to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<String>>,
}

#[derive(Deserialize)]
struct Given {
    entries: Vec<GivenEntry>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct GivenEntry {
    key: String,
    #[serde(default)]
    value: Option<String>,
}

#[derive(Deserialize)]
struct Total {
    total: u64,
}

#[derive(Deserialize)]
struct Nothing {}

fn read(given: Vec<GivenEntry>) -> Result<Vec<Entry>, ApplicationError> {
    let bytes = |text: &str| match STANDARD.decode(text) {
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(error) => Err(breaks(EXPORT, format!("{text:.40?} is not base64: {error}"))),
    };
    let entry =
        |GivenEntry { key, value }| Ok(Entry { key: bytes(&key)?, value: value.as_deref().map(bytes).transpose()? });
    given.into_iter().map(entry).collect()
}

fn breaks(what: &'static str, why: String) -> ApplicationError {
    ApplicationError::Breaks { what, why }
}

/// The last reason of an error says most.
fn source(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

const EXPORT: &str = "export";
const IMPORT: &str = "import";
const ACTIVATE: &str = "activate";
const DROP: &str = "drop";
/// Entries of one request. Source: ours; a few megabytes at the most sizes that values have.
pub(super) const MOST_ENTRIES: usize = 1_000;
/// What an export should not exceed by much. Source: ours; a tenth of a second at what a simple application reads.
pub(super) const BATCH_BYTES: usize = 4 << 20;
/// The most bytes of an answer: one value may be larger than a batch. Source: ours.
const MOST_ANSWER_BYTES: usize = 32 << 20;
/// From how many keys on a look-up is worth it. Source: ours.
const MANY: usize = 8;
const MOST_TEXT_BYTES: usize = 300;
