//! What is wrong with a worker, and when: a kind, how much of it, and its course over time.
//!
//! Written `{what: slowdown, to: 10, curve: {step: {at: 20s}}}`. At level l of the curve:
//!
//! ```text
//! slowdown   everything takes 1 + (to - 1) * l times as long; several multiply
//! slots      1 + (to - 1) * l of the slots are left, at least one; several multiply
//! errors     to * l of the requests fail at once; of several each has its chance
//! resets     to * l of the connections are reset before the answer begins
//! truncate   to * l of the connections are reset in the middle of the answer
//! pause      nothing progresses              |
//! refuse     connections break, none is taken |  while l is at least 0.5
//! blackhole  everything is taken, nothing is ever answered
//! silence    it works, and reports nothing   |
//! ```
//! Pure; followed by the workers of the laboratory and by its simulator alike.

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::curve::Curve;

/// One thing that is wrong with a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What it does.
    pub kind: Kind,
    /// When, and how much of it.
    pub curve: Curve,
}

/// A fault of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawFault", into = "RawFault")]
pub struct Placed {
    /// The fault.
    pub fault: Fault,
    /// Where the worker stands among those that have the fault: the third of ten is at 20 %.
    pub place: Share,
}

/// What a fault does at its full level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Everything takes so many times as long.
    Slowdown(f64),
    /// Nothing progresses.
    Pause,
    /// So much of the slots is left.
    Slots(Share),
    /// So many requests fail at once.
    Errors(Share),
    /// So many connections are reset before the answer begins.
    Resets(Share),
    /// So many connections are reset in the middle of the answer.
    Truncate(Share),
    /// Connections break and none is taken, as if the process had died.
    Refuse,
    /// Everything is taken and nothing answered.
    Blackhole,
    /// It works and reports nothing.
    Silence,
}

/// A fault as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFault {
    /// What it does.
    pub what: What,
    /// How much of it at the full level: a factor for `slowdown`, a share for `slots`, `errors`, `resets` and
    /// `truncate`, nothing for the others. Default: all, where it is a share of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Amount>,
    /// Its course. Default always.
    #[serde(default = "Curve::always")]
    pub curve: Curve,
    /// Where the worker stands among those that have the fault. Default the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub place: Share,
}

fn is_first(place: &Share) -> bool {
    *place <= Share::NONE
}

/// A factor, or a share as a percentage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount(f64);

/// The kinds of faults, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are those of `Kind`, without their amounts")]
pub enum What {
    Slowdown,
    Pause,
    Slots,
    Errors,
    Resets,
    Truncate,
    Refuse,
    Blackhole,
    Silence,
}

/// Why a fault is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// The amount is missing.
    #[error("`{0}` needs `to`: {1}")]
    Missing(&'static str, &'static str),
    /// The amount makes no sense.
    #[error("`to: {amount}` is nothing for `{what}`: {wanted}")]
    Amount {
        /// Which kind.
        what: &'static str,
        /// What was written.
        amount: f64,
        /// What would be right.
        wanted: &'static str,
    },
    /// There is nothing to say how much of.
    #[error("`{0}` takes no `to`: it holds or it does not")]
    Needless(&'static str),
}

impl What {
    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slowdown => "slowdown",
            Self::Pause => "pause",
            Self::Slots => "slots",
            Self::Errors => "errors",
            Self::Resets => "resets",
            Self::Truncate => "truncate",
            Self::Refuse => "refuse",
            Self::Blackhole => "blackhole",
            Self::Silence => "silence",
        }
    }

    /// The kind with so much of it.
    ///
    /// # Errors
    /// An amount that is missing, needless or out of bounds.
    pub fn kind(self, to: Option<Amount>) -> Result<Kind, FaultError> {
        const SHARE: &str = "write a share such as `2%`";
        let what = self.name();
        let share = |to: f64| {
            Share::new(to).ok().filter(|share| share.get() > 0.0).ok_or(FaultError::Amount {
                what,
                amount: to,
                wanted: SHARE,
            })
        };
        let share_or_all = || to.map_or(Ok(Share::ALL), |Amount(to)| share(to));
        let plain = |kind| if to.is_some() { Err(FaultError::Needless(what)) } else { Ok(kind) };
        match self {
            Self::Slowdown => {
                const WANTED: &str = "write how many times as long everything takes, from 0.001 to 100000";
                let Amount(to) = to.ok_or(FaultError::Missing(what, WANTED))?;
                if (0.001..=1e5).contains(&to) {
                    Ok(Kind::Slowdown(to))
                } else {
                    Err(FaultError::Amount { what, amount: to, wanted: WANTED })
                }
            }
            Self::Slots => {
                let Amount(to) =
                    to.ok_or(FaultError::Missing(what, "write the share of the slots that is left, such as `40%`"))?;
                share(to).map(Kind::Slots)
            }
            Self::Errors => share_or_all().map(Kind::Errors),
            Self::Resets => share_or_all().map(Kind::Resets),
            Self::Truncate => share_or_all().map(Kind::Truncate),
            Self::Pause => plain(Kind::Pause),
            Self::Refuse => plain(Kind::Refuse),
            Self::Blackhole => plain(Kind::Blackhole),
            Self::Silence => plain(Kind::Silence),
        }
    }
}

impl Kind {
    /// Its name and amount, as written.
    #[must_use]
    pub const fn written(self) -> (What, Option<Amount>) {
        match self {
            Self::Slowdown(to) => (What::Slowdown, Some(Amount(to))),
            Self::Slots(to) => (What::Slots, Some(Amount(to.get()))),
            Self::Errors(to) => (What::Errors, Some(Amount(to.get()))),
            Self::Resets(to) => (What::Resets, Some(Amount(to.get()))),
            Self::Truncate(to) => (What::Truncate, Some(Amount(to.get()))),
            Self::Pause => (What::Pause, None),
            Self::Refuse => (What::Refuse, None),
            Self::Blackhole => (What::Blackhole, None),
            Self::Silence => (What::Silence, None),
        }
    }
}

/// What all faults of a worker make of it at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// How many times as long everything takes.
    pub slowdown: f64,
    /// The share of its slots that is left.
    pub slots: f64,
    /// The share of requests that fail at once.
    pub errors: Share,
    /// The share of connections that are reset before the answer begins.
    pub resets: Share,
    /// The share of connections that are reset in the middle of the answer.
    pub truncate: Share,
    /// Nothing progresses.
    pub is_paused: bool,
    /// Connections break and none is taken.
    pub refuses: bool,
    /// Nothing is answered.
    pub is_blackhole: bool,
    /// Nothing is reported.
    pub is_silent: bool,
}

impl Condition {
    /// Nothing is wrong.
    pub const SOUND: Self = Self {
        slowdown: 1.0,
        slots: 1.0,
        errors: Share::NONE,
        resets: Share::NONE,
        truncate: Share::NONE,
        is_paused: false,
        refuses: false,
        is_blackhole: false,
        is_silent: false,
    };

    /// What `faults` make of a worker so long after their beginning.
    pub fn of<'a>(faults: impl IntoIterator<Item = &'a Placed>, elapsed: Span) -> Self {
        let mut all = Self::SOUND;
        for Placed { fault, place } in faults {
            all.add(fault.kind, fault.curve.level(elapsed, *place));
        }
        all
    }

    /// Adds a fault at a level of its curve.
    pub fn add(&mut self, kind: Kind, level: f64) {
        let holds = level >= 0.5;
        let towards = |to: f64| 1.0 + (to - 1.0) * level;
        match kind {
            Kind::Slowdown(to) => self.slowdown *= towards(to),
            Kind::Slots(to) => self.slots *= towards(to.get()),
            Kind::Errors(to) => self.errors = either(self.errors, to, level),
            Kind::Resets(to) => self.resets = either(self.resets, to, level),
            Kind::Truncate(to) => self.truncate = either(self.truncate, to, level),
            Kind::Pause => self.is_paused |= holds,
            Kind::Refuse => self.refuses |= holds,
            Kind::Blackhole => self.is_blackhole |= holds,
            Kind::Silence => self.is_silent |= holds,
        }
    }

    /// So many slots of `slots` are left, at least one.
    #[must_use]
    pub fn slots_of(&self, slots: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32, never negative")]
        let left = (f64::from(slots) * self.slots).round() as u32;
        left.max(1)
    }
}

/// When one of `faults` changes next, after `elapsed`.
pub fn next_change<'a>(faults: impl IntoIterator<Item = &'a Placed>, elapsed: Span) -> Option<Span> {
    faults.into_iter().filter_map(|Placed { fault, place }| fault.curve.next_change(elapsed, *place)).min()
}

/// The share that meets one of two independent chances.
fn either(one: Share, other: Share, level: f64) -> Share {
    Share::clamped(1.0 - one.rest().get() * (1.0 - other.get() * level))
}

impl TryFrom<RawFault> for Placed {
    type Error = FaultError;

    fn try_from(raw: RawFault) -> Result<Self, FaultError> {
        Ok(Self { fault: Fault { kind: raw.what.kind(raw.to)?, curve: raw.curve }, place: raw.place })
    }
}

impl From<Placed> for RawFault {
    fn from(Placed { fault, place }: Placed) -> Self {
        let (what, to) = fault.kind.written();
        Self { what, to, curve: fault.curve, place }
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrPercent;
        impl serde::de::Visitor<'_> for NumberOrPercent {
            type Value = Amount;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number such as `10` or a percentage such as `5%`")
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Amount, E> {
                Ok(Amount(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Amount, E> {
                Ok(Amount(value as f64))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Amount, E> {
                Ok(Amount(value as f64))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
                let share: Share = text.parse().map_err(E::custom)?;
                Ok(Amount(share.get()))
            }
        }
        deserializer.deserialize_any(NumberOrPercent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Placed {
        serde_json::from_str(text).expect("a fault")
    }

    fn at(faults: &[Placed], millis: u64) -> Condition {
        Condition::of(faults, Span::from_millis(millis))
    }

    #[test]
    fn a_slowdown_grows_with_its_curve() {
        let faults = [fault(r#"{"what": "slowdown", "to": 9, "curve": {"ramp": {"from": "1s", "until": "2s"}}}"#)];
        let slow = [500, 1_500, 2_500].map(|millis| at(&faults, millis).slowdown.to_string());
        assert_eq!(slow, ["1", "5", "9"]);
    }

    #[test]
    fn faults_of_one_kind_add_up_as_chances_do() {
        let faults = [fault(r#"{"what": "errors", "to": "50%"}"#), fault(r#"{"what": "errors", "to": 0.5}"#)];
        assert!((at(&faults, 0).errors.get() - 0.75).abs() < 1e-9);
    }

    #[test]
    fn what_holds_or_does_not_follows_the_upper_half_of_its_curve() {
        let faults = [fault(r#"{"what": "refuse", "curve": {"ramp": {"from": "0s", "until": "1s"}}}"#)];
        assert_eq!([400, 600].map(|millis| at(&faults, millis).refuses), [false, true]);
    }

    #[test]
    fn one_slot_is_always_left() {
        let condition = at(&[fault(r#"{"what": "slots", "to": "1%"}"#)], 0);
        assert_eq!([4, 200].map(|slots| condition.slots_of(slots)), [1, 2]);
    }

    #[test]
    fn the_next_change_is_the_first_of_any_fault() {
        let faults = [
            fault(r#"{"what": "pause", "curve": {"step": {"at": "9s"}}}"#),
            fault(r#"{"what": "silence", "curve": {"step": {"at": "1s", "until": "4s"}}}"#),
        ];
        let next = [0, 1, 4, 9].map(|seconds| next_change(&faults, Span::from_secs(seconds)));
        assert_eq!(next, [Some(1), Some(4), Some(9), None].map(|seconds| seconds.map(Span::from_secs)));
    }

    #[test]
    fn every_fault_reads_back() {
        for text in [
            r#"{"what":"slowdown","to":10.0,"curve":{"step":{"at":"20s"}}}"#,
            r#"{"what":"truncate","to":1.0,"curve":{"step":{"at":"0s"}}}"#,
            r#"{"what":"blackhole","curve":{"step":{"at":"0s"}}}"#,
            r#"{"what":"pause","curve":{"square":{"first":"0s","period":"5s","duty":0.1,"stagger":1.0}},"place":0.3}"#,
        ] {
            assert_eq!(serde_json::to_string(&fault(text)).expect("JSON"), text);
        }
    }

    #[test]
    fn an_amount_that_means_nothing_is_refused_with_what_would() {
        for (text, why) in [
            (r#"{"what": "slowdown"}"#, "how many times as long"),
            (r#"{"what": "slowdown", "to": 0}"#, "from 0.001"),
            (r#"{"what": "slots"}"#, "such as `40%`"),
            (r#"{"what": "errors", "to": 2}"#, "such as `2%`"),
            (r#"{"what": "refuse", "to": 1}"#, "takes no `to`"),
            (r#"{"what": "fire"}"#, "unknown variant"),
        ] {
            let error = serde_json::from_str::<Placed>(text).expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
