//! What a comparison will run, and how long that takes: told before it begins, because it can be hours.

use std::str::FromStr;

use ambidex_core::time::Span;

use super::contenders::{Contender, Standing};
use super::{Against, Bench, LiveError, length};
use crate::report::Kind;
use crate::scenario::Scenario;

/// Which arms run of those whom a comparison is with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    #[default]
    All,
    /// Ours, and those that a goal compares with.
    Goals,
}

/// Why a word does not say which arms run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say which arms run: write `all`, or `goals` for those that a goal compares with")]
pub struct WhichError(String);

impl FromStr for Which {
    type Err = WhichError;

    fn from_str(text: &str) -> Result<Self, WhichError> {
        match text {
            "all" => Ok(Self::All),
            "goals" => Ok(Self::Goals),
            other => Err(WhichError(other.to_owned())),
        }
    }
}

/// What a comparison will run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The arms that run, ours first.
    pub arms: Vec<String>,
    /// Those that cannot.
    pub skipped: Vec<String>,
    /// How long that takes when no run has to be made again.
    pub length: Span,
}

impl Bench {
    /// What [`compare`](Self::compare) would run.
    ///
    /// # Errors
    /// As there.
    pub fn plan(&self, scenario: &Scenario, against: &[Against], which: Which) -> Result<Plan, LiveError> {
        let (run, skip): (Vec<Contender>, Vec<Contender>) = self
            .contenders(scenario, against, which)?
            .into_iter()
            .partition(|contender| matches!(contender.standing, Standing::Installed(_)));
        let runs = run.len() * self.repeats;
        let names = |contenders: Vec<Contender>| contenders.into_iter().map(|contender| contender.name).collect();
        let length = length(scenario, runs) + START.times(runs as u64);
        Ok(Plan { arms: names(run), skipped: names(skip), length })
    }

    /// Ours, and those whom the comparison is with.
    pub(super) fn contenders(
        &self,
        scenario: &Scenario,
        against: &[Against],
        which: Which,
    ) -> Result<Vec<Contender>, LiveError> {
        let mut contenders = vec![Contender::ours(scenario, &self.binary)?];
        for name in against {
            contenders.extend(name.contenders(scenario, &self.binary, &self.programs)?);
        }
        match which {
            Which::All => {}
            Which::Goals => contenders.retain(|contender| contender.is_of_a_goal(scenario)),
        }
        Ok(contenders)
    }
}

impl Contender {
    /// Whether a goal is about it. Who is not installed might be.
    fn is_of_a_goal(&self, scenario: &Scenario) -> bool {
        let mut named = scenario.goals.iter().filter_map(|goal| goal.against.as_deref());
        match self.kind {
            Kind::Ours => true,
            Kind::Told => false,
            Kind::OursOtherwise | Kind::Peer => named.any(|name| match name {
                "best" | "every peer" => self.kind == Kind::Peer,
                name => {
                    let missing = matches!(self.standing, Standing::Missing { .. }) && name != "rules";
                    missing || self.name == name || self.known_as.iter().any(|known| known == name)
                }
            }),
        }
    }
}

/// What starting and ending the processes of a run takes. Source: measured, `cargo xtask bench lab`.
const START: Span = Span::from_millis(1_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Programs;

    fn scenario(goals: &str) -> Scenario {
        let text = format!(
            "scenario: T\ntitle: a test\nwarm_up: 1s\nduration: 10s\nworkers: [{{name: w, count: 2}}]\n\
             load: {{rate: 50%}}\ngoals: [{goals}]\n"
        );
        Scenario::read("a test", text).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
    }

    fn plan(goals: &str, which: Which) -> Plan {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("haproxy"), "").expect("written");
        let programs = Programs { folders: vec![folder.path().to_owned()] };
        let bench = Bench { programs, repeats: 2, ..Bench::new("ambidex".into()) };
        bench.plan(&scenario(goals), &[Against::Haproxy, Against::Nginx, Against::Rules], which).expect("a plan")
    }

    #[test]
    fn only_the_arms_of_goals_run_where_that_is_wanted() {
        let goals = "{metric: p99, against: round-robin, at_most: 1}, {metric: failed, at_most: 1%}";
        let Plan { arms, skipped, length } = plan(goals, Which::Goals);
        assert_eq!(arms, ["ambidex", "haproxy roundrobin"]);
        assert_eq!(skipped, ["nginx"], "it might have had that way");
        // Two arms, twice each, of 11 s and a second for the processes.
        assert_eq!(length, Span::from_secs(48));
        assert_eq!(plan(goals, Which::All).arms.len(), 10);
        assert_eq!(plan("{metric: p99, against: rules, at_most: 1}", Which::Goals).arms.len(), 7);
    }

    #[test]
    fn another_word_is_refused() {
        assert_eq!("goals".parse(), Ok(Which::Goals));
        assert!("some".parse::<Which>().expect_err("refused").to_string().contains("`all`"));
    }
}
