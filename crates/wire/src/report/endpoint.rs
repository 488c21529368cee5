//! A worker's JSON endpoint: `{"current_load": 3, "queue_depth": 0, "average_latency_ms": 12, "error_rate": 0.01,
//! "max_capacity": 32, "accepting": true}` [R-S2], and any other JSON by a mapping [R-S6].
//!
//! Names of [`Field`] at the top of the document are read by themselves. A [`FieldMap`] says where else a field lies, and
//! in which unit: `cpu: {at: /host/cpu, unit: percent}`, `in_flight: /stats/connections`.

use std::collections::BTreeMap;
use std::fmt;

use ambidex_core::signal::{Report, ReportFault};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::field::{Draft, Field};

/// The most bytes of an endpoint's answer that are read. Source: a full report is 300 bytes; room for a document that
/// holds much else beside it.
pub const MOST_BODY_BYTES: usize = 64 << 10;

/// Where the fields of a report lie in a worker's own JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, RawPlace>"))]
#[serde(try_from = "BTreeMap<String, RawPlace>", into = "BTreeMap<String, RawPlace>")]
pub struct FieldMap(Vec<(Field, Place)>);

#[derive(Clone, Debug, PartialEq)]
struct Place {
    pointer: String,
    unit: Unit,
}

/// One place as it is written: a JSON pointer, or one with its unit.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum RawPlace {
    /// An RFC 6901 JSON pointer, such as `/stats/active`; the number has the field's own unit.
    Pointer(String),
    /// A pointer and the unit of the number that it leads to.
    WithUnit(UnitPlace),
}

/// A pointer and the unit of the number that it leads to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UnitPlace {
    /// An RFC 6901 JSON pointer, such as `/host/cpu`.
    pub at: String,
    /// The unit of the number there.
    pub unit: Unit,
}

/// The unit of a number in a worker's own JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// The field's own: a count, a share from 0 to 1, milliseconds.
    #[default]
    Own,
    /// Hundredths: 0 to 100.
    Percent,
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

/// Why a mapping is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldMapError {
    /// Not a field of a report.
    #[error("`{name}` is no field of a report: use one of {known}", known = Known)]
    Unknown {
        /// What was written.
        name: String,
    },
    /// Not a JSON pointer.
    #[error("`{pointer}` is no JSON pointer for `{field}`: write a path that begins with `/`, such as `/stats/active`")]
    Pointer {
        /// Whose place it is.
        field: &'static str,
        /// What was written.
        pointer: String,
    },
    /// A unit that the field cannot have.
    #[error("`{field}` is not measured in {unit:?}: {wanted}")]
    Unit {
        /// Whose unit it is.
        field: &'static str,
        /// What was written.
        unit: Unit,
        /// What would be right.
        wanted: &'static str,
    },
}

impl FieldMap {
    /// The mapping with these places.
    ///
    /// # Errors
    /// The first name, pointer or unit that is wrong.
    pub fn new(places: BTreeMap<String, RawPlace>) -> Result<Self, FieldMapError> {
        places.into_iter().map(|(name, raw)| place(name, raw)).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<BTreeMap<String, RawPlace>> for FieldMap {
    type Error = FieldMapError;

    fn try_from(places: BTreeMap<String, RawPlace>) -> Result<Self, FieldMapError> {
        Self::new(places)
    }
}

impl From<FieldMap> for BTreeMap<String, RawPlace> {
    fn from(map: FieldMap) -> Self {
        let raw = |place: Place| match place.unit {
            Unit::Own => RawPlace::Pointer(place.pointer),
            unit @ (Unit::Percent | Unit::S | Unit::Ms | Unit::Us | Unit::Ns) => {
                RawPlace::WithUnit(UnitPlace { at: place.pointer, unit })
            }
        };
        map.0.into_iter().map(|(field, place)| (field.name().into(), raw(place))).collect()
    }
}

/// The report in an endpoint's answer.
///
/// # Errors
/// Too long, no JSON object, a known field that is no number, a number that no worker can have, or nothing known in it.
pub fn parse(body: &[u8], map: &FieldMap) -> Result<Report, ReportFault> {
    if body.len() > MOST_BODY_BYTES {
        let length = body.len();
        return Err(ReportFault::Unreadable(format!(
            "an answer of {length} bytes; at most {MOST_BODY_BYTES} are read"
        )));
    }
    let document: Value = serde_json::from_slice(body)
        .map_err(|error| ReportFault::Unreadable(format!("{}: {error}", super::excerpt(body))))?;
    let mut draft = Draft::default();
    for (field, place) in &map.0 {
        if let Some(value) = document.pointer(&place.pointer) {
            take(&mut draft, *field, place.unit, &place.pointer, value)?;
        }
    }
    let mapped = |field: Field| map.0.iter().any(|(known, _)| *known == field);
    for (name, value) in document.as_object().into_iter().flatten() {
        let known = if name == "cpu_percent" {
            Some((Field::Cpu, Unit::Percent))
        } else {
            Field::named(name).map(|field| (field, Unit::Own))
        };
        if let Some((field, unit)) = known.filter(|(field, _)| !mapped(*field)) {
            take(&mut draft, field, unit, name, value)?;
        }
    }
    Report::check(&draft.finish())
}

/// A report as the endpoint's answer, by the catalogue's names where it has one [R-S2], else by ours.
#[must_use]
pub fn write(report: &Report) -> String {
    let mut object = serde_json::Map::new();
    for field in Field::ALL {
        let Some(value) = field.of(report) else { continue };
        let value = match field {
            Field::Accepting => Value::Bool(value > 0.0),
            Field::InFlight | Field::Queue | Field::Limit | Field::Sequence =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "counts of a checked report"
                )]
                Value::from(value as u64)
            }
            Field::Mean
            | Field::P50
            | Field::P95
            | Field::P99
            | Field::Rate
            | Field::Errors
            | Field::Utilization
            | Field::Cpu
            | Field::Memory => Value::from(value),
        };
        object.insert(catalogue_name(field).into(), value);
    }
    Value::Object(object).to_string()
}

const fn catalogue_name(field: Field) -> &'static str {
    match field {
        Field::InFlight => "current_load",
        Field::Queue => "queue_depth",
        Field::Mean => "average_latency_ms",
        Field::Errors => "error_rate",
        Field::Limit => "max_capacity",
        Field::Utilization => "utilization",
        Field::P50
        | Field::P95
        | Field::P99
        | Field::Rate
        | Field::Cpu
        | Field::Memory
        | Field::Accepting
        | Field::Sequence => field.name(),
    }
}

fn take(draft: &mut Draft, field: Field, unit: Unit, name: &str, value: &Value) -> Result<(), ReportFault> {
    let number = match value {
        Value::Null => return Ok(()),
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) if field == Field::Accepting => Some(if *truth { 1.0 } else { 0.0 }),
        Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let number = number.ok_or_else(|| {
        let name = super::excerpt(name.as_bytes());
        ReportFault::Unreadable(format!("{name} ({}) is no number", field.name()))
    })?;
    draft.say(field, number * factor(unit))
}

fn place(name: String, raw: RawPlace) -> Result<(Field, Place), FieldMapError> {
    let Some(field) = Field::named(&name) else { return Err(FieldMapError::Unknown { name }) };
    let (pointer, unit) = match raw {
        RawPlace::Pointer(pointer) => (pointer, Unit::Own),
        RawPlace::WithUnit(UnitPlace { at, unit }) => (at, unit),
    };
    let field_name = field.name();
    if !pointer.starts_with('/') {
        return Err(FieldMapError::Pointer { field: field_name, pointer });
    }
    match wrong_unit(field, unit) {
        Some(wanted) => Err(FieldMapError::Unit { field: field_name, unit, wanted }),
        None => Ok((field, Place { pointer, unit })),
    }
}

/// What would be right, when a unit does not fit a field.
pub(super) const fn wrong_unit(field: Field, unit: Unit) -> Option<&'static str> {
    match (field, unit) {
        (_, Unit::Own)
        | (Field::Mean | Field::P50 | Field::P95 | Field::P99, Unit::S | Unit::Ms | Unit::Us | Unit::Ns)
        | (Field::Errors | Field::Utilization | Field::Cpu | Field::Memory, Unit::Percent) => None,
        (Field::Mean | Field::P50 | Field::P95 | Field::P99, Unit::Percent) => Some("use s, ms, us or ns"),
        (Field::Errors | Field::Utilization | Field::Cpu | Field::Memory, _) => {
            Some("use percent, or nothing for 0 to 1")
        }
        (Field::InFlight | Field::Queue | Field::Rate | Field::Limit | Field::Accepting | Field::Sequence, _) => {
            Some("it has no unit")
        }
    }
}

pub(super) const fn factor(unit: Unit) -> f64 {
    match unit {
        Unit::Own | Unit::Ms => 1.0,
        Unit::Percent => 0.01,
        Unit::S => 1e3,
        Unit::Us => 1e-3,
        Unit::Ns => 1e-6,
    }
}

/// The names of all fields, for a message.
struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Field::ALL.map(Field::name).join(", "))
    }
}
