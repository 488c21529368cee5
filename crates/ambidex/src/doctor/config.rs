//! `doctor`: whether the process diagnoses itself, how often, and by what. What is judged by is as for `ambidex diagnose`.

use std::fmt;
use std::path::{Path, PathBuf};

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_insight::doctor::{Options, Rules};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::Off;

/// The doctor of this process, or that there is none.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum DoctorSection {
    /// None: written `off`.
    Off(Off),
    /// As these settings say.
    On(DoctorConfig),
}

/// How the process diagnoses itself. It changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DoctorConfig {
    /// Between two rounds, 1s to 1h. Default 5m; source: diagnosis.md "structural" (a finding of windows of a quarter of an hour is told
    /// within the window in which it shows).
    #[serde(deserialize_with = "every")]
    pub(crate) every: Span,
    /// The windows by which is told what stays, 3s to 15m, a multiple of 3s. Default 15m; source: diagnosis.md "structural".
    #[serde(deserialize_with = "window")]
    pub(crate) window: Span,
    /// How many of the last hours are judged, 1 to 840. Default 3; source: diagnosis.md "structural".
    #[serde(deserialize_with = "hours")]
    pub(crate) hours: u32,
    /// Up to which part workers are to be used, 1% to 100%. Default 80%; source: diagnosis.md "CMI" [R-D4].
    #[serde(deserialize_with = "theta")]
    pub(crate) theta: Share,
    /// By which rules is judged. Default effect; source: diagnosis.md.
    pub(crate) rules: RuleSet,
    /// How much is remembered, 1h to 840h, in memory: a restart begins anew, unless a `history` is kept. Default 72h; source: R-D4 and R-D5, whose forecasts need
    /// two days, and what comes back at the same hours three.
    #[serde(deserialize_with = "keep")]
    pub(crate) keep: Span,
    /// The folder in which what is noted outlives the process, as `ambidex diagnose --keep` keeps it: 35 days, 1 GiB at most. Default: it
    /// is not kept; source: ours, a folder that nobody looks at fills up.
    #[schemars(with = "Option<String>")]
    pub(crate) history: Option<PathBuf>,
    /// The folder in which findings are kept, and what becomes of them: as `ambidex diagnose --review`. Default: they are not kept;
    /// source: ours, a folder that nobody looks at fills up.
    #[schemars(with = "Option<String>")]
    pub(crate) reviews: Option<PathBuf>,
    /// Whether changes of weights that a person approved are carried out by the process itself: by halves, looked at, and taken back
    /// where they do harm. Needs `reviews`. Default `false: ambidex review carry-out does it`; source: R-O5.
    pub(crate) carry_out: bool,
}

/// By what is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuleSet {
    /// Effect size over disjoint windows.
    #[default]
    Effect,
    /// Textbook rules, to compare with.
    Classic,
}

impl Default for DoctorConfig {
    fn default() -> Self {
        Self {
            every: Span::from_secs(300),
            window: Span::from_secs(900),
            hours: 3,
            theta: Share::percent(80),
            rules: RuleSet::default(),
            keep: Span::from_secs(72 * 3_600),
            history: None,
            reviews: None,
            carry_out: false,
        }
    }
}

impl Default for DoctorSection {
    fn default() -> Self {
        Self::On(DoctorConfig::default())
    }
}

impl DoctorSection {
    /// Its settings, when there is one.
    pub(crate) fn on(&self) -> Option<&DoctorConfig> {
        match self {
            Self::Off(_) => None,
            Self::On(config) => Some(config),
        }
    }

    /// Takes relative paths as beside `folder`.
    pub(crate) fn beside(&mut self, folder: &Path) {
        if let Self::On(DoctorConfig { reviews, history, .. }) = self {
            reviews.iter_mut().chain(history).for_each(|path| *path = folder.join(&path));
        }
    }
}

impl DoctorConfig {
    /// As the doctor takes it.
    pub(super) fn options(&self) -> Options {
        Options {
            rules: match self.rules {
                RuleSet::Effect => Rules::Effect,
                RuleSet::Classic => Rules::Classic,
            },
            theta: self.theta.get(),
            hours: self.hours,
            ..Options::default()
        }
    }
}

impl<'de> Deserialize<'de> for DoctorSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMap;
        impl<'de> Visitor<'de> for WordOrMap {
            type Value = DoctorSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, `on`, or a map of keys and values")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DoctorSection, E> {
                match text {
                    "off" => Ok(DoctorSection::Off(Off::Off)),
                    "on" => Ok(DoctorSection::default()),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DoctorSection, A::Error> {
                DoctorConfig::deserialize(MapAccessDeserializer::new(map)).map(DoctorSection::On)
            }
        }
        deserializer.deserialize_any(WordOrMap)
    }
}

fn between<E: de::Error>(what: &str, given: Span, least: Span, most: Span) -> Result<Span, E> {
    if (least..=most).contains(&given) {
        Ok(given)
    } else {
        Err(E::custom(format_args!("doctor.{what} {given} is not between {least} and {most}")))
    }
}

fn every<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    between("every", Span::deserialize(deserializer)?, Span::from_secs(1), HOUR)
}

fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let given = between("window", Span::deserialize(deserializer)?, Span::from_secs(3), Span::from_secs(900))?;
    if given.as_millis() % 3_000 != 0 {
        return Err(de::Error::custom(format_args!(
            "doctor.window {given} is no multiple of 3s: three looks make a window"
        )));
    }
    Ok(given)
}

fn keep<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    between("keep", Span::deserialize(deserializer)?, HOUR, HOUR.times(MOST_HOURS))
}

fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let given = u32::deserialize(deserializer)?;
    if (1..=840).contains(&given) {
        Ok(given)
    } else {
        Err(de::Error::custom(format_args!("doctor.hours {given} is not between 1 and 840")))
    }
}

fn theta<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
    let given = Share::deserialize(deserializer)?;
    if given >= Share::percent(1) {
        Ok(given)
    } else {
        Err(de::Error::custom(format_args!(
            "doctor.theta {given} is not between 1% and 100%: nothing may be used then"
        )))
    }
}

const HOUR: Span = Span::from_secs(3_600);
/// Source: ours; five weeks, as all of the doctor's histories.
const MOST_HOURS: u64 = 840;
