//! Whether an application keeps the contract: asks it for everything that a move asks, in a keyspace of its own, and compares.
//!
//! For `ambidex agent --verify`, and for the tests of the reference workers. Nothing of other keyspaces is touched, and nothing
//! remains of this one.

use std::collections::BTreeMap;

use ambidex_core::shard::messages::{Bytes, Entry};
use ambidex_core::shard::space::{Point, Range};

use super::application::{Application, Dropped};

/// What was looked at, and what was wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What must be.
    pub law: &'static str,
    /// What is instead.
    pub wrong: Option<String>,
}

/// The keyspace in which it is tried.
pub const KEYSPACE: &str = "ambidex-verify";

/// Tries an application. It ends with the first law that is broken: the later ones rest on it.
pub async fn verify(application: &dyn Application) -> Vec<Check> {
    let try_ = Try { application, entries: entries() };
    let mut checks = Vec::new();
    macro_rules! law {
        ($law:literal, $came:expr) => {
            let wrong = $came.await.err();
            let ends = wrong.is_some();
            checks.push(Check { law: $law, wrong });
            if ends {
                return checks;
            }
        };
    }
    law!("what is not there can be dropped", try_.clean());
    law!("a staging says how many entries it has", try_.imports());
    law!("a staging shows what was put into it, to the byte", try_.shows());
    law!("a staging is invisible", try_.is_invisible());
    law!("an entry without a value is taken out of the staging", try_.takes_out());
    law!("what is activated is exported, each key once", try_.activates());
    law!("what is activated twice is activated once", try_.activates_twice());
    law!("keys are exported by name, and those that are not there have no value", try_.exports_keys());
    law!("an activation replaces its range, and nothing else", try_.replaces());
    law!("a staging that was activated and dropped stays activated", try_.drops_staging());
    law!("stagings that nobody names are dropped", try_.drops_stagings());
    law!("a range is dropped, and nothing else", try_.drops_range());
    law!("nothing remains", try_.clean());
    checks
}

struct Try<'a> {
    application: &'a dyn Application,
    entries: Vec<Entry>,
}

type Came = Result<(), String>;

impl Try<'_> {
    async fn clean(&self) -> Came {
        self.drop(Dropped::StagingsExcept { names: &[], held: &[] }).await?;
        self.drop(Dropped::Range(Range::ALL)).await?;
        same(&self.all().await?, &[])
    }

    async fn imports(&self) -> Came {
        let (most, rest) = self.entries.split_at(self.entries.len() - 1);
        let total = self.import(ONE, most).await?;
        let all = self.import(ONE, rest).await?;
        let again = self.import(ONE, rest).await?;
        let nothing = self.import(ONE, &[]).await?;
        let wanted = [most.len(), most.len() + 1, most.len() + 1, most.len() + 1].map(|count| count as u64);
        if [total, all, again, nothing] == wanted {
            Ok(())
        } else {
            Err(format!("{:?} in place of {wanted:?}", [total, all, again, nothing]))
        }
    }

    async fn shows(&self) -> Came {
        let shown = self.keys(Some(ONE), &self.entries).await?;
        same(&shown, &self.entries)
    }

    async fn is_invisible(&self) -> Came {
        same(&self.all().await?, &[])?;
        let shown = self.keys(None, &self.entries).await?;
        same(&shown, &without_values(&self.entries))
    }

    async fn takes_out(&self) -> Came {
        let gone = without_values(&self.entries[..2]);
        let total = self.import(ONE, &gone).await?;
        let wanted = self.entries.len() as u64 - 2;
        if total != wanted {
            return Err(format!("a total of {total} in place of {wanted}"));
        }
        same(&self.keys(Some(ONE), &gone).await?, &gone)?;
        self.import(ONE, &self.entries[..2]).await.map(|_| ())
    }

    async fn activates(&self) -> Came {
        self.activate(ONE, Range::ALL).await?;
        same(&self.all().await?, &self.entries)
    }

    async fn activates_twice(&self) -> Came {
        self.activate(ONE, Range::ALL).await?;
        same(&self.all().await?, &self.entries)
    }

    async fn exports_keys(&self) -> Came {
        let mut wanted = self.entries[..20].to_vec();
        wanted.push(Entry { key: b"no such key"[..].into(), value: None });
        same(&self.keys(None, &wanted).await?, &wanted)
    }

    async fn replaces(&self) -> Came {
        let (left, _) = halves();
        let new = self.entries.iter().filter(|entry| left.contains(Point::of(&entry.key))).take(3);
        let new: Vec<Entry> =
            new.map(|entry| Entry { key: entry.key.clone(), value: Some(b"new"[..].into()) }).collect();
        self.import(TWO, &new).await?;
        self.activate(TWO, left).await?;
        let right = self.entries.iter().filter(|entry| !left.contains(Point::of(&entry.key)));
        let wanted: Vec<Entry> = right.cloned().chain(new).collect();
        same(&self.all().await?, &wanted)
    }

    async fn drops_staging(&self) -> Came {
        let before = self.all().await?;
        self.drop(Dropped::Staging { name: ONE, parts: &[] }).await?;
        self.drop(Dropped::Staging { name: TWO, parts: &[] }).await?;
        self.drop(Dropped::Staging { name: "never heard of", parts: &[] }).await?;
        same(&self.all().await?, &before)
    }

    async fn drops_stagings(&self) -> Came {
        self.import(ONE, &self.entries[..2]).await?;
        self.import(TWO, &self.entries[..3]).await?;
        self.drop(Dropped::StagingsExcept { names: &[TWO.to_owned()], held: &[] }).await?;
        same(&self.keys(Some(ONE), &self.entries[..2]).await?, &without_values(&self.entries[..2]))?;
        same(&self.keys(Some(TWO), &self.entries[..3]).await?, &self.entries[..3])
    }

    async fn drops_range(&self) -> Came {
        let (left, right) = halves();
        let before = self.all().await?;
        self.drop(Dropped::Range(left)).await?;
        let stay: Vec<Entry> = before.into_iter().filter(|entry| right.contains(Point::of(&entry.key))).collect();
        same(&self.all().await?, &stay)?;
        self.drop(Dropped::Range(left)).await
    }

    /// All entries, by pages.
    async fn all(&self) -> Result<Vec<Entry>, String> {
        let (mut all, mut after) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self.application.export(KEYSPACE, Range::ALL, after.as_ref()).await.map_err(told)?;
            all.extend(page.entries);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
        Err(format!("an export has not ended after {MOST_PAGES} pages"))
    }

    async fn keys(&self, staging: Option<&str>, entries: &[Entry]) -> Result<Vec<Entry>, String> {
        let keys: Vec<Bytes> = entries.iter().map(|entry| entry.key.clone()).collect();
        let mut shown = Vec::new();
        for keys in keys.chunks(super::application::MOST_ENTRIES) {
            shown.extend(self.application.export_keys(KEYSPACE, staging, keys).await.map_err(told)?);
        }
        Ok(shown)
    }

    async fn import(&self, staging: &str, entries: &[Entry]) -> Result<u64, String> {
        self.application.import(KEYSPACE, staging, entries).await.map(Option::unwrap_or_default).map_err(told)
    }

    async fn activate(&self, staging: &str, range: Range) -> Came {
        self.application.activate(KEYSPACE, staging, range).await.map_err(told)
    }

    async fn drop(&self, what: Dropped<'_>) -> Came {
        self.application.delete(KEYSPACE, what).await.map_err(told)
    }
}

fn same(shown: &[Entry], wanted: &[Entry]) -> Came {
    let map = |entries: &[Entry]| {
        entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect::<BTreeMap<_, _>>()
    };
    let (shown_map, wanted_map) = (map(shown), map(wanted));
    if shown.len() != shown_map.len() {
        return Err(format!("{} entries for {} keys: some come twice", shown.len(), shown_map.len()));
    }
    let differs = shown_map.iter().find(|(key, value)| wanted_map.get(*key) != Some(*value));
    let lacks = wanted_map.iter().find(|(key, _)| !shown_map.contains_key(*key));
    match differs.or(lacks) {
        None => Ok(()),
        Some((key, _)) => {
            let say = |map: &BTreeMap<Bytes, Option<Bytes>>| match map.get(key) {
                None => "absent".to_owned(),
                Some(None) => "without a value".to_owned(),
                Some(Some(value)) => format!("a value of {} bytes", value.len()),
            };
            let key_text = String::from_utf8_lossy(&key[..key.len().min(40)]);
            Err(format!("key {key_text:?} is {}, and should be {}", say(&shown_map), say(&wanted_map)))
        }
    }
}

fn without_values(entries: &[Entry]) -> Vec<Entry> {
    entries.iter().map(|entry| Entry { key: entry.key.clone(), value: None }).collect()
}

fn halves() -> (Range, Range) {
    let whole = Range::ALL.split_at(Point(1 << 63));
    whole.unwrap_or((Range::ALL, Range::ALL))
}

/// Keys and values that are not text, that are empty, and that are large; more of them than go into one request.
fn entries() -> Vec<Entry> {
    let entry = |key: &[u8], value: &[u8]| Entry { key: key.into(), value: Some(value.into()) };
    let odd = [
        entry(b"\x00\xff\xfe", b"\x00\x01\xff"),
        entry(b"empty", b""),
        entry("gr\u{fc}n/\u{20ac}".as_bytes(), b"text"),
        entry(b"large", &vec![0xa5; 1 << 20]),
    ];
    let many = (0..2_500_u32).map(|number| entry(format!("key-{number}").as_bytes(), &number.to_be_bytes()));
    odd.into_iter().chain(many).collect()
}

fn told(error: super::application::ApplicationError) -> String {
    error.to_string()
}

const ONE: &str = "verify-1";
const TWO: &str = "verify-2";
/// Source: ours; one entry a page would be enough.
const MOST_PAGES: usize = 10_000;
