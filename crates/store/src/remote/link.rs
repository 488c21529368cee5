//! The thread that keeps the connection: connects, carries commands, notices a dead server, connects again.
//!
//! Away --connected--> Here --failed, or PING unanswered--> Away (pause doubling to 2 s, then connecting)
//! either --no handle left--> ended

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, Value};
use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use super::{Command, Job, RemoteConfig, RemoteError, Said, State};

pub(super) fn spawn(
    config: RemoteConfig,
    jobs: mpsc::Receiver<Job>,
    state: Arc<State>,
    ready: SyncSender<()>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("remote".to_owned()).spawn(move || {
        runtime.block_on(Link { config, state }.keep(jobs, ready));
    })?;
    Ok(())
}

struct Link {
    config: RemoteConfig,
    state: Arc<State>,
}

impl Link {
    async fn keep(self, mut jobs: mpsc::Receiver<Job>, ready: SyncSender<()>) {
        let place = self.config.place();
        let (mut pause, mut told) = (FIRST_PAUSE, false);
        loop {
            match self.connect().await {
                Ok(connection) => {
                    tracing::info!(%place, "connected to the shared store");
                    self.state.connected.fetch_add(1, Relaxed);
                    self.state.here.store(true, Relaxed);
                    let _ = ready.try_send(());
                    let end = self.carry(connection, &mut jobs).await;
                    self.state.here.store(false, Relaxed);
                    let End::Lost(why) = end else { return };
                    tracing::warn!(%place, %why, "the shared store is away");
                    (pause, told) = (FIRST_PAUSE, true);
                }
                Err(why) => {
                    let _ = ready.try_send(());
                    if !told {
                        tracing::warn!(%place, %why, "the shared store cannot be reached; trying again and again");
                        told = true;
                    }
                }
            }
            if idle(pause, &mut jobs).await {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let said = |error: RedisError| error.to_string();
        let client = self.config.client(None)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.connect_timeout().into()))
            .set_response_timeout(Some(self.config.timeout().into()));
        client.get_multiplexed_async_connection_with_config(&config).await.map_err(said)
    }

    /// Carries commands until the connection is lost or nobody is left who asks.
    async fn carry(&self, connection: MultiplexedConnection, jobs: &mut mpsc::Receiver<Job>) -> End {
        let doubt = Arc::new(Notify::new());
        let watched = watch(connection.clone(), Arc::clone(&doubt), self.config.timeout().into());
        tokio::pin!(watched);
        loop {
            let job = tokio::select! {
                why = &mut watched => return End::Lost(why),
                job = jobs.recv() => job,
            };
            let Some(Job { command, reply }) = job else { return End::Over };
            if reply.is_closed() {
                continue; // Nobody waits any more, and nothing of it was sent.
            }
            let (connection, doubt) = (connection.clone(), Arc::clone(&doubt));
            tokio::spawn(async move {
                let said = perform(command, connection).await;
                if said == Err(RemoteError::Late) {
                    doubt.notify_one();
                }
                // Who has stopped waiting needs no answer.
                let _ = reply.send(said);
            });
        }
    }
}

enum End {
    Lost(String),
    Over,
}

/// Asks for a sign of life each second, and at once when an answer is late; ends when none comes.
async fn watch(mut connection: MultiplexedConnection, doubt: Arc<Notify>, patience: Duration) -> String {
    loop {
        tokio::select! {
            () = sleep(SIGN_OF_LIFE) => {}
            () = doubt.notified() => {}
        }
        match timeout(patience, redis::cmd("PING").query_async::<Value>(&mut connection)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("no sign of life within {patience:?}"),
        }
    }
}

async fn perform(command: Command, mut connection: MultiplexedConnection) -> Result<Said, RemoteError> {
    let said = match command {
        Command::Plain(command) => command.query_async::<Value>(&mut connection).await,
        Command::Script { script, keys, args } => {
            let mut call = script.prepare_invoke();
            for key in &keys {
                call.key(key.as_slice());
            }
            for arg in &args {
                call.arg(arg.as_slice());
            }
            call.invoke_async::<Value>(&mut connection).await
        }
    };
    said.map(Said::from).map_err(|error| match error.code() {
        Some(code) => RemoteError::Refused(format!("{code} {}", error.detail().unwrap_or_default())),
        None => RemoteError::Late,
    })
}

impl From<Value> for Said {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum, which may grow")]
    fn from(value: Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Int(number) => Self::Number(number),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) => Self::Bytes(text.into_bytes()),
            Value::Okay => Self::Bytes(b"OK".to_vec()),
            Value::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            _ => Self::Other,
        }
    }
}

/// Waits before the next try, telling everybody who asks that the server is away. Says whether nobody is left.
async fn idle(pause: Duration, jobs: &mut mpsc::Receiver<Job>) -> bool {
    let over = sleep(pause);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return false,
            job = jobs.recv() => match job {
                Some(job) => drop(job.reply.send(Err(RemoteError::Away))),
                None => return true,
            },
        }
    }
}

/// Pause before the first retry. Source: ours; a restarted server is back in about that time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between retries. Source: ours; what an operator waits for after starting it again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a silent connection is looked at. Source: ours; a frozen server is noticed a second later at most.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
