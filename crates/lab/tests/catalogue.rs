//! The scenario files of the catalogue: each is sound, none of X1 to X18 is missing, and each says what it is for.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ambidex_lab::Span;
use ambidex_lab::scenario::{NotLive, Scenario};
use ambidex_lab::sim::simulate;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/scenarios");
    let files = std::fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect()
}

fn read(file: &Path) -> Scenario {
    Scenario::load(file).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

#[test]
fn none_is_missing_and_each_is_in_the_file_of_its_name() {
    let names = files().into_iter().map(|file| {
        let scenario = read(&file);
        assert_eq!(file.file_stem().and_then(|stem| stem.to_str()), Some(&*scenario.name.to_lowercase()));
        scenario.name.split('-').next().map(str::to_owned).unwrap_or_default()
    });
    let wanted: BTreeSet<String> = (1..=18).map(|number| format!("X{number}")).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn each_begins_with_what_it_is_for() {
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a file");
        let number = read(&file).name.split('-').next().map(str::to_owned).unwrap_or_default();
        assert!(text.starts_with(&format!("# {number}")), "{}", file.display());
    }
}

#[test]
fn each_runs_with_real_processes_but_those_that_only_the_simulator_can() {
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    for file in files() {
        let scenario = read(&file);
        let workers = scenario.live_workers().expect("real workers can do it");
        assert_eq!(workers.len(), scenario.live_faults().len());
        let gateways = vec![target; scenario.gateways.count as usize];
        match scenario.live_load(&gateways) {
            Ok(load) => assert!(load.rate <= 4_000.0, "{}: {} requests a second", file.display(), load.rate),
            Err(error) => assert!(
                matches!(
                    (&*scenario.name, &error),
                    ("X3-costs", NotLive::Costs)
                        | ("X15-coordinator", NotLive::Coordinator)
                        | ("X16-far", NotLive::Apart)
                ),
                "{}: {error}",
                scenario.name
            ),
        }
    }
}

#[test]
fn each_begins_well_in_the_simulator() {
    for file in files() {
        let (warm_up, duration) = (Span::from_millis(500), Span::from_millis(1_500));
        let scenario = Scenario { warm_up, duration, event: None, ..read(&file) };
        let simulated = simulate(&scenario, None, &[]);
        let figures = &simulated.figures;
        assert!(figures.requests > 0 && figures.ok > 0, "{}: {} requests", file.display(), figures.requests);
    }
}
