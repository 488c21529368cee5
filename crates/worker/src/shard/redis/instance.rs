//! An instance as an application: how a slice's keys are listed, read, staged and deleted.
//!
//! | asked | done by |
//! |---|---|
//! | a page of a range | `SCAN`, the slots of what it names; then `MEMORY USAGE`, `DUMP`, `PEXPIRETIME` of those |
//! | these keys | the last three |
//! | begin a staging | its name and range into a hash of ours; `UNLINK` of whatever lies in the range |
//! | stage | `RESTORE key deadline payload REPLACE ABSTTL`, or `UNLINK`; the instance checks each payload's checksum |
//! | show what was staged | `EXISTS` |
//! | activate | the name out of that hash |
//! | drop | `SCAN` and `UNLINK` |
//!
//! **A value** is its deadline (milliseconds since 1970, 8 bytes, 0 for none) and the payload of `DUMP`. A deadline is absolute: a key
//! that expires while it is moved has expired at both ends, as far as their clocks agree.
//!
//! **Staged in place.** What is staged has its own name from the beginning. Nobody sees it, because every command comes through the
//! agent, which admits none to a slice that is not served. So to activate costs nothing, however many keys there are. What a
//! staging left behind when the agent died is known by the hash (`\0ambidex:stagings`), and dropped at the next start.
//!
//! **One process.** A cursor of `SCAN`, and what was staged in memory, are worth nothing once the instance was restarted. So each question
//! asks for the `run_id` with it, and what was begun under another one does not go on. Neither does what was staged
//! through a connection that was lost: it is ended at the instance (`CLIENT KILL ID`) before anything is staged anew, so that nothing
//! which still lies in its socket can come in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_core::shard::messages::{Bytes as Key, Entry};
use ambidex_core::shard::slot::{point_of, slot_of};
use ambidex_core::shard::space::{Point, Range};
use ambidex_redis::frame::{self, Bounds, encode};
use ambidex_redis::link::{Link, Replies, Target};
use ambidex_redis::session::{Password, Protocol};
use ambidex_redis::table::RESERVED;
use ambidex_redis::value::Value;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::runtime::Runtime;

use crate::shard::application::{Application, ApplicationError, BATCH_BYTES, Doing, Dropped, MOST_ENTRIES, Page};
use crate::shard::config::InstanceConfig;
use crate::shard::contract::text;
use crate::shard::start::ShardStartError;

/// An instance of Redis or Valkey; clones share its connections.
#[derive(Clone, Debug)]
pub(in crate::shard) struct Instance(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: String,
    patience: Duration,
    most_value: u64,
    /// Of clients, by what they speak.
    two: Link,
    three: Link,
    /// For what moves: it must not wait behind clients, nor they behind it.
    own: Link,
    /// Under which `run_id` each staging was begun.
    begun: Mutex<BTreeMap<String, String>>,
    /// Of the connection for moves: its process, and its number there.
    known: Mutex<Option<(String, i64)>>,
}

/// Questions that go as one.
#[derive(Debug, Default)]
struct Questions {
    bytes: BytesMut,
    count: usize,
}

/// Where a pass through the names is: under which process, from which cursor (none: all were named), and names that are not read yet.
/// They go with the cursor, because the same cursor need not name the same ones again.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    run: String,
    cursor: Option<String>,
    names: Vec<Bytes>,
}

impl Place {
    /// None at the end.
    fn text(&self) -> Option<Key> {
        if self.cursor.is_none() && self.names.is_empty() {
            return None;
        }
        let cursor = self.cursor.as_deref().unwrap_or_default();
        let words = [self.run.as_bytes(), cursor.as_bytes()].into_iter().chain(self.names.iter().map(|name| &**name));
        Some(Key::from(&encode(&words.collect::<Vec<_>>())[..]))
    }

    fn read(text: &[u8]) -> Option<Self> {
        let command = frame::command(&mut BytesMut::from(text), BOUNDS).ok()??;
        let (run, rest) = command.args.split_first()?;
        let (cursor, names) = rest.split_first()?;
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        Some(Self { run: text(run), cursor: (!cursor.is_empty()).then(|| text(cursor)), names: names.to_vec() })
    }
}

impl Questions {
    fn ask(&mut self, words: &[&[u8]]) {
        frame::put(&mut self.bytes, words);
        self.count += 1;
    }
}

impl Instance {
    /// Begins its connections in this runtime; none is opened before it is wanted.
    ///
    /// # Errors
    /// No password where there should be one.
    pub(in crate::shard) fn start(
        config: &InstanceConfig,
        patience: Duration,
        runtime: &Runtime,
    ) -> Result<Self, ShardStartError> {
        let password = config.password_file.as_ref().map(|file| {
            let fault = |why: String| ShardStartError::Password { file: file.clone(), why };
            let bytes = std::fs::read(file).map_err(|error| fault(format!("cannot be read: {error}")))?;
            Password::of(&bytes).ok_or_else(|| fault("holds no password".to_owned()))
        });
        let password = password.transpose()?;
        let user = config.user.as_deref().unwrap_or("default").as_bytes();
        let greeting = |protocol: &[u8], name: &[u8]| match &password {
            Some(password) => encode(&[b"HELLO", protocol, b"AUTH", user, password.bytes(), b"SETNAME", name]).freeze(),
            None => encode(&[b"HELLO", protocol, b"SETNAME", name]).freeze(),
        };
        let _inside = runtime.enter();
        let link = |protocol, name| {
            let greeting = vec![greeting(protocol, name)];
            Link::start(Target { address: config.address.clone(), greeting, patience })
        };
        Ok(Self(Arc::new(Inner {
            address: config.address.clone(),
            patience,
            most_value: config.max_value.get(),
            two: link(b"2", b"ambidex-clients"),
            three: link(b"3", b"ambidex-clients"),
            own: link(b"2", b"ambidex-moves"),
            begun: Mutex::default(),
            known: Mutex::default(),
        })))
    }

    /// How long it may take to answer.
    pub(super) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// Sends clients' commands.
    pub(super) fn send(&self, protocol: Protocol, body: Bytes, replies: usize) -> Replies {
        match protocol {
            Protocol::Two => self.0.two.send(body, replies),
            Protocol::Three => self.0.three.send(body, replies),
        }
    }

    /// What is answered to HTTP: whether it can be used.
    pub(in crate::shard) async fn answer_for_itself(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(
                StatusCode::METHOD_NOT_ALLOWED,
                "This worker is an instance of Redis: speak RESP, by a gateway.",
            );
        }
        match self.run_of("health").await {
            Ok(_) => text(StatusCode::OK, "The instance answers."),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()),
        }
    }

    fn wrong(&self, what: &'static str, why: impl Into<String>) -> ApplicationError {
        ApplicationError::Instance { instance: self.0.address.clone(), what, why: why.into() }
    }

    /// Asks, and says which process it was that answered.
    async fn ask(&self, what: &'static str, questions: Questions) -> Result<(String, Vec<Value>), ApplicationError> {
        let mut all = Questions::default();
        all.ask(&[b"INFO", b"server"]);
        all.ask(&[b"CLIENT", b"ID"]);
        all.bytes.unsplit(questions.bytes);
        let count = questions.count + 2;
        let came = tokio::time::timeout(self.0.patience, self.0.own.send(all.bytes.freeze(), count).come()).await;
        let replies = came.map_err(|_| self.wrong(what, format!("nothing within {:?}", self.0.patience)))?;
        let replies = replies.map_err(|error| self.wrong(what, error.to_string()))?;
        let mut values = Value::read_all(&replies, count).map_err(|fault| self.wrong(what, fault.to_string()))?;
        let info = match values.remove(0) {
            Value::Bulk(Some(info)) => String::from_utf8_lossy(&info).into_owned(),
            Value::Error(why) => return Err(self.wrong(what, why)),
            Value::Status(_) | Value::Number(_) | Value::Bulk(None) | Value::Array(_) => String::new(),
        };
        let number = values.remove(0);
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let version = line("valkey_version").or_else(|| line("redis_version")).unwrap_or("unknown");
        let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        if major < LEAST_MAJOR {
            return Err(self.wrong(what, format!("version {version} cannot say when keys expire: 7.0 is needed")));
        }
        if line("redis_mode").is_some_and(|mode| mode != "standalone") {
            return Err(self.wrong(what, "it is part of a cluster: only plain instances hold slices"));
        }
        let run = line("run_id").ok_or_else(|| self.wrong(what, "it does not say its run_id"))?;
        let Value::Number(number) = number else { return Err(self.wrong(what, ODD)) };
        self.is_the_same(what, run, number).await?;
        Ok((run.to_owned(), values))
    }

    /// Another connection than before, to the same process: what was written to the one before may still be run, and must not come in between
    /// what is written to this one. So that one is ended there, and whatever was staged through it is void.
    async fn is_the_same(&self, what: &'static str, run: &str, number: i64) -> Result<(), ApplicationError> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match &known {
            Some((known, before)) if known == run && *before == number => return Ok(()),
            Some((known, before)) if known == run => {
                self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).clear();
                let kill = encode(&[b"CLIENT", b"KILL", b"ID", before.to_string().as_bytes()]).freeze();
                let killed =
                    self.0.own.send(kill, 1).come().await.map_err(|error| self.wrong(what, error.to_string()))?;
                if killed.first() != Some(&b':') {
                    return Err(self.wrong(what, String::from_utf8_lossy(killed.trim_ascii()).into_owned()));
                }
            }
            Some(_) => self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).clear(),
            None => {}
        }
        let first = known.is_none();
        *self.0.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((run.to_owned(), number));
        if first {
            Ok(())
        } else {
            Err(self.wrong(what, "the connection was lost meanwhile: what was staged before is void"))
        }
    }

    async fn run_of(&self, what: &'static str) -> Result<String, ApplicationError> {
        Ok(self.ask(what, Questions::default()).await?.0)
    }

    /// The same, and none of the answers may be an error.
    async fn done(&self, what: &'static str, run: &str, questions: Questions) -> Result<Vec<Value>, ApplicationError> {
        let (now, values) = self.ask(what, questions).await?;
        if now != run {
            return Err(self.wrong(what, RESTARTED));
        }
        match values.iter().find_map(|value| if let Value::Error(why) = value { Some(why) } else { None }) {
            Some(why) => Err(self.wrong(what, why.clone())),
            None => Ok(values),
        }
    }

    /// Some names, and where the next ones begin.
    async fn scan(
        &self,
        what: &'static str,
        run: &str,
        cursor: &str,
    ) -> Result<(String, Vec<Bytes>), ApplicationError> {
        let mut questions = Questions::default();
        questions.ask(&[b"SCAN", cursor.as_bytes(), b"COUNT", SCANNED]);
        let mut values = self.done(what, run, questions).await?;
        let Some(Value::Array(Some(pair))) = values.pop() else { return Err(self.wrong(what, ODD)) };
        let [Value::Bulk(Some(next)), Value::Array(Some(names))] = &pair[..] else { return Err(self.wrong(what, ODD)) };
        let name = |value: &Value| match value {
            Value::Bulk(Some(name)) if !name.starts_with(RESERVED) => Some(name.clone()),
            Value::Bulk(_) | Value::Status(_) | Value::Error(_) | Value::Number(_) | Value::Array(_) => None,
        };
        Ok((String::from_utf8_lossy(next).into_owned(), names.iter().filter_map(name).collect()))
    }

    /// Reads keys, as many of them as fit a batch, at least one: each with its value, or none.
    async fn read(&self, run: &str, keys: &[Bytes]) -> Result<Vec<Entry>, ApplicationError> {
        let keys = &keys[..keys.len().min(READ_AT_ONCE)];
        let mut sizes = Questions::default();
        keys.iter().for_each(|key| sizes.ask(&[b"MEMORY", b"USAGE", key]));
        let sizes = self.done(EXPORT, run, sizes).await?;
        let (mut fit, mut bytes) = (0, 0);
        for (key, size) in keys.iter().zip(&sizes) {
            let size = if let Value::Number(size) = size { u64::try_from(*size).unwrap_or(0) } else { 0 };
            if size > self.0.most_value {
                return Err(self.wrong(EXPORT, self.too_large(key, size)));
            }
            bytes += size;
            if fit > 0 && bytes > BATCH_BYTES as u64 {
                break;
            }
            fit += 1;
        }
        let keys = &keys[..fit];
        let mut dumps = Questions::default();
        for key in keys {
            dumps.ask(&[b"DUMP", key]);
            dumps.ask(&[b"PEXPIRETIME", key]);
        }
        let dumps = self.done(EXPORT, run, dumps).await?;
        let entries = keys.iter().zip(dumps.chunks_exact(2)).map(|(key, pair)| {
            let value = match pair {
                // It may have gone between the two.
                [Value::Bulk(Some(payload)), Value::Number(deadline)] if *deadline >= -1 => {
                    Some([&(*deadline).max(0).to_be_bytes()[..], payload].concat().into())
                }
                [Value::Bulk(_), Value::Number(_)] => None,
                _ => return Err(self.wrong(EXPORT, ODD)),
            };
            Ok(Entry { key: Key::from(&key[..]), value })
        });
        entries.collect()
    }

    fn too_large(&self, key: &[u8], size: u64) -> String {
        format!(
            "key {:?} has {size} bytes, and a move may take values of at most {}: the instance would do nothing else for about {} ms. \
             Allow it with agent.shards.redis.max_value, or leave the slice where it is",
            String::from_utf8_lossy(&key[..key.len().min(100)]),
            self.0.most_value,
            // Writing it out here, and taking it in there.
            2 * size / BYTES_A_MILLISECOND,
        )
    }

    async fn page(&self, range: Range, after: Option<&Key>) -> Result<Page, ApplicationError> {
        let place =
            after.map(|after| Place::read(after).ok_or_else(|| self.wrong(EXPORT, "a cursor of somebody else")));
        let mut place = match place.transpose()? {
            Some(place) => place,
            None => Place { run: self.run_of(EXPORT).await?, cursor: Some("0".to_owned()), names: Vec::new() },
        };
        let (mut entries, mut bytes, mut scans) = (Vec::new(), 0, 0);
        while entries.len() < MOST_ENTRIES && bytes < BATCH_BYTES {
            match &place.cursor {
                // Where most names are of other slices, those of several scans are read together.
                Some(cursor) if place.names.len() < READ_AT_ONCE && scans < MOST_SCANS => {
                    scans += 1;
                    let (next, names) = self.scan(EXPORT, &place.run, cursor).await?;
                    place.names.extend(names.into_iter().filter(|name| lies_in(range, name)));
                    place.cursor = (next != "0").then_some(next);
                }
                Some(_) | None if place.names.is_empty() => break,
                Some(_) | None => {
                    let read = self.read(&place.run, &place.names).await?;
                    place.names.drain(..read.len());
                    bytes += read.iter().map(size_of).sum::<usize>();
                    entries.extend(read.into_iter().filter(|entry| entry.value.is_some()));
                }
            }
        }
        Ok(Page { entries, next: place.text() })
    }

    /// Deletes what lies in these ranges.
    async fn clear(&self, what: &'static str, ranges: &[Range]) -> Result<(), ApplicationError> {
        if ranges.is_empty() {
            return Ok(());
        }
        let (run, mut cursor) = (self.run_of(what).await?, "0".to_owned());
        loop {
            let (next, names) = self.scan(what, &run, &cursor).await?;
            let doomed: Vec<Bytes> =
                names.into_iter().filter(|name| ranges.iter().any(|range| lies_in(*range, name))).collect();
            if !doomed.is_empty() {
                let mut questions = Questions::default();
                let words: Vec<&[u8]> =
                    std::iter::once(&b"UNLINK"[..]).chain(doomed.iter().map(|key| &**key)).collect();
                questions.ask(&words);
                self.done(what, &run, questions).await?;
            }
            cursor = next;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    async fn put(&self, staging: &str, entries: &[Entry]) -> Result<(), ApplicationError> {
        let run = self.begun(staging)?;
        let mut questions = Questions::default();
        for Entry { key, value } in entries {
            match value.as_deref().map(parts) {
                Some(Some((deadline, payload))) => {
                    let deadline = deadline.to_string();
                    questions.ask(&[b"RESTORE", key, deadline.as_bytes(), payload, b"REPLACE", b"ABSTTL"]);
                }
                Some(None) => return Err(self.wrong(IMPORT, "a value that no instance has written")),
                None => questions.ask(&[b"UNLINK", key]),
            }
        }
        self.done(IMPORT, &run, questions).await.map(|_| ())
    }

    async fn shown(&self, staging: &str, entries: &[Entry]) -> Result<Vec<Entry>, ApplicationError> {
        let run = self.begun(staging)?;
        let mut questions = Questions::default();
        entries.iter().for_each(|entry| questions.ask(&[b"EXISTS", &entry.key]));
        questions.ask(&[b"TIME"]);
        let mut values = self.done(IMPORT, &run, questions).await?;
        let now = match values.pop() {
            Some(Value::Array(Some(parts))) => match parts.first() {
                Some(Value::Bulk(Some(seconds))) => String::from_utf8_lossy(seconds).parse::<i64>().ok(),
                _ => None,
            },
            _ => None,
        };
        // Up to the end of this second: what is about to expire may have gone.
        let now = now.ok_or_else(|| self.wrong(IMPORT, ODD))?.saturating_add(1).saturating_mul(1_000);
        let shown = entries.iter().zip(values).map(|(entry, exists)| {
            let expired = |value: &Key| parts(value).is_some_and(|(deadline, _)| deadline != 0 && deadline <= now);
            let stands = match (&entry.value, exists) {
                (Some(_), Value::Number(1)) | (None, Value::Number(0)) => true,
                (Some(value), _) => expired(value),
                (None, _) => false,
            };
            let other = if entry.value.is_some() { None } else { Some(Key::from(&b"still there"[..])) };
            Entry { key: entry.key.clone(), value: if stands { entry.value.clone() } else { other } }
        });
        Ok(shown.collect())
    }

    fn begun(&self, staging: &str) -> Result<String, ApplicationError> {
        let begun = self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).get(staging).cloned();
        begun.ok_or_else(|| self.wrong(IMPORT, "the staging was begun by an agent that is no more"))
    }

    async fn stage(&self, staging: &str, range: Range) -> Result<(), ApplicationError> {
        let mut questions = Questions::default();
        let text = ambidex_wire::shard::headers::range_text(range);
        questions.ask(&[b"HSET", STAGINGS, staging.as_bytes(), text.as_bytes()]);
        let run = self.run_of(IMPORT).await?;
        self.done(IMPORT, &run, questions).await?;
        self.clear(IMPORT, &[range]).await?;
        // What was deleted under this one stays deleted under this one.
        if self.run_of(IMPORT).await? != run {
            return Err(self.wrong(IMPORT, RESTARTED));
        }
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(staging.to_owned(), run);
        Ok(())
    }

    async fn unlist(&self, what: &'static str, staging: &str) -> Result<(), ApplicationError> {
        let mut questions = Questions::default();
        questions.ask(&[b"HDEL", STAGINGS, staging.as_bytes()]);
        let run = self.run_of(what).await?;
        self.done(what, &run, questions).await?;
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(staging);
        Ok(())
    }

    async fn tidy(&self, names: &[String], held: &[Range]) -> Result<(), ApplicationError> {
        let mut questions = Questions::default();
        questions.ask(&[b"HGETALL", STAGINGS]);
        let run = self.run_of(DROP).await?;
        let mut values = self.done(DROP, &run, questions).await?;
        let Some(Value::Array(Some(listed))) = values.pop() else { return Err(self.wrong(DROP, ODD)) };
        for pair in listed.chunks_exact(2) {
            let [Value::Bulk(Some(name)), Value::Bulk(Some(range))] = pair else { return Err(self.wrong(DROP, ODD)) };
            let name = String::from_utf8_lossy(name).into_owned();
            let Some(range) = ambidex_wire::shard::headers::read_range(range) else {
                return Err(self.wrong(DROP, ODD));
            };
            if !names.contains(&name) {
                let parts = held.iter().fold(vec![range], |left, held| {
                    left.into_iter().flat_map(|part| crate::shard::work::without(part, *held)).collect()
                });
                self.clear(DROP, &parts).await?;
                self.unlist(DROP, &name).await?;
            }
        }
        Ok(())
    }

    async fn strangers(&self, ranges: &[Range]) -> Result<Option<(u64, Key)>, ApplicationError> {
        let (run, mut cursor) = (self.run_of(EXPORT).await?, "0".to_owned());
        let (mut count, mut one) = (0, None);
        loop {
            let (next, names) = self.scan(EXPORT, &run, &cursor).await?;
            for name in names.into_iter().filter(|name| !ranges.iter().any(|range| lies_in(*range, name))) {
                count += 1;
                one.get_or_insert_with(|| Key::from(&name[..]));
            }
            cursor = next;
            if cursor == "0" {
                return Ok(one.map(|one| (count, one)));
            }
        }
    }
}

impl Application for Instance {
    fn export<'a>(&'a self, _: &'a str, range: Range, after: Option<&'a Key>) -> Doing<'a, Page> {
        Box::pin(self.page(range, after))
    }

    fn export_keys<'a>(&'a self, _: &'a str, _: Option<&'a str>, keys: &'a [Key]) -> Doing<'a, Vec<Entry>> {
        Box::pin(async move {
            let run = self.run_of(EXPORT).await?;
            let keys: Vec<Bytes> = keys.iter().map(|key| Bytes::copy_from_slice(key)).collect();
            self.read(&run, &keys).await
        })
    }

    fn import<'a>(&'a self, _: &'a str, staging: &'a str, entries: &'a [Entry]) -> Doing<'a, Option<u64>> {
        Box::pin(async move {
            for entries in entries.chunks(READ_AT_ONCE) {
                self.put(staging, entries).await?;
            }
            if entries.is_empty() {
                // Asked for the digest: what was put into it must still be there.
                let run = self.begun(staging)?;
                self.done(IMPORT, &run, Questions::default()).await?;
            }
            Ok(None)
        })
    }

    fn show<'a>(&'a self, _: &'a str, staging: &'a str, entries: &'a [Entry]) -> Doing<'a, Vec<Entry>> {
        Box::pin(self.shown(staging, entries))
    }

    fn begin<'a>(&'a self, _: &'a str, staging: &'a str, range: Range) -> Doing<'a, ()> {
        Box::pin(self.stage(staging, range))
    }

    fn foreign<'a>(&'a self, ranges: &'a [Range]) -> Doing<'a, Option<(u64, Key)>> {
        Box::pin(self.strangers(ranges))
    }

    fn stages_in_place(&self) -> bool {
        true
    }

    fn activate<'a>(&'a self, _: &'a str, staging: &'a str, _: Range) -> Doing<'a, ()> {
        Box::pin(self.unlist(ACTIVATE, staging))
    }

    fn delete<'a>(&'a self, _: &'a str, what: Dropped<'a>) -> Doing<'a, ()> {
        Box::pin(async move {
            match what {
                Dropped::Range(range) => self.clear(DROP, &[range]).await,
                Dropped::Staging { name, parts } => {
                    // What is on its way into it is written before this, or not at all.
                    self.0.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                    self.clear(DROP, parts).await?;
                    self.unlist(DROP, name).await
                }
                Dropped::StagingsExcept { names, held } => self.tidy(names, held).await,
            }
        })
    }
}

fn lies_in(range: Range, key: &[u8]) -> bool {
    let point: Point = point_of(slot_of(key));
    range.contains(point)
}

fn size_of(entry: &Entry) -> usize {
    entry.key.len() + entry.value.as_ref().map_or(0, |value| value.len())
}

/// A deadline and a payload.
fn parts(value: &[u8]) -> Option<(i64, &[u8])> {
    let (deadline, payload) = value.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*deadline), payload))
}

const EXPORT: &str = "reading keys";
const IMPORT: &str = "staging keys";
const ACTIVATE: &str = "activating keys";
const DROP: &str = "deleting keys";
const ODD: &str = "it answers in another form than instances do";
const RESTARTED: &str = "it was restarted meanwhile: what was begun before is void";
/// Names and ranges of stagings.
const STAGINGS: &[u8] = b"\0ambidex:stagings";
/// Names of one SCAN: an instance does nothing else for some 50 microseconds. Source: ours.
const SCANNED: &[u8] = b"512";
/// Scans of one page: of an instance with many other slices most names are of those. Source: ours, some ten milliseconds.
const MOST_SCANS: usize = 64;
/// Keys that are read or written in one go. Source: ours; clients' commands come in between.
const READ_AT_ONCE: usize = 128;
/// What an instance writes out or takes in while it does nothing else. Source: ours, for the predicted pause; a guess of 200 MB/s.
const BYTES_A_MILLISECOND: u64 = 200_000;
/// Of what a place in a pass says. Source: ours; names of one scan, which may be long.
const BOUNDS: Bounds = Bounds { args: 1 << 16, bytes: 64 << 20 };
/// PEXPIRETIME came with it.
const LEAST_MAJOR: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_deadline_and_its_payload() {
        let value = [&1_700_000_000_000_i64.to_be_bytes()[..], b"payload"].concat();
        assert_eq!(parts(&value), Some((1_700_000_000_000, &b"payload"[..])));
        assert_eq!(parts(b"short"), None);
    }

    #[test]
    fn a_place_in_a_pass_is_read_as_it_was_written() {
        let names = vec![Bytes::from_static(b"a b\r\n"), Bytes::from_static(b"")];
        for place in [
            Place { run: "r".to_owned(), cursor: Some("17".to_owned()), names: Vec::new() },
            Place { run: "r".to_owned(), cursor: None, names: names.clone() },
        ] {
            assert_eq!(Place::read(&place.text().expect("not the end")), Some(place));
        }
        assert_eq!(Place { run: "r".to_owned(), cursor: None, names: Vec::new() }.text(), None);
        assert_eq!(Place::read(b"17"), None);
    }
}
