//! Answers of a quorum that differ: counted, logged with who said what, told to a repair hook [R-Q2].
//!
//! Short answers are compared before one of them goes to the client. Of long ones the first 256 KiB are; the rest is
//! compared while it passes, by digests of whole bodies, and nothing of it is held:
//!
//! ```text
//! the winner ── goes to the client, a tap reads along ──┐
//! the others ── read to their ends in the background ───┴── all ended: equal, or told
//!               (10 s and 64 MiB each, 16 a thread; beyond that they are not compared)
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::again::counts::{Came, Chance};
use ambidex_core::again::quorum::Mark;
use ambidex_core::view::PoolView;
use ambidex_core::worker::WorkerId;
use bytes::Bytes;
use http_body::Frame;
use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use crate::config::Hook;
use crate::head::{host_of, path_of};
use crate::request::Request;
use crate::tap::Tap;
use crate::thread::Thread;
use crate::upstream::UpstreamBody;

/// The question whose answers are compared.
pub(crate) struct Question {
    thread: Rc<Thread>,
    pool: Arc<PoolView>,
    hook: Option<Hook>,
    id: String,
    method: String,
    host: String,
    path: String,
}

impl Question {
    pub(crate) fn new(
        thread: &Rc<Thread>,
        pool: &Arc<PoolView>,
        hook: Option<&Hook>,
        request: &Request,
        id: Option<&[u8; 32]>,
    ) -> Self {
        Self {
            thread: Rc::clone(thread),
            pool: Arc::clone(pool),
            hook: hook.cloned(),
            id: id.map_or_else(String::new, |id| String::from_utf8_lossy(id).into_owned()),
            method: request.head.method().to_string(),
            host: host_of(&request.head).to_owned(),
            path: path_of(&request.head).to_owned(),
        }
    }

    /// Tells that the answers differ: whose was taken, and how many of how many say the same as that one.
    pub(crate) fn tell(
        &self,
        winner: Option<WorkerId>,
        (agreeing, of): (usize, usize),
        said: &[(WorkerId, Option<Mark>)],
    ) {
        let name = |worker: &WorkerId| {
            let mut workers = self.pool.workers.iter();
            workers.find(|known| known.id == *worker).map_or("?", |known| &*known.name)
        };
        let said: Vec<_> =
            said.iter().map(|(worker, mark)| (name(worker), mark.map(|mark| format!("{:016x}", mark.0)))).collect();
        let winner = winner.as_ref().map(name);
        let (id, path) = (&*self.id, &*self.path);
        tracing::warn!(request = id, path, agreeing, of, winner, ?said, "the answers of a quorum differ");
        let Some(hook) = &self.hook else { return };
        let answers: Vec<_> = said.iter().map(|(worker, mark)| json!({"worker": worker, "mark": mark})).collect();
        let body = json!({
            "schema_version": 1,
            "request_id": id,
            "method": self.method,
            "host": self.host,
            "path": path,
            "pool": &*self.pool.name,
            "winner": winner,
            "agreeing": agreeing,
            "of": of,
            "answers": answers,
        });
        self.thread.repairs.post(&self.thread, hook, body.to_string());
    }
}

/// The long answers to one question.
pub(crate) struct Comparison {
    question: Question,
    /// Whose answer the client gets.
    winner: Cell<Option<WorkerId>>,
    said: RefCell<Vec<(WorkerId, Mark)>>,
}

impl Comparison {
    pub(crate) fn new(question: Question) -> Rc<Self> {
        Rc::new(Self { question, winner: Cell::default(), said: RefCell::default() })
    }

    /// A place for the answer of `worker`. When the last of them is gone, all have said what they will.
    pub(crate) fn watch(self: &Rc<Self>, worker: WorkerId) -> Watch {
        Watch { comparison: Rc::clone(self), worker, digest: Box::new(Xxh3::new()) }
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        let (said, winner) = (self.said.take(), self.winner.get());
        // One that broke off, or was not read to its end, says nothing.
        let Some((_, taken)) = said.iter().find(|(worker, _)| Some(*worker) == winner) else { return };
        let agreeing = said.iter().filter(|(_, mark)| mark == taken).count();
        if agreeing < said.len() {
            self.question.pool.budget.counts().add(Chance::Quorum, Came::Mattered);
            let marks: Vec<_> = said.iter().map(|(worker, mark)| (*worker, Some(*mark))).collect();
            self.question.tell(winner, (agreeing, said.len()), &marks);
        }
    }
}

/// One long answer as it passes.
pub(crate) struct Watch {
    comparison: Rc<Comparison>,
    worker: WorkerId,
    digest: Box<Xxh3>,
}

impl Watch {
    /// It is the one that the client gets.
    pub(crate) fn wins(self) -> Box<dyn Tap> {
        self.comparison.winner.set(Some(self.worker));
        Box::new(self)
    }

    /// Reads it to its end, for nobody but the comparison.
    pub(crate) fn drain(mut self, came: VecDeque<Frame<Bytes>>, mut body: UpstreamBody) {
        let drains = Rc::clone(&self.comparison.question.thread.drains);
        if drains.get() >= MOST_DRAINS {
            return;
        }
        drains.set(drains.get() + 1);
        tokio::task::spawn_local(async move {
            let mut left = MOST_DRAINED;
            came.iter().filter_map(Frame::data_ref).for_each(|data| self.digest.update(data));
            let reading = async {
                while let Some(frame) = poll_fn(|cx| body.poll_next(cx)).await {
                    let Ok(frame) = frame else { return false };
                    let Some(data) = frame.data_ref() else { continue };
                    self.digest.update(data);
                    left = left.saturating_sub(data.len());
                    if left == 0 {
                        return false;
                    }
                }
                true
            };
            let whole = tokio::time::timeout(PATIENCE, reading).await.unwrap_or(false);
            self.said(whole);
            drains.set(drains.get() - 1);
        });
    }

    fn said(self, whole: bool) {
        if whole {
            let mark = Mark(self.digest.digest());
            self.comparison.said.borrow_mut().push((self.worker, mark));
        }
    }
}

impl Tap for Watch {
    fn data(&mut self, data: &Bytes) {
        self.digest.update(data);
    }

    fn ended(self: Box<Self>, whole: bool) {
        self.said(whole);
    }
}

/// Answers of one thread that are read to their ends for the comparison alone. Source: ours; they cost workers what
/// clients would.
const MOST_DRAINS: usize = 16;
/// Bytes of one. Source: ours.
const MOST_DRAINED: usize = 64 << 20;
/// For all of one. Source: ours.
const PATIENCE: Duration = Duration::from_secs(10);
