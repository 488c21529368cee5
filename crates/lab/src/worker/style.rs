//! The ways in which a worker of the laboratory tells of its load.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a worker tells of its load. The JSON endpoint `/load` is there in every style but `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportStyle {
    /// Not at all.
    #[default]
    None,
    /// The header `Server-Load` on every answer.
    ServerLoad,
    /// The header `endpoint-load-metrics: TEXT ...` on every answer.
    OrcaText,
    /// The header `endpoint-load-metrics: JSON ...` on every answer.
    OrcaJson,
    /// Only when asked at `/load`.
    Endpoint,
    /// Signed datagrams that it sends of itself, and `/load`.
    Heartbeat,
}

impl ReportStyle {
    /// Whether it tells of its load on every answer.
    #[must_use]
    pub const fn is_header(self) -> bool {
        match self {
            Self::ServerLoad | Self::OrcaText | Self::OrcaJson => true,
            Self::None | Self::Endpoint | Self::Heartbeat => false,
        }
    }
}

impl FromStr for ReportStyle {
    type Err = StyleError;

    fn from_str(text: &str) -> Result<Self, StyleError> {
        STYLES.iter().find(|(name, _)| *name == text).map(|(_, style)| *style).ok_or_else(|| StyleError(text.into()))
    }
}

impl fmt::Display for ReportStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STYLES.iter().find(|(_, style)| style == self).map_or("none", |(name, _)| name);
        f.write_str(name)
    }
}

/// Why a text names no style of report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a style of report: write none, server-load, orca-text, orca-json, endpoint or heartbeat")]
pub struct StyleError(String);

const STYLES: [(&str, ReportStyle); 6] = [
    ("none", ReportStyle::None),
    ("server-load", ReportStyle::ServerLoad),
    ("orca-text", ReportStyle::OrcaText),
    ("orca-json", ReportStyle::OrcaJson),
    ("endpoint", ReportStyle::Endpoint),
    ("heartbeat", ReportStyle::Heartbeat),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_read_back() {
        for (name, style) in STYLES {
            assert_eq!((name.parse(), style.to_string()), (Ok(style), name.to_owned()));
        }
    }
}
