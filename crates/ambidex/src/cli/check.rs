//! `ambidex check FILE`: everything that is wrong with a configuration, or that it is good.

use std::path::Path;

use super::{End, Output, answer, colored, complain, counted};
use crate::config::{self, Form as _, Known, Severity};

pub(super) fn run(path: &Path, output: Output) -> End {
    let (findings, summary, end) = match config::load_any(path) {
        Ok(Known::Gateway(config)) => match config.with_files() {
            Ok(config) => (config.findings, config.file.summary(), End::Worked),
            Err(findings) => (findings, String::new(), End::Failed),
        },
        Ok(Known::Coordinator(config)) => {
            (config.findings, format!("for `ambidex coordinator`: {}", config.file.summary()), End::Worked)
        }
        Err(findings) => (findings, String::new(), End::Failed),
    };
    match output {
        Output::Json => answer(&format!("{:#}\n", findings.json())),
        Output::Text => {
            complain(&findings.render(colored()));
            let (errors, warnings) = (findings.count(Severity::Error), findings.count(Severity::Warning));
            match end {
                End::Worked => {
                    answer(&format!("{}: good: {summary}, {}\n", findings.file, counted(warnings, "warning")))
                }
                End::Failed | End::Wrong | End::Unclear => {
                    complain(&format!("{}: {}\n", findings.file, counted(errors, "error")));
                }
            }
        }
    }
    end
}
