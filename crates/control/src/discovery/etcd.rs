//! The values under a prefix of an etcd as workers: listed, then watched from the revision of the list.
//!
//! ```text
//! list --> watch --changes--> the same again, as a list of workers
//!  ^         |
//!  +---------+  it ended, etcd forgot the revision (compaction), or half a minute is over: listed anew
//! ```
//! A watch that says nothing is not believed for ever: etcd may have been brought back from an older state, and would be silent
//! until it has come that far again. A value that is no worker is named and left out; the others count.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ambidex_store::etcd::{Change, Etcd, EtcdError};
use ambidex_yaml::{shortened, without_credentials};
use tokio::time::Instant;

use super::names::{Known, Names, hold};
use crate::config::{EtcdKeys, MOST_WORKERS, Member, Source};
use crate::roster::Event;

/// Follows the prefix for as long as it is wanted.
pub(super) async fn follow(keys: EtcdKeys, names: Arc<Names>, tell: impl Fn(Event)) {
    let mut follower = Follower {
        label: keys.label().into(),
        etcd: Etcd::new(keys.cluster()),
        prefix: keys.prefix().as_bytes().to_vec(),
        names,
        known: Known::default(),
        tell,
    };
    let mut wait = FIRST_WAIT;
    loop {
        match follower.once().await {
            // It is time to list anew.
            Ok(()) | Err(EtcdError::Compacted(_)) => wait = FIRST_WAIT,
            Err(why) => {
                follower.fail(&format!("{why}: who was known stays"));
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

struct Follower<T> {
    label: Arc<str>,
    etcd: Etcd,
    prefix: Vec<u8>,
    names: Arc<Names>,
    known: Known,
    tell: T,
}

impl<T: Fn(Event)> Follower<T> {
    /// Lists, and watches for a while.
    async fn once(&mut self) -> Result<(), EtcdError> {
        let listed = self.etcd.list(&self.prefix, MOST_WORKERS).await?;
        let mut values = listed.values;
        let again = Instant::now() + LISTS_AGAIN;
        let mut ages = self.say(&values).await;
        let mut watch = self.etcd.watch(&self.prefix, listed.revision).await?;
        loop {
            tokio::select! {
                changes = watch.next() => {
                    take(&mut values, changes?)?;
                    // What is written together comes together.
                    let settled = Instant::now() + SETTLE;
                    while let Ok(changes) = tokio::time::timeout_at(settled, watch.next()).await {
                        take(&mut values, changes?)?;
                    }
                    ages = self.say(&values).await;
                }
                () = tokio::time::sleep_until(ages) => ages = self.say(&values).await,
                () = tokio::time::sleep_until(again) => return Ok(()),
            }
        }
    }

    /// Tells who is there; when an address in it is too old.
    async fn say(&mut self, values: &BTreeMap<Vec<u8>, Vec<u8>>) -> Instant {
        let (members, lacks) = read(values);
        match self.known.all(&self.names, &members).await {
            Ok(answer) => {
                let lacks = [lacks, answer.lacks].into_iter().flatten().collect::<Vec<_>>().join("; ");
                let lacks = (!lacks.is_empty()).then_some(lacks);
                (self.tell)(Event::Said(Arc::clone(&self.label), answer.found, lacks));
                hold(answer.until)
            }
            Err(why) => {
                self.fail(&format!("{why}: who was known stays"));
                hold(None)
            }
        }
    }

    fn fail(&self, why: &str) {
        (self.tell)(Event::Failed(Arc::clone(&self.label), told(why)));
    }
}

/// Takes changes over, within bounds.
fn take(values: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: Vec<Change>) -> Result<(), EtcdError> {
    for Change { key, value, .. } in changes {
        match value {
            Some(value) => drop(values.insert(key, value)),
            None => drop(values.remove(&key)),
        }
    }
    if values.len() > MOST_WORKERS {
        return Err(EtcdError::Refused(format!("there are more than {MOST_WORKERS} keys with this prefix")));
    }
    Ok(())
}

/// The workers in some values, and which values are none.
fn read(values: &BTreeMap<Vec<u8>, Vec<u8>>) -> (Vec<Member>, Option<String>) {
    let (mut members, mut names, mut bad) = (Vec::new(), HashSet::new(), Vec::new());
    for (key, value) in values {
        let read = member(value).and_then(|member| {
            let fresh = names.insert(Arc::clone(member.identity()));
            fresh.then_some(member).ok_or_else(|| "a key before it names the same worker".to_owned())
        });
        match read {
            Ok(member) => members.push(member),
            Err(why) => bad.push(format!("`{}`: {why}", shortened(&String::from_utf8_lossy(key), MOST_KEY))),
        }
    }
    let lacks = (!bad.is_empty()).then(|| {
        let of = values.len();
        told(&format!("{} of {of} keys are no workers: {}", bad.len(), bad[..bad.len().min(MOST_NAMED)].join("; ")))
    });
    (members, lacks)
}

/// A worker, as its URL or as JSON.
fn member(value: &[u8]) -> Result<Member, String> {
    if value.len() > MOST_VALUE {
        return Err(format!("{} bytes: at most {MOST_VALUE} are read", value.len()));
    }
    let text = std::str::from_utf8(value).map_err(|_| "no UTF-8".to_owned())?.trim();
    let json = match text.chars().next() {
        None => return Err("it is empty".to_owned()),
        Some('{') => serde_json::from_str(text).map_err(|error| error.to_string())?,
        Some(_) => serde_json::Value::String(text.to_owned()),
    };
    match serde_json::from_value::<Source>(json).map_err(|error| error.to_string())? {
        Source::Worker(member) => Ok(member),
        other @ (Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) | Source::Kubernetes(_) | Source::Etcd(_)) => {
            Err(format!("{} is a source; keys name workers", super::label(&other)))
        }
    }
}

/// What is wrong, in one line of bounded length: it quotes what others wrote, and goes to logs, pages and the journal.
fn told(why: &str) -> String {
    let short = shortened(&without_credentials(why), MOST_TOLD);
    short.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Source: ours, as for Kubernetes' API server.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a watch is believed that says nothing.
const LISTS_AGAIN: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_millis(50);
/// Bytes of a value. Source: ours; a URL and some labels.
const MOST_VALUE: usize = 4_096;
/// Characters of a key that is named.
const MOST_KEY: usize = 100;
/// Keys that are named.
const MOST_NAMED: usize = 5;
/// Characters of a reason. Source: ours; a few lines of a wide terminal.
const MOST_TOLD: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &[u8])]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.to_vec())).collect()
    }

    #[test]
    fn a_value_is_a_url_or_json_and_what_is_neither_is_named_and_left_out() {
        let long = vec![b'x'; 5_000];
        let all = values(&[
            ("/s/a", b"http://10.0.0.1:80\n"),
            ("/s/b", br#"{"url": "http://10.0.0.2:80", "name": "b", "weight": 2, "zone": "z"}"#),
            ("/s/c", b"http://10.0.0.1:80/"),
            ("/s/d", &[0xff, 0xfe]),
            ("/s/e", b""),
            ("/s/f", br#"{"url": "http://169.254.169.254"}"#),
        ]);
        let (members, lacks) = read(&all);
        let names: Vec<&str> = members.iter().map(|member| &**member.identity()).collect();
        assert_eq!(names, ["http://10.0.0.1:80", "b"]);
        assert!((members[1].weight - 2.0).abs() < 1e-9 && &*members[1].zone == "z");
        let lacks = lacks.expect("some");
        for told in ["4 of 6 keys", "`/s/c`: a key before it", "`/s/d`: no UTF-8", "`/s/e`: it is empty", "link-local"]
        {
            assert!(lacks.contains(told), "{told}: {lacks}");
        }
        for (value, why) in [
            (long.as_slice(), "at most 4096"),
            (b"file:/etc/passwd".as_slice(), "is a source"),
            (br#"{"kubernetes": {"service": "api"}}"#, "is a source"),
            (br#"{"url": "http://10.0.0.1:80", "weight": -1}"#, "weight -1"),
            (br#"{"url": "http://10.0.0.1:80", "evil": 1}"#, "unknown field"),
            (b"{", "EOF"),
        ] {
            let error = member(value).expect_err("no worker");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn changes_add_replace_and_remove_within_the_bound() {
        let mut known = values(&[("a", b"1"), ("b", b"2")]);
        let change = |key: &str, value: Option<&[u8]>| {
            let value = value.map(<[u8]>::to_vec);
            Change { key: key.into(), value, revision: 1 }
        };
        take(&mut known, vec![change("a", None), change("b", Some(b"3")), change("c", Some(b"4"))]).expect("few");
        assert_eq!(known, values(&[("b", b"3"), ("c", b"4")]));
        let flood = (0..=MOST_WORKERS).map(|at| change(&at.to_string(), Some(b"x"))).collect();
        assert!(take(&mut known, flood).is_err());
    }
}
