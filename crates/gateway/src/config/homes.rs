//! From which zone requests come, as the configuration says it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::maxmind::MaxMind;

/// Which zone a client is in. `TryFrom` of what is written is the only way in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawHomes", into = "RawHomes")]
pub struct Homes {
    pub(crate) own: Option<String>,
    pub(crate) networks: BTreeMap<IpNet, String>,
    pub(crate) maxmind: Option<MaxMind>,
}

/// Why zones of clients cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HomesError {
    /// No network.
    #[error("networks: `{0}` is no network: write an address and a prefix length, such as 10.1.0.0/16 or ::1/128")]
    Network(String),
    /// Two words for one network.
    #[error("networks: `{0}` is there twice, as `{1}` and as `{2}`; keep one")]
    Twice(IpNet, String, String),
    /// A zone without a name.
    #[error("{0}: a zone needs a name, the one that its workers have as `zone`")]
    NoName(String),
    /// No zone at all.
    #[error("none of `own`, `networks` and `maxmind` is there: name the zone of this gateway, or those of its clients")]
    Nothing,
}

impl Homes {
    /// All zones that clients may be in, each with where it stands in the section.
    pub fn zones(&self) -> impl Iterator<Item = (String, &str)> {
        let networks = self.networks.iter().map(|(network, zone)| (format!("networks.{network}"), &**zone));
        let places = self.maxmind.iter().flat_map(MaxMind::zones);
        let places = places.map(|(place, zone)| (format!("maxmind.{place}"), zone));
        self.own.iter().map(|zone| ("own".to_owned(), &**zone)).chain(networks).chain(places)
    }

    /// The database of places, if there is one.
    #[must_use]
    pub fn maxmind(&self) -> Option<&MaxMind> {
        self.maxmind.as_ref()
    }

    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let Some(maxmind) = &mut self.maxmind {
            maxmind.beside(folder);
        }
    }
}

/// From which zone requests come.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Homes")]
struct RawHomes {
    /// The zone of this gateway: of clients whose network is not named. Default: they are of none; source: ours, nobody but
    /// the user knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<String>,
    /// Zones of clients by their networks, of which the longest prefix counts: `{10.1.0.0/16: a, 10.1.2.0/24: b}`. Default
    /// none; source: ours, as above.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    networks: BTreeMap<String, String>,
    /// Zones of clients by where their addresses are, for those whose network is not named. Default none; source: ours, as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    maxmind: Option<MaxMind>,
}

impl TryFrom<RawHomes> for Homes {
    type Error = HomesError;

    fn try_from(raw: RawHomes) -> Result<Self, HomesError> {
        let RawHomes { own, networks, maxmind } = raw;
        if own.is_none() && networks.is_empty() && maxmind.is_none() {
            return Err(HomesError::Nothing);
        }
        if own.as_ref().is_some_and(String::is_empty) {
            return Err(HomesError::NoName("own".to_owned()));
        }
        let mut known: BTreeMap<IpNet, (String, String)> = BTreeMap::new();
        for (text, zone) in networks {
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            let network: IpNet = text.parse().or_else(|_| alone()).map_err(|_| HomesError::Network(text.clone()))?;
            if zone.is_empty() {
                return Err(HomesError::NoName(format!("networks: {text}")));
            }
            if let Some((before, _)) = known.get(&network.trunc()) {
                return Err(HomesError::Twice(network.trunc(), before.clone(), text));
            }
            known.insert(network.trunc(), (text, zone));
        }
        let networks = known.into_iter().map(|(network, (_, zone))| (network, zone)).collect();
        Ok(Self { own, networks, maxmind })
    }
}

impl From<Homes> for RawHomes {
    fn from(homes: Homes) -> Self {
        let networks = homes.networks.into_iter().map(|(network, zone)| (network.to_string(), zone)).collect();
        Self { own: homes.own, networks, maxmind: homes.maxmind }
    }
}

impl JsonSchema for Homes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawHomes::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawHomes::json_schema(generator)
    }
}
