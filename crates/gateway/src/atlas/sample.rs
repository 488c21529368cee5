//! Small MaxMind databases for tests, made from the format's document: a search tree of networks, the data of each, what the
//! file says of itself.
#![allow(dead_code, reason = "each who includes it uses a part of it")]

use std::net::IpAddr;

/// A value in a database, as far as places need them.
pub(crate) enum Value<'v> {
    Text(&'v str),
    /// Of one of the format's kinds.
    Number(u8, u64),
    List(Vec<Value<'v>>),
    Map(Vec<(&'v str, Value<'v>)>),
}

/// Where a network is: continent, country, parts of the country from the largest to the smallest.
pub(crate) struct Place<'p> {
    pub(crate) network: &'p str,
    pub(crate) continent: &'p str,
    pub(crate) country: &'p str,
    pub(crate) parts: &'p [&'p str],
}

impl Place<'_> {
    fn data(&self) -> Vec<u8> {
        let part = |code: &&'_ str| encoded(&Value::Map(vec![("iso_code", Value::Text(code))]));
        let mut parts = head(LIST, self.parts.len());
        parts.extend(self.parts.iter().flat_map(part));
        let mut data = head(MAP, 3);
        for (key, value) in [
            ("continent", encoded(&Value::Map(vec![("code", Value::Text(self.continent))]))),
            ("country", encoded(&Value::Map(vec![("iso_code", Value::Text(self.country))]))),
            ("subdivisions", parts),
        ] {
            data.extend(encoded(&Value::Text(key)));
            data.extend(value);
        }
        data
    }
}

/// A database that says of these networks where they are.
pub(crate) fn database(kind: &str, places: &[Place<'_>]) -> Vec<u8> {
    let data: Vec<_> = places.iter().map(|place| (place.network, place.data())).collect();
    built(kind, &data)
}

/// One that says who runs a network.
pub(crate) fn of_operators() -> Vec<u8> {
    let data = encoded(&Value::Map(vec![("autonomous_system_number", Value::Number(UINT32, 64_496))]));
    built("GeoLite2-ASN", &[("192.0.2.0/24", data)])
}

fn built(kind: &str, networks: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tree: Vec<[Branch; 2]> = vec![[Branch::Nothing; 2]];
    let mut data: Vec<u8> = Vec::new();
    for (network, value) in networks {
        let (bits, length) = bits(network);
        insert(&mut tree, bits, length, data.len());
        data.extend(value);
    }
    let mut file: Vec<u8> = Vec::new();
    for node in &tree {
        for branch in node {
            let record = match branch {
                Branch::Nothing => tree.len(),
                Branch::Node(at) => *at,
                Branch::Data(at) => tree.len() + 16 + at,
            };
            file.extend(&u32::try_from(record).expect("small").to_be_bytes()[1..]);
        }
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(encoded(&Value::Map(vec![
        ("node_count", Value::Number(UINT32, tree.len() as u64)),
        ("record_size", Value::Number(UINT16, 24)),
        ("ip_version", Value::Number(UINT16, 6)),
        ("database_type", Value::Text(kind)),
        ("languages", Value::List(vec![Value::Text("en")])),
        ("binary_format_major_version", Value::Number(UINT16, 2)),
        ("binary_format_minor_version", Value::Number(UINT16, 0)),
        ("build_epoch", Value::Number(UINT64, 1_700_000_000)),
        ("description", Value::Map(vec![("en", Value::Text("made by a test"))])),
    ])));
    file
}

#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Node(usize),
    Data(usize),
}

fn insert(tree: &mut Vec<[Branch; 2]>, bits: u128, length: u32, data: usize) {
    let mut node = 0;
    for at in 0..length {
        let side = usize::from(bits >> (127 - at) & 1 == 1);
        if at + 1 == length {
            tree[node][side] = Branch::Data(data);
            return;
        }
        node = match tree[node][side] {
            Branch::Node(next) => next,
            Branch::Nothing => {
                tree.push([Branch::Nothing; 2]);
                let next = tree.len() - 1;
                tree[node][side] = Branch::Node(next);
                next
            }
            Branch::Data(_) => panic!("networks of a sample do not lie within each other"),
        };
    }
}

/// The first bits of a network, IPv4 as the last 32 of IPv6, and how many.
fn bits(network: &str) -> (u128, u32) {
    let (address, length) = network.split_once('/').expect("a prefix length");
    let length: u32 = length.parse().expect("a number");
    match address.parse().expect("an address") {
        IpAddr::V4(address) => (u128::from(u32::from(address)), length + 96),
        IpAddr::V6(address) => (u128::from(address), length),
    }
}

const TEXT: u8 = 2;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const LIST: u8 = 11;

fn encoded(value: &Value<'_>) -> Vec<u8> {
    match value {
        Value::Text(text) => [head(TEXT, text.len()), text.as_bytes().to_vec()].concat(),
        Value::Number(kind, number) => {
            let bytes = number.to_be_bytes();
            let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            [head(*kind, bytes.len()), bytes.to_vec()].concat()
        }
        Value::List(items) => {
            let mut bytes = head(LIST, items.len());
            items.iter().for_each(|item| bytes.extend(encoded(item)));
            bytes
        }
        Value::Map(pairs) => {
            let mut bytes = head(MAP, pairs.len());
            for (key, value) in pairs {
                bytes.extend(encoded(&Value::Text(key)));
                bytes.extend(encoded(value));
            }
            bytes
        }
    }
}

/// A value's control byte, with the byte of an extended type after it.
fn head(kind: u8, size: usize) -> Vec<u8> {
    let size = u8::try_from(size).expect("small");
    assert!(size < 29, "longer ones need more bytes");
    if kind < 8 { vec![kind << 5 | size] } else { vec![size, kind - 7] }
}
