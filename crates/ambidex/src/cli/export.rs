//! `ambidex export`: what other tools read of this one.

use ambidex_insight::export::{grafana, rules};
use ambidex_insight::sources::prometheus::{ExportError, Exported, exported, names};
use clap::{Args, Subcommand};

use super::{End, answer, answer_json, complain};

/// What can be exported.
#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// The admin API as an OpenAPI 3.1 document.
    Openapi,
    /// Recording and alert rules for a Prometheus, by the thresholds of `ambidex diagnose`.
    Rules(SetArguments),
    /// A dashboard for Grafana of what those rules record.
    Grafana(SetArguments),
}

#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// Which metrics: node, kubernetes, istio, envoy, .. Default: all sets; a Prometheus without one's metrics records nothing of it.
    #[arg(long = "set", value_name = "NAME")]
    sets: Vec<String>,
    /// Matchers that narrow all queries: `job="node",zone="a"`.
    #[arg(long = "match", value_name = "MATCHERS", default_value = "")]
    matchers: String,
}

pub(super) fn run(command: &ExportCommand) -> End {
    let written = match command {
        ExportCommand::Openapi => {
            answer_json(&ambidex_control::openapi());
            Ok(())
        }
        ExportCommand::Rules(arguments) => arguments.sets().map(|sets| answer(&rules::yaml(&sets))),
        ExportCommand::Grafana(arguments) => arguments.sets().map(|sets| answer_json(&grafana::dashboard(&sets))),
    };
    match written {
        Ok(()) => End::Worked,
        Err(problem) => {
            complain(&format!("{problem}\n"));
            End::Wrong
        }
    }
}

impl SetArguments {
    fn sets(&self) -> Result<Vec<Exported>, ExportError> {
        let all = || names().into_iter().map(str::to_owned).collect();
        let chosen = if self.sets.is_empty() { all() } else { self.sets.clone() };
        exported(&chosen, &self.matchers)
    }
}
