//! Which zone a client is in: a table of networks, of which the longest prefix counts, compiled from the configuration.

use std::net::IpAddr;

use ambidex_core::zone::Home;
use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use crate::config::Homes;

/// The table.
#[derive(Debug)]
pub(crate) struct HomeTable {
    own: Option<Home>,
    networks: JointPrefixMap<IpNet, Home>,
}

impl HomeTable {
    pub(crate) fn new(homes: &Homes) -> Self {
        let mut networks = JointPrefixMap::new();
        for (network, zone) in &homes.networks {
            networks.insert(*network, Home::of(zone));
        }
        Self { own: homes.own.as_deref().map(Home::of), networks }
    }

    /// The zone of a client: by its network, else the gateway's own.
    pub(crate) fn of(&self, client: Option<IpAddr>) -> Option<Home> {
        let known = client.and_then(|client| self.networks.get_lpm(&IpNet::from(client.to_canonical())));
        known.map(|(_, home)| *home).or(self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(written: &str) -> HomeTable {
        HomeTable::new(&serde_json::from_str(written).expect("sound"))
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
            ("{}", "neither `own` nor `networks` is there"),
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
