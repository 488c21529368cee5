//! How long a configuration is on probation, and by what it is judged.

use alloc::string::String;
use core::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::again::Mode;
use crate::share::Share;
use crate::time::Span;

/// Settings of the probation, checked. Written as one word, `off`, `observe` or `on`, or as a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(into = "RawProbation")]
pub struct ProbationConfig {
    pub(super) mode: Mode,
    pub(super) lasts: Span,
    pub(super) window: Span,
    pub(super) baseline: Span,
    pub(super) latency_over: Share,
    pub(super) errors_over: Share,
}

/// Why settings of the probation are not usable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}: {value}` cannot be: it must be {wanted}")]
pub struct ProbationError {
    key: &'static str,
    value: String,
    wanted: &'static str,
}

/// Whether a configuration that makes things worse is gone back from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Probation"))]
#[serde(default, deny_unknown_fields)]
struct RawProbation {
    /// Whether it is gone back from; `observe` says that it should be. Default on; source: R-O5.
    mode: Mode,
    /// For how long a configuration that was taken over is watched, 5 windows to 1h. Default 3m; source: ours, what has
    /// to come in a row fits in several times, and who reloads still looks.
    lasts: Span,
    /// The time that is compared, 1s to 1m: longer where it has less than 100 requests. The first after a change is not
    /// judged. Default 10s; source: ours, what one pause or one burst makes does not fill it.
    window: Span,
    /// How much of the time before is remembered, 3 windows to 1h. Default 5m; source: ours, with 30 windows three in a row
    /// are enough.
    baseline: Span,
    /// How much longer than in the worst window before answers take that take too long, 10% to 100%. Default 50%; source: ours,
    /// under the 2x at which breakers open [R-B1], and over what a pool's own noise makes of its worst window.
    latency_over: Share,
    /// Share of the requests that fail beside those that did before, 0.1% to 50%. Default 1%; source: balancing.md "Canary".
    errors_over: Share,
}

impl ProbationConfig {
    /// Whether it acts.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// For how long a configuration is watched.
    #[must_use]
    pub const fn lasts(&self) -> Span {
        self.lasts
    }

    /// The time that is compared.
    #[must_use]
    pub const fn window(&self) -> Span {
        self.window
    }

    /// Windows before that are remembered.
    pub(super) const fn remembered(&self) -> usize {
        count(self.baseline, self.window)
    }

    /// Windows in which something may be shown.
    pub(super) const fn places(&self) -> usize {
        count(self.lasts, self.window)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most an hour of seconds")]
const fn count(of: Span, window: Span) -> usize {
    (of.as_nanos() / window.as_nanos()) as usize
}

impl Default for ProbationConfig {
    fn default() -> Self {
        RawProbation::default().unchecked()
    }
}

impl Default for RawProbation {
    fn default() -> Self {
        Self {
            mode: Mode::written(),
            lasts: Span::from_secs(180),
            window: Span::from_secs(10),
            baseline: Span::from_secs(300),
            latency_over: Share::percent(50),
            errors_over: Share::percent(1),
        }
    }
}

impl RawProbation {
    const fn unchecked(self) -> ProbationConfig {
        let Self { mode, lasts, window, baseline, latency_over, errors_over } = self;
        ProbationConfig { mode, lasts, window, baseline, latency_over, errors_over }
    }
}

impl TryFrom<RawProbation> for ProbationConfig {
    type Error = ProbationError;

    fn try_from(raw: RawProbation) -> Result<Self, ProbationError> {
        let RawProbation { lasts, window, baseline, latency_over, errors_over, .. } = raw;
        let wrong = |key, value: String, wanted| Err(ProbationError { key, value, wanted });
        if !(Span::from_secs(1)..=Span::from_secs(60)).contains(&window) {
            return wrong("window", alloc::format!("{window}"), "1s to 1m");
        }
        if !(window.times(5)..=LONGEST).contains(&lasts) {
            return wrong("lasts", alloc::format!("{lasts}"), "5 times `window` to 1h");
        }
        if !(window.times(3)..=LONGEST).contains(&baseline) {
            return wrong("baseline", alloc::format!("{baseline}"), "3 times `window` to 1h");
        }
        if !(0.1..=1.0).contains(&latency_over.get()) {
            return wrong("latency_over", alloc::format!("{latency_over}"), "10% to 100%");
        }
        if !(0.001..=0.5).contains(&errors_over.get()) {
            return wrong("errors_over", alloc::format!("{errors_over}"), "0.1% to 50%");
        }
        Ok(raw.unchecked())
    }
}

impl From<ProbationConfig> for RawProbation {
    fn from(checked: ProbationConfig) -> Self {
        let ProbationConfig { mode, lasts, window, baseline, latency_over, errors_over } = checked;
        Self { mode, lasts, window, baseline, latency_over, errors_over }
    }
}

impl<'de> Deserialize<'de> for ProbationConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMapping;
        impl<'de> Visitor<'de> for WordOrMapping {
            type Value = ProbationConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, `observe` or `on`, or a mapping such as {lasts: 5m}")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<ProbationConfig, E> {
                let mode = Mode::deserialize(de::value::StrDeserializer::new(word))?;
                Ok(ProbationConfig { mode, ..ProbationConfig::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ProbationConfig, A::Error> {
                let raw = RawProbation::deserialize(MapAccessDeserializer::new(map))?;
                ProbationConfig::try_from(raw).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(WordOrMapping)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ProbationConfig {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "ProbationForm".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (word, mapping) = (generator.subschema_for::<Mode>(), generator.subschema_for::<RawProbation>());
        schemars::json_schema!({
            "description": "Whether a configuration that makes things worse is gone back from: one word, or a mapping.",
            "anyOf": [word, mapping]
        })
    }
}

/// Source: ours; what shows after an hour has other causes than a reload.
const LONGEST: Span = Span::from_secs(3_600);

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    fn read(text: &str) -> Result<ProbationConfig, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_word_is_a_mode_and_what_was_written_reads_back() {
        assert_eq!(read("\"off\"").map(|config| config.mode()), Ok(Mode::Off));
        assert_eq!(read("{}"), Ok(ProbationConfig::default()));
        let written = read(r#"{"mode":"observe","window":"2s","latency_over":"20%"}"#).expect("good");
        assert_eq!(read(&serde_json::to_string(&written).expect("plain data")), Ok(written));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (text, reason) in [
            (r#"{"window":"500ms"}"#, "must be 1s to 1m"),
            (r#"{"lasts":"40s"}"#, "must be 5 times `window` to 1h"),
            (r#"{"baseline":"20s"}"#, "must be 3 times `window` to 1h"),
            (r#"{"latency_over":"5%"}"#, "must be 10% to 100%"),
            (r#"{"errors_over":"0%"}"#, "must be 0.1% to 50%"),
            (r#"{"last":"1m"}"#, "unknown field"),
            ("\"of\"", "unknown variant"),
            ("3", "`off`, `observe` or `on`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
