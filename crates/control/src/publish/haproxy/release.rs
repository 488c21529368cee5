//! Puts back what was found: the weights before the first change, and an end to the drains that were ours.

use ambidex_haproxy::{Level, exchange};

use super::config::HaproxyConfig;
use super::memory::Memory;
use super::orders::obeyed;
use super::steer::{Change, What};
use super::told::{Backend, Out, question, read};

impl HaproxyConfig {
    /// Puts back what `kept` says was found; what that took, one sentence each.
    ///
    /// # Errors
    /// What could not be put back, and why: nothing that was kept is to be forgotten then.
    pub(crate) async fn release(&self, kept: &[u8]) -> Result<Vec<String>, String> {
        let memory = Memory::of(Some(kept));
        let names: Vec<&str> = memory.backends.keys().map(String::as_str).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let line = question(names.iter().copied());
        let text = exchange(&self.address, Level::Admin, &line, self.timeout).await.map_err(|why| why.to_string())?;
        let mut changes = Vec::new();
        for (name, told) in names.iter().zip(read(&text, &names)) {
            let backend = told.map_err(|why| why.to_string())?;
            changes.extend(back(name, &backend, &memory));
        }
        let sentences = changes.iter().map(Change::to_string).collect();
        let mut left = &changes[..];
        while !left.is_empty() {
            left = &left[obeyed(&self.address, left, self.timeout).await?..];
        }
        Ok(sentences)
    }
}

fn back(name: &str, backend: &Backend, memory: &Memory) -> Vec<Change> {
    let kept = memory.backends.get(name);
    let mut changes = Vec::new();
    for server in &backend.servers {
        let Some(found) = kept.and_then(|kept| kept.get(&server.name)) else { continue };
        let weight = (found.weight != server.weight).then_some(What::Weight(found.weight));
        let ready = (found.drained && server.out == Out::Drain).then_some(What::Ready);
        changes.extend(weight.into_iter().chain(ready).map(|what| Change {
            backend: name.to_owned(),
            server: server.name.clone(),
            weight: server.weight,
            what,
        }));
    }
    changes
}
