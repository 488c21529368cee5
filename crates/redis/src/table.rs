//! Commands: where their keys stand, whether they write, and why some cannot be taken.
//!
//! A command goes to one owner, so all its keys must be of one slot, and all keys that it touches must be named in it. What blocks, what
//! speaks of a whole instance, what holds state in a connection, and what touches keys that it does not name is refused with the reason:
//! in each of these a move could lose something, or an answer would be about a part of the keys without saying so.
//!
//! What is not in here is refused as unknown, commands of later versions included: whether it writes must be known, not guessed.

use ambidex_core::shard::slot::slot_of;
use bytes::Bytes;

/// A command that goes to the owner of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed<'c> {
    /// The slot of all of its keys.
    pub slot: u16,
    /// Its keys, at least one.
    pub keys: Vec<&'c Bytes>,
    /// Whether it may change any.
    pub write: bool,
}

/// Why a command is not taken. Its text is what a client gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not known here.
    #[error("ERR unknown command '{0}'")]
    Unknown(String),
    /// There are too few words, or a count is wrong.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Words(String),
    /// Its keys are of several slots.
    #[error("CROSSSLOT Keys in request don't hash to the same slot")]
    Slots,
    /// It cannot be taken.
    #[error("ERR {name} is not taken here: {why}")]
    Never {
        /// The command.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// What a client asks that looks for a cluster. Instances without one say the same.
    #[error("ERR This instance has cluster support disabled")]
    NoCluster,
    /// A name that is kept for this side.
    #[error("ERR keys that begin with \\0ambidex: are not for clients")]
    Reserved,
}

/// Where keys stand among the words, the command's name being word 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// One, at this place.
    One(usize),
    /// The first two.
    Two,
    /// All words after the name.
    All,
    /// Each second word, from the first.
    Pairs,
    /// All words after the operation.
    AfterOperation,
    /// As many as the word at this place says, after it; and the first word too, where the count is at 2.
    Counted(usize),
    /// Behind the word STREAMS, whose options begin at this place: the first half.
    Streams(usize),
    /// The first, and these words must not follow.
    Without(&'static [&'static str]),
    /// The first two, and this word must not follow.
    TwoWithout(&'static str),
}

/// What is known of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Read(Keys),
    Write(Keys),
    Never(&'static str),
    Cluster,
}

/// Says where a command goes.
///
/// # Errors
/// It goes nowhere.
pub fn route(args: &[Bytes]) -> Result<Routed<'_>, Refusal> {
    let name = name_of(args);
    let (keys, write) = match known(&name).ok_or_else(|| Refusal::Unknown(shown(args)))? {
        Known::Read(keys) => (keys, false),
        Known::Write(keys) => (keys, true),
        Known::Never(why) => return Err(Refusal::Never { name, why }),
        Known::Cluster => return Err(Refusal::NoCluster),
    };
    let keys = found(&name, keys, args)?;
    if keys.iter().any(|key| key.starts_with(RESERVED)) {
        return Err(Refusal::Reserved);
    }
    let mut slots = keys.iter().map(|key| slot_of(key));
    let slot = slots.next().ok_or_else(|| Refusal::Words(name.to_ascii_lowercase()))?;
    if slots.all(|other| other == slot) { Ok(Routed { slot, keys, write }) } else { Err(Refusal::Slots) }
}

/// A command's name in capitals; what is longer than any name is cut.
#[must_use]
pub fn name_of(args: &[Bytes]) -> String {
    let name = args.first().map_or(&[][..], |name| &name[..name.len().min(MOST_NAME)]);
    String::from_utf8_lossy(name).to_ascii_uppercase()
}

fn shown(args: &[Bytes]) -> String {
    let name = args.first().map_or(&[][..], |name| &name[..name.len().min(MOST_NAME)]);
    name.escape_ascii().to_string()
}

fn found<'c>(name: &str, keys: Keys, args: &'c [Bytes]) -> Result<Vec<&'c Bytes>, Refusal> {
    let words = || Refusal::Words(name.to_ascii_lowercase());
    let at = |place: usize| args.get(place).ok_or_else(words);
    let never = |why| Refusal::Never { name: name.to_owned(), why };
    let follows = |from: usize, bad: &[&str]| {
        args.iter().skip(from).any(|word| bad.iter().any(|bad| word.eq_ignore_ascii_case(bad.as_bytes())))
    };
    Ok(match keys {
        Keys::One(place) => vec![at(place)?],
        Keys::Two => vec![at(1)?, at(2)?],
        Keys::All => args.iter().skip(1).collect(),
        Keys::AfterOperation => args.iter().skip(2).collect(),
        Keys::Pairs if args.len().is_multiple_of(2) => return Err(words()),
        Keys::Pairs => args.iter().skip(1).step_by(2).collect(),
        Keys::Counted(place) => {
            let count = crate::frame::number(at(place)?).map_err(|_| words())?;
            let after = args.get(place + 1..).unwrap_or_default();
            if count == 0 || count > after.len() {
                return Err(words());
            }
            let first = args.get(1).filter(|_| place == 2);
            first.into_iter().chain(&after[..count]).collect()
        }
        Keys::Streams(from) => streams(name, from, args)?,
        Keys::Without(bad) if follows(2, bad) => return Err(never(PATTERNS)),
        Keys::Without(_) => vec![at(1)?],
        Keys::TwoWithout(bad) if follows(3, &[bad]) => return Err(never(DATABASES)),
        Keys::TwoWithout(_) => vec![at(1)?, at(2)?],
    })
}

fn streams<'c>(name: &str, from: usize, args: &'c [Bytes]) -> Result<Vec<&'c Bytes>, Refusal> {
    let words = || Refusal::Words(name.to_ascii_lowercase());
    let mut place = from;
    loop {
        let word = args.get(place).ok_or_else(words)?;
        if word.eq_ignore_ascii_case(b"BLOCK") {
            return Err(Refusal::Never { name: format!("{name} .. BLOCK"), why: BLOCKS });
        } else if word.eq_ignore_ascii_case(b"COUNT") {
            place += 2;
        } else if word.eq_ignore_ascii_case(b"NOACK") {
            place += 1;
        } else if word.eq_ignore_ascii_case(b"STREAMS") {
            let rest = &args[place + 1..];
            if rest.is_empty() || !rest.len().is_multiple_of(2) {
                return Err(words());
            }
            return Ok(rest[..rest.len() / 2].iter().collect());
        } else {
            return Err(words());
        }
    }
}

fn known(name: &str) -> Option<Known> {
    use Keys::{AfterOperation, All, Counted, One, Pairs, Streams, Two, TwoWithout, Without};
    use Known::{Cluster, Never, Read, Write};
    Some(match name {
        "GET" | "GETRANGE" | "SUBSTR" | "STRLEN" | "GETBIT" | "BITCOUNT" | "BITPOS" | "BITFIELD_RO" => Read(One(1)),
        "TYPE" | "TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME" | "DUMP" => Read(One(1)),
        "HGET" | "HMGET" | "HGETALL" | "HKEYS" | "HVALS" | "HLEN" | "HEXISTS" | "HSTRLEN" | "HRANDFIELD" => {
            Read(One(1))
        }
        "HSCAN" | "HTTL" | "HPTTL" | "HEXPIRETIME" | "HPEXPIRETIME" => Read(One(1)),
        "LRANGE" | "LLEN" | "LINDEX" | "LPOS" => Read(One(1)),
        "SMEMBERS" | "SISMEMBER" | "SMISMEMBER" | "SCARD" | "SRANDMEMBER" | "SSCAN" => Read(One(1)),
        "ZRANGE" | "ZREVRANGE" | "ZRANGEBYSCORE" | "ZREVRANGEBYSCORE" | "ZRANGEBYLEX" | "ZREVRANGEBYLEX" => {
            Read(One(1))
        }
        "ZSCORE" | "ZMSCORE" | "ZRANK" | "ZREVRANK" | "ZCARD" | "ZCOUNT" | "ZLEXCOUNT" | "ZRANDMEMBER" => Read(One(1)),
        "ZSCAN" | "GEODIST" | "GEOHASH" | "GEOPOS" | "GEOSEARCH" => Read(One(1)),
        "GEORADIUS_RO" | "GEORADIUSBYMEMBER_RO" => Read(One(1)),
        "XLEN" | "XRANGE" | "XREVRANGE" | "XPENDING" => Read(One(1)),
        "OBJECT" | "XINFO" => Read(One(2)),
        "LCS" => Read(Two),
        "MGET" | "EXISTS" | "TOUCH" | "SDIFF" | "SINTER" | "SUNION" | "PFCOUNT" => Read(All),
        "SINTERCARD" | "ZUNION" | "ZINTER" | "ZDIFF" | "ZINTERCARD" => Read(Counted(1)),
        "XREAD" => Read(Streams(1)),
        "SORT" | "SORT_RO" => Read(Without(&["BY", "GET", "STORE"])),
        "GEORADIUS" | "GEORADIUSBYMEMBER" => Read(Without(&["STORE", "STOREDIST"])),

        "SET" | "SETNX" | "SETEX" | "PSETEX" | "GETSET" | "GETDEL" | "GETEX" | "APPEND" | "SETRANGE" => Write(One(1)),
        "INCR" | "INCRBY" | "INCRBYFLOAT" | "DECR" | "DECRBY" | "SETBIT" | "BITFIELD" => Write(One(1)),
        "EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT" | "PERSIST" | "RESTORE" => Write(One(1)),
        "HSET" | "HSETNX" | "HMSET" | "HDEL" | "HINCRBY" | "HINCRBYFLOAT" => Write(One(1)),
        "HEXPIRE" | "HPEXPIRE" | "HEXPIREAT" | "HPEXPIREAT" | "HPERSIST" => Write(One(1)),
        "HGETDEL" | "HGETEX" | "HSETEX" => Write(One(1)),
        "LPUSH" | "LPUSHX" | "RPUSH" | "RPUSHX" | "LPOP" | "RPOP" | "LSET" | "LREM" | "LTRIM" | "LINSERT" => {
            Write(One(1))
        }
        "SADD" | "SREM" | "SPOP" => Write(One(1)),
        "ZADD" | "ZREM" | "ZINCRBY" | "ZPOPMIN" | "ZPOPMAX" => Write(One(1)),
        "ZREMRANGEBYRANK" | "ZREMRANGEBYSCORE" | "ZREMRANGEBYLEX" => Write(One(1)),
        "GEOADD" | "PFADD" => Write(One(1)),
        "XADD" | "XDEL" | "XTRIM" | "XACK" | "XCLAIM" | "XAUTOCLAIM" | "XSETID" => Write(One(1)),
        "XGROUP" => Write(One(2)),
        "RENAME" | "RENAMENX" | "RPOPLPUSH" | "LMOVE" | "SMOVE" | "ZRANGESTORE" | "GEOSEARCHSTORE" => Write(Two),
        "COPY" => Write(TwoWithout("DB")),
        "DEL" | "UNLINK" | "SDIFFSTORE" | "SINTERSTORE" | "SUNIONSTORE" | "PFMERGE" => Write(All),
        "MSET" | "MSETNX" => Write(Pairs),
        "BITOP" => Write(AfterOperation),
        "LMPOP" | "ZMPOP" => Write(Counted(1)),
        "ZUNIONSTORE" | "ZINTERSTORE" | "ZDIFFSTORE" => Write(Counted(2)),
        "XREADGROUP" => Write(Streams(4)),

        "BLPOP" | "BRPOP" | "BLMOVE" | "BLMPOP" | "BZPOPMIN" | "BZPOPMAX" | "BZMPOP" | "BRPOPLPUSH" => Never(BLOCKS),
        "WAIT" | "WAITAOF" => Never(INSTANCE),
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" => Never(CHANNELS),
        "PUBLISH" | "SPUBLISH" | "PUBSUB" => Never(CHANNELS),
        "SCAN" | "KEYS" | "RANDOMKEY" | "DBSIZE" | "FLUSHALL" | "FLUSHDB" | "SWAPDB" => Never(WHOLE),
        "EVAL" | "EVALSHA" | "EVAL_RO" | "EVALSHA_RO" | "FCALL" | "FCALL_RO" | "SCRIPT" | "FUNCTION" => Never(SCRIPTS),
        "WATCH" => Never(WATCHES),
        "MOVE" => Never(DATABASES),
        "MIGRATE" => Never("slices are moved by the coordinator"),
        "CLUSTER" | "ASKING" | "READONLY" | "READWRITE" => Cluster,
        "MONITOR" | "CONFIG" | "DEBUG" | "SAVE" | "BGSAVE" | "BGREWRITEAOF" | "LASTSAVE" | "ACL" | "MODULE" => {
            Never(INSTANCE)
        }
        "LATENCY" | "SLOWLOG" | "SHUTDOWN" | "REPLICAOF" | "SLAVEOF" | "ROLE" | "TIME" | "MEMORY" => Never(INSTANCE),
        "FAILOVER" | "SYNC" | "PSYNC" | "REPLCONF" | "LOLWUT" | "PFDEBUG" | "PFSELFTEST" => Never(INSTANCE),
        _ => return None,
    })
}

/// Keys of this side in an instance begin with this; no client may name one.
pub const RESERVED: &[u8] = b"\0ambidex:";
/// Longer than the name of any command.
const MOST_NAME: usize = 32;
const BLOCKS: &str = "it waits at one instance, and its slice may leave that; ask again instead of waiting";
const CHANNELS: &str = "channels belong to one instance, and the keyspace has several";
const WHOLE: &str = "it is about all keys of one instance, and the keyspace has several";
const SCRIPTS: &str =
    "a script may touch keys that it does not name, which a move would lose; MULTI and EXEC are taken";
const WATCHES: &str =
    "what is watched is known to one connection of one instance; use a command that compares, such as SET .. NX";
const DATABASES: &str = "there is one database";
const PATTERNS: &str = "it would touch keys that are not of its slot; BY, GET and STORE are left out";
const INSTANCE: &str = "it is about one instance: ask that one";

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<Bytes> {
        text.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
    }

    fn keys(text: &str) -> String {
        let args = args(text);
        match route(&args) {
            Ok(Routed { keys, write, .. }) => {
                let keys: Vec<_> = keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
                format!("{} {}", if write { "w" } else { "r" }, keys.join(" "))
            }
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn keys_are_found_where_each_command_has_them() {
        for (command, found) in [
            ("GET a", "r a"),
            ("get a", "r a"),
            ("SET a b", "w a"),
            ("DEL {t}a {t}b", "w {t}a {t}b"),
            ("MSET {t}a 1 {t}b 2", "w {t}a {t}b"),
            ("BITOP AND {t}a {t}b {t}c", "w {t}a {t}b {t}c"),
            ("ZUNIONSTORE {t}d 2 {t}a {t}b WEIGHTS 1 2", "w {t}d {t}a {t}b"),
            ("ZUNION 2 {t}a {t}b WITHSCORES", "r {t}a {t}b"),
            ("LMPOP 1 a LEFT", "w a"),
            ("XREAD COUNT 2 STREAMS {t}a {t}b 0 0", "r {t}a {t}b"),
            ("XREADGROUP GROUP streams block COUNT 1 NOACK STREAMS a >", "w a"),
            ("XGROUP CREATE a g $", "w a"),
            ("OBJECT ENCODING a", "r a"),
            ("SORT a LIMIT 0 1 ALPHA", "r a"),
            ("RENAME {t}a {t}b", "w {t}a {t}b"),
            ("COPY {t}a {t}b REPLACE", "w {t}a {t}b"),
        ] {
            assert_eq!(keys(command), found, "{command}");
        }
    }

    #[test]
    fn keys_of_several_slots_are_refused_with_the_word_that_clients_know() {
        for command in ["MGET a b", "RENAME a b", "MSET a 1 b 2", "ZUNIONSTORE d 2 {t}a {t}b", "XREAD STREAMS a b 0 0"]
        {
            assert!(keys(command).starts_with("CROSSSLOT "), "{command}");
        }
    }

    #[test]
    fn what_cannot_be_taken_is_refused_with_the_reason() {
        for (command, told) in [
            ("BLPOP a 0", "waits at one instance"),
            ("XREAD BLOCK 0 STREAMS a 0", "waits at one instance"),
            ("XREADGROUP GROUP g c BLOCK 0 STREAMS a >", "waits at one instance"),
            ("EVAL x 1 a", "keys that it does not name"),
            ("SORT a BY w_*", "not of its slot"),
            ("SORT a STORE {a}b", "not of its slot"),
            ("COPY {t}a {t}b DB 1", "one database"),
            ("KEYS *", "all keys of one instance"),
            ("FLUSHALL", "all keys of one instance"),
            ("SUBSCRIBE c", "channels"),
            ("WATCH a", "watched"),
            ("CONFIG GET *", "one instance"),
            ("CLUSTER SLOTS", "cluster support disabled"),
            ("FROBNICATE a", "unknown command 'FROBNICATE'"),
            ("GET", "wrong number"),
            ("MSET a 1 b", "wrong number"),
            ("LMPOP 2 a LEFT", "CROSSSLOT"),
            ("LMPOP 3 a LEFT", "wrong number"),
            ("ZUNION 0 a", "wrong number"),
            ("ZUNION x a", "wrong number"),
            ("XREAD STREAMS a", "wrong number"),
            ("GET \0ambidex:x", "not for clients"),
        ] {
            assert!(keys(command).contains(told), "{command}: {}", keys(command));
        }
    }
}
