//! `ambidex coordinator FILE --release`: what publishers found in other proxies is put back, and nothing else is done.
//!
//! It opens the same store as the coordinator, so the two cannot run at the same time and undo each other's work.

use ambidex_control::publish;
use serde_json::json;
use tokio::runtime::Builder;

use super::{FLUSH_WITHIN, RunError, open_store};
use crate::cli::{End, Output, answer, complain};
use crate::config::{Config, CoordinatorFile, Form as _};
use crate::env;
use crate::standalone::{Standalone, publishers};

/// Puts back what was found; says what that took.
pub(crate) fn release(config: &Config<CoordinatorFile>, output: Output) -> End {
    match put_back(config) {
        Ok(released) => {
            answer(&told(&released, output));
            if released.iter().all(|one| one.fault.is_none()) { End::Worked } else { End::Failed }
        }
        Err(error) => {
            complain(&format!("{error}\n"));
            End::Failed
        }
    }
}

/// One publisher.
struct Released {
    name: String,
    done: Vec<String>,
    fault: Option<String>,
}

fn put_back(config: &Config<CoordinatorFile>) -> Result<Vec<Released>, RunError> {
    let data = env::data_folder(config.file.journal().path.as_ref());
    let Some(journal) = open_store::<Standalone>(config, &data, true)? else { return Ok(Vec::new()) };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(RunError::Signals)?;
    let one = |one: publish::Publish| {
        let (done, fault) = match runtime.block_on(publish::release(&one, &*journal)) {
            Ok(done) => (done, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        Released { name: one.name.to_string(), done, fault }
    };
    let released = publishers(&config.file).into_iter().map(one).collect();
    journal.store().flush(FLUSH_WITHIN);
    Ok(released)
}

fn told(released: &[Released], output: Output) -> String {
    match output {
        Output::Json => {
            let one = |one: &Released| json!({"name": one.name, "changes": one.done, "fault": one.fault});
            let publishers: Vec<_> = released.iter().map(one).collect();
            format!("{:#}\n", json!({"schema_version": 1, "publishers": publishers}))
        }
        Output::Text => released.iter().map(Released::text).collect(),
    }
}

impl Released {
    fn text(&self) -> String {
        let name = &self.name;
        match &self.fault {
            Some(why) => format!("{name}: nothing is put back: {why}\n"),
            None if self.done.is_empty() => format!("{name}: there is nothing to put back\n"),
            None => self.done.iter().map(|done| format!("{name}: {done}\n")).collect(),
        }
    }
}
