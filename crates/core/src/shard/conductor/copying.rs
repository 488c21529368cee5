//! Steps 2 to 6 of a move: everything that workers do before the store decides.

use super::{Conductor, Effect, Pass, Step, Why};
use crate::shard::messages::{Bytes, Cursor, Message, Reply};
use crate::shard::records::Phase;
use crate::time::{Mono, Span};

use alloc::vec::Vec;

impl Conductor {
    pub(super) fn offered(&mut self, now: Mono, reply: Reply, out: &mut Vec<Effect>) {
        if reply == Reply::Offered {
            let pass = Pass { batch: 0, round: 0, since: now, keys: 0 };
            self.give(now, self.config.silence);
            self.enter(now, Step::Copying(pass, Cursor::Start), out);
        } else {
            self.give_up(now, Why::Lost, out);
        }
    }

    pub(super) fn copied(&mut self, now: Mono, pass: Pass, _: Cursor, reply: Reply, out: &mut Vec<Effect>) {
        let Reply::Copied { entries, next, dirty } = reply else { return self.give_up(now, Why::Lost, out) };
        self.give(now, self.config.silence);
        let pass = Pass { keys: pass.keys + entries.len(), ..pass };
        self.enter(now, Step::Applying(pass, entries, next, dirty), out);
    }

    pub(super) fn applied(
        &mut self,
        now: Mono,
        pass: Pass,
        (next, dirty): (Option<Bytes>, usize),
        reply: Reply,
        out: &mut Vec<Effect>,
    ) {
        if reply != (Reply::Applied { number: pass.batch }) {
            return self.give_up(now, Why::Lost, out);
        }
        self.give(now, self.config.silence);
        let pass = Pass { batch: pass.batch.saturating_add(1), ..pass };
        if let Some(key) = next {
            return self.enter(now, Step::Copying(pass, Cursor::After(key)), out);
        }
        if predicted(now, pass, dirty) <= self.config.pause {
            self.pass = Some(pass);
            return self.store(now, Some(Phase::Sealing), out);
        }
        if pass.round >= self.config.rounds {
            return self.give_up(now, Why::NeverSmall, out);
        }
        let pass = Pass { round: pass.round + 1, since: now, keys: 0, ..pass };
        self.enter(now, Step::Copying(pass, Cursor::Round(pass.round)), out);
    }

    pub(super) fn sealed(&mut self, now: Mono, pass: Pass, reply: Reply, out: &mut Vec<Effect>) {
        match reply {
            Reply::Sealed { .. } => self.enter(now, Step::Finishing(pass, reply), out),
            Reply::Stuck { .. } => self.give_up(now, Why::Stuck, out),
            Reply::Offered | Reply::Copied { .. } | Reply::Applied { .. } | Reply::Verified => {
                self.give_up(now, Why::Lost, out);
            }
            Reply::Differs { .. } | Reply::Lost | Reply::Stands(_) => self.give_up(now, Why::Lost, out),
        }
    }

    pub(super) fn finished(&mut self, now: Mono, pass: Pass, sealed: Reply, reply: Reply, out: &mut Vec<Effect>) {
        match (sealed, reply) {
            (Reply::Sealed { digest, .. }, Reply::Applied { number }) if number == pass.batch => {
                self.enter(now, Step::Verifying(Message::Verify { digest }), out);
            }
            _ => self.give_up(now, Why::Lost, out),
        }
    }

    pub(super) fn verified(&mut self, now: Mono, _: Message, reply: Reply, out: &mut Vec<Effect>) {
        match reply {
            Reply::Verified => self.store(now, Some(Phase::Ready), out),
            Reply::Differs { .. } => self.give_up(now, Why::Differs, out),
            Reply::Offered | Reply::Copied { .. } | Reply::Applied { .. } | Reply::Sealed { .. } => {
                self.give_up(now, Why::Lost, out);
            }
            Reply::Stuck { .. } | Reply::Lost | Reply::Stands(_) => self.give_up(now, Why::Lost, out),
        }
    }

    /// Gives the next answer so much time.
    pub(super) fn give(&mut self, now: Mono, span: Span) {
        self.until = Some(now + span);
    }
}

/// How long it takes to copy so many keys, by the pace of a round that ends now.
fn predicted(now: Mono, pass: Pass, keys: usize) -> Span {
    let took = now.since(pass.since).as_nanos();
    let each = took / (pass.keys.max(1) as u64);
    Span::from_nanos(each.saturating_mul(keys as u64))
}
