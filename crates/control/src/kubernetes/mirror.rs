//! A copy of a list of objects that follows the API server: listed once, then watched.
//!
//! ```text
//!  list, page by page --version--> watch --event--> the copy, and who is told of it
//!    ^                               |  ^
//!    |                               |  +-- ended by the server after a minute: again from the newest version
//!    +----- 410: that old a version is forgotten; or a broken event
//!    +----- no connection: asked again after 1 s, 2 s, up to 30 s, from the newest version; the copy stays meanwhile
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::{Client, Meta, Refusal};
use crate::line::{Answer, Line};

/// An object of a list.
pub(crate) trait Object: DeserializeOwned + Send {
    /// What it says of itself.
    fn meta(&self) -> &Meta;
}

/// What became of a copy.
pub(crate) enum News<'m, T> {
    /// It is as the API server has it: these objects, by name.
    Is(&'m BTreeMap<String, T>),
    /// It may be old, for this reason.
    Stays(String),
}

/// A list that is followed.
pub(crate) struct Mirror {
    pub(crate) client: Client,
    /// Path of the list, without what is asked of it.
    pub(crate) path: String,
    /// Which objects: labels, encoded as a query wants them; empty for all.
    pub(crate) labels: String,
    /// In which form.
    pub(crate) accept: &'static str,
}

/// Why a watch ended.
enum Ended {
    /// By the server, as agreed.
    Over,
    /// What it would go on from is forgotten there, or cannot be read.
    Lost,
    /// Otherwise.
    Broken(String),
}

#[derive(Deserialize)]
struct Page<T> {
    metadata: PageMeta,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct WatchEvent {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// The copy, and from which version a watch goes on.
struct Copied<T> {
    objects: BTreeMap<String, T>,
    version: Option<String>,
}

impl Mirror {
    /// Follows for as long as it is wanted; `T` is what is kept of an object beside its metadata.
    pub(crate) async fn follow<T: Object>(&self, mut tell: impl FnMut(News<'_, T>) + Send) {
        let mut copy = Copied { objects: BTreeMap::new(), version: None };
        let mut failures = 0;
        loop {
            if copy.version.is_none() {
                match self.list().await {
                    Ok(listed) => copy = listed,
                    Err(why) => {
                        tell(News::Stays(why));
                        tokio::time::sleep(pause(failures)).await;
                        failures += 1;
                        continue;
                    }
                }
            }
            let begun = Instant::now();
            let ended = self.watch(&mut copy, &mut tell).await;
            match ended {
                Ended::Over => {}
                Ended::Lost => copy.version = None,
                Ended::Broken(why) => tell(News::Stays(why)),
            }
            // One that ends at once is a failure even when it ends as agreed: nobody is to be flooded.
            failures = if begun.elapsed() >= LASTS { 0 } else { failures + 1 };
            tokio::time::sleep(pause(failures)).await;
        }
    }

    fn query(&self, more: &str) -> String {
        let labels = if self.labels.is_empty() { String::new() } else { format!("labelSelector={}&", self.labels) };
        format!("{}?{labels}{more}", self.path)
    }

    /// All objects.
    async fn list<T: Object>(&self) -> Result<Copied<T>, String> {
        let (mut objects, mut next) = (BTreeMap::new(), None::<String>);
        loop {
            let after = next.map_or_else(String::new, |next| format!("&continue={next}"));
            let path = self.query(&format!("limit={PAGE}{after}"));
            let page = self.client.get(&path, self.accept).await?.map_err(|refusal| refusal.to_string())?;
            let page: Page<T> =
                serde_json::from_slice(&page).map_err(|error| format!("{} cannot be read: {error}", self.path))?;
            objects.extend(page.items.into_iter().map(|object| (object.meta().name.clone(), object)));
            if objects.len() > MOST_OBJECTS {
                return Err(format!("{} has more than {MOST_OBJECTS} objects", self.path));
            }
            next = page.metadata.next.filter(|next| !next.is_empty());
            if next.is_none() {
                return Ok(Copied { objects, version: Some(page.metadata.resource_version) });
            }
        }
    }

    /// What changes after the copy's version, until the server ends it.
    async fn watch<T: Object>(&self, copy: &mut Copied<T>, tell: &mut (impl FnMut(News<'_, T>) + Send)) -> Ended {
        let from = copy.version.clone().unwrap_or_default();
        let path =
            self.query(&format!("watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCHED}&resourceVersion={from}"));
        // The connection lives as long as its body is read.
        let (_line, mut body) = match self.open(&path).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(refusal)) if refusal.code == GONE => return Ended::Lost,
            Ok(Err(refusal)) => return Ended::Broken(refusal.to_string()),
            Err(why) => return Ended::Broken(why),
        };
        tell(News::Is(&copy.objects));
        let mut bytes = BytesMut::new();
        loop {
            let frame = match tokio::time::timeout(SILENT, body.frame()).await {
                Ok(None) => return Ended::Over,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Ended::Broken(format!("the watch of {} broke: {error}", self.path)),
                Err(_) => return Ended::Broken(format!("the watch of {} was silent for {SILENT:?}", self.path)),
            };
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
            let mut changed = false;
            while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                let line = bytes.split_to(end + 1);
                match copy.take(&line) {
                    Ok(change) => changed |= change,
                    Err(ended) => return ended,
                }
            }
            if bytes.len() > MOST_EVENT {
                return Ended::Broken(format!("an event of {} has over {MOST_EVENT} bytes", self.path));
            }
            if changed {
                tell(News::Is(&copy.objects));
            }
        }
    }

    async fn open(&self, path: &str) -> Result<Result<(Line, Incoming), Refusal>, String> {
        let mut request = self.client.request(http::Method::GET, path).await?;
        request.headers_mut().insert(http::header::ACCEPT, http::header::HeaderValue::from_static(self.accept));
        let opened = async {
            let mut line = self.client.line().await?;
            let response = line.ask(request).await?;
            if response.status() == StatusCode::OK {
                return Ok(Ok((line, response.into_body())));
            }
            let answer = Answer::whole(response, MOST_EVENT).await?;
            Ok(Err(Refusal::read(answer.status, &answer.body)))
        };
        let late =
            |_| Err(format!("the API server did not begin the watch of {} within {:?}", self.path, super::WITHIN));
        tokio::time::timeout(super::WITHIN, opened).await.unwrap_or_else(late)
    }
}

impl<T: Object> Copied<T> {
    /// Takes one event in; says whether an object is another.
    fn take(&mut self, line: &[u8]) -> Result<bool, Ended> {
        let unreadable = |error: serde_json::Error| Ended::Broken(format!("an event cannot be read: {error}"));
        let event: WatchEvent = serde_json::from_slice(line).map_err(unreadable)?;
        if event.kind == "ERROR" {
            let refusal: Refusal = serde_json::from_value(event.object).unwrap_or_default();
            return Err(if refusal.code == GONE { Ended::Lost } else { Ended::Broken(refusal.to_string()) });
        }
        if event.kind == "BOOKMARK" {
            let version = event.object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
            self.version = version.map(str::to_owned).or(self.version.take());
            return Ok(false);
        }
        // What cannot be read of an event would be missing in the copy: all is listed anew.
        let object: T = serde_json::from_value(event.object).map_err(|_| Ended::Lost)?;
        let Meta { name, resource_version, .. } = object.meta().clone();
        self.version = Some(resource_version);
        match event.kind.as_str() {
            "ADDED" | "MODIFIED" if self.objects.len() < MOST_OBJECTS => {
                self.objects.insert(name, object);
                Ok(true)
            }
            "DELETED" => Ok(self.objects.remove(&name).is_some()),
            _ => Err(Ended::Lost),
        }
    }
}

/// Before the next question: next to nothing after a watch that lasted, else 1 s, 2 s, up to 30 s.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::from_millis(20),
        failures => Duration::from_secs(1 << (failures - 1).min(5)).min(Duration::from_secs(30)),
    }
}

/// A watch that is ended sooner is none. Source: ours.
const LASTS: Duration = Duration::from_secs(1);
/// What the API server answers when it has forgotten so old a version.
const GONE: u16 = 410;
/// Objects of a page. Source: half of what Kubernetes' own clients ask for, whose objects are smaller.
const PAGE: usize = 250;
/// Source: ours; twice the workers of the largest pool.
const MOST_OBJECTS: usize = 20_000;
/// Seconds after which the server ends a watch: so long a dead connection is not noticed. Source: ours.
const WATCHED: u32 = 60;
/// A watch that says nothing for longer than it should last is dead.
const SILENT: Duration = Duration::from_secs(75);
/// Of one event. Source: a slice has at most 1,000 endpoints, of 500 bytes each.
const MOST_EVENT: usize = 4 << 20;
