//! Movers of keyspaces in a coordinator: their stores, their thread, and where the rest of the process finds their boards.
//!
//! ```text
//! room (who is in a pool), leadership --> thread "shards": a mover for each keyspace --> boards --> admin API, a gateway in this process
//! ```
//! The map of a keyspace is kept where the coordinators agree who leads: in the etcd of their election, else, where there is no other
//! coordinator, in this one's data folder. **An election in a place that holds no map is refused**: each coordinator would have a map of
//! its own. A store that does not open is an error at the start; one that goes away later is shown in `status`, and moves stand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use ambidex_core::shard::keyspace::{KeyspaceConfig, KeyspaceName, Ordering};
use ambidex_core::worker::Standing;
use ambidex_shard::{HttpWorkers, Mover, MoverConfig, Parts, PlanRecord, Told};
use ambidex_store::etcd::Etcd;
use ambidex_store::shards::{EmbeddedMetadata, EmbeddedOpenError, EtcdMetadata, Metadata};
use ambidex_wire::shard::records::Named;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::clock::wall_millis;
use crate::config::{ElectionConfig, ElectionPlace};
use crate::coordinator::Shared;
use crate::journal::Record;
use crate::token::{Token, TokenError};

/// Why keyspaces cannot be decided about.
#[derive(Debug, thiserror::Error)]
pub enum ShardsError {
    /// Its store.
    #[error("keyspace `{0}`: {1}")]
    Store(KeyspaceName, #[source] EmbeddedOpenError),
    /// Several coordinators, and no store for all of them.
    #[error(
        "keyspaces: coordinators that agree in `election.{0}` have nowhere to keep one map for all of them: use `election: {{etcd: ..}}`"
    )]
    NoStore(&'static str),
    /// Nothing to show agents.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No thread, or no runtime.
    #[error("the movers' thread could not start: {0}")]
    Thread(#[source] std::io::Error),
}

/// The movers of a process, and their thread.
#[derive(Debug)]
pub(crate) struct Shards(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Shards {
    /// Starts a mover for each keyspace, and puts its board where everybody finds it.
    pub(crate) fn start(
        keyspaces: &BTreeMap<KeyspaceName, KeyspaceConfig>,
        data: &Path,
        election: Option<&ElectionConfig>,
        shared: &Arc<Shared>,
    ) -> Result<Self, ShardsError> {
        if keyspaces.is_empty() {
            return Ok(Self(None));
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(ShardsError::Thread)?;
        let token = Token::of_agents(data)?.path().to_path_buf();
        let workers = HttpWorkers::new(move || read(&token));
        let mut boards = BTreeMap::new();
        for (name, keyspace) in keyspaces {
            let metadata = open(&runtime, name, data, election)?;
            let _within = runtime.enter();
            let board = Mover::start(Parts {
                config: MoverConfig {
                    hash: keyspace.hash(),
                    slices: usize::from(keyspace.slices()),
                    per_shard_order: keyspace.ordering() == Ordering::PerShard,
                    planner: keyspace.planner().clone(),
                    ..MoverConfig::new(name.as_str())
                },
                metadata,
                workers: Arc::new(workers.clone()),
                members: members(shared, keyspace.pool()),
                unwell: unwell(shared, keyspace.pool()),
                record: record(shared),
                may_lead: {
                    let shared = Arc::downgrade(shared);
                    Arc::new(move || shared.upgrade().is_some_and(|shared| shared.leadership.may_publish().is_some()))
                },
                told: told(shared, keyspace.pool()),
                who: u32::from_le_bytes(drawn()),
                map_id: u64::from_le_bytes(drawn()),
            });
            boards.insert(name.as_str().to_owned(), board);
        }
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("shards".into()).spawn(move || run(runtime, ended));
        let thread = thread.map_err(ShardsError::Thread)?;
        // It is set here and nowhere else.
        drop(shared.boards.set(boards));
        Ok(Self(Some((end, thread))))
    }

    /// Ends them, and waits for what they write.
    pub(crate) fn end(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            // A panic over there was told when it happened.
            drop(thread.join());
        }
    }
}

fn run(runtime: Runtime, ended: oneshot::Receiver<()>) {
    let _: Result<(), _> = runtime.block_on(ended);
    // A change that is being written is written to its end.
    runtime.shutdown_timeout(ENDS_WITHIN);
}

fn open(
    runtime: &Runtime,
    name: &KeyspaceName,
    data: &Path,
    election: Option<&ElectionConfig>,
) -> Result<Arc<dyn Metadata>, ShardsError> {
    let Some(election) = election else {
        let folder: PathBuf = data.join("maps").join(name.as_str());
        let store = EmbeddedMetadata::open(&folder).map_err(|why| ShardsError::Store(name.clone(), why))?;
        return Ok(Arc::new(store));
    };
    match election.place() {
        ElectionPlace::Etcd(config) => {
            let _within = runtime.enter();
            let prefix = format!("{}/maps/{name}", election.prefix().trim_end_matches('/'));
            Ok(Arc::new(EtcdMetadata::new(Etcd::new(config), &prefix)))
        }
        place @ (ElectionPlace::Redis(_) | ElectionPlace::Kubernetes(_)) => Err(ShardsError::NoStore(place.word())),
    }
}

type Members = Arc<dyn Fn() -> Option<Vec<Named>> + Send + Sync>;

/// Who is in a pool; nobody known yet is not nobody.
fn members(shared: &Arc<Shared>, pool: &str) -> Members {
    let (shared, pool) = (Arc::downgrade(shared), pool.to_owned());
    Arc::new(move || {
        let shared = shared.upgrade()?;
        let room = shared.room();
        let workers = room.pool(&pool).ok()?.roster.workers();
        let named = |worker: &crate::roster::Worker| Named {
            name: worker.found.name.to_string(),
            address: worker.found.url.to_string(),
        };
        let members: Vec<Named> = workers.iter().map(named).collect();
        (!members.is_empty()).then_some(members)
    })
}

/// Who in a pool is not well, or taken out by an operator.
fn unwell(shared: &Arc<Shared>, pool: &str) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
    let (shared, pool) = (Arc::downgrade(shared), pool.to_owned());
    Arc::new(move || {
        let Some(shared) = shared.upgrade() else { return Vec::new() };
        let room = shared.room();
        let Ok(pool) = room.pool(&pool) else { return Vec::new() };
        let unwell = pool.roster.workers().iter().filter(|worker| worker.standing() != Standing::Serving);
        unwell.map(|worker| worker.found.name.to_string()).collect()
    })
}

/// Writes the planners' decisions into the journal.
fn record(shared: &Arc<Shared>) -> Arc<dyn Fn(PlanRecord) + Send + Sync> {
    let shared = Arc::downgrade(shared);
    Arc::new(move |record| {
        let Some(shared) = shared.upgrade() else { return };
        let journal = Arc::clone(&shared.room().journal);
        journal.append(wall_millis(), Record::Shards(Box::new(record)));
    })
}

/// Journals and shows what happens to slices, beside what happens to their pool.
fn told(shared: &Arc<Shared>, pool: &str) -> Arc<dyn Fn(Told) + Send + Sync> {
    let (shared, pool) = (Arc::downgrade(shared), Arc::<str>::from(pool));
    Arc::new(move |told| {
        if let Some(shared) = shared.upgrade() {
            shared.room().tell_shard(&pool, told);
        }
    })
}

/// The token of agents, as its file has it now.
fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| format!("the token of the agents' contract cannot be read from {}: {error}", path.display()))
}

/// Random bytes; where the system gives none, two lives look alike, and only compares tell them apart.
fn drawn<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    bytes
}

/// How long a change of the map may take to be written at the end. Source: ours; a sync of a disk that is well takes milliseconds.
const ENDS_WITHIN: std::time::Duration = std::time::Duration::from_secs(3);
