//! One client's connection, as a machine: what it is answered at once, and what goes to an owner.
//!
//! ```text
//!   command ── not authenticated? ── -NOAUTH
//!      |── of the connection (PING, HELLO, CLIENT, SELECT 0 ..) ── said at once
//!      |── MULTI: kept, each +QUEUED ── EXEC ── all of them as one unit, of one slot
//!      └── of data ── a unit of one command ── consecutive ones of the same slot become one unit (`Unit::join`)
//! ```
//! **Transactions.** What stands between MULTI and EXEC is kept here and sent as one: an instance runs it without anything in between, and it is
//! admitted, or not, as a whole. What cannot be in it (another slot, what is refused anywhere, what is not of data) makes EXEC fail as a
//! mistake does with an instance. WATCH is refused: what it says could not be kept when a slice moves.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::frame::{Command, bulk, error, head};
use crate::table::{Refusal, name_of, route};

/// What goes to an owner as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Of all its keys.
    pub slot: u16,
    /// Whether it may change any.
    pub write: bool,
    /// Its commands, one behind the other.
    pub body: BytesMut,
    /// How many replies its client gets.
    pub replies: usize,
    /// Whether all of it is one transaction, with one reply.
    pub whole: bool,
}

/// What is to be done for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answer with this.
    Say(Bytes),
    /// Ask an owner.
    Ask(Unit),
    /// Answer with this, and close.
    Bye(Bytes),
}

/// Which RESP a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RESP 2.
    #[default]
    Two,
    /// RESP 3.
    Three,
}

/// What a client must say to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<[u8]>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// A file's bytes, without the space around them; none where nothing is left, or too much.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let secret = bytes.trim_ascii();
        (1..=MOST_PASSWORD).contains(&secret.len()).then(|| Self(secret.into()))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is it; takes as long whatever it is.
    fn is(&self, said: &[u8]) -> bool {
        let differ = said.iter().zip(self.0.iter()).fold(0, |differ, (one, other)| differ | (one ^ other));
        std::hint::black_box(differ) == 0 && said.len() == self.0.len()
    }
}

/// One client's connection.
#[derive(Clone, Debug)]
pub struct Session {
    password: Option<Password>,
    welcome: bool,
    protocol: Protocol,
    name: Bytes,
    number: u64,
    /// The most bytes of a transaction.
    most: usize,
    multi: Option<Multi>,
}

/// What stands between MULTI and EXEC.
#[derive(Clone, Debug, Default)]
struct Multi {
    spoilt: bool,
    unit: Option<Unit>,
    commands: usize,
}

impl Session {
    /// A new connection with this number. `most` bounds the bytes of a transaction.
    #[must_use]
    pub fn new(password: Option<Password>, number: u64, most: usize) -> Self {
        let welcome = password.is_none();
        Self { password, welcome, protocol: Protocol::Two, name: Bytes::new(), number, most, multi: None }
    }

    /// What it speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Handles one command.
    pub fn on(&mut self, command: &Command) -> Step {
        let name = name_of(&command.args);
        match (&*name, &command.args[1..]) {
            ("AUTH", words) => Step::Say(self.auth(words)),
            ("HELLO", words) => Step::Say(self.hello(words)),
            ("QUIT", _) => Step::Bye(OK),
            ("RESET", _) => {
                let (password, number, most) = (self.password.clone(), self.number, self.most);
                *self = Self::new(password, number, most);
                Step::Say(Bytes::from_static(b"+RESET\r\n"))
            }
            _ if !self.welcome => Step::Say(error("NOAUTH Authentication required.")),
            ("MULTI", []) if self.multi.is_none() => {
                self.multi = Some(Multi::default());
                Step::Say(OK)
            }
            ("MULTI", []) => Step::Say(error("ERR MULTI calls can not be nested")),
            ("DISCARD", []) => match self.multi.take() {
                Some(_) => Step::Say(OK),
                None => Step::Say(error("ERR DISCARD without MULTI")),
            },
            ("EXEC", []) => self.exec(),
            _ if self.multi.is_some() => Step::Say(self.queue(command)),
            (name, words) => match self.own(name, words) {
                Some(said) => Step::Say(said),
                None => match route(&command.args) {
                    Ok(routed) => Step::Ask(Unit {
                        slot: routed.slot,
                        write: routed.write,
                        body: BytesMut::from(&command.raw[..]),
                        replies: 1,
                        whole: false,
                    }),
                    Err(refusal) => Step::Say(error(&refusal.to_string())),
                },
            },
        }
    }

    fn auth(&mut self, words: &[Bytes]) -> Bytes {
        let said = match words {
            [password] => password,
            [user, password] if **user == *b"default" => password,
            [_, _] => return error(WRONG),
            _ => return error(&Refusal::Words("auth".to_owned()).to_string()),
        };
        match &self.password {
            None if words.len() == 1 => error(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            ),
            None => OK,
            Some(password) if password.is(said) => {
                self.welcome = true;
                OK
            }
            Some(_) => error(WRONG),
        }
    }

    fn hello(&mut self, words: &[Bytes]) -> Bytes {
        let (protocol, mut rest) = match words.split_first() {
            None => (self.protocol, words),
            Some((version, rest)) => match &**version {
                b"2" => (Protocol::Two, rest),
                b"3" => (Protocol::Three, rest),
                _ => return error("NOPROTO unsupported protocol version"),
            },
        };
        let mut name = None;
        while let Some((word, after)) = rest.split_first() {
            match (word.to_ascii_uppercase().as_slice(), after) {
                (b"AUTH", [user, password, more @ ..]) => {
                    let said = self.auth(&[user.clone(), password.clone()]);
                    if said != OK {
                        return said;
                    }
                    rest = more;
                }
                (b"SETNAME", [given, more @ ..]) => {
                    name = Some(given.clone());
                    rest = more;
                }
                _ => return error("ERR Syntax error in HELLO"),
            }
        }
        if !self.welcome {
            return error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used",
            );
        }
        self.name = name.unwrap_or_else(|| self.name.clone());
        self.protocol = protocol;
        let mut out = BytesMut::new();
        match protocol {
            Protocol::Two => head(&mut out, b'*', 14),
            Protocol::Three => head(&mut out, b'%', 7),
        }
        let version = if protocol == Protocol::Two { ":2\r\n" } else { ":3\r\n" };
        for (key, value) in [
            ("server", &bulk(b"redis")[..]),
            ("version", &bulk(VERSION)),
            ("proto", version.as_bytes()),
            ("id", format!(":{}\r\n", self.number).as_bytes()),
            ("mode", &bulk(b"standalone")),
            ("role", &bulk(b"master")),
            ("modules", b"*0\r\n"),
        ] {
            out.extend_from_slice(&bulk(key.as_bytes()));
            out.extend_from_slice(value);
        }
        out.freeze()
    }

    /// What is answered without an owner.
    fn own(&mut self, name: &str, words: &[Bytes]) -> Option<Bytes> {
        Some(match (name, words) {
            ("PING", []) => Bytes::from_static(b"+PONG\r\n"),
            ("PING" | "ECHO", [said]) => bulk(said),
            ("SELECT", [number]) if **number == *b"0" => OK,
            ("SELECT", [_]) => error("ERR DB index is out of range"),
            ("UNWATCH", []) => OK,
            ("COMMAND", [count]) if count.eq_ignore_ascii_case(b"COUNT") => Bytes::from_static(b":0\r\n"),
            ("COMMAND", _) => Bytes::from_static(b"*0\r\n"),
            ("INFO", _) => bulk(&[b"# Server\r\nredis_version:", VERSION, INFO].concat()),
            ("CLIENT", [what, words @ ..]) => self.client(&what.to_ascii_uppercase(), words),
            _ => return None,
        })
    }

    fn client(&mut self, what: &[u8], words: &[Bytes]) -> Bytes {
        match (what, words) {
            (b"SETNAME", [name]) => {
                self.name = name.clone();
                OK
            }
            (b"GETNAME", []) => bulk(&self.name),
            (b"ID", []) => Bytes::from(format!(":{}\r\n", self.number)),
            (b"SETINFO", [_, _]) | (b"NO-EVICT" | b"NO-TOUCH", [_]) => OK,
            _ => {
                let name = format!("CLIENT {}", what[..what.len().min(32)].escape_ascii());
                error(&Refusal::Never { name, why: "it is about one connection of an instance" }.to_string())
            }
        }
    }

    fn queue(&mut self, command: &Command) -> Bytes {
        let Some(multi) = &mut self.multi else { return OK };
        let refused = match route(&command.args) {
            Err(refusal) => refusal.to_string(),
            Ok(routed) if multi.unit.as_ref().is_some_and(|unit| unit.slot != routed.slot) => {
                Refusal::Slots.to_string()
            }
            Ok(routed) => {
                let unit = multi.unit.get_or_insert_with(|| Unit {
                    slot: routed.slot,
                    write: false,
                    body: BytesMut::from(MULTI),
                    replies: 1,
                    whole: true,
                });
                if unit.body.len() + command.raw.len() > self.most || multi.commands >= MOST_IN_UNIT {
                    format!("ERR a transaction has at most {MOST_IN_UNIT} commands and {} bytes", self.most)
                } else {
                    multi.commands += 1;
                    unit.write |= routed.write;
                    unit.body.extend_from_slice(&command.raw);
                    return Bytes::from_static(b"+QUEUED\r\n");
                }
            }
        };
        multi.spoilt = true;
        multi.unit = None;
        error(&refused)
    }

    fn exec(&mut self) -> Step {
        match self.multi.take() {
            None => Step::Say(error("ERR EXEC without MULTI")),
            Some(Multi { spoilt: true, .. }) => {
                Step::Say(error("EXECABORT Transaction discarded because of previous errors."))
            }
            Some(Multi { unit: None, .. }) => Step::Say(Bytes::from_static(b"*0\r\n")),
            Some(Multi { unit: Some(mut unit), .. }) => {
                unit.body.extend_from_slice(EXEC);
                Step::Ask(unit)
            }
        }
    }
}

impl Unit {
    /// Puts another one behind this one, if they may go as one: the same slot, no transaction, and not too much. Otherwise gives it back.
    ///
    /// # Errors
    /// The other one.
    pub fn join(&mut self, other: Self) -> Result<(), Self> {
        let fits = self.body.len() + other.body.len() <= MOST_JOINED && self.replies + other.replies <= MOST_IN_UNIT;
        if self.whole || other.whole || self.slot != other.slot || !fits {
            return Err(other);
        }
        self.write |= other.write;
        self.replies += other.replies;
        self.body.extend_from_slice(&other.body);
        Ok(())
    }
}

const OK: Bytes = Bytes::from_static(b"+OK\r\n");
const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";
/// The first command of a transaction, as it goes to an instance.
pub(crate) const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// Its last.
pub(crate) const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
/// What clients are told that this is: they choose commands by it. Source: the least that instances must be.
const VERSION: &[u8] = b"7.0.0";
const INFO: &[u8] = b"\r\nredis_mode:standalone\r\nserver_name:ambidex\r\nloading:0\r\nrole:master\r\n";
/// Commands of one unit. Source: ours; an instance runs them in well under a millisecond.
pub const MOST_IN_UNIT: usize = 256;
/// Bytes of commands that become one unit. Source: ours, what is written at once anyway.
const MOST_JOINED: usize = 64 << 10;
const MOST_PASSWORD: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Bounds, encode};

    fn command(text: &str) -> Command {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let mut wire = encode(&words);
        let bounds = Bounds { args: 64, bytes: 4_096 };
        crate::frame::command(&mut wire, bounds).expect("right").expect("whole")
    }

    fn say(session: &mut Session, text: &str) -> String {
        match session.on(&command(text)) {
            Step::Say(said) | Step::Bye(said) => String::from_utf8_lossy(&said).into_owned(),
            Step::Ask(unit) => format!("{} {} {}", unit.slot, unit.replies, String::from_utf8_lossy(&unit.body)),
        }
    }

    fn open() -> Session {
        Session::new(None, 7, 4_096)
    }

    #[test]
    fn nothing_is_done_before_the_password() {
        let mut session = Session::new(Password::of(b" secret\n"), 7, 4_096);
        for text in ["GET a", "PING", "MULTI", "CLIENT ID", "HELLO 3"] {
            assert!(say(&mut session, text).starts_with("-NOAUTH"), "{text}");
        }
        for text in ["AUTH wrong", "AUTH secre", "AUTH secret1", "AUTH other secret", "HELLO 3 AUTH default x"] {
            assert!(say(&mut session, text).starts_with("-WRONGPASS"), "{text}");
        }
        assert!(say(&mut session, "HELLO 3 AUTH default secret").starts_with("%7\r\n"));
        assert_eq!(session.protocol(), Protocol::Three);
        assert!(say(&mut session, "GET a").starts_with("15495 1 "));
        say(&mut session, "RESET");
        assert!(say(&mut session, "GET a").starts_with("-NOAUTH"));
    }

    #[test]
    fn a_transaction_is_one_unit_with_one_reply() {
        let mut session = open();
        assert_eq!(say(&mut session, "MULTI"), "+OK\r\n");
        assert_eq!(say(&mut session, "SET {t}a 1"), "+QUEUED\r\n");
        assert_eq!(say(&mut session, "GET {t}b"), "+QUEUED\r\n");
        let Step::Ask(unit) = session.on(&command("EXEC")) else { panic!("it is asked") };
        assert!(unit.whole && unit.write && unit.replies == 1);
        let wire = [MULTI, &encode(&[b"SET", b"{t}a", b"1"]), &encode(&[b"GET", b"{t}b"]), EXEC].concat();
        assert_eq!(&unit.body[..], &wire[..]);
        assert_eq!(say(&mut session, "EXEC"), "-ERR EXEC without MULTI\r\n");
    }

    #[test]
    fn what_cannot_be_in_a_transaction_spoils_it() {
        for bad in ["GET other", "BLPOP a 1", "PING", "NOSUCH"] {
            let mut session = open();
            say(&mut session, "MULTI");
            say(&mut session, "SET a 1");
            assert!(say(&mut session, bad).starts_with('-'), "{bad}");
            assert!(say(&mut session, "EXEC").starts_with("-EXECABORT"), "{bad}");
            assert!(say(&mut session, "GET a").contains("GET"), "{bad}");
        }
    }

    #[test]
    fn commands_of_one_slot_become_one_unit_and_others_do_not() {
        let unit = |text: &str| match open().on(&command(text)) {
            Step::Ask(unit) => unit,
            Step::Say(_) | Step::Bye(_) => panic!("{text}"),
        };
        let mut first = unit("GET {t}a");
        assert!(first.join(unit("SET {t}b 1")).is_ok());
        assert_eq!((first.replies, first.write), (2, true));
        assert!(first.join(unit("GET other")).is_err());
    }

    #[test]
    fn what_is_about_the_connection_is_answered_here() {
        let mut session = open();
        for (text, said) in [
            ("PING", "+PONG\r\n"),
            ("PING a", "$1\r\na\r\n"),
            ("ECHO a", "$1\r\na\r\n"),
            ("SELECT 0", "+OK\r\n"),
            ("CLIENT SETNAME n", "+OK\r\n"),
            ("CLIENT GETNAME", "$1\r\nn\r\n"),
            ("CLIENT ID", ":7\r\n"),
            ("COMMAND DOCS", "*0\r\n"),
            ("SELECT 1", "-ERR DB index is out of range\r\n"),
            ("QUIT", "+OK\r\n"),
        ] {
            assert_eq!(say(&mut session, text), said, "{text}");
        }
        assert!(say(&mut session, "CLIENT TRACKING ON").starts_with("-ERR CLIENT TRACKING is not taken"));
        assert!(say(&mut session, "HELLO 4").starts_with("-NOPROTO"));
    }
}
