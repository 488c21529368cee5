//! Keys in a Redis or Valkey that several gateways share. Each step is one script: nothing comes in between, whoever
//! asks. The server's own clock counts the lease.
//!
//! ```text
//! ambidex:key:HEX  hash  s state (r running, d done, u unknown, l too large, x dropped)   p print   c claim
//!                        t until when it runs, by the server's clock      a answer        expires with lease and keep
//! ```
//! A claim whose grant was not heard is given back in the background, and so is an end that could not be told: as long as
//! the lease lasts, and not for more than a bounded number at once.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ambidex_core::again::dedup::{End, Fullness, Gone, Keyed, Terms, Unsure, Verdict};
use ambidex_core::time::{Mono, Span};
use ambidex_store::remote::{Remote, RemoteError, Said, Script};

use super::log::{cost, put_stored, take_stored};
use crate::stored::Stored;

/// A claim that others can see and not guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedClaim([u8; 16]);

impl SharedClaim {
    pub(super) const fn new(bits: u128) -> Self {
        Self(bits.to_be_bytes())
    }
}

/// What came of asking.
pub(super) enum Asked {
    Run,
    Not(Verdict<Stored>),
    Away,
    /// Nobody knows whether the claim was granted.
    Unheard,
}

pub(super) async fn begin(remote: &Remote, keyed: Keyed, terms: Terms, claim: &SharedClaim, now: Mono) -> Asked {
    let number = |span: Span| span.as_millis().to_string().into_bytes();
    let hold = if terms.unsure == Unsure::Hold { b"1" } else { b"0" };
    let args = vec![keyed.print.0.to_vec(), claim.0.to_vec(), number(terms.lease), number(terms.keep), hold.to_vec()];
    match remote.run(&BEGIN, &[&key(keyed)], args).await {
        Ok(said) => heard(said, now).unwrap_or(Asked::Away),
        Err(RemoteError::Late) => Asked::Unheard,
        Err(RemoteError::Refused(why)) if why.starts_with("OOM") => Asked::Not(Verdict::Full(Fullness::Bytes)),
        Err(RemoteError::Refused(_) | RemoteError::Away | RemoteError::Busy) => Asked::Away,
    }
}

fn heard(said: Said, now: Mono) -> Option<Asked> {
    let Said::List(parts) = said else { return None };
    let mut parts = parts.into_iter();
    let Said::Bytes(state) = parts.next()? else { return None };
    Some(match (&*state, parts.next()) {
        (b"run", _) => Asked::Run,
        (b"m", _) => Asked::Not(Verdict::Mismatch),
        (b"r", Some(Said::Number(left))) => {
            let left = Span::from_millis(u64::try_from(left).unwrap_or(0));
            Asked::Not(Verdict::Conflict { retry_after: left.min(RETRY_AFTER) })
        }
        (b"d", Some(Said::Bytes(answer))) => Asked::Not(match take_stored(answer.into(), now) {
            Some(stored) => Verdict::Replay(stored),
            None => Verdict::Lost(Gone::Unknown),
        }),
        (b"l", _) => Asked::Not(Verdict::Lost(Gone::TooLarge)),
        (b"x", _) => Asked::Not(Verdict::Lost(Gone::Dropped)),
        (b"u" | b"d" | b"r", _) => Asked::Not(Verdict::Lost(Gone::Unknown)),
        _ => return None,
    })
}

/// Tells how it ended. What could not be told in its time is told again and again in the background.
pub(super) async fn finish(remote: Remote, keyed: Keyed, claim: SharedClaim, terms: Terms, end: End<Stored>) {
    let args = ending(&claim, terms, &end);
    if tell(&remote, keyed, args.clone()).await {
        return;
    }
    if WAITING.fetch_add(1, Relaxed) >= MOST_WAITING {
        WAITING.fetch_sub(1, Relaxed);
        return;
    }
    tokio::task::spawn_local(async move {
        let _waiting = Waiting;
        for _ in 0..terms.lease.as_millis() / AGAIN.as_millis() {
            tokio::time::sleep(AGAIN.into()).await;
            if tell(&remote, keyed, args.clone()).await {
                return;
            }
        }
    });
}

async fn tell(remote: &Remote, keyed: Keyed, args: Vec<Vec<u8>>) -> bool {
    match remote.run(&FINISH, &[&key(keyed)], args).await {
        Ok(_) => true,
        // It has no room for the answer: the key stays used without one, when its lease is over.
        Err(RemoteError::Refused(_)) => true,
        Err(RemoteError::Away | RemoteError::Busy | RemoteError::Late) => false,
    }
}

fn ending(claim: &SharedClaim, terms: Terms, end: &End<Stored>) -> Vec<Vec<u8>> {
    let mut answer = Vec::new();
    let state: &[u8] = match end {
        End::Never => b"",
        End::Without(Gone::Unknown) => b"u",
        End::Without(Gone::TooLarge) => b"l",
        End::Without(Gone::Dropped) => b"x",
        End::Answer(stored, _) => {
            answer.reserve(usize::try_from(cost(stored)).unwrap_or(0) + 4);
            put_stored(&mut answer, stored);
            b"d"
        }
    };
    vec![claim.0.to_vec(), state.to_vec(), terms.keep.as_millis().to_string().into_bytes(), answer]
}

fn key(keyed: Keyed) -> Vec<u8> {
    let mut key = b"ambidex:key:".to_vec();
    keyed.name.0.iter().for_each(|byte| key.extend_from_slice(format!("{byte:02x}").as_bytes()));
    key
}

/// Ends that wait to be told.
static WAITING: AtomicUsize = AtomicUsize::new(0);

struct Waiting;

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Relaxed);
    }
}

static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local e = redis.call('HMGET', KEYS[1], 's', 'p', 't')
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local state = e[1]
        if state == 'r' and ARGV[5] == '0' and tonumber(e[3]) <= now then state = false end
        if not state then
          redis.call('DEL', KEYS[1])
          redis.call('HSET', KEYS[1], 's', 'r', 'p', ARGV[1], 'c', ARGV[2], 't', string.format('%.0f', now + ARGV[3]))
          redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[3] + ARGV[4]))
          return {'run'}
        end
        if e[2] ~= ARGV[1] then return {'m'} end
        if state == 'd' then return {'d', redis.call('HGET', KEYS[1], 'a')} end
        if state == 'r' and tonumber(e[3]) > now then return {'r', tonumber(e[3]) - now} end
        return {state}",
    )
});

static FINISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local e = redis.call('HMGET', KEYS[1], 's', 'c')
        if e[1] ~= 'r' or e[2] ~= ARGV[1] then return 0 end
        if ARGV[2] == '' then redis.call('DEL', KEYS[1]) return 1 end
        redis.call('HSET', KEYS[1], 's', ARGV[2], 'a', ARGV[4])
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
        return 1",
    )
});

/// When a repeat of a running request is told to come again. Source: as core's.
const RETRY_AFTER: Span = Span::from_secs(1);
/// Between two tellings. Source: ours; a restarted server is back in a second or two.
const AGAIN: Span = Span::from_secs(1);
/// Ends that wait at most. Source: ours; with the largest answers by default 64 MiB.
const MOST_WAITING: usize = 1_024;
