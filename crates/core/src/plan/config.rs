//! Settings of the slow loop, checked: an invalid [`PlanConfig`] cannot exist.
//!
//! In the configuration either the name of a policy alone, or a mapping in which every key is optional:
//!
//! ```yaml
//! weights: capacity
//! weights: {policy: tail-latency, mode: observe, tick: 500ms, floor: 20%}
//! ```

use alloc::string::String;
use core::fmt;
use core::ops::Deref;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::Rule;
use crate::time::Span;

mod settings;

pub use settings::{Hysteresis, Mode, Oscillation, Reference, Settings, Silence, Slew, SlowStart, Window};
use settings::{number, share, span};

/// Checked settings of the slow loop of one pool. Reads like [`Settings`]; made only by [`PlanConfig::check`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PlanConfig(Settings);

impl Deref for PlanConfig {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

/// Why settings of the slow loop are not usable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}: {value}` cannot be: it must be {wanted}")]
pub struct PlanConfigError {
    /// Which setting, as written in the configuration.
    pub key: &'static str,
    /// What it says.
    pub value: String,
    /// What would be right.
    pub wanted: &'static str,
}

impl PlanConfig {
    /// The defaults with this policy.
    #[must_use]
    pub fn of(policy: Rule) -> Self {
        Self(Settings { policy, ..Settings::default() })
    }

    /// Checks settings.
    ///
    /// # Errors
    /// The first setting that lies outside its range, with the range.
    pub fn check(settings: Settings) -> Result<Self, PlanConfigError> {
        let Settings { tick, time_constant, alpha, deadband, slew, floor, cap, largest_share, .. } = &settings;
        let Settings { slow_start, hysteresis, oscillation, silence, reference, window, .. } = &settings;
        let second = Span::from_secs;
        span("tick", *tick, Span::from_millis(100), second(10), "0.1 s to 10 s [R-W9]")?;
        span("time_constant", *time_constant, Span::from_millis(100), second(600), "0.1 s to 10 min")?;
        span("polled_window", settings.polled_window, Span::ZERO, second(60), "at most 60 s")?;
        share("alpha", *alpha, 0.02, 1.0, "2 % to 100 %")?;
        share("deadband", *deadband, 0.0, 0.25, "0 % to 25 %")?;
        number("slew.down", slew.down, 0.05, 1.0, "a factor from 0.05 to 1")?;
        number("slew.up", slew.up, 1.01, 10.0, "a factor from 1.01 to 10")?;
        share("floor", *floor, 0.0, 0.5, "0 % to 50 % of a fair share")?;
        share("cap", *cap, 0.1, 1.0, "10 % to 100 % of a worker's capacity")?;
        share("largest_share", *largest_share, 0.1, 1.0, "10 % to 100 % of the pool's traffic")?;
        span("slow_start.over", slow_start.over, Span::ZERO, second(3_600), "at most 1 h")?;
        span("slow_start.own_after", slow_start.own_after, Span::ZERO, second(3_600), "at most 1 h")?;
        share("slow_start.from", slow_start.from, 0.001, 1.0, "0.1 % to 100 %")?;
        number("hysteresis.ticks", f64::from(hysteresis.ticks), 1.0, 3_600.0, "1 to 3600 ticks")?;
        oscillation.check()?;
        silence.check()?;
        reference.check()?;
        if let Window::Reports(count) = window {
            number("window.reports", f64::from(*count), 5.0, 10.0, "5 to 10 reports [R-W8]")?;
        }
        Ok(Self(settings))
    }
}

impl<'de> Deserialize<'de> for PlanConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMapping;
        impl<'de> Visitor<'de> for NameOrMapping {
            type Value = PlanConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a policy such as `capacity`, or a mapping such as {policy: capacity}")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<PlanConfig, E> {
                Rule::deserialize(de::value::StrDeserializer::new(name)).map(PlanConfig::of)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PlanConfig, A::Error> {
                let settings = Settings::deserialize(MapAccessDeserializer::new(map))?;
                PlanConfig::check(settings).map_err(de::Error::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(NameOrMapping)
        } else {
            Self::check(Settings::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PlanConfig {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Weights".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (name, mapping) = (generator.subschema_for::<Rule>(), generator.subschema_for::<Settings>());
        schemars::json_schema!({
            "description": "How weights are learned: the name of a policy, or a mapping with overrides.",
            "anyOf": [name, mapping]
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::share::Share;

    #[test]
    fn a_bare_name_is_the_defaults_with_that_policy() {
        assert_eq!(serde_json::from_str::<PlanConfig>("\"headroom\"").expect("a name"), PlanConfig::of(Rule::Headroom));
    }

    #[test]
    fn a_mapping_overrides_what_it_names_and_nothing_else() {
        let config: PlanConfig = serde_json::from_str(r#"{"floor": "20%", "slew": {"up": 2.0}}"#).expect("sound");
        let wanted =
            Settings { floor: Share::percent(20), slew: Slew { up: 2.0, ..Slew::default() }, ..Settings::default() };
        assert_eq!(*config, wanted);
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let config = PlanConfig::of(Rule::TailLatency);
        let text = serde_json::to_string(&config).expect("serializes");
        assert_eq!(serde_json::from_str::<PlanConfig>(&text).expect("reads"), config);
    }

    #[test]
    fn a_value_out_of_its_range_is_refused_with_the_range() {
        let error = serde_json::from_str::<PlanConfig>(r#"{"tick": "50ms"}"#).expect_err("too short").to_string();
        assert!(error.contains("`tick: 50ms` cannot be: it must be 0.1 s to 10 s"), "{error}");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let settings = Settings { slew: Slew { down: f64::NAN, up: 1.25 }, ..Settings::default() };
        assert!(PlanConfig::check(settings).is_err_and(|error| error.key == "slew.down"));
    }

    #[cfg(feature = "schema")]
    #[test]
    fn the_schema_takes_a_name_or_a_mapping_and_knows_each_setting() {
        let schema = serde_json::to_string(&schemars::schema_for!(PlanConfig)).expect("a schema is JSON");
        for key in ["anyOf", "tail-latency", "time_constant", "passive_cap", "largest_share", "min_headroom"] {
            assert!(schema.contains(key), "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(serde_json::from_str::<PlanConfig>(r#"{"flor": "20%"}"#).is_err());
    }
}
