//! Gateways that decide without a coordinator, and tell each other what they count [R-C4].
//!
//! ```yaml
//! gossip:
//!   listen: 10.0.0.1:9906
//!   peers: ["10.0.0.2:9906", "gateway-3:9906"]
//!   key_file: gossip.key
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use ambidex_wire::host_port::HostPort;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which gateways decide with this one, and what signs what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GossipConfig {
    /// Address and UDP port, for hearing and for speaking. Default 127.0.0.1:9906; source: architecture.md "Names and places",
    /// the next that is free.
    #[serde(default = "loopback")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The other gateways, each `HOST:PORT`, 1 to 63 of them; a name is looked up again every half minute. This one may be
    /// among them, so that all can have the same list.
    #[serde(deserialize_with = "some")]
    pub peers: Vec<PeerAddress>,
    /// A file with the key that all of them have: at least 32 bytes, space around them does not count.
    #[schemars(with = "String")]
    pub key_file: PathBuf,
    /// What the others call this gateway; no two may have the same. Default: drawn at each start; source: ours, so that one
    /// file does for all.
    #[serde(default, deserialize_with = "name", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How often it says what it counted, 50ms to 5s. Default 250ms; source: ours, a quarter of a tick, so that each tick
    /// sees about as much of each gateway.
    #[serde(default = "a_quarter", deserialize_with = "period")]
    pub every: Span,
}

/// A gateway's host and UDP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(with = "String")]
#[serde(try_from = "String", into = "String")]
pub struct PeerAddress(HostPort);

/// Why gateways cannot decide together so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GossipConfigError {
    /// No address.
    #[error("`{0}` is no gateway: write HOST:PORT, what `gossip.listen` is there, such as `10.0.0.2:9906`")]
    Peer(String),
}

impl GossipConfig {
    /// Takes a relative path as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        self.key_file = folder.join(&self.key_file);
    }
}

impl PeerAddress {
    /// The name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}

impl TryFrom<String> for PeerAddress {
    type Error = GossipConfigError;

    fn try_from(text: String) -> Result<Self, GossipConfigError> {
        HostPort::read(&text).map(Self).ok_or(GossipConfigError::Peer(text))
    }
}

impl From<PeerAddress> for String {
    fn from(peer: PeerAddress) -> Self {
        peer.to_string()
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PeerAddress>, D::Error> {
    let peers = Vec::<PeerAddress>::deserialize(deserializer)?;
    if !(1..=MOST_PEERS).contains(&peers.len()) {
        let count = peers.len();
        let why = format_args!("gossip.peers has {count} gateways: write 1 to {MOST_PEERS}; more need a coordinator");
        return Err(serde::de::Error::custom(why));
    }
    match peers.iter().enumerate().find(|(at, peer)| peers[..*at].contains(peer)) {
        Some((_, twice)) => Err(serde::de::Error::custom(format_args!("gossip.peers names {twice} twice"))),
        None => Ok(peers),
    }
}

fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if !(1..=64).contains(&name.len()) || name.contains(char::is_control) {
        return Err(serde::de::Error::custom("gossip.name must have 1 to 64 bytes and no control characters"));
    }
    Ok(Some(name))
}

fn period<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let every = Span::deserialize(deserializer)?;
    if !(Span::from_millis(50)..=Span::from_secs(5)).contains(&every) {
        return Err(serde::de::Error::custom(format_args!("gossip.every {every} is not between 50ms and 5s")));
    }
    Ok(every)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9906))
}

const fn a_quarter() -> Span {
    Span::from_millis(250)
}

/// Source: ours; each is told by each, so that their number counts twice.
pub(crate) const MOST_PEERS: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<GossipConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn peers_and_a_key_are_enough() {
        let config = read(r#"{"peers": ["a:1", "[::1]:2"], "key_file": "k"}"#).expect("enough");
        assert_eq!((config.listen, config.every, config.name), (loopback(), a_quarter(), None));
        assert_eq!(config.peers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:1", "[::1]:2"]);
    }

    #[test]
    fn gateways_that_cannot_decide_together_are_refused_with_the_reason() {
        let good = r#"{"peers": ["a:1"], "key_file": "k"}"#;
        for (from, to, reason) in [
            (r#"["a:1"]"#, "[]", "0 gateways: write 1 to 63"),
            (r#"["a:1"]"#, r#"["a:1", "a:1"]"#, "a:1 twice"),
            (r#"["a:1"]"#, r#"["a"]"#, "`a` is no gateway"),
            (r#"["a:1"]"#, r#"["http://a:1"]"#, "is no gateway"),
            (r#"["a:1"]"#, r#"["a:0"]"#, "is no gateway"),
            (r#"["a:1"]"#, r#"["a:1"], "every": "10ms""#, "between 50ms and 5s"),
            (r#"["a:1"]"#, r#"["a:1"], "name": """#, "1 to 64 bytes"),
            (r#", "key_file": "k""#, "", "missing field `key_file`"),
        ] {
            let text = good.replace(from, to);
            let error = read(&text).expect_err(&text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
