//! Whom a gateway talks to, and whom it hears. No sockets: it is told where names lead, and what came from where.

use std::collections::HashMap;
use std::net::SocketAddr;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::gossip::{Mouth, Talk};
use ambidex_wire::heartbeat::Welcome;
use ambidex_wire::heartbeat::key::Key;

use super::standing::PeerStatus;
use crate::config::PeerAddress;

/// One of the configuration's peers.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) place: PeerAddress,
    pub(super) address: Option<SocketAddr>,
    /// Why it has no address.
    pub(super) fault: Option<String>,
    /// It is this gateway itself.
    pub(super) own: bool,
    mouth: Mouth,
    /// The datagrams of the last round.
    last: Vec<Vec<u8>>,
}

impl Peer {
    pub(super) fn new(place: PeerAddress) -> Self {
        Self { place, address: None, fault: None, own: false, mouth: Mouth::default(), last: Vec::new() }
    }

    /// The datagrams of a round for it; until it has given a session, one that knocks.
    pub(super) fn round(&mut self, name: &str, key: &Key, talks: &[Talk]) -> &[Vec<u8>] {
        let knock = [Talk { round: talks.first().map_or(0, |talk| talk.round), counts: None }];
        let talks = if self.mouth.has_session() { talks } else { &knock };
        let sign = |_, bytes: &[u8]| key.sign(bytes);
        self.last = talks.iter().filter_map(|talk| self.mouth.say(KEY, name, talk, sign).ok()).collect();
        &self.last
    }

    /// The last round once more; what only knocked is not said again.
    pub(super) fn again(&self) -> &[Vec<u8>] {
        if self.mouth.has_session() { &self.last } else { &[] }
    }

    /// Takes over its session.
    pub(super) fn welcomed(&mut self, welcome: &Welcome) -> bool {
        let is_news = self.mouth.welcomed(welcome);
        if is_news {
            // What was said before is worth nothing there.
            self.last.clear();
        }
        is_news
    }

    /// Takes over where its name leads.
    pub(super) fn found(&mut self, found: Result<SocketAddr, String>) {
        match found {
            Ok(address) => {
                self.own &= self.address == Some(address);
                (self.address, self.fault) = (Some(address), None);
            }
            // The address that was known may still be right.
            Err(why) => self.fault = Some(why),
        }
    }
}

/// Those who are heard.
#[derive(Debug)]
pub(super) struct Speakers {
    known: HashMap<String, Speaker>,
    /// How many there were: numbers are not given twice.
    count: u16,
    /// After which silence one counts no more.
    life: Span,
}

#[derive(Debug)]
struct Speaker {
    number: u16,
    from: SocketAddr,
    /// When anything signed came.
    seen: Mono,
    heard: Option<Mono>,
    /// Whether it counts.
    counts: bool,
}

impl Speakers {
    pub(super) fn new(every: Span) -> Self {
        Self { known: HashMap::new(), count: 0, life: every.times(4).max(LEAST_LIFE) }
    }

    /// How long what one has in flight is believed.
    pub(super) fn life(&self) -> Span {
        self.life
    }

    /// One was greeted.
    pub(super) fn greeted(&mut self, now: Mono, name: &str, from: SocketAddr) {
        let speaker = self.speaker(now, name, from);
        (speaker.seen, speaker.from) = (now, from);
    }

    /// One was heard, anew if it begins; its number, and whether it was silent before.
    pub(super) fn heard(&mut self, now: Mono, name: &str, from: SocketAddr, first: bool) -> (u16, bool) {
        if first {
            self.count = self.count.wrapping_add(1);
            let number = self.count;
            self.speaker(now, name, from).number = number;
        }
        let speaker = self.speaker(now, name, from);
        (speaker.seen, speaker.from, speaker.heard) = (now, from, Some(now));
        (speaker.number, !std::mem::replace(&mut speaker.counts, true))
    }

    fn speaker(&mut self, now: Mono, name: &str, from: SocketAddr) -> &mut Speaker {
        if !self.known.contains_key(name) {
            self.count = self.count.wrapping_add(1);
        }
        let fresh = Speaker { number: self.count, from, seen: now, heard: None, counts: false };
        self.known.entry(name.to_owned()).or_insert(fresh)
    }

    /// Those who have just fallen silent.
    pub(super) fn fall_silent(&mut self, now: Mono) -> Vec<String> {
        let life = self.life;
        let fell = |(name, speaker): (&String, &mut Speaker)| {
            let silent = speaker.counts && speaker.heard.is_none_or(|at| now.since(at) > life);
            speaker.counts &= !silent;
            silent.then(|| name.clone())
        };
        self.known.iter_mut().filter_map(fell).collect()
    }

    /// Forgets who has been silent for a minute.
    pub(super) fn forget(&mut self, now: Mono) {
        self.known.retain(|_, speaker| now.since(speaker.seen) < FORGOTTEN);
    }

    /// Whether it is known.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// How it stands: the configuration's peers first.
    pub(super) fn show(&self, now: Mono, peers: &[Peer]) -> Vec<PeerStatus> {
        let silent = |speaker: &Speaker| speaker.heard.map(|at| now.since(at).as_secs_f64() * 1e3);
        let newest =
            |address| self.known.iter().filter(|(_, one)| Some(one.from) == address).max_by_key(|(_, one)| one.seen);
        let configured = peers.iter().map(|peer| {
            let speaker = newest(peer.address);
            PeerStatus {
                peer: Some(peer.place.to_string()),
                address: peer.address,
                name: speaker.map(|(name, _)| name.clone()),
                own: peer.own,
                heard: speaker.is_some_and(|(_, speaker)| speaker.counts),
                silent_ms: speaker.and_then(|(_, speaker)| silent(speaker)),
                fault: peer.fault.clone(),
            }
        });
        let besides = |speaker: &Speaker| peers.iter().all(|peer| peer.address != Some(speaker.from));
        let mut strangers: Vec<_> = self.known.iter().filter(|(_, speaker)| besides(speaker)).collect();
        strangers.sort_by_key(|(name, _)| *name);
        let strangers = strangers.into_iter().map(|(name, speaker)| PeerStatus {
            peer: None,
            address: Some(speaker.from),
            name: Some(name.clone()),
            own: false,
            heard: speaker.counts,
            silent_ms: silent(speaker),
            fault: None,
        });
        configured.chain(strangers).collect()
    }
}

/// There is one key; its number is there for a next one.
const KEY: u32 = 1;
/// The least silence after which a gateway counts no more. Source: ours; two ticks, as a lost coordinator (balancing.md).
const LEAST_LIFE: Span = Span::from_secs(2);
/// After which silence one is forgotten. Source: ours; whoever begins anew has another name.
const FORGOTTEN: Span = Span::from_secs(60);
