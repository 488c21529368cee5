//! What goes wrong, and at whom.

use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::fault::{self, Amount, FaultError, What};

/// Something that goes wrong at some workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawFault", into = "RawFault")]
pub struct Fault {
    /// The name of each worker, or of a whole group.
    pub on: Vec<String>,
    /// What, and its course.
    pub fault: fault::Fault,
}

/// Something that goes wrong at some workers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    /// The name of each worker, or of a whole group.
    on: Vec<String>,
    /// What.
    what: What,
    /// How much of it at its full level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Amount>,
    /// Its course over time. Default always.
    #[serde(default = "Curve::always")]
    curve: Curve,
}

impl TryFrom<RawFault> for Fault {
    type Error = FaultError;

    fn try_from(raw: RawFault) -> Result<Self, FaultError> {
        let RawFault { on, what, to, curve } = raw;
        Ok(Self { on, fault: fault::Fault { kind: what.kind(to)?, curve } })
    }
}

impl From<Fault> for RawFault {
    fn from(fault: Fault) -> Self {
        let (what, to) = fault.fault.kind.written();
        Self { on: fault.on, what, to, curve: fault.fault.curve }
    }
}
