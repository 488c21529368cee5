//! What is done about each failure mode: nothing, told, or told and answered.

use core::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::FailureMode;
use crate::again::Mode;

/// Whether each failure mode is looked for, and answered by its runbook. Written as one word for all of them, or as a
/// mapping.
///
/// `off`: it is not looked for. `observe`: it is found and told, and each action waits for approval. `on`: actions that
/// only tune run by themselves, bounded, told, and undone when the cause is gone; those that decide where requests go
/// wait for approval all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "RawRunbooks")]
pub struct Runbooks([Mode; FailureMode::ALL.len()]);

/// What is done about each failure mode of a pool.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Runbooks"))]
#[serde(default, deny_unknown_fields)]
struct RawRunbooks {
    /// One worker failed and brings the others down. Default on; source: R-F6 (automatic where it only tunes).
    thundering_herd: Mode,
    /// A worker is up in our view and is not there. Default on; source: R-F6.
    stale_metadata: Mode,
    /// One worker takes a multiple of what the others take. Default on; source: R-F6.
    cascading_timeouts: Mode,
    /// Weights swing; the loop is damped by `weights.oscillation`, whatever this says. Default on; source: R-F6.
    oscillation: Mode,
    /// Answers stop and come together. Default on; source: R-F6.
    convoy: Mode,
    /// A path gets another part of the requests than it is to get. Default on; source: R-F6.
    lateral_drift: Mode,
    /// Load stays after its trigger is gone. Default on; source: R-F6.
    metastable_overload: Mode,
}

impl Default for Runbooks {
    fn default() -> Self {
        Self::all(Mode::On)
    }
}

impl Default for RawRunbooks {
    fn default() -> Self {
        Runbooks::default().into()
    }
}

impl Runbooks {
    /// The same for all modes.
    #[must_use]
    pub const fn all(mode: Mode) -> Self {
        Self([mode; FailureMode::ALL.len()])
    }

    /// What is done about one.
    #[must_use]
    pub const fn of(&self, mode: FailureMode) -> Mode {
        self.0[mode as usize]
    }
}

impl<'de> Deserialize<'de> for Runbooks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMapping;
        impl<'de> Visitor<'de> for WordOrMapping {
            type Value = Runbooks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, `observe` or `on` for all failure modes, or a mapping such as {convoy: observe}")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Runbooks, E> {
                Mode::deserialize(de::value::StrDeserializer::new(word)).map(Runbooks::all)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Runbooks, A::Error> {
                RawRunbooks::deserialize(MapAccessDeserializer::new(map)).map(Runbooks::from)
            }
        }
        deserializer.deserialize_any(WordOrMapping)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Runbooks {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "RunbooksForm".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (word, mapping) = (generator.subschema_for::<Mode>(), generator.subschema_for::<RawRunbooks>());
        schemars::json_schema!({
            "description": "Which failure modes are looked for and answered: one word for all, or one a mode.",
            "anyOf": [word, mapping]
        })
    }
}

impl From<RawRunbooks> for Runbooks {
    fn from(each: RawRunbooks) -> Self {
        Self([
            each.thundering_herd,
            each.stale_metadata,
            each.cascading_timeouts,
            each.oscillation,
            each.convoy,
            each.lateral_drift,
            each.metastable_overload,
        ])
    }
}

impl From<Runbooks> for RawRunbooks {
    fn from(Runbooks([herd, stale, cascade, swing, convoy, drift, overload]): Runbooks) -> Self {
        Self {
            thundering_herd: herd,
            stale_metadata: stale,
            cascading_timeouts: cascade,
            oscillation: swing,
            convoy,
            lateral_drift: drift,
            metastable_overload: overload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_stands_for_all_modes_and_a_mapping_for_each() {
        let all: Runbooks = serde_json::from_str("\"observe\"").expect("a word");
        assert_eq!(all, Runbooks::all(Mode::Observe));
        let one: Runbooks = serde_json::from_str(r#"{"convoy": "off"}"#).expect("a mapping");
        assert_eq!((one.of(FailureMode::Convoy), one.of(FailureMode::LateralDrift)), (Mode::Off, Mode::On));
        let text = serde_json::to_string(&one).expect("written");
        assert_eq!(serde_json::from_str::<Runbooks>(&text).expect("read"), one);
    }
}
