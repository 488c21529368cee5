//! What the doctor found, by the names that `ambidex diagnose --metrics` has, and how the doctor itself does. How many workers a pool
//! should have is absent wherever it would be wrong to go by it, so that an autoscaler stays where it is.

use crate::doctor::{DoctorState, DoctorStatus, Grave, GroupStatus};
use crate::facts::{Family, Kind};

/// All of it; nothing while the doctor is off.
pub(super) fn families(told: &DoctorStatus) -> Vec<Family> {
    if told.state == DoctorState::Off {
        return Vec::new();
    }
    let rounds = [("done", told.rounds), ("failed", told.failed)];
    let rounds = rounds.map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count as f64));
    let up = told.state == DoctorState::Judged;
    let mut all = vec![
        Family {
            name: "doctor_rounds",
            help: "Rounds of the doctor, by what became of them",
            kind: Kind::Counter,
            samples: rounds.into(),
        },
        gauge(
            "diagnosis_up",
            "1 while the doctor's last round came to its end",
            vec![(Vec::new(), f64::from(u8::from(up)))],
        ),
    ];
    if up {
        all.extend(judged(told));
    }
    all.retain(|family| !family.samples.is_empty());
    all
}

fn judged(told: &DoctorStatus) -> [Family; 5] {
    let levels = [(Grave::Notice, "notice"), (Grave::Warning, "warning"), (Grave::Critical, "critical")];
    let count = |level| told.findings.iter().filter(|finding| finding.level == level).count() as f64;
    let findings = levels.map(|(level, word)| (vec![("level", word.to_owned())], count(level)));
    let group = |group: &GroupStatus| vec![("group", group.name.clone())];
    let plan = |group: &GroupStatus| group.capacity.as_ref().and_then(|capacity| capacity.plan.clone());
    let withheld = |one: &GroupStatus| match (&one.insufficient, plan(one)) {
        (Some(_), _) => Some("not_judged"),
        (None, None) => Some("no_utilization"),
        (None, Some(plan)) => plan.withheld,
    };
    let of = |value: &dyn Fn(&GroupStatus) -> Option<f64>| {
        told.groups.iter().filter_map(|one| Some((group(one), value(one)?))).collect::<Vec<_>>()
    };
    let needed = of(&|one| withheld(one).is_none().then(|| plan(one)?.needed).flatten().map(f64::from));
    let even = of(&|one| plan(one).map(|plan| f64::from(plan.even)));
    let nodes = of(&|one| Some(one.judged as f64));
    let reason = |one: &GroupStatus| {
        let why = withheld(one)?;
        Some((vec![("group", one.name.clone()), ("reason", why.to_owned())], 1.0))
    };
    [
        gauge("findings", "Findings of the doctor's last round, by level", findings.into()),
        gauge("desired_nodes", "Workers that the load takes as it lies; absent while it is withheld", needed),
        gauge(
            "desired_nodes_withheld",
            "1 while no number of workers is told, and why",
            told.groups.iter().filter_map(reason).collect(),
        ),
        gauge("desired_nodes_balanced", "Workers that the load would take if it lay evenly", even),
        gauge("diagnosed_nodes", "Workers that were judged", nodes),
    ]
}

fn gauge(name: &'static str, help: &'static str, samples: Vec<(Vec<(&'static str, String)>, f64)>) -> Family {
    Family { name, help, kind: Kind::Gauge, samples }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{CapacityStatus, FindingStatus, PlanStatus};

    fn group(name: &str, needed: Option<u32>, withheld: Option<&'static str>) -> GroupStatus {
        let plan = Some(PlanStatus { nodes: 4, needed, even: 3, withheld, binding: None });
        let capacity = Some(CapacityStatus { plan, ..CapacityStatus::default() });
        GroupStatus { name: name.into(), judged: 4, capacity, ..GroupStatus::default() }
    }

    fn value(families: &[Family], name: &str, label: &str) -> Option<f64> {
        let family = families.iter().find(|family| family.name == name)?;
        family
            .samples
            .iter()
            .find(|(labels, _)| labels.iter().any(|(_, value)| value == label))
            .map(|(_, value)| *value)
    }

    #[test]
    fn what_is_withheld_has_a_reason_and_no_number() {
        let unknown = GroupStatus { name: "c".into(), ..GroupStatus::default() };
        let idle = GroupStatus { insufficient: Some("too little".into()), ..group("d", Some(9), None) };
        let groups = vec![group("a", Some(5), None), group("b", None, Some("partition_binds")), unknown, idle];
        let findings = vec![FindingStatus { level: Grave::Critical, ..FindingStatus::default() }];
        let told = DoctorStatus { state: DoctorState::Judged, groups, findings, ..DoctorStatus::default() };
        let families = families(&told);
        assert_eq!(value(&families, "desired_nodes", "a"), Some(5.0));
        for (name, why) in [("b", "partition_binds"), ("c", "no_utilization"), ("d", "not_judged")] {
            assert_eq!(value(&families, "desired_nodes", name), None, "{name}");
            let withheld = families.iter().find(|family| family.name == "desired_nodes_withheld").expect("there");
            let labels = vec![("group", name.to_owned()), ("reason", why.to_owned())];
            assert!(withheld.samples.contains(&(labels, 1.0)), "{name}: {withheld:?}");
        }
        assert_eq!(value(&families, "findings", "critical"), Some(1.0));
    }

    #[test]
    fn a_round_that_failed_leaves_nothing_to_go_by() {
        let told = DoctorStatus {
            state: DoctorState::Failed,
            groups: vec![group("a", Some(5), None)],
            ..DoctorStatus::default()
        };
        let names: Vec<&str> = families(&told).iter().map(|family| family.name).collect();
        assert_eq!(names, ["doctor_rounds", "diagnosis_up"]);
        assert_eq!(families(&DoctorStatus::default()), Vec::new());
    }
}
