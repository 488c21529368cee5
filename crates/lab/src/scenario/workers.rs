//! Who serves: groups as written, and the single workers that they stand for.

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

use super::Scenario;
use crate::fault::Placed;
use crate::service::Service;
use crate::worker::{Discipline, ReportStyle};

/// Workers that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Their name; several are told apart as `NAME-1` to `NAME-COUNT`. Default `w`.
    pub name: String,
    /// How many. Default 1.
    pub count: u32,
    /// Requests that each serves at full speed. Default 4.
    pub slots: u32,
    /// What a request of cost 1 takes on a slot of its own. Default 10ms.
    pub service: Service,
    /// What happens beyond the slots. Default share.
    pub discipline: Discipline,
    /// How they tell of their load. Default server-load.
    pub report: ReportStyle,
    /// How often they are asked, with `report: endpoint`. Default 5s; source: R-S2.
    pub poll: Span,
    /// Their zone. Default none.
    pub zone: String,
    /// The weight that the gateway's configuration gives each. Default 1.
    pub weight: f64,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            name: "w".to_owned(),
            count: 1,
            slots: 4,
            service: Service::constant(Span::from_millis(10)),
            discipline: Discipline::Share,
            report: ReportStyle::ServerLoad,
            poll: Span::from_secs(5),
            zone: String::new(),
            weight: 1.0,
        }
    }
}

impl Group {
    /// Requests of cost 1 a second that all of them can carry.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        f64::from(self.count) * f64::from(self.slots) / self.service.mean.as_secs_f64()
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        let name = |at: u32| if self.count == 1 { self.name.clone() } else { format!("{}-{}", self.name, at + 1) };
        (0..self.count).map(name)
    }
}

/// One worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker<'s> {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: &'s Group,
    /// What goes wrong at it; times count from the end of the warm-up.
    pub faults: Vec<Placed>,
}

pub(super) fn all(scenario: &Scenario) -> Vec<Worker<'_>> {
    let of = |group| Group::names(group).map(move |name| Worker { name, group, faults: Vec::new() });
    let mut workers: Vec<Worker<'_>> = scenario.workers.iter().flat_map(of).collect();
    for troubled in &scenario.faults {
        let meets =
            |worker: &Worker<'_>| troubled.on.iter().any(|name| *name == worker.name || *name == worker.group.name);
        let at: Vec<usize> = (0..workers.len()).filter(|at| meets(&workers[*at])).collect();
        for (place, worker) in at.iter().enumerate() {
            let place = Share::of(place as u64, at.len() as u64);
            workers[*worker].faults.push(Placed { fault: troubled.fault, place });
        }
    }
    workers
}
