//! The ballot in a Redis or Valkey: a key with a time to live, and scripts that compare it.

use super::{Ask, Asked, BallotError, Leader, Standing, Stored, leader, term};
use crate::remote::{Remote, Said, Script};

/// The ballot in a Redis or Valkey.
#[derive(Debug)]
pub struct RedisBallot {
    remote: Remote,
    leader: String,
    term: String,
    state: String,
    version: String,
    scripts: Scripts,
    /// What we have written, or may have, and the lease in milliseconds.
    held: Option<(Vec<u8>, u64)>,
}

#[derive(Debug)]
struct Scripts {
    acquire: Script,
    renew: Script,
    write: Script,
    read: Script,
    release: Script,
}

impl RedisBallot {
    pub(super) fn new(remote: Remote, prefix: &str) -> Self {
        let key = |name: &str| format!("{prefix}:{name}");
        let scripts = Scripts {
            acquire: Script::new(ACQUIRE),
            renew: Script::new(RENEW),
            write: Script::new(WRITE),
            read: Script::new(READ),
            release: Script::new(RELEASE),
        };
        let (leader, term) = (key("leader"), key("term"));
        Self { remote, leader, term, state: key("state"), version: key("version"), scripts, held: None }
    }

    pub(super) async fn acquire(&mut self, ask: &Ask<'_>) -> Result<Asked, BallotError> {
        self.release().await?;
        let (written, lease) = (ask.written(), ask.lease.as_millis().max(1));
        self.held = Some((written.clone(), lease));
        let keys = [&self.leader, &self.term, &self.state, &self.version].map(|key| key.as_bytes());
        let args = vec![written, text(ask.over), text(lease)];
        let said = self.remote.run(&self.scripts.acquire, &keys, args).await?;
        let Said::List(said) = said else { return Err(self.foreign()) };
        let bytes = |at: usize| match said.get(at) {
            Some(Said::Bytes(bytes)) => Some(bytes.as_slice()),
            Some(Said::Nil | Said::Number(_) | Said::List(_) | Said::Other) | None => None,
        };
        let version = bytes(3).map_or(Ok(0), |version| term(&self.version, version))?;
        let latest = bytes(1).map_or(Ok(0), |latest| term(&self.term, latest))?;
        if said.first() == Some(&Said::Number(1)) {
            let state = bytes(2).map(|bytes| Stored { version, bytes: bytes.to_vec() });
            return Ok(Asked::Won { term: latest, state });
        }
        self.held = None;
        let who = leader(&self.leader, bytes(2).unwrap_or_default())?;
        Ok(Asked::Held { leader: Some(Leader { who, term: latest }), state: version, lasts: None })
    }

    pub(super) async fn renew(&mut self) -> Result<Standing, BallotError> {
        let lease = self.held.as_ref().map_or(0, |held| held.1);
        self.fenced(&self.scripts.renew, &[&self.leader], vec![text(lease)]).await
    }

    pub(super) async fn write(&mut self, state: &[u8]) -> Result<Standing, BallotError> {
        let keys = [&self.leader, &self.state, &self.version];
        self.fenced(&self.scripts.write, &keys, vec![state.to_vec()]).await
    }

    pub(super) async fn read(&mut self) -> Result<Option<Stored>, BallotError> {
        let keys = [&self.state, &self.version].map(|key| key.as_bytes());
        let said = self.remote.run(&self.scripts.read, &keys, Vec::new()).await?;
        let Said::List(said) = said else { return Err(self.foreign()) };
        match said.as_slice() {
            [Said::Bytes(bytes), Said::Bytes(version)] => {
                let version = term(&self.version, version)?;
                Ok(Some(Stored { version, bytes: bytes.clone() }))
            }
            _ => Ok(None),
        }
    }

    pub(super) async fn release(&mut self) -> Result<(), BallotError> {
        if self.held.is_some() {
            self.fenced(&self.scripts.release, &[&self.leader], Vec::new()).await?;
            self.held = None;
        }
        Ok(())
    }

    /// Runs what does nothing unless the leader in the store is us.
    async fn fenced(&self, script: &Script, keys: &[&String], args: Vec<Vec<u8>>) -> Result<Standing, BallotError> {
        let Some((written, _)) = &self.held else { return Ok(Standing::Lost) };
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let args = std::iter::once(written.clone()).chain(args).collect();
        let said = self.remote.run(script, &keys, args).await?;
        Ok(if said == Said::Number(1) { Standing::Still } else { Standing::Lost })
    }

    fn foreign(&self) -> BallotError {
        BallotError::Foreign { key: self.leader.clone(), what: "what no script of ours leaves there" }
    }
}

fn text(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Takes the lease where nobody has it. Answers 1, the term, the state, its version; else 0, the term, who leads, the
/// version. Numbers stay whole: terms end at 2^52.
const ACQUIRE: &str = r"
local latest = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
local version = redis.call('GET', KEYS[4]) or '0'
local leads = redis.call('GET', KEYS[1])
if leads then
  return {0, string.format('%.0f', latest), leads, version}
end
local term = string.format('%.0f', math.max(latest, tonumber(ARGV[2])) + 1)
redis.call('SET', KEYS[2], term)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return {1, term, redis.call('GET', KEYS[3]), version}
";

const RENEW: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
";

const WRITE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('INCR', KEYS[3])
return 1
";

const READ: &str = r"
return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}
";

const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
";
