//! Which zone a client is in: by a table of networks, of which the longest prefix counts, compiled from the configuration, else
//! by the place that its address is in.

use std::net::IpAddr;
use std::sync::Arc;

use ambidex_core::zone::Home;
use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use crate::atlas::{Atlas, AtlasError};
use crate::config::Homes;

/// The table.
#[derive(Debug)]
pub(crate) struct HomeTable {
    own: Option<Home>,
    networks: JointPrefixMap<IpNet, Home>,
    atlas: Option<Arc<Atlas>>,
}

impl HomeTable {
    /// The table, with all that can fail: reading the database of places. One that `previous` has read is not read again.
    pub(crate) fn new(homes: &Homes, previous: Option<&Self>) -> Result<Self, AtlasError> {
        let mut networks = JointPrefixMap::new();
        for (network, zone) in &homes.networks {
            networks.insert(*network, Home::of(zone));
        }
        let known = previous.and_then(|previous| previous.atlas.as_ref());
        let atlas = |config| match known.filter(|known| known.is_of(config)) {
            Some(known) => Ok(Arc::clone(known)),
            None => Atlas::read(config).map(Arc::new),
        };
        let atlas = homes.maxmind.as_ref().map(atlas).transpose()?;
        Ok(Self { own: homes.own.as_deref().map(Home::of), networks, atlas })
    }

    /// The zone of a client: by its network, else by its place, else the gateway's own.
    pub(crate) fn of(&self, client: Option<IpAddr>) -> Option<Home> {
        let client = client.map(|client| client.to_canonical());
        let known = client.and_then(|client| self.networks.get_lpm(&IpNet::from(client))).map(|(_, home)| *home);
        known.or_else(|| self.atlas.as_ref()?.of(client?)).or(self.own)
    }

    /// Another one when a client may be in another zone than before.
    pub(crate) fn edition(&self) -> u64 {
        self.atlas().map_or(0, Atlas::edition)
    }

    /// The database of places, if there is one.
    pub(crate) fn atlas(&self) -> Option<&Atlas> {
        self.atlas.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(written: &str) -> HomeTable {
        HomeTable::new(&serde_json::from_str(written).expect("sound"), None).expect("no file is read")
    }

    fn of(table: &HomeTable, client: &str) -> Option<Home> {
        table.of(Some(client.parse().expect("an address")))
    }

    #[test]
    fn the_longest_prefix_says_the_zone_and_the_rest_is_of_the_gateways_own() {
        let table = table(
            r#"{"own": "here", "networks": {"10.0.0.0/8": "a", "10.1.0.0/16": "b", "10.1.2.3": "c", "fd00::/8": "d"}}"#,
        );
        for (client, zone) in [
            ("10.9.9.9", "a"),
            ("10.1.9.9", "b"),
            ("10.1.2.3", "c"),
            ("::ffff:10.1.9.9", "b"),
            ("fd12::1", "d"),
            ("192.0.2.1", "here"),
        ] {
            assert_eq!(of(&table, client), Some(Home::of(zone)), "{client}");
        }
        assert_eq!(table.of(None), Some(Home::of("here")));
    }

    #[test]
    fn a_client_of_no_known_network_is_of_no_zone_where_the_gateway_has_none() {
        assert_eq!(of(&table(r#"{"networks": {"10.0.0.0/8": "a"}}"#), "192.0.2.1"), None);
    }

    #[test]
    fn a_table_with_a_mistake_is_refused_with_what_is_wrong() {
        for (written, wanted) in [
            ("{}", "none of `own`, `networks` and `maxmind` is there"),
            (r#"{"own": ""}"#, "own: a zone needs a name"),
            (r#"{"networks": {"10.0.0.0/33": "a"}}"#, "networks: `10.0.0.0/33` is no network"),
            (r#"{"networks": {"10.0.0.0/8": ""}}"#, "networks: 10.0.0.0/8: a zone needs a name"),
            (r#"{"networks": {"10.0.0.0/8": "a", "10.1.0.0/8": "b"}}"#, "networks: `10.0.0.0/8` is there twice"),
        ] {
            let error = serde_json::from_str::<Homes>(written).expect_err("a mistake").to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
