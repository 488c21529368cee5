//! What the publisher says of itself: how far the pictures got, and what is in their way.

use std::net::SocketAddr;

use ambidex_core::plan::Mode;
use ambidex_xds::status::{Speaks, Status, StreamStatus};

use super::reports::Counts;
use super::{Audience, Serving};
use crate::clock::wall_millis;
use crate::publish::{AppliedPicture, Carried, CarriedCounts};
use crate::tls::RefusedPeer;

/// What those are called who ask.
#[derive(Clone, Copy)]
struct Whom {
    one: &'static str,
    /// What prints what one starts with.
    starts: &'static str,
}

/// What is known between two looks.
pub(super) struct State {
    mode: Mode,
    listen: SocketAddr,
    whom: Whom,
    changes: Vec<String>,
    applied: Option<AppliedPicture>,
    counts: CarriedCounts,
    /// Failures before the server that runs now.
    failed_before: u64,
}

impl State {
    pub(super) fn new(serving: &Serving, changes: Vec<String>) -> Self {
        let whom = match serving.audience {
            Audience::Envoys(_) => Whom { one: "Envoy", starts: "ambidex envoy bootstrap FILE" },
            Audience::Grpc => Whom { one: "gRPC client", starts: "ambidex grpc bootstrap FILE" },
        };
        Self {
            mode: serving.mode,
            listen: serving.listen,
            whom,
            changes,
            applied: None,
            counts: CarriedCounts::default(),
            failed_before: 0,
        }
    }

    /// Another picture is shown, with these changes; one without any leaves the last ones standing.
    pub(super) fn show(&mut self, changes: Vec<String>) {
        match self.mode {
            Mode::Apply if changes.is_empty() => {}
            Mode::Apply => {
                self.counts.changes += changes.len() as u64;
                self.changes = changes;
            }
            Mode::Observe => self.changes = changes,
        }
    }

    /// What is to be told while the server runs.
    pub(super) fn look(&mut self, status: &Status, reports: Counts, refused: Option<RefusedPeer>) -> Carried {
        let streams: Vec<_> = status.streams.iter().filter(|stream| stream.speaks != Speaks::LoadReports).collect();
        let everywhere = streams.iter().map(|stream| stream.in_force).min().flatten();
        if let Some(revision) =
            everywhere.filter(|revision| self.applied.is_none_or(|known| *revision > known.revision))
        {
            self.applied = Some(AppliedPicture { revision, wall_ms: wall_millis() });
            self.counts.pictures += 1;
        }
        self.counts.failures = self.failed_before + status.counts.refused + status.counts.cut + reports.refused;
        self.counts.reports = reports.used;
        let refused = refused.map(|refused| {
            let RefusedPeer { peer, why, wall_ms: _, count } = refused;
            format!("{peer} failed its TLS handshake, as {count} did so far: {why}")
        });
        let mut carried = self.carried(self.fault(&streams, refused.as_deref()));
        // Where nobody is connected it is the fault.
        carried.remarks.extend(refused.filter(|_| !streams.is_empty()));
        carried
    }

    /// What is to be told when the server does not run.
    pub(super) fn lost(&mut self, why: String) -> Carried {
        self.counts.failures += 1;
        self.failed_before = self.counts.failures;
        self.carried(Some(why))
    }

    /// What is to be told while another coordinator serves.
    pub(super) fn standing_by(&self) -> Carried {
        self.carried(None)
    }

    fn carried(&self, fault: Option<String>) -> Carried {
        let (applied, changes) = (self.applied, self.changes.clone());
        Carried { applied, changes, fault, counts: self.counts, ..Carried::default() }
    }

    fn fault(&self, streams: &[&StreamStatus], refused: Option<&str>) -> Option<String> {
        let Whom { one, starts } = self.whom;
        if streams.is_empty() {
            let start = || format!("start one with what `{starts}` prints");
            let hint = refused.map_or_else(start, str::to_owned);
            return Some(format!("no {one} is connected to {}, so the weights reach nobody: {hint}", self.listen));
        }
        let (stream, refused) = streams.iter().find_map(|stream| Some((stream, stream.refuses.first()?)))?;
        let others = match streams.iter().map(|stream| stream.refuses.len()).sum::<usize>() {
            1 => String::new(),
            several => format!("; {several} resources are refused in all"),
        };
        let (kind, name, text) = (refused.kind, &refused.name, &refused.text);
        Some(format!(
            "{one} {:?} refuses {kind} of {name} and keeps what it had; it says {text:?}{others}",
            stream.node
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ambidex_core::time::Span;
    use ambidex_xds::status::RefusedStatus;

    use super::*;

    fn stream(node: &str, in_force: Option<u64>) -> StreamStatus {
        StreamStatus {
            id: 1,
            node: node.into(),
            cluster: "".into(),
            software: "envoy".into(),
            speaks: Speaks::Delta,
            kinds: BTreeMap::new(),
            refuses: Vec::new(),
            in_force,
            reports: 0,
        }
    }

    fn state() -> State {
        let serving = Serving {
            listen: ([127, 0, 0, 1], 18_000).into(),
            mode: Mode::Apply,
            tls: None,
            load_reports: Span::from_secs(1),
            zone: None,
            audience: Audience::Grpc,
        };
        State::new(&serving, Vec::new())
    }

    #[test]
    fn a_picture_is_in_force_when_it_is_at_every_envoy() {
        let mut state = state();
        let mut status = Status { streams: vec![stream("a", Some(4)), stream("b", Some(3))], ..Status::default() };
        let revision = |carried: Carried| carried.applied.map(|applied| applied.revision);
        assert_eq!(revision(state.look(&status, Counts::default(), None)), Some(3));
        status.streams.push(stream("new", None));
        let told = state.look(&status, Counts::default(), None);
        assert_eq!((told.fault.clone(), revision(told)), (None, Some(3)));
    }

    #[test]
    fn without_anybody_it_says_how_to_get_one() {
        let fault = state().look(&Status::default(), Counts::default(), None).fault.expect("nobody is there");
        assert!(fault.contains("ambidex grpc bootstrap"), "{fault}");
    }

    #[test]
    fn a_refusal_is_told_in_the_envoys_words_with_what_it_refused() {
        let mut refusing = stream("a", Some(1));
        let refused = |name: &str| RefusedStatus { kind: "eds", name: name.into(), text: "bad \"port\"".into() };
        refusing.refuses = vec![refused("api"), refused("other")];
        let status = Status { streams: vec![stream("well", Some(1)), refusing], ..Status::default() };
        let fault = state().look(&status, Counts::default(), None).fault.expect("refused");
        assert_eq!(
            fault,
            r#"gRPC client "a" refuses eds of api and keeps what it had; it says "bad \"port\""; 2 resources are refused in all"#
        );
    }
}
