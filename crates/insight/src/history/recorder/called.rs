//! Takes who called: beside what was asked for and of whom, where a source knows it.

use super::{BLOCK, NodeAt, Recorder};
use crate::history::{At, Caller, NO_ROUTE};

/// Requests of one caller to a node at a time. They are counted among [`Requests`](super::Requests) as well, or sampled; this says who sent them.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// When they ended.
    pub at: At,
    /// To which node.
    pub node: NodeAt,
    /// Who sent them.
    pub caller: Caller<'a>,
    /// What they were for; `None`: not known.
    pub route: Option<&'a str>,
    /// How many: of rates a part of one, too.
    pub count: f64,
}

impl Recorder {
    /// Says who sent requests. A caller without a name says nothing.
    pub fn called(&mut self, call: &Call<'_>) {
        let nameless = call.caller == Caller { service: None, instance: None };
        if nameless || !(call.count > 0.0 && call.count.is_finite()) {
            return;
        }
        let Some(window) = self.window(call.at) else { return };
        if self.calls >= self.bounds.calls && self.bounds.callers <= FEWEST_CALLERS {
            self.remark(format!(
                "more than {} cells of callers, routes and nodes: others count as one caller",
                self.bounds.calls
            ));
            return;
        }
        let route = call.route.map_or(NO_ROUTE, |route| self.route(route));
        call.caller.write_key(&mut self.key);
        let calls = &mut self.traffic.blocks.entry(window.div_euclid(BLOCK)).or_default().calls;
        let before = calls.cells();
        calls.keep(self.bounds.callers);
        let cut = calls.add(&self.key, (route, call.node.0), call.count);
        self.calls = (self.calls + calls.cells()).saturating_sub(before);
        if cut {
            self.remark(format!(
                "more than {} callers an hour: those who call less count as one",
                2 * self.bounds.callers
            ));
        }
        self.keep_fewer_callers();
    }

    /// When more cells of callers are kept than may be: half as many callers, from now on.
    pub(in crate::history) fn keep_fewer_callers(&mut self) {
        while self.calls > self.bounds.calls && self.bounds.callers > FEWEST_CALLERS {
            self.bounds.callers = (self.bounds.callers / 2).max(FEWEST_CALLERS);
            self.remark(format!(
                "more than {} cells of callers, routes and nodes: fewer callers are told apart",
                self.bounds.calls
            ));
            self.calls = 0;
            for block in self.traffic.blocks.values_mut() {
                block.calls.keep(self.bounds.callers);
                self.calls += block.calls.cells();
            }
        }
    }
}

/// Source: ours; under it callers are told apart no more.
const FEWEST_CALLERS: usize = 4;
