//! What requests of a pool are told apart by, to learn what each kind costs [R-P4].

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked: what makes two requests of a pool two kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCosts", into = "RawCosts")]
pub struct CostClasses {
    pub(crate) by: Vec<Trait>,
}

/// One thing that a request is told from others by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trait {
    Route,
    Method,
    BodySize,
    Header(HeaderName),
    Declared(HeaderName),
}

/// Why settings of costs cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CostsError {
    /// Nothing tells requests apart.
    #[error("by: nothing tells requests apart; name route, method, body-size, {{header: NAME}} or {{declared: NAME}}")]
    Nothing,
    /// A header that cannot exist.
    #[error("by: `{0}` is no header's name")]
    Header(String),
}

/// Learns what kinds of requests cost, so that a pick knows how much work is in flight.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Costs")]
struct RawCosts {
    /// What makes two requests two kinds; all of it together. At most 32 kinds are told apart. Default `[route]`; source: R-P4.
    #[serde(default = "route")]
    by: Vec<RawTrait>,
}

/// One thing that a request is told from others by.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "CostTrait")]
enum RawTrait {
    /// Its route.
    Route,
    /// Its method.
    Method,
    /// How long its body is, in steps of four.
    BodySize,
    /// The value of this header.
    Header(String),
    /// The number in this header, in steps of two: a cost that its client says; what it costs is measured all the same.
    Declared(String),
}

fn route() -> Vec<RawTrait> {
    vec![RawTrait::Route]
}

impl TryFrom<RawCosts> for CostClasses {
    type Error = CostsError;

    fn try_from(raw: RawCosts) -> Result<Self, CostsError> {
        if raw.by.is_empty() {
            return Err(CostsError::Nothing);
        }
        let name = |name: String| name.parse().map_err(|_| CostsError::Header(name));
        let checked = |one| {
            Ok(match one {
                RawTrait::Route => Trait::Route,
                RawTrait::Method => Trait::Method,
                RawTrait::BodySize => Trait::BodySize,
                RawTrait::Header(header) => Trait::Header(name(header)?),
                RawTrait::Declared(header) => Trait::Declared(name(header)?),
            })
        };
        Ok(Self { by: raw.by.into_iter().map(checked).collect::<Result<_, _>>()? })
    }
}

impl From<CostClasses> for RawCosts {
    fn from(classes: CostClasses) -> Self {
        let written = |one| match one {
            Trait::Route => RawTrait::Route,
            Trait::Method => RawTrait::Method,
            Trait::BodySize => RawTrait::BodySize,
            Trait::Header(name) => RawTrait::Header(name.to_string()),
            Trait::Declared(name) => RawTrait::Declared(name.to_string()),
        };
        Self { by: classes.by.into_iter().map(written).collect() }
    }
}

impl JsonSchema for CostClasses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawCosts::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawCosts::json_schema(generator)
    }
}
