//! The tries of one attempt: where each stands, whose turn was when.

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::{Effect, Effects, GivenUp, TryId};
use crate::again::quorum::Mark;
use crate::balance::{MOST_TRIES, Tried};
use crate::time::{Mono, Span};

/// All tries of one attempt.
#[derive(Debug, Default)]
pub(super) struct Tries {
    all: ArrayVec<Try, MOST_TRIES>,
    /// Slots of this pool that were asked.
    slots: Tried,
    /// Answers that count for a quorum, in the order in which they came. On the heap: few requests have any.
    held: Vec<(TryId, Option<Mark>)>,
    /// The newest failing answer, for want of a better one.
    kept: Option<TryId>,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    sent: Mono,
    stand: Stand,
}

/// Where a try stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// No head yet.
    Running,
    /// It answered; what it is compared by is being worked out.
    Comparing,
    /// It answered, and counts for the quorum.
    Held,
    /// It answered badly, and may be all there is.
    Kept,
    /// Nothing more comes of it.
    Over,
}

impl Tries {
    pub(super) fn begin(&mut self, now: Mono, slot: usize) -> TryId {
        #[expect(clippy::cast_possible_truncation, reason = "at most MOST_TRIES")]
        let id = TryId(self.all.len() as u8);
        self.all.push(Try { sent: now, stand: Stand::Running });
        self.slots.push(slot);
        id
    }

    pub(super) fn sent(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.all.is_full()
    }

    pub(super) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Another pool has other slots.
    pub(super) fn forget_slots(&mut self) {
        self.slots.clear();
    }

    pub(super) fn stands(&self, id: TryId, stand: Stand) -> bool {
        self.all.get(usize::from(id.0)).is_some_and(|it| it.stand == stand)
    }

    /// Whether the try may still become an answer that counts.
    pub(super) fn is_open(&self, id: TryId) -> bool {
        self.stands(id, Stand::Running) || self.stands(id, Stand::Comparing)
    }

    /// How many may still become an answer that counts.
    pub(super) fn open(&self) -> usize {
        self.ids().filter(|id| self.is_open(*id)).count()
    }

    pub(super) fn running(&self) -> ArrayVec<TryId, MOST_TRIES> {
        self.ids().filter(|id| self.stands(*id, Stand::Running)).collect()
    }

    pub(super) fn set(&mut self, id: TryId, stand: Stand) {
        self.all[usize::from(id.0)].stand = stand;
    }

    pub(super) fn hold(&mut self, id: TryId, mark: Option<Mark>) {
        self.set(id, Stand::Held);
        self.held.push((id, mark));
    }

    pub(super) fn held(&self) -> &[(TryId, Option<Mark>)] {
        &self.held
    }

    /// Keeps a failing answer, instead of the one that was kept before.
    pub(super) fn keep(&mut self, id: TryId, out: &mut Effects) {
        self.give_up_kept(out);
        self.set(id, Stand::Kept);
        self.kept = Some(id);
    }

    pub(super) fn take_kept(&mut self) -> Option<TryId> {
        let id = self.kept.take()?;
        self.set(id, Stand::Over);
        Some(id)
    }

    pub(super) fn give_up_kept(&mut self, out: &mut Effects) {
        if let Some(id) = self.take_kept() {
            out.push(Effect::Cancel(id, GivenUp::Lost));
        }
    }

    /// Gives up all tries but the kept one. `why` is about those that have not answered; the others lost.
    pub(super) fn give_up(&mut self, why: GivenUp, out: &mut Effects) {
        for id in self.ids() {
            let why = match self.all[usize::from(id.0)].stand {
                Stand::Running => why,
                Stand::Comparing | Stand::Held => GivenUp::Lost,
                Stand::Kept | Stand::Over => continue,
            };
            self.set(id, Stand::Over);
            out.push(Effect::Cancel(id, why));
        }
        self.held.clear();
    }

    pub(super) fn sent_at(&self, id: TryId) -> Mono {
        self.all[usize::from(id.0)].sent
    }

    pub(super) fn took(&self, id: TryId, now: Mono) -> Span {
        now.since(self.all[usize::from(id.0)].sent)
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most MOST_TRIES")]
    fn ids(&self) -> impl Iterator<Item = TryId> + use<> {
        (0..self.all.len() as u8).map(TryId)
    }
}
