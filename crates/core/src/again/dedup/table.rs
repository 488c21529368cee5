//! The keys of one process: what is known of each, whose it is, and when it goes.

use alloc::collections::{BTreeMap, BTreeSet};

use super::{Bounds, Claim, End, Fullness, Gone, KEY_BYTES, Keyed, Name, Print, RETRY_AFTER, Tenant, Terms};
use super::{Unsure, Verdict};
use crate::time::{Mono, Span};

/// Keys and their answers. `A` is an answer: cheap to clone, its bytes are told with it.
#[derive(Debug)]
pub struct Table<A> {
    bounds: Bounds,
    entries: BTreeMap<Name, Entry<A>>,
    /// When each entry goes, soonest first.
    ends: BTreeSet<(Mono, Name)>,
    /// Whose answers are kept, oldest first.
    answers: BTreeMap<Claim, Name>,
    tenants: BTreeMap<Tenant, Use>,
    total: Use,
    last: Claim,
}

#[derive(Clone, Debug)]
struct Entry<A> {
    print: Print,
    tenant: Tenant,
    claim: Claim,
    /// When it goes.
    end: Mono,
    state: State<A>,
}

#[derive(Clone, Debug)]
enum State<A> {
    Running { until: Mono, unsure: Unsure },
    Answered { answer: A, bytes: u64 },
    Without(Gone),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Use {
    keys: usize,
    bytes: u64,
}

impl<A: Clone> Table<A> {
    /// An empty one.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: BTreeMap::new(),
            ends: BTreeSet::new(),
            answers: BTreeMap::new(),
            tenants: BTreeMap::new(),
            total: Use::default(),
            last: Claim(0),
        }
    }

    /// Other bounds from now on. What is too much goes with time.
    pub fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Keys that are known.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.total.keys
    }

    /// Bytes that keys and answers take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.total.bytes
    }

    /// What to do with a request. The first one of its key gets a claim, and must be finished.
    pub fn begin(&mut self, now: Mono, keyed: Keyed, terms: Terms) -> Verdict<A> {
        self.forget(now);
        if let Some(verdict) = self.known(now, keyed) {
            return verdict;
        }
        self.remove(keyed.name);
        if let Err(full) = self.make_room(keyed.tenant, KEY_BYTES) {
            return Verdict::Full(full);
        }
        let until = now + terms.lease;
        let end = match terms.unsure {
            Unsure::Hold => until + terms.keep,
            Unsure::Release => until,
        };
        Verdict::Run(self.insert(keyed, end, State::Running { until, unsure: terms.unsure }))
    }

    /// Says how a claimed request ended, to be kept for `keep`. Late news of a claim that is gone change nothing.
    pub fn finish(&mut self, now: Mono, name: Name, claim: Claim, keep: Span, end: End<A>) -> bool {
        let Some(entry) = self.entries.get(&name) else { return false };
        if entry.claim != claim || !matches!(entry.state, State::Running { .. }) {
            return false;
        }
        let keyed = Keyed { name, print: entry.print, tenant: entry.tenant };
        self.remove(name);
        match end {
            End::Never => {}
            End::Without(gone) => _ = self.insert(keyed, now + keep, State::Without(gone)),
            End::Answer(answer, bytes) => {
                let fits = self.make_room(keyed.tenant, KEY_BYTES + bytes).is_ok();
                let state = if fits { State::Answered { answer, bytes } } else { State::Without(Gone::Dropped) };
                self.insert(keyed, now + keep, state);
            }
        }
        true
    }

    /// Takes up what an earlier process left running: `left` of its lease, then what its terms say.
    pub fn restore_running(&mut self, now: Mono, keyed: Keyed, left: Span, terms: Terms) -> bool {
        self.remove(keyed.name);
        let lease = Terms { lease: left, ..terms };
        matches!(self.begin(now, keyed, lease), Verdict::Run(_))
    }

    /// Takes up how a request ended that an earlier process ran, for what is `left` of its time. The later one counts.
    pub fn restore(&mut self, now: Mono, keyed: Keyed, left: Span, end: End<A>) {
        self.remove(keyed.name);
        let terms = Terms { lease: left, keep: Span::ZERO, unsure: Unsure::Hold };
        if let Verdict::Run(claim) = self.begin(now, keyed, terms) {
            self.finish(now, keyed.name, claim, left, end);
        }
    }

    /// The verdict on a key that is known.
    fn known(&self, now: Mono, keyed: Keyed) -> Option<Verdict<A>> {
        let entry = self.entries.get(&keyed.name).filter(|entry| entry.end > now)?;
        if entry.print != keyed.print {
            return Some(Verdict::Mismatch);
        }
        Some(match &entry.state {
            State::Running { until, .. } if *until > now => {
                Verdict::Conflict { retry_after: until.since(now).min(RETRY_AFTER) }
            }
            State::Running { unsure: Unsure::Release, .. } => return None,
            State::Running { unsure: Unsure::Hold, .. } => Verdict::Lost(Gone::Unknown),
            State::Answered { answer, .. } => Verdict::Replay(answer.clone()),
            State::Without(gone) => Verdict::Lost(*gone),
        })
    }

    /// Drops keys whose time is over: some at each call, so that no call takes long.
    fn forget(&mut self, now: Mono) {
        for _ in 0..MOST_FORGOTTEN {
            match self.ends.first() {
                Some((end, name)) if *end <= now => self.remove(*name),
                Some(_) | None => return,
            }
        }
    }

    /// Room for one more key of so many bytes: other answers go, oldest first, the tenant's own when it has its share.
    fn make_room(&mut self, tenant: Tenant, bytes: u64) -> Result<(), Fullness> {
        let Bounds { keys: most_keys, bytes: most_bytes, .. } = self.bounds;
        if self.total.keys >= most_keys {
            return Err(Fullness::Keys);
        }
        // Where nobody is told apart, there are no shares.
        if tenant != Tenant::default() {
            self.make_room_in_share(tenant, bytes)?;
        }
        while self.total.bytes + bytes > most_bytes {
            if !self.drop_answer(|_| true) {
                return Err(Fullness::Bytes);
            }
        }
        Ok(())
    }

    fn make_room_in_share(&mut self, tenant: Tenant, bytes: u64) -> Result<(), Fullness> {
        let Bounds { keys, bytes: most_bytes, tenant_share } = self.bounds;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a whole")]
        let share = |whole: u64| (whole as f64 * tenant_share.get()) as u64;
        let used = self.tenants.get(&tenant).copied().unwrap_or_default();
        if used.keys as u64 >= share(keys as u64).max(1) {
            return Err(Fullness::Tenant);
        }
        while self.tenants.get(&tenant).map_or(0, |used| used.bytes) + bytes > share(most_bytes) {
            if !self.drop_answer(|entry| entry.tenant == tenant) {
                return Err(Fullness::Tenant);
            }
        }
        Ok(())
    }

    /// Drops the oldest answer that `fits` and keeps its key used. Looks at so many at most.
    fn drop_answer(&mut self, fits: impl Fn(&Entry<A>) -> bool) -> bool {
        let mut oldest = self.answers.iter().take(MOST_LOOKED_AT);
        let found = oldest.find(|(_, name)| self.entries.get(name).is_some_and(&fits)).map(|(claim, _)| *claim);
        let Some(name) = found.and_then(|claim| self.answers.remove(&claim)) else { return false };
        let Some(entry) = self.entries.get_mut(&name) else { return false };
        let State::Answered { bytes, .. } = entry.state else { return false };
        entry.state = State::Without(Gone::Dropped);
        let tenant = entry.tenant;
        self.total.bytes -= bytes;
        if let Some(used) = self.tenants.get_mut(&tenant) {
            used.bytes -= bytes;
        }
        true
    }

    fn insert(&mut self, keyed: Keyed, end: Mono, state: State<A>) -> Claim {
        self.last = Claim(self.last.0 + 1);
        let claim = self.last;
        if matches!(state, State::Answered { .. }) {
            self.answers.insert(claim, keyed.name);
        }
        let bytes = state.bytes();
        self.ends.insert((end, keyed.name));
        self.entries.insert(keyed.name, Entry { print: keyed.print, tenant: keyed.tenant, claim, end, state });
        for used in [&mut self.total, self.tenants.entry(keyed.tenant).or_default()] {
            used.keys += 1;
            used.bytes += bytes;
        }
        claim
    }

    fn remove(&mut self, name: Name) {
        let Some(entry) = self.entries.remove(&name) else { return };
        self.ends.remove(&(entry.end, name));
        self.answers.remove(&entry.claim);
        let bytes = entry.state.bytes();
        self.total.keys -= 1;
        self.total.bytes -= bytes;
        if let Some(used) = self.tenants.get_mut(&entry.tenant) {
            used.keys -= 1;
            used.bytes -= bytes;
            if used.keys == 0 {
                self.tenants.remove(&entry.tenant);
            }
        }
    }
}

impl<A> State<A> {
    const fn bytes(&self) -> u64 {
        match self {
            Self::Answered { bytes, .. } => KEY_BYTES + *bytes,
            Self::Running { .. } | Self::Without(_) => KEY_BYTES,
        }
    }
}

/// Keys that one call forgets at most. Source: ours; as many as a call can add, many times over.
const MOST_FORGOTTEN: usize = 64;
/// Answers that are looked at to find one of a tenant. Source: ours; beyond, the tenant is told that it is full.
const MOST_LOOKED_AT: usize = 1_024;
