//! Settings of a pool's zones, checked.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::share::Share;
use crate::time::Span;

/// When requests leave their zone, and how far they go. `TryFrom` of what is written is the only way in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawZones", into = "RawZones")]
pub struct ZonesConfig {
    pub(super) mode: Mode,
    pub(super) spill_at: Share,
    pub(super) return_at: Share,
    pub(super) slo: Span,
    pub(super) probes: Share,
}

/// Why settings of zones are not usable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}: {value}` cannot be: it must be {wanted}")]
pub struct ZonesError {
    key: &'static str,
    value: String,
    wanted: &'static str,
}

impl ZonesConfig {
    /// Whether it acts.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }
}

impl Default for ZonesConfig {
    fn default() -> Self {
        let RawZones { mode, spill_at, return_at, slo, probes } = RawZones::default();
        Self { mode, spill_at, return_at, slo, probes }
    }
}

/// When requests leave the zone that they came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Zones"))]
#[serde(default, deny_unknown_fields)]
struct RawZones {
    /// Whether it acts; `observe` shows what it would do. Default on where it is written; source: R-O5.
    mode: Mode,
    /// Utilization up to which a zone keeps the requests that came from it, 10% to 100%. Default 80%; source: balancing.md
    /// "Zones".
    spill_at: Share,
    /// Utilization under which it takes back what it gave away, at most `spill_at`. Default 70%; source: balancing.md "Zones".
    return_at: Share,
    /// How much longer an answer may take for coming from another zone: a zone that is so much farther gets half of what its
    /// free capacity alone would bring it, 1ms to 1m. Default 100ms; source: ours, what a person begins to notice.
    slo: Span,
    /// Share of a zone's requests that goes to other zones in any case, so that what they take is known, at most 10%.
    /// Default 1%; source: balancing.md "Zones".
    probes: Share,
}

impl Default for RawZones {
    fn default() -> Self {
        Self {
            mode: Mode::written(),
            spill_at: Share::percent(80),
            return_at: Share::percent(70),
            slo: Span::from_millis(100),
            probes: Share::percent(1),
        }
    }
}

impl TryFrom<RawZones> for ZonesConfig {
    type Error = ZonesError;

    fn try_from(raw: RawZones) -> Result<Self, ZonesError> {
        let RawZones { mode, spill_at, return_at, slo, probes } = raw;
        let wrong = |key, value: String, wanted| Err(ZonesError { key, value, wanted });
        if !(0.1..=1.0).contains(&spill_at.get()) {
            return wrong("spill_at", alloc::format!("{spill_at}"), "10% to 100%");
        }
        if return_at > spill_at || return_at.get() < 0.05 {
            return wrong("return_at", alloc::format!("{return_at}"), "5% to `spill_at`");
        }
        if slo < Span::from_millis(1) || slo > Span::from_secs(60) {
            return wrong("slo", alloc::format!("{slo}"), "1ms to 1m");
        }
        if probes.get() > 0.1 {
            return wrong("probes", alloc::format!("{probes}"), "at most 10%");
        }
        Ok(Self { mode, spill_at, return_at, slo, probes })
    }
}

impl From<ZonesConfig> for RawZones {
    fn from(config: ZonesConfig) -> Self {
        let ZonesConfig { mode, spill_at, return_at, slo, probes } = config;
        Self { mode, spill_at, return_at, slo, probes }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ZonesConfig {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        RawZones::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawZones::json_schema(generator)
    }
}
