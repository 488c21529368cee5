//! The agent of a worker of keyspaces: what stands between the gateway of this process and the application, and reads coordinators.
//!
//! ```text
//! gateways, coordinators -> agent.shards.listen: ShardAgent --------> the application
//! listeners -> the gateway of this process (the worker's gate) ---/   no slice's fields come through: it can read, and not write
//! ```
//! The gateway of this process takes fields of ours off what it is given, because clients may write them. So slices have a port of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ambidex_control::config::{Member, PoolMembers, Source, WorkerUrl};
use ambidex_core::shard::records::{Move, MoveId};
use ambidex_core::worker::WorkerId;
use ambidex_shard::ThroughCoordinator;
use ambidex_worker::shard::metadata::Asking;
use ambidex_worker::shard::verify::{self, Check};
use ambidex_worker::shard::{HttpApplication, Metadata, ShardAgent, ShardStartError, ShardsConfig, Shown};

use crate::config::{File, Pool};

/// Why the worker's slices are not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlicesError {
    /// The agent itself.
    #[error(transparent)]
    Start(#[from] ShardStartError),
    /// Its coordinators.
    #[error("agent.shards.coordinators: {0}")]
    Coordinators(#[from] ambidex_shard::CoordinatorUrlError),
}

/// Begins before the one worker of the file, if it holds slices.
///
/// # Errors
/// What cannot be opened or read.
pub(crate) fn start(file: &File) -> Result<Option<ShardAgent>, SlicesError> {
    let Some((shards, application)) = config(file).zip(application(file)) else { return Ok(None) };
    let token_file = shards.coordinator_token_file.clone();
    let through = ThroughCoordinator::new(&shards.coordinators, move || {
        let read = std::fs::read_to_string(&token_file);
        read.map(Some).map_err(|error| format!("the token file {}: {error}", token_file.display()))
    })?;
    Ok(Some(ShardAgent::start(shards, application.url.text(), Arc::new(Coordinators(through)))?))
}

fn config(file: &File) -> Option<&ShardsConfig> {
    file.agent.as_ref()?.shards.as_ref()
}

/// The one worker, which the checks have made sure of.
fn application(file: &File) -> Option<&Member> {
    match file.pools.values().next()?.sources() {
        [Source::Worker(member)] => Some(member),
        _ => None,
    }
}

/// The pools, with the worker reached through its agent. It keeps its name.
pub(crate) fn through(pools: &BTreeMap<String, Pool>, agent: Option<&ShardAgent>) -> BTreeMap<String, Pool> {
    let mut pools = pools.clone();
    let Some(url) = agent.and_then(|agent| format!("http://{}", agent.address()).parse::<WorkerUrl>().ok()) else {
        return pools;
    };
    for pool in pools.values_mut() {
        if let [Source::Worker(member)] = pool.sources() {
            let reached = Member { url: url.clone(), name: Some(Arc::clone(member.identity())), ..member.clone() };
            pool.workers = PoolMembers::try_from(vec![Source::Worker(reached)]).ok();
        }
    }
    pools
}

/// Whether two files differ in what is settled at the start.
pub(crate) fn differ(old: &File, new: &File) -> bool {
    config(old) != config(new) || application(old) != application(new)
}

/// The store as coordinators show it.
#[derive(Debug)]
struct Coordinators(ThroughCoordinator);

impl Metadata for Coordinators {
    fn read_move<'a>(&'a self, keyspace: &'a str, move_: MoveId) -> Asking<'a, Option<Move>> {
        Box::pin(async move { self.0.move_(keyspace, move_).await.map_err(|error| error.to_string()) })
    }

    fn slices<'a>(&'a self, keyspace: &'a str) -> Asking<'a, Shown> {
        Box::pin(async move {
            let text = self.0.slices(keyspace).await.map_err(|error| error.to_string())?;
            let table = text.table().map_err(|error| error.to_string())?;
            Ok(Shown {
                map_id: format!("{:016x}", text.map_id),
                slices: table.slices().to_vec(),
                workers: text.workers.into_iter().map(|(id, named)| (WorkerId(id), named.name)).collect(),
            })
        })
    }
}

/// Whether the application at this URL keeps the contract.
///
/// # Errors
/// No runtime.
pub(crate) fn verify(url: &str, prefix: &str) -> std::io::Result<Vec<Check>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checks = runtime.block_on(async {
        let application = HttpApplication::new(url, prefix, PATIENCE);
        verify::verify(&application).await
    });
    runtime.shutdown_background();
    Ok(checks)
}

/// How long the application may take for one question. Source: ours, as of `agent.shards.timeout`.
const PATIENCE: Duration = Duration::from_secs(30);
