//! Requests that want the same at the same time: one is sent, the others wait for what it brings.
//!
//! ```text
//! first  ── leads ── kept ──────────── the others look again, and find it
//!                 \─ not kept ──────── the others go on by themselves, all at once: their answers are their own
//!                 \─ gone (dropped) ── one of the others leads
//! others ── wait, at most as long as their route says
//! ```
//! The table holds only what is under way, so requests under way bound it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What became of a convoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    /// Its answer is kept.
    Kept,
    /// It has an answer, which is for nobody else, or none.
    NotKept,
}

/// All convoys.
#[derive(Debug, Default)]
pub(crate) struct Convoys(Mutex<Table>);

type Table = HashMap<Arc<[u8]>, watch::Receiver<Option<Landed>>>;

/// The request that is sent. Dropped without a word, it has left.
#[derive(Debug)]
pub(crate) struct Leading {
    key: Arc<[u8]>,
    tell: watch::Sender<Option<Landed>>,
    convoys: Arc<Convoys>,
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting(watch::Receiver<Option<Landed>>);

/// A request's part in a convoy.
#[derive(Debug)]
pub(crate) enum Part {
    /// It is sent.
    Leads(Leading),
    /// It waits.
    Waits(Waiting),
}

impl Convoys {
    /// Joins the convoy of this key, or begins it.
    pub(crate) fn join(self: &Arc<Self>, key: Vec<u8>) -> Part {
        let mut convoys = self.locked();
        if let Some(convoy) = convoys.get(&key[..]) {
            return Part::Waits(Waiting(convoy.clone()));
        }
        let key: Arc<[u8]> = key.into();
        let (tell, told) = watch::channel(None);
        convoys.insert(Arc::clone(&key), told);
        Part::Leads(Leading { key, tell, convoys: Arc::clone(self) })
    }

    /// How many are under way.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.locked().len()
    }

    fn locked(&self) -> MutexGuard<'_, Table> {
        // Each change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leading {
    /// Tells the others.
    pub(crate) fn landed(self, how: Landed) {
        // Taken out first: who comes now must not wait for what has ended.
        self.leave();
        let _ = self.tell.send(Some(how));
    }

    fn leave(&self) {
        let mut convoys = self.convoys.locked();
        if convoys.get(&self.key).is_some_and(|told| told.same_channel(&self.tell.subscribe())) {
            convoys.remove(&self.key);
        }
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Waiting {
    /// What became of the convoy; `None`: its leader left.
    pub(crate) async fn landed(mut self) -> Option<Landed> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|landed| *landed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(convoys: &Arc<Convoys>) -> Waiting {
        let Part::Waits(waiting) = convoys.join(b"a".to_vec()) else { panic!("somebody leads") };
        waiting
    }

    fn leads(convoys: &Arc<Convoys>) -> Leading {
        let Part::Leads(leading) = convoys.join(b"a".to_vec()) else { panic!("nobody leads") };
        leading
    }

    #[tokio::test]
    async fn those_who_wait_are_told_what_became_of_the_one_that_was_sent() {
        let convoys = Arc::new(Convoys::default());
        for how in [Landed::Kept, Landed::NotKept] {
            let leading = leads(&convoys);
            let (one, other) = (waits(&convoys), waits(&convoys));
            leading.landed(how);
            assert_eq!((one.landed().await, other.landed().await), (Some(how), Some(how)));
            assert_eq!(convoys.count(), 0);
        }
    }

    #[tokio::test]
    async fn when_the_leader_leaves_those_who_wait_learn_it_and_one_of_them_leads() {
        let convoys = Arc::new(Convoys::default());
        let leading = leads(&convoys);
        let waiting = waits(&convoys);
        drop(leading);
        assert_eq!(waiting.landed().await, None);
        let _again = leads(&convoys);
        let _waits = waits(&convoys);
        assert_eq!(convoys.count(), 1);
    }

    #[tokio::test]
    async fn a_leader_that_has_left_does_not_end_the_next_convoy() {
        let convoys = Arc::new(Convoys::default());
        let first = leads(&convoys);
        first.leave();
        let second = leads(&convoys);
        drop(first);
        let waiting = waits(&convoys);
        second.landed(Landed::Kept);
        assert_eq!(waiting.landed().await, Some(Landed::Kept));
    }
}
