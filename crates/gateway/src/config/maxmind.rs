//! Zones of clients by where their addresses are: a MaxMind database, and which place is which zone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A database, and the zones of places in it. `TryFrom` of what is written is the only way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawMaxMind", into = "RawMaxMind")]
pub struct MaxMind {
    pub(crate) file: PathBuf,
    pub(crate) continents: BTreeMap<String, String>,
    pub(crate) countries: BTreeMap<String, String>,
    /// By country and by what is after the hyphen.
    pub(crate) subdivisions: BTreeMap<(String, String), String>,
}

/// Why places cannot be zones.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MaxMindError {
    /// No place.
    #[error(
        "no place is a zone: say which, such as `countries: {{FR: a}}`, `continents: {{EU: a}}` or `subdivisions: {{US-CA: b}}`"
    )]
    Nothing,
    /// None of the seven.
    #[error("continents: `{0}` is none: write one of AF, AN, AS, EU, NA, OC and SA")]
    Continent(String),
    /// No such code.
    #[error("countries: `{0}` is no code of a country: write two capital letters as in ISO 3166, such as FR")]
    Country(String),
    /// No such code.
    #[error("subdivisions: `{0}` is no code of a part of a country: write it as in ISO 3166-2, such as US-CA")]
    Subdivision(String),
    /// A zone without a name.
    #[error("{0}: a zone needs a name, the one that its workers have as `zone`")]
    NoName(String),
}

/// Zones of clients by where a MaxMind database (GeoLite2, GeoIP2, or of that format) says that their addresses are. The most
/// exact place counts: a part of a country before the country, that before the continent; `networks` count before all of them.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MaxMind")]
struct RawMaxMind {
    /// The database's file, up to 512 MiB: it is read into memory, and anew when it changes.
    #[schemars(with = "String")]
    file: PathBuf,
    /// Zones by continents: `{EU: a}`. Default none; source: ours, nobody but the user knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    continents: BTreeMap<String, String>,
    /// Zones by countries, with their codes of ISO 3166: `{FR: a, US: b}`. Default none; source: ours, as above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    countries: BTreeMap<String, String>,
    /// Zones by parts of countries, with their codes of ISO 3166-2: `{US-CA: b}`. Databases of cities know them. Default none;
    /// source: ours, as above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    subdivisions: BTreeMap<String, String>,
}

impl MaxMind {
    /// The database's file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// All zones that places may be, each with where it stands in the section.
    pub(super) fn zones(&self) -> impl Iterator<Item = (String, &str)> {
        let continents = self.continents.iter().map(|(place, zone)| (format!("continents.{place}"), &**zone));
        let countries = self.countries.iter().map(|(place, zone)| (format!("countries.{place}"), &**zone));
        let parts = self.subdivisions.iter();
        let parts = parts.map(|((country, part), zone)| (format!("subdivisions.{country}-{part}"), &**zone));
        continents.chain(countries).chain(parts)
    }

    /// Takes a relative path as beside `folder`.
    pub(super) fn beside(&mut self, folder: &Path) {
        self.file = folder.join(&self.file);
    }
}

impl TryFrom<RawMaxMind> for MaxMind {
    type Error = MaxMindError;

    fn try_from(raw: RawMaxMind) -> Result<Self, MaxMindError> {
        let RawMaxMind { file, continents, countries, subdivisions } = raw;
        if continents.is_empty() && countries.is_empty() && subdivisions.is_empty() {
            return Err(MaxMindError::Nothing);
        }
        let all = [("continents", &continents), ("countries", &countries), ("subdivisions", &subdivisions)];
        for (key, places) in all {
            if let Some((place, _)) = places.iter().find(|(_, zone)| zone.is_empty()) {
                return Err(MaxMindError::NoName(format!("{key}: {place}")));
            }
        }
        if let Some(odd) = continents.keys().find(|code| !CONTINENTS.contains(&code.as_str())) {
            return Err(MaxMindError::Continent(odd.clone()));
        }
        if let Some(odd) = countries.keys().find(|code| !is_country(code)) {
            return Err(MaxMindError::Country(odd.clone()));
        }
        let part = |(code, zone): (String, String)| match code.split_once('-') {
            Some((country, part)) if is_country(country) && is_part(part) => {
                Ok(((country.to_owned(), part.to_owned()), zone))
            }
            Some(_) | None => Err(MaxMindError::Subdivision(code)),
        };
        let subdivisions = subdivisions.into_iter().map(part).collect::<Result<_, _>>()?;
        Ok(Self { file, continents, countries, subdivisions })
    }
}

impl From<MaxMind> for RawMaxMind {
    fn from(checked: MaxMind) -> Self {
        let MaxMind { file, continents, countries, subdivisions } = checked;
        let part = |((country, part), zone): ((String, String), String)| (format!("{country}-{part}"), zone);
        Self { file, continents, countries, subdivisions: subdivisions.into_iter().map(part).collect() }
    }
}

impl JsonSchema for MaxMind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawMaxMind::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawMaxMind::json_schema(generator)
    }
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_part(code: &str) -> bool {
    (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// As MaxMind calls them.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_place_is_refused_with_what_would_be_one() {
        for (written, wanted) in [
            (r#"{"file": "a.mmdb"}"#, "no place is a zone"),
            (r#"{"file": "a.mmdb", "continents": {"Europe": "a"}}"#, "continents: `Europe` is none"),
            (r#"{"file": "a.mmdb", "countries": {"fr": "a"}}"#, "countries: `fr` is no code"),
            (r#"{"file": "a.mmdb", "subdivisions": {"CA": "a"}}"#, "subdivisions: `CA` is no code"),
            (r#"{"file": "a.mmdb", "subdivisions": {"US-ca": "a"}}"#, "subdivisions: `US-ca` is no code"),
            (r#"{"file": "a.mmdb", "countries": {"FR": ""}}"#, "countries: FR: a zone needs a name"),
            (r#"{"countries": {"FR": "a"}}"#, "missing field `file`"),
        ] {
            let error = serde_json::from_str::<MaxMind>(written).expect_err("a mistake").to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn what_is_right_reads_back() {
        let written =
            r#"{"file":"a.mmdb","continents":{"EU":"a"},"countries":{"FR":"b"},"subdivisions":{"US-CA":"c"}}"#;
        let read: MaxMind = serde_json::from_str(written).expect("right");
        assert_eq!(serde_json::to_string(&read).expect("plain data"), written);
        let zones: Vec<_> = read.zones().collect();
        let wanted = [("continents.EU", "a"), ("countries.FR", "b"), ("subdivisions.US-CA", "c")];
        assert_eq!(zones, wanted.map(|(place, zone)| (place.to_owned(), zone)));
    }
}
