//! Connections to the primaries of a cluster, and what is asked there.
//!
//! One question at a time for each node, and none is asked again by itself: whoever asks knows whether that would do harm. A connection
//! that broke is made anew by the next question.

use std::collections::BTreeMap;
use std::time::Duration;

use ambidex_store::remote::RemoteConfig;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, Value};
use tokio::time::{Instant, sleep};

use crate::view::{Address, NodeId, Primary, Said, Unfit, View, ViewError};

/// A cluster whose primaries can all be asked.
#[derive(Debug)]
pub struct Cluster {
    config: RemoteConfig,
    /// How it was when it was read; kept up with what is moved.
    pub view: View,
    links: Vec<Link>,
}

#[derive(Debug)]
struct Link {
    address: Address,
    connection: Option<MultiplexedConnection>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It cannot be connected to. Nothing was run.
    #[error("{at} cannot be reached: {why}")]
    Away {
        /// Where.
        at: String,
        /// What happened.
        why: String,
    },
    /// No answer came. It may have been run.
    #[error("{at} did not answer: {why}")]
    Silent {
        /// Where.
        at: String,
        /// What happened.
        why: String,
    },
    /// It answered with an error.
    #[error("{at} refuses {what}: {why}")]
    Refused {
        /// Where.
        at: String,
        /// What was asked.
        what: String,
        /// What it said.
        why: String,
    },
}

/// Why a cluster cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A node gives no answer.
    #[error("{0}")]
    Ask(#[from] AskError),
    /// A node says what is not understood.
    #[error("{at}: {why}")]
    View {
        /// Where.
        at: String,
        /// What is wrong.
        why: ViewError,
    },
    /// It is no cluster.
    #[error(
        "{0} is an instance by itself (cluster support disabled): the pilot moves slots of a cluster; for plain instances see docs/redis.md"
    )]
    Plain(String),
    /// One of its primaries is away.
    #[error(
        "{0} fails, or is not connected to the others: nothing is moved in a cluster that is not whole; bring it back, or let a replica take over"
    )]
    Failing(Address),
    /// It changed while it was read.
    #[error("{0} is another node than it was said to be: the cluster is changing; ask again in a moment")]
    Changed(Address),
    /// More nodes than are asked.
    #[error("{0} primaries: more than {MOST_NODES} are not taken")]
    TooMany(usize),
    /// Slots have no owner, or several.
    #[error("{0}")]
    Unfit(#[from] Unfit),
}

/// What `CLUSTER SETSLOT` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetSlot<'a> {
    /// It comes from there.
    Importing(&'a NodeId),
    /// It goes there.
    Migrating(&'a NodeId),
    /// It is in no move.
    Stable,
    /// It belongs there.
    Node(&'a NodeId),
}

impl Cluster {
    /// Reads a cluster by way of any of its nodes.
    ///
    /// # Errors
    /// It cannot be read whole.
    pub async fn read(config: &RemoteConfig) -> Result<Self, ReadError> {
        let mut seed = Link { address: Address { host: String::new(), port: 0 }, connection: None };
        let info: String = seed.ask(config, redis::cmd("INFO").arg("cluster")).await?;
        let seed_host = seed.address.host.clone();
        if info.lines().any(|line| line.trim() == "cluster_enabled:0") {
            return Err(ReadError::Plain(seed.address.to_string()));
        }
        let said = seed.nodes(config).await?;
        let primaries: Vec<_> = said.nodes.iter().filter(|node| node.primary).collect();
        if primaries.len() > MOST_NODES {
            return Err(ReadError::TooMany(primaries.len()));
        }
        let (mut links, mut read) = (Vec::new(), Vec::new());
        for known in primaries {
            let mut address = known.address.clone();
            if address.host.is_empty() {
                address.host.clone_from(&seed_host);
            }
            if known.failing {
                // Who failed and has nothing any more was replaced, and is no loss.
                if known.slots.is_empty() {
                    continue;
                }
                return Err(ReadError::Failing(address));
            }
            let mut link = Link { address: address.clone(), connection: None };
            let own = link.nodes(config).await?;
            let myself = own.myself().filter(|myself| myself.id == known.id && myself.primary);
            let myself = myself.ok_or(ReadError::Changed(address.clone()))?;
            let others = own.nodes.iter().filter(|node| !node.myself && !node.slots.is_empty());
            read.push(Primary {
                id: myself.id.clone(),
                address,
                slots: myself.slots.clone(),
                open: own.open.clone(),
                believes: others.map(|node| (node.id.clone(), node.slots.clone())).collect(),
                replicas: own.nodes.iter().filter(|node| node.of.as_ref() == Some(&myself.id)).count(),
            });
            links.push(link);
        }
        let view = View::new(read);
        let place = |link: &Link| view.primaries.iter().position(|primary| primary.address == link.address);
        links.sort_by_key(place);
        Ok(Self { config: config.clone(), view, links })
    }

    /// The same, and waits until its nodes agree on who owns what, as they do some seconds after a change.
    ///
    /// # Errors
    /// They do not.
    pub async fn read_whole(config: &RemoteConfig) -> Result<Self, ReadError> {
        let deadline = Instant::now() + AGREE;
        loop {
            let cluster = Self::read(config).await?;
            match cluster.view.fit() {
                Ok(()) => return Ok(cluster),
                Err(unfit) if Instant::now() >= deadline => return Err(unfit.into()),
                Err(_) => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// How it is spoken to.
    #[must_use]
    pub const fn config(&self) -> &RemoteConfig {
        &self.config
    }

    /// Where a primary is, by place.
    #[must_use]
    pub fn address(&self, place: usize) -> &Address {
        &self.links[place].address
    }

    /// Asks a primary.
    ///
    /// # Errors
    /// There is no answer of this kind.
    pub async fn ask<T: FromRedisValue>(&mut self, place: usize, command: &Cmd) -> Result<T, AskError> {
        self.links[place].ask(&self.config, command).await
    }

    /// Asks a primary many things at once; each is answered for itself.
    ///
    /// # Errors
    /// There are no answers.
    pub async fn ask_all(&mut self, place: usize, commands: &[Cmd]) -> Result<Vec<Value>, AskError> {
        let mut all = Vec::with_capacity(commands.len());
        for some in commands.chunks(PIPELINED) {
            let mut pipeline = Pipeline::with_capacity(some.len());
            some.iter().for_each(|command| _ = pipeline.add_command(command.clone()));
            all.extend(self.links[place].pipeline(&self.config, &pipeline).await?);
        }
        Ok(all)
    }

    /// A page of its own words, as `INFO` has them.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn info(&mut self, place: usize) -> Result<BTreeMap<String, String>, AskError> {
        let text: String = self.ask(place, &redis::cmd("INFO")).await?;
        let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
        Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// How many keys of these slots lie at a primary, whoever owns them.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn count(&mut self, place: usize, slots: &[u16]) -> Result<Vec<u64>, AskError> {
        let count = |slot: &u16| redis::cmd("CLUSTER").arg("COUNTKEYSINSLOT").arg(*slot).clone();
        let commands: Vec<Cmd> = slots.iter().map(count).collect();
        let said = self.ask_all(place, &commands).await?;
        said.into_iter().map(|value| self.number(place, &value, "CLUSTER COUNTKEYSINSLOT")).collect()
    }

    /// Some keys of a slot.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn keys(&mut self, place: usize, slot: u16, most: u64) -> Result<Vec<Vec<u8>>, AskError> {
        self.ask(place, redis::cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(most)).await
    }

    /// What keys take, in bytes; 0 for those that went.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn sizes(&mut self, place: usize, keys: &[Vec<u8>]) -> Result<Vec<u64>, AskError> {
        let commands: Vec<Cmd> = keys.iter().map(|key| redis::cmd("MEMORY").arg("USAGE").arg(key).clone()).collect();
        let said = self.ask_all(place, &commands).await?;
        // An open slot answers ASK for what went meanwhile.
        Ok(said
            .iter()
            .map(|value| if let Value::Int(size) = value { u64::try_from(*size).unwrap_or(0) } else { 0 })
            .collect())
    }

    /// Says what a slot is at a primary. To say it again changes nothing.
    ///
    /// # Errors
    /// There is no answer, or another one.
    pub async fn set_slot(&mut self, place: usize, slot: u16, told: SetSlot<'_>) -> Result<(), AskError> {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot);
        match told {
            SetSlot::Importing(id) => command.arg("IMPORTING").arg(id.as_str()),
            SetSlot::Migrating(id) => command.arg("MIGRATING").arg(id.as_str()),
            SetSlot::Stable => command.arg("STABLE"),
            SetSlot::Node(id) => command.arg("NODE").arg(id.as_str()),
        };
        self.ask::<Value>(place, &command).await.map(drop)
    }

    fn number(&self, place: usize, value: &Value, what: &str) -> Result<u64, AskError> {
        let (at, what) = (self.address(place).to_string(), what.to_owned());
        if let Value::Int(number) = value {
            return Ok(u64::try_from(*number).unwrap_or(0));
        }
        Err(AskError::Refused { at, what, why: format!("{value:?}").chars().take(200).collect() })
    }
}

impl Link {
    async fn nodes(&mut self, config: &RemoteConfig) -> Result<Said, ReadError> {
        let text: String = self.ask(config, redis::cmd("CLUSTER").arg("NODES")).await?;
        Said::read(&text).map_err(|why| ReadError::View { at: self.address.to_string(), why })
    }

    async fn ask<T: FromRedisValue>(&mut self, config: &RemoteConfig, command: &Cmd) -> Result<T, AskError> {
        let at = self.address.to_string();
        let mut connection = self.connection(config).await?;
        match command.query_async(&mut connection).await {
            Ok(value) => Ok(value),
            Err(error) => Err(self.failed(at, &named(command), &error)),
        }
    }

    async fn pipeline(&mut self, config: &RemoteConfig, pipeline: &Pipeline) -> Result<Vec<Value>, AskError> {
        let at = self.address.to_string();
        let mut connection = self.connection(config).await?;
        let count = pipeline.len();
        match connection.send_packed_commands(pipeline, 0, count).await {
            Ok(values) => Ok(values),
            Err(error) => Err(self.failed(at, "a question", &error)),
        }
    }

    fn failed(&mut self, at: String, what: &str, error: &redis::RedisError) -> AskError {
        if error.code().is_some() && !error.is_io_error() && !error.is_timeout() {
            return AskError::Refused { at, what: what.to_owned(), why: error.to_string() };
        }
        self.connection = None;
        AskError::Silent { at, why: error.to_string() }
    }

    async fn connection(&mut self, config: &RemoteConfig) -> Result<MultiplexedConnection, AskError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let node = Some((self.address.host.as_str(), self.address.port)).filter(|(host, _)| !host.is_empty());
        let away = |at: &str, why: String| AskError::Away { at: at.to_owned(), why };
        let given = node.map_or_else(|| "the cluster".to_owned(), |_| self.address.to_string());
        let client = config.client(node).map_err(|why| away(&given, why))?;
        if node.is_none()
            && let redis::ConnectionAddr::Tcp(host, port) | redis::ConnectionAddr::TcpTls { host, port, .. } =
                client.get_connection_info().addr()
        {
            self.address = Address { host: host.clone(), port: *port };
        }
        let bounds = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout().into()))
            .set_response_timeout(Some(ANSWER));
        let made = client.get_multiplexed_async_connection_with_config(&bounds).await;
        let connection = made.map_err(|error| away(&self.address.to_string(), error.to_string()))?;
        Ok(self.connection.insert(connection).clone())
    }
}

/// The first words of a command, without keys and passwords.
fn named(command: &Cmd) -> String {
    let words = command.args_iter().take(3).map(|word| {
        if let redis::Arg::Simple(word) = word { String::from_utf8_lossy(word).into_owned() } else { String::new() }
    });
    let words: Vec<String> = words.collect();
    let known = words.first().is_some_and(|word| word == "CLUSTER");
    if known { words.join(" ") } else { words.first().cloned().unwrap_or_default() }
}

/// Primaries of a cluster. Source: the recommended most of Redis Cluster.
pub const MOST_NODES: usize = 1_000;
/// How long nodes may take to hear of a change. Source: ours, ten rounds of the cluster's own gossip.
const AGREE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long an answer may take. Source: ours; longer than the longest `MIGRATE` waits for its target.
const ANSWER: Duration = Duration::from_secs(30);
/// Questions at once, so that a node is not held for long. Source: ours.
const PIPELINED: usize = 500;
