//! What the nodes of a cluster say of it, side by side.
//!
//! Each primary is believed about itself alone: which slots it serves, and which of these it is giving or getting (only it knows that).
//! Whoever asks one node hears what that one was told, which may be old.

use std::collections::BTreeMap;
use std::fmt;

use ambidex_core::shard::slot::SLOTS;

/// A node's name in its cluster: 40 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(String);

impl NodeId {
    /// Of the text that nodes write.
    ///
    /// # Errors
    /// Another form.
    pub fn read(text: &str) -> Result<Self, ViewError> {
        let right = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if right { Ok(Self(text.to_ascii_lowercase())) } else { Err(ViewError::Line(text.chars().take(60).collect())) }
    }

    /// As nodes write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a node takes commands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Without brackets.
    pub host: String,
    /// Of clients.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A slot in a move, by one end's word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Open {
    /// It goes to that node.
    Migrating(NodeId),
    /// It comes from that node.
    Importing(NodeId),
}

/// What one node says in `CLUSTER NODES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// All nodes that it knows.
    pub nodes: Vec<Known>,
    /// Its own open slots.
    pub open: BTreeMap<u16, Open>,
}

/// A node, as another or itself describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub id: NodeId,
    /// Where it is; the host is empty where it does not know its own.
    pub address: Address,
    /// Whether it said this.
    pub myself: bool,
    /// Whether it serves slots, or may.
    pub primary: bool,
    /// Of whom it is a replica.
    pub of: Option<NodeId>,
    /// Whether it is failing, by this one's word, or not connected.
    pub failing: bool,
    /// Its slots.
    pub slots: Vec<u16>,
}

/// What cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A line of another form.
    #[error("CLUSTER NODES has a line that is not understood: {0}")]
    Line(String),
    /// No line says whose words these are.
    #[error("CLUSTER NODES has no line about the node itself")]
    NoMyself,
}

impl Said {
    /// Of the text.
    ///
    /// # Errors
    /// What is not understood; nothing is guessed.
    pub fn read(text: &str) -> Result<Self, ViewError> {
        let mut open = BTreeMap::new();
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let nodes = lines.map(|line| known(line, &mut open)).collect::<Result<Vec<_>, _>>()?;
        if nodes.iter().any(|node| node.myself) { Ok(Self { nodes, open }) } else { Err(ViewError::NoMyself) }
    }

    /// The one who says it.
    #[must_use]
    pub fn myself(&self) -> Option<&Known> {
        self.nodes.iter().find(|node| node.myself)
    }
}

fn known(line: &str, open: &mut BTreeMap<u16, Open>) -> Result<Known, ViewError> {
    let bad = || ViewError::Line(line.chars().take(120).collect());
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [id, address, flags, of, _ping, _pong, _epoch, link, rest @ ..] = &words[..] else { return Err(bad()) };
    let flags: Vec<&str> = flags.split(',').collect();
    let has = |flag: &str| flags.contains(&flag);
    let myself = has("myself");
    let mut slots = Vec::new();
    for word in rest {
        if let Some(inside) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            // Only the node itself knows these; others do not write them.
            let (slot, state) = opened(inside).ok_or_else(bad)?;
            open.insert(slot, state);
            continue;
        }
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (slot(first).ok_or_else(bad)?, slot(last).ok_or_else(bad)?);
        if first > last {
            return Err(bad());
        }
        slots.extend(first..=last);
    }
    // `fail?` is one node's suspicion, `fail` what the majority says, `noaddr` and `handshake` are nodes that cannot be asked.
    let failing = ["fail", "fail?", "noaddr", "handshake"].into_iter().any(has);
    Ok(Known {
        id: NodeId::read(id)?,
        address: place(address).ok_or_else(bad)?,
        myself,
        primary: has("master"),
        of: if *of == "-" { None } else { Some(NodeId::read(of)?) },
        failing: failing || (*link != "connected" && !myself),
        slots,
    })
}

/// `HOST:PORT@BUS[,NAME..]`.
fn place(text: &str) -> Option<Address> {
    let text = text.split(',').next()?;
    let text = text.split('@').next()?;
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Address { host: host.to_owned(), port: port.parse().ok()? })
}

fn opened(text: &str) -> Option<(u16, Open)> {
    if let Some((number, id)) = text.split_once("->-") {
        return Some((slot(number)?, Open::Migrating(NodeId::read(id).ok()?)));
    }
    let (number, id) = text.split_once("-<-")?;
    Some((slot(number)?, Open::Importing(NodeId::read(id).ok()?)))
}

fn slot(text: &str) -> Option<u16> {
    text.parse().ok().filter(|slot| *slot < SLOTS)
}

/// A primary, by its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Its name.
    pub id: NodeId,
    /// Where it is.
    pub address: Address,
    /// Its slots, ascending.
    pub slots: Vec<u16>,
    /// Its open slots.
    pub open: BTreeMap<u16, Open>,
    /// Whom it takes for the owner of each slot, where that is another: by others' words.
    pub believes: BTreeMap<NodeId, Vec<u16>>,
    /// How many replicas it has, by its own word.
    pub replicas: usize,
}

/// All primaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// In the order of their first slots, those without slots last.
    pub primaries: Vec<Primary>,
}

/// Why slots cannot be moved now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nobody has a slot.
    #[error(
        "{count} slots are served by nobody, the first is {first}: give them an owner (CLUSTER ADDSLOTS, or a failover), then ask again"
    )]
    Uncovered {
        /// The first of them.
        first: u16,
        /// How many.
        count: usize,
    },
    /// Two have it.
    #[error(
        "slot {slot} is claimed by {one} and by {other}: wait until they have heard of one another, then ask again"
    )]
    Claimed {
        /// Which.
        slot: u16,
        /// One.
        one: Address,
        /// The other one.
        other: Address,
    },
    /// They do not agree.
    #[error(
        "{who} takes another node than {owner} for the owner of slot {slot}: wait until it has heard of that, then ask again"
    )]
    Behind {
        /// Who is behind.
        who: Address,
        /// Which slot.
        slot: u16,
        /// Whose it is.
        owner: Address,
    },
}

impl View {
    /// Of what every primary said of itself.
    #[must_use]
    pub fn new(mut primaries: Vec<Primary>) -> Self {
        primaries.sort_by_key(|primary| (primary.slots.first().copied().unwrap_or(SLOTS), primary.id.clone()));
        Self { primaries }
    }

    /// The place of a primary.
    #[must_use]
    pub fn find(&self, id: &NodeId) -> Option<usize> {
        self.primaries.iter().position(|primary| primary.id == *id)
    }

    /// Who says that a slot is its own, by place.
    pub fn claims(&self, slot: u16) -> impl Iterator<Item = usize> + '_ {
        let has = move |primary: &Primary| primary.slots.binary_search(&slot).is_ok();
        self.primaries.iter().enumerate().filter(move |(_, primary)| has(primary)).map(|(place, _)| place)
    }

    /// Slots that anybody calls open.
    #[must_use]
    pub fn open(&self) -> Vec<u16> {
        let mut open: Vec<u16> = self.primaries.iter().flat_map(|primary| primary.open.keys().copied()).collect();
        open.sort_unstable();
        open.dedup();
        open
    }

    /// Whether every slot has one owner that all know.
    ///
    /// # Errors
    /// It has not.
    pub fn fit(&self) -> Result<(), Unfit> {
        let mut owners: Vec<Option<usize>> = vec![None; usize::from(SLOTS)];
        for (place, primary) in self.primaries.iter().enumerate() {
            for slot in &primary.slots {
                if let Some(one) = owners[usize::from(*slot)].replace(place) {
                    let (one, other) = (self.primaries[one].address.clone(), primary.address.clone());
                    return Err(Unfit::Claimed { slot: *slot, one, other });
                }
            }
        }
        let bare: Vec<u16> = (0..SLOTS).filter(|slot| owners[usize::from(*slot)].is_none()).collect();
        if let Some(first) = bare.first() {
            return Err(Unfit::Uncovered { first: *first, count: bare.len() });
        }
        for primary in &self.primaries {
            for (id, slots) in &primary.believes {
                let right =
                    |slot: &&u16| owners[usize::from(**slot)].is_some_and(|owner| self.primaries[owner].id == *id);
                if let Some(slot) = slots.iter().find(|slot| !right(slot)) {
                    let owner = owners[usize::from(*slot)].map(|owner| self.primaries[owner].address.clone());
                    let (who, slot) = (primary.address.clone(), *slot);
                    return Err(Unfit::Behind { owner: owner.unwrap_or_else(|| who.clone()), who, slot });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "07c37dfeb235213a872192d90877d0cd55635b91";
    const B: &str = "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1";

    #[test]
    fn nodes_are_read_with_their_slots_and_with_what_is_open() {
        let text = format!(
            "{A} 127.0.0.1:30004@31004,host.example myself,master - 0 1426238317239 4 connected 0-2 7 [7->-{B}] [9-<-{B}]\n\
             {B} ::1:30002@31002,,tls-port=0,shard-id=x master - 0 1426238316232 2 connected 9\n\
             {} 127.0.0.1:30003@31003 slave,fail? {B} 0 1426238318243 3 connected\n",
            "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca"
        );
        let said = Said::read(&text).expect("right");
        let myself = said.myself().expect("one");
        assert_eq!((&myself.slots[..], myself.address.to_string()), (&[0, 1, 2, 7][..], "127.0.0.1:30004".to_owned()));
        let id = NodeId::read(B).expect("right");
        assert_eq!(said.open, BTreeMap::from([(7, Open::Migrating(id.clone())), (9, Open::Importing(id.clone()))]));
        assert_eq!(said.nodes[1].address.to_string(), "[::1]:30002");
        assert_eq!((said.nodes[2].primary, &said.nodes[2].of, said.nodes[2].failing), (false, &Some(id), true));
    }

    #[test]
    fn what_is_not_understood_is_no_guess() {
        for text in [
            "".to_owned(),
            "hello".to_owned(),
            format!("{A} 127.0.0.1:1@2 master - 0 0 1 connected"),
            format!("{A} 127.0.0.1:x@2 myself,master - 0 0 1 connected"),
            format!("{A} 127.0.0.1:1@2 myself,master - 0 0 1 connected 16384"),
            format!("{A} 127.0.0.1:1@2 myself,master - 0 0 1 connected 5-4"),
            format!("{A} 127.0.0.1:1@2 myself,master - 0 0 1 connected [5~{B}]"),
            "short 127.0.0.1:1@2 myself,master - 0 0 1 connected".to_owned(),
        ] {
            assert!(Said::read(&text).is_err(), "{text}");
        }
    }

    fn primary(id: &str, slots: std::ops::Range<u16>) -> Primary {
        Primary {
            id: NodeId::read(id).expect("right"),
            address: Address { host: "h".into(), port: slots.start },
            slots: slots.collect(),
            open: BTreeMap::new(),
            believes: BTreeMap::new(),
            replicas: 0,
        }
    }

    #[test]
    fn slots_of_nobody_slots_of_two_and_nodes_that_are_behind_are_unfit() {
        let view = |a, b| View::new(vec![primary(A, a), primary(B, b)]);
        assert_eq!(view(0..100, 100..SLOTS).fit(), Ok(()));
        assert_eq!(view(0..100, 103..SLOTS).fit(), Err(Unfit::Uncovered { first: 100, count: 3 }));
        assert!(matches!(view(0..101, 100..SLOTS).fit(), Err(Unfit::Claimed { slot: 100, .. })));
        let mut behind = view(0..100, 100..SLOTS);
        behind.primaries[0].believes.insert(NodeId::read(A).expect("right"), vec![100]);
        assert!(matches!(behind.fit(), Err(Unfit::Behind { slot: 100, .. })));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_fail(text in ".{0,200}", more in "[0-9a-f:@,\\[\\]><. -]{0,200}") {
            let _ = Said::read(&text);
            let _ = Said::read(&format!("{A} {more}\n{text}"));
        }
    }
}
