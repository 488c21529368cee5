//! What load to make.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::LoadError;

/// What load to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadOptions {
    /// Where to.
    pub target: SocketAddr,
    /// Where else to: each request comes to one of all by lot, and each has as many connections. Default nowhere.
    pub others: Vec<SocketAddr>,
    /// Whether the target may be off loopback. Default no.
    pub remote: bool,
    /// The `Host` of every request; the target's address when empty.
    pub host: String,
    /// The path of every request; `{key}` and `{tenant}` in it stand for theirs. Default `/`.
    pub path: String,
    /// The method of every request. Default `GET`.
    pub method: String,
    /// Bytes in the body of every request. Default none.
    pub body_bytes: usize,
    /// Header fields of every request, beside those that it needs.
    pub fields: Vec<(String, String)>,
    /// Kinds of requests, which say in what they are unlike the others. Default one.
    pub classes: Vec<LoadClass>,
    /// Keys that requests carry. Default none.
    pub keys: Option<Skew>,
    /// Tenants that requests come from. Default none.
    pub tenants: Option<Skew>,
    /// Requests a second on average; a trace has its own times. Default 100.
    pub rate: f64,
    /// Other rates from some time on, counted from the end of the warm-up. Default none.
    pub rates: Vec<RateStep>,
    /// How the requests are spread over time. Default poisson.
    pub arrivals: Arrivals,
    /// How many connections there are at most; requests beyond wait for one. Default 256.
    pub connections: usize,
    /// HTTP of these connections, 1 or 2. Default 1.
    pub http: Http,
    /// Requests at once on a connection of HTTP/2. Default 50.
    pub streams: usize,
    /// Requests on a connection before it is closed and made anew, of HTTP/1; 0 is no limit. Default 0.
    pub requests_per_connection: u32,
    /// The time whose requests are not counted. Default 1 s.
    pub warm_up: Span,
    /// The time whose requests are counted. Default 10 s.
    pub duration: Span,
    /// The most requests, warm-up included; 0 is no limit. Default 0.
    pub requests: u64,
    /// After this long an answer counts as failed. Default 10 s.
    pub timeout: Span,
    /// A request that takes longer is slow. Default 500 ms.
    pub slow_over: Span,
    /// A generator that is later than this at the 99th percentile has not held its rate. Default 5 ms.
    pub late_over: Span,
    /// What is due for longer than this is left out and counted, as a burst of what was missed is no load that anybody
    /// ordered. Default no bound: a measurement hides nothing.
    pub catch_up: Span,
    /// Seed of the arrivals, classes, keys and tenants. Default 1.
    pub seed: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            others: Vec::new(),
            remote: false,
            host: String::new(),
            path: "/".into(),
            method: "GET".into(),
            body_bytes: 0,
            fields: Vec::new(),
            classes: Vec::new(),
            keys: None,
            tenants: None,
            rate: 100.0,
            rates: Vec::new(),
            arrivals: Arrivals::Poisson,
            connections: 256,
            http: Http::One,
            streams: 50,
            requests_per_connection: 0,
            warm_up: Span::from_secs(1),
            duration: Span::from_secs(10),
            requests: 0,
            timeout: Span::from_secs(10),
            slow_over: Span::from_millis(500),
            late_over: LATE_OVER,
            catch_up: Span::from_nanos(u64::MAX),
            seed: 1,
        }
    }
}

impl LoadOptions {
    /// Load that goes on while something else is looked at: ten minutes unless it is stopped, patient, and a machine that
    /// stood still makes no burst of it.
    #[must_use]
    pub fn beside(target: SocketAddr, rate: f64) -> Self {
        Self {
            target,
            rate,
            warm_up: Span::ZERO,
            duration: Span::from_secs(600),
            timeout: Span::from_secs(60),
            catch_up: Span::from_millis(100),
            ..Self::default()
        }
    }
}

/// A rate from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateStep {
    /// From when on.
    pub at: Span,
    /// Requests a second on average.
    pub rate: f64,
}

/// A kind of requests. What it leaves out is as in the options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadClass {
    /// Its name in the outcome.
    pub name: String,
    /// Its share of the requests; those of all classes are the whole.
    pub share: Share,
    /// Its path.
    #[serde(default)]
    pub path: Option<String>,
    /// Its method.
    #[serde(default)]
    pub method: Option<String>,
    /// Bytes in its body.
    #[serde(default)]
    pub body_bytes: Option<usize>,
    /// Header fields beside those of every request.
    #[serde(default)]
    pub fields: Vec<(String, String)>,
}

/// Keys or tenants, of which some come more often than others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    /// How many there are. They are named from 0 on, and 0 comes most often.
    pub count: u32,
    /// Exponent: number n comes in proportion to `(n + 1)^-zipf`; 0 is even. Default 1.
    #[serde(default = "one")]
    pub zipf: f64,
    /// The header field that carries it; none when empty. Default `x-key` for keys and `x-tenant` for tenants.
    #[serde(default)]
    pub header: Option<String>,
}

const fn one() -> f64 {
    1.0
}

/// How requests are spread over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Each on its own.
    #[default]
    Poisson,
    /// Evenly.
    Constant,
    /// At the times that a file says: one a line, seconds such as `0.125` or a duration such as `125ms`, in their order,
    /// counted from the beginning of the warm-up.
    Trace(PathBuf),
}

/// Which HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2, by prior knowledge.
    Two,
}

impl Serialize for Http {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::One => 1,
            Self::Two => 2,
        })
    }
}

impl<'de> Deserialize<'de> for Http {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            other => Err(D::Error::custom(format_args!("`{other}` is no HTTP to load with: write 1 or 2"))),
        }
    }
}

impl LoadOptions {
    /// The classes, one without a name where none was told.
    pub(super) fn all_classes(&self) -> Vec<LoadClass> {
        if self.classes.is_empty() {
            let (path, method, body_bytes, fields) = (None, None, None, Vec::new());
            return vec![LoadClass { name: String::new(), share: Share::ALL, path, method, body_bytes, fields }];
        }
        self.classes.clone()
    }

    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let mut rates = self.rates.iter().map(|step| step.rate).chain([self.rate]);
        if let Some(rate) = rates.find(|rate| !(0.01..=1e6).contains(rate)) {
            return Err(LoadError::Rate(rate));
        }
        self.check_connections()?;
        if is_odd(&self.host) {
            return Err(LoadError::Path(self.host.clone()));
        }
        self.check_classes()?;
        for (what, skew) in [("keys", &self.keys), ("tenants", &self.tenants)] {
            let Some(Skew { count, zipf, header }) = skew else { continue };
            if !(1..=5_000_000).contains(count) || !(0.0..=10.0).contains(zipf) {
                return Err(LoadError::Skew { what, count: *count, zipf: *zipf });
            }
            if let Some(header) = header.as_ref().filter(|header| is_odd(header)) {
                return Err(LoadError::Path(header.clone()));
            }
        }
        match self.targets().find(|target| !target.ip().is_loopback() && !self.remote) {
            Some(target) => Err(LoadError::Remote(target)),
            None => Ok(()),
        }
    }

    /// All that requests go to.
    pub(super) fn targets(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.target).chain(self.others.iter().copied())
    }

    fn check_connections(&self) -> Result<(), LoadError> {
        let Self { connections, streams, .. } = *self;
        let streams = streams.saturating_mul(self.targets().count());
        if !(1..=MOST_LINES).contains(&connections.saturating_mul(self.targets().count())) {
            return Err(LoadError::Connections(connections));
        }
        match self.http {
            Http::One => Ok(()),
            Http::Two if self.requests_per_connection > 0 => Err(LoadError::PerConnection),
            Http::Two if !(1..=MOST_LINES).contains(&connections.saturating_mul(streams)) => {
                Err(LoadError::Streams { connections, streams })
            }
            Http::Two => Ok(()),
        }
    }

    fn check_classes(&self) -> Result<(), LoadError> {
        let classes = self.all_classes();
        let whole: f64 = classes.iter().map(|class| class.share.get()).sum();
        if (whole - 1.0).abs() > 1e-6 {
            return Err(LoadError::Shares(Share::clamped(whole)));
        }
        for (at, class) in classes.iter().enumerate() {
            let again = classes[..at].iter().any(|other| other.name == class.name);
            if again || (class.name.is_empty() && !self.classes.is_empty()) {
                return Err(LoadError::Class(class.name.clone()));
            }
            let method = class.method.as_ref().unwrap_or(&self.method);
            let path = class.path.as_ref().unwrap_or(&self.path);
            if let Some(text) = [method, path].into_iter().find(|text| text.is_empty() || is_odd(text)) {
                return Err(LoadError::Path(text.clone()));
            }
            for (mark, what, skew) in [("{key}", "key", &self.keys), ("{tenant}", "tenant", &self.tenants)] {
                if path.contains(mark) && skew.is_none() {
                    return Err(LoadError::Without(path.clone(), what));
                }
            }
            let bytes = class.body_bytes.unwrap_or(self.body_bytes);
            if bytes > 64 << 20 {
                return Err(LoadError::Body(bytes));
            }
            let breaks = |text: &str| text.bytes().any(|byte| byte < b' ' || byte == 0x7f);
            let mut fields = self.fields.iter().chain(&class.fields);
            if let Some((name, value)) = fields.find(|(name, value)| name.is_empty() || is_odd(name) || breaks(value)) {
                return Err(LoadError::Path(format!("{name}: {value}")));
            }
        }
        Ok(())
    }
}

fn is_odd(text: &str) -> bool {
    text.bytes().any(|byte| byte <= b' ' || byte == 0x7f)
}

/// Source: ours; half of the service time that most scenarios have.
const LATE_OVER: Span = Span::from_millis(5);
/// The most requests at once on one thread.
const MOST_LINES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_load_is_refused_with_what_would() {
        for (text, why) in [
            (r#"{"rate": 0}"#, "not between"),
            (r#"{"connections": 0}"#, "from 1 to 20000"),
            (r#"{"http": 2, "connections": 1000}"#, "more than 20000"),
            (r#"{"http": 2, "requests_per_connection": 1}"#, "is of HTTP/1"),
            (r#"{"path": "/a b"}"#, "`/a b`"),
            (r#"{"path": ""}"#, "is empty"),
            (r#"{"method": "GET /"}"#, "`GET /`"),
            (r#"{"path": "/{key}"}"#, "add `keys: {count: 1000}`"),
            (r#"{"keys": {"count": 0}}"#, "from 1 to 5000000"),
            (r#"{"classes": [{"name": "a", "share": "50%"}]}"#, "add up to 50%"),
            (r#"{"classes": [{"name": "a", "share": 0.5}, {"name": "a", "share": 0.5}]}"#, "two classes `a`"),
            (r#"{"classes": [{"name": "a", "share": 1, "fields": [["a", "b\r\nc: d"]]}]}"#, "cannot stand"),
            (r#"{"body_bytes": 100000000}"#, "64 MiB"),
            (r#"{"target": "192.0.2.1:80"}"#, "not a loopback"),
            (r#"{"others": ["192.0.2.1:80"]}"#, "not a loopback"),
            (r#"{"others": ["127.0.0.1:1"], "connections": 15000}"#, "from 1 to 20000"),
        ] {
            let options: LoadOptions = serde_json::from_str(text).expect(text);
            let error = options.check().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn another_http_is_refused() {
        let error = serde_json::from_str::<LoadOptions>(r#"{"http": 3}"#).expect_err("no HTTP/3").to_string();
        assert!(error.contains("write 1 or 2"), "{error}");
    }
}
