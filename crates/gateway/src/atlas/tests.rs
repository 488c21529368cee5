//! A database in force, another one in its place, and files that are none.

use std::fs;

use tempfile::TempDir;

use super::sample::{Place, database, of_operators};
use super::*;

fn places() -> Vec<u8> {
    let place = |network, continent, country, parts| Place { network, continent, country, parts };
    database(
        "GeoLite2-City",
        &[
            place("192.0.2.0/24", "EU", "FR", &["IDF", "75"]),
            place("198.51.100.0/25", "NA", "US", &["CA"]),
            place("198.51.100.128/25", "NA", "US", &["NY"]),
            place("203.0.113.0/24", "AS", "JP", &[]),
            place("2001:db8::/32", "EU", "DE", &["BE"]),
        ],
    )
}

struct Scene {
    folder: TempDir,
    config: MaxMind,
}

impl Scene {
    fn of(bytes: &[u8], zones: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("a.mmdb");
        fs::write(&file, bytes).expect("written");
        let written = format!(r#"{{"file": "{}", {zones}}}"#, file.display());
        Self { folder, config: serde_json::from_str(&written).expect("right") }
    }

    fn error(bytes: &[u8], zones: &str) -> String {
        let scene = Self::of(bytes, zones);
        Atlas::read(&scene.config).expect_err("no use").to_string()
    }

    /// As who brings a new file should: whole, and under another name first.
    fn bring(&self, bytes: &[u8]) {
        fs::write(self.folder.path().join("new"), bytes).expect("written");
        fs::rename(self.folder.path().join("new"), &self.config.file).expect("in its place");
    }
}

fn of(atlas: &Atlas, client: &str) -> Option<Home> {
    atlas.of(client.parse().expect("an address"))
}

const ZONES: &str =
    r#""continents": {"EU": "a", "NA": "b"}, "countries": {"DE": "c"}, "subdivisions": {"US-CA": "d", "FR-75": "e"}"#;

#[test]
fn the_most_exact_place_that_is_a_zone_counts() {
    let scene = Scene::of(&places(), ZONES);
    let atlas = Atlas::read(&scene.config).expect("sound");
    for (client, zone) in [
        ("192.0.2.7", Some("e")),
        ("198.51.100.1", Some("d")),
        ("198.51.100.200", Some("b")),
        ("2001:db8::1", Some("c")),
        ("203.0.113.1", None),
        ("10.0.0.1", None),
        ("fd00::1", None),
    ] {
        assert_eq!(of(&atlas, client), zone.map(Home::of), "{client}");
    }
}

#[test]
fn where_only_continents_are_zones_they_count() {
    let scene = Scene::of(&places(), r#""continents": {"EU": "a"}"#);
    let atlas = Atlas::read(&scene.config).expect("sound");
    assert_eq!((of(&atlas, "192.0.2.7"), of(&atlas, "198.51.100.1")), (Some(Home::of("a")), None));
}

#[test]
fn a_file_that_says_nothing_of_places_is_refused_with_why() {
    assert!(Scene::error(b"", ZONES).contains("no sound MaxMind database"));
    assert!(Scene::error(b"listeners: []\n", ZONES).contains("no sound MaxMind database"));
    let said = Scene::error(&of_operators(), r#""countries": {"FR": "a"}"#);
    assert!(said.contains("(GeoLite2-ASN) does not say where addresses are"), "{said}");
    let countries =
        database("GeoLite2-Country", &[Place { network: "192.0.2.0/24", continent: "EU", country: "FR", parts: &[] }]);
    let said = Scene::error(&countries, ZONES);
    assert!(said.contains("knows no parts of countries"), "{said}");
    let folder = TempDir::new().expect("a folder");
    let written = format!(r#"{{"file": "{}", "countries": {{"FR": "a"}}}}"#, folder.path().join("none").display());
    let config: MaxMind = serde_json::from_str(&written).expect("right");
    let said = Atlas::read(&config).expect_err("none").to_string();
    assert!(said.contains("none cannot be read"), "{said}");
}

/// Whatever is cut off or turned round, it is refused, or answers something; nothing panics.
#[test]
fn a_damaged_file_is_refused_or_harmless() {
    let whole = places();
    for end in 0..whole.len() {
        let error = Scene::error(&whole[..end], ZONES);
        assert!(error.contains("no sound MaxMind database"), "{end}: {error}");
    }
    let mut refused = 0;
    for at in 0..whole.len() {
        for turned in [0xff, 0x80, 0x01] {
            let mut damaged = whole.clone();
            damaged[at] ^= turned;
            let scene = Scene::of(&damaged, ZONES);
            match Atlas::read(&scene.config) {
                Ok(atlas) => {
                    assert!(["192.0.2.7", "2001:db8::1"].iter().all(|client| of(&atlas, client) != Some(Home::of("x"))))
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > whole.len() / 2, "only {refused} of {} were noticed", whole.len() * 3);
}

#[test]
fn a_changed_file_is_taken_up_and_a_bad_one_leaves_the_last_good_one() {
    let scene = Scene::of(&places(), r#""countries": {"FR": "a", "JP": "b"}"#);
    let atlas = Atlas::read(&scene.config).expect("sound");
    assert!(matches!(atlas.refresh(), Ok(false)));
    scene.bring(b"half of a file");
    assert!(atlas.refresh().is_err() && atlas.is_failing());
    assert!(matches!(atlas.refresh(), Ok(false)), "it is told once");
    assert_eq!((of(&atlas, "192.0.2.7"), atlas.edition()), (Some(Home::of("a")), 0));
    scene.bring(&database(
        "GeoLite2-Country",
        &[Place { network: "192.0.2.0/24", continent: "AS", country: "JP", parts: &[] }],
    ));
    assert!(matches!(atlas.refresh(), Ok(true)));
    assert_eq!((of(&atlas, "192.0.2.7"), atlas.edition(), atlas.is_failing()), (Some(Home::of("b")), 1, false));
    fs::remove_file(&scene.config.file).expect("it was there");
    assert!(atlas.refresh().is_err(), "one that is gone is told as well");
    assert_eq!(of(&atlas, "192.0.2.7"), Some(Home::of("b")));
}
