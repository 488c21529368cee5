//! Clients of a cluster that follow MOVED and ASK, and writers that take down what was acknowledged.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use ambidex_core::shard::slot::slot_of;
use redis::{Cmd, Connection, FromRedisValue, RedisError, ServerErrorKind, Value};

use crate::nodes::{Nodes, until};

/// A client of the whole cluster.
pub(crate) struct Client {
    password: Option<String>,
    first: u16,
    owners: BTreeMap<u16, u16>,
    connections: BTreeMap<u16, Connection>,
}

/// How a command ended that did not work.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It was not run.
    NotRun(String),
    /// Nobody knows.
    Unknown(String),
}

impl Client {
    pub(crate) fn new(nodes: &Nodes, password: Option<&str>) -> Self {
        let password = password.map(str::to_owned);
        Self { password, first: nodes.all[0].port, owners: BTreeMap::new(), connections: BTreeMap::new() }
    }

    /// Asks whoever has the key, wherever that leads.
    pub(crate) fn ask<T: FromRedisValue>(&mut self, key: &str, command: &Cmd) -> Result<T, Fault> {
        let slot = slot_of(key.as_bytes());
        let (mut port, mut asking) = (self.owners.get(&slot).copied().unwrap_or(self.first), false);
        for _ in 0..HOPS {
            let connection = match self.connection(port) {
                Ok(connection) => connection,
                Err(error) => {
                    self.owners.remove(&slot);
                    return Err(Fault::NotRun(error.to_string()));
                }
            };
            if asking && let Err(error) = redis::cmd("ASKING").query::<()>(connection) {
                self.connections.remove(&port);
                return Err(Fault::NotRun(error.to_string()));
            }
            let error = match command.query::<Value>(connection) {
                Ok(value) => return Ok(FromRedisValue::from_redis_value(value).expect("of this kind")),
                Err(error) => error,
            };
            let Some((at, _)) = error.redirect_node() else {
                if error.is_io_error() || error.code().is_none() {
                    self.connections.remove(&port);
                    return Err(Fault::Unknown(error.to_string()));
                }
                return Err(Fault::NotRun(error.to_string()));
            };
            port = at.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
            asking = is_ask(&error);
            if !asking {
                self.owners.insert(slot, port);
            }
        }
        Err(Fault::NotRun("it was sent around in circles".to_owned()))
    }

    /// Asks until it is answered.
    pub(crate) fn read<T: FromRedisValue>(&mut self, key: &str, command: &Cmd) -> T {
        until(|| self.ask(key, command).ok())
    }

    fn connection(&mut self, port: u16) -> Result<&mut Connection, RedisError> {
        if !self.connections.contains_key(&port) {
            let secret = self.password.as_ref().map_or(String::new(), |password| format!(":{password}@"));
            let made = redis::Client::open(format!("redis://{secret}127.0.0.1:{port}/"))?.get_connection()?;
            self.connections.insert(port, made);
        }
        Ok(self.connections.get_mut(&port).expect("it is there"))
    }
}

fn is_ask(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::Server(ServerErrorKind::Ask)
}

/// Writes for as long as it is not told to stop.
pub(crate) struct Writer {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Told>,
}

/// What a writer was told.
#[derive(Default)]
pub(crate) struct Told {
    /// Increments: how many were acknowledged, of how many nobody knows.
    counted: BTreeMap<String, (i64, i64)>,
    /// Lists: what was appended and acknowledged, and of what nobody knows.
    appended: BTreeMap<String, (Vec<String>, Vec<String>)>,
    /// The last value of a key that is written, deleted, and written again; none where nobody knows.
    set: BTreeMap<String, Option<Option<String>>>,
    pub(crate) refused: Vec<String>,
}

impl Writer {
    pub(crate) fn start(nodes: &Nodes, name: &str, tags: &[String]) -> Self {
        let over = Arc::<AtomicBool>::default();
        let (stop, mut client) = (Arc::clone(&over), Client::new(nodes, None));
        let (name, tags) = (name.to_owned(), tags.to_vec());
        let thread = std::thread::spawn(move || {
            let mut told = Told::default();
            for number in 0_usize.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                told.write(&mut client, &format!("{{{}}}{name}", tags[number % tags.len()]), number);
            }
            told
        });
        Self { over, thread }
    }

    pub(crate) fn stop(self) -> Told {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer ends")
    }
}

impl Told {
    fn write(&mut self, client: &mut Client, key: &str, number: usize) {
        let value = format!("v{number}");
        match number / 7 % 4 {
            0 => {
                let key = format!("{key}-count");
                let end = client.ask::<i64>(&key, redis::cmd("INCR").arg(&key));
                let counted = self.counted.entry(key).or_default();
                match end {
                    Ok(_) => counted.0 += 1,
                    Err(Fault::Unknown(_)) => counted.1 += 1,
                    Err(Fault::NotRun(why)) => self.refused.push(why),
                }
            }
            1 => {
                let key = format!("{key}-list");
                let end = client.ask::<i64>(&key, redis::cmd("RPUSH").arg(&key).arg(&value));
                let appended = self.appended.entry(key).or_default();
                match end {
                    Ok(_) => appended.0.push(value),
                    Err(Fault::Unknown(_)) => appended.1.push(value),
                    Err(Fault::NotRun(why)) => self.refused.push(why),
                }
            }
            two => {
                // Keys that come and go: new ones appear at whichever end takes them.
                let key = format!("{key}-set");
                let (command, now) = if two == 2 {
                    (redis::cmd("SET").arg(&key).arg(&value).clone(), Some(value))
                } else {
                    (redis::cmd("DEL").arg(&key).clone(), None)
                };
                match client.ask::<Value>(&key, &command) {
                    Ok(_) => _ = self.set.insert(key, Some(now)),
                    Err(Fault::Unknown(_)) => _ = self.set.insert(key, None),
                    Err(Fault::NotRun(why)) => self.refused.push(why),
                }
            }
        }
    }

    /// Looks at all keys.
    pub(crate) fn is_there(&self, client: &mut Client) {
        for (key, (done, unknown)) in &self.counted {
            let is: Option<i64> = client.read(key, redis::cmd("GET").arg(key));
            let is = is.unwrap_or(0);
            assert!((*done..=done + unknown).contains(&is), "{key}: {is} and not {done} (+ {unknown})");
        }
        for (key, (done, unknown)) in &self.appended {
            let is: Vec<String> = client.read(key, redis::cmd("LRANGE").arg(key).arg(0).arg(-1));
            let known: Vec<&String> = is.iter().filter(|value| !unknown.contains(value)).collect();
            assert_eq!(known, done.iter().collect::<Vec<_>>(), "{key}");
        }
        for (key, value) in &self.set {
            let Some(value) = value else { continue };
            let is: Option<String> = client.read(key, redis::cmd("GET").arg(key));
            assert_eq!(is, *value, "{key}");
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        let counted: i64 = self.counted.values().map(|(done, _)| done).sum();
        usize::try_from(counted).unwrap_or(0) + self.appended.values().map(|(done, _)| done.len()).sum::<usize>()
    }
}

/// Tags whose slots are these.
pub(crate) fn tags(slots: std::ops::Range<u16>, count: usize) -> Vec<String> {
    let inside = (0..).map(|number: u64| format!("t{number}")).filter(|tag| slots.contains(&slot_of(tag.as_bytes())));
    inside.take(count).collect()
}

/// So many keys of so many bytes for each tag.
pub(crate) fn fill(client: &mut Client, tags: &[String], keys: usize, bytes: usize) {
    let value = "x".repeat(bytes);
    for tag in tags {
        for some in (0..keys).collect::<Vec<_>>().chunks(500) {
            let mut command = redis::cmd("MSET");
            some.iter().for_each(|key| _ = command.arg(format!("{{{tag}}}filled-{key}")).arg(&value));
            client.ask::<Value>(tag, &command).expect("written");
        }
    }
}

pub(crate) fn all_filled(client: &mut Client, tags: &[String], keys: usize) {
    for tag in tags {
        for some in (0..keys).collect::<Vec<_>>().chunks(500) {
            let mut command = redis::cmd("EXISTS");
            some.iter().for_each(|key| _ = command.arg(format!("{{{tag}}}filled-{key}")));
            assert_eq!(client.read::<usize>(tag, &command), some.len(), "{tag}");
        }
    }
}

const HOPS: usize = 200;
