//! What hosts say changes what is told of their nodes: fleets of which one node is slow, or busy, for a reason that only its kernel
//! knows; and hosts that are well.

use std::fmt::Write as _;

use ambidex_core::draw::Draw;
use ambidex_insight::doctor::{Cause, Diagnosis, Options, diagnose};
use ambidex_insight::history::{At, Bounds, Metric, Peers, Recorder, Weigh};

/// What is unlike on node 3: by how much its usual figure is multiplied, or what it is instead.
#[derive(Clone, Copy)]
enum Unlike {
    Times(f64),
    Is(f64),
}
use Unlike::{Is, Times};

/// Eight nodes for 200 minutes, of which each does what the others do, but node 3.
fn fleet(hosts: bool, unlike: &[(Metric, Unlike)], seed: u64) -> Diagnosis {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Time);
    let mut draw = Draw::seeded(seed);
    for node in 0..8 {
        let at = recorder.node(&format!("n{node}"), &Peers::default()).expect("there is room");
        for minute in 0..200 {
            let usual = WORKER.iter().chain(HOST.iter().filter(|_| hosts));
            for (metric, usual) in usual {
                let own = unlike.iter().find(|(one, _)| one == metric && node == 3 && (hosts || is_workers(one)));
                let value = match own {
                    Some((_, Times(times))) => usual * times,
                    Some((_, Is(value))) => *value,
                    None => *usual,
                };
                recorder.sample(at, metric, At(BEGIN + minute * 60_000), value * (0.95 + 0.1 * draw.unit()));
            }
        }
    }
    diagnose(&recorder.finish("test".into()), &Options::default())
}

fn is_workers(metric: &Metric) -> bool {
    WORKER.iter().any(|(one, _)| one == metric)
}

/// The first cause of the only finding, which is of node 3.
#[track_caller]
fn first(diagnosis: &Diagnosis) -> Cause {
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    let nodes: Vec<&str> = finding.nodes.iter().map(|node| node.node.as_str()).collect();
    assert_eq!(nodes, ["n3"], "{finding:#?}");
    finding.hypotheses[0].cause
}

const BEGIN: i64 = 1_790_000_100_000;
/// What a worker says: of 100 requests a second each takes 40 ms.
const WORKER: [(Metric, f64); 4] =
    [(Metric::Requests, 100.0), (Metric::Busy, 4.0), (Metric::Cpu, 0.4), (Metric::Network, 1e6)];
/// What a host says that is well.
const HOST: [(Metric, f64); 14] = [
    (Metric::SoftIrq, 0.03),
    (Metric::SoftIrqCore, 0.08),
    (Metric::PacketSkew, 1.3),
    (Metric::InterruptSkew, 1.4),
    (Metric::QueueSkew, 1.2),
    (Metric::Dropped, 0.01),
    (Metric::Squeezed, 0.1),
    (Metric::CoreWait, 0.02),
    (Metric::RunWait, 0.000_3),
    (Metric::RemoteMemory, 0.02),
    (Metric::Steal, 0.01),
    (Metric::Throttled, 0.002),
    (Metric::CpuPressure, 0.02),
    (Metric::MemoryPressure, 0.001),
];

/// It takes 1.6 times as long for the same.
fn slow(and: &[(Metric, Unlike)]) -> Vec<(Metric, Unlike)> {
    [&[(Metric::Busy, Times(1.6))], and].concat()
}

/// Its name, what is unlike, and the reason.
type Case = (&'static str, Vec<(Metric, Unlike)>, Cause);

fn reasons() -> Vec<Case> {
    vec![
        ("slow, and nobody knows why", slow(&[]), Cause::Hardware),
        ("a neighbour", slow(&[(Metric::Steal, Is(0.3))]), Cause::Hardware),
        ("another program in bursts", slow(&[(Metric::RunWait, Is(0.02))]), Cause::Hardware),
        (
            "all packets on one core of many",
            slow(&[(Metric::SoftIrqCore, Is(0.9)), (Metric::PacketSkew, Is(9.0)), (Metric::SoftIrq, Is(0.02))]),
            Cause::Interrupts,
        ),
        (
            "one queue, and packets that are dropped",
            slow(&[(Metric::SoftIrqCore, Is(0.7)), (Metric::QueueSkew, Is(6.0)), (Metric::Dropped, Is(40.0))]),
            Cause::Interrupts,
        ),
        (
            "one core full of packets, for which tasks wait",
            slow(&[(Metric::SoftIrqCore, Is(0.9)), (Metric::RunWait, Is(0.03))]),
            Cause::Interrupts,
        ),
        ("far memory", slow(&[(Metric::RemoteMemory, Is(0.6))]), Cause::RemoteMemory),
        ("a small quota", slow(&[(Metric::Throttled, Is(0.4))]), Cause::Quota),
        (
            "another program",
            vec![(Metric::Cpu, Times(1.7)), (Metric::CoreWait, Is(0.4)), (Metric::CpuPressure, Is(0.5))],
            Cause::Cron,
        ),
    ]
}

#[test]
fn each_reason_is_first_with_its_evidence_and_its_experiment() {
    let mut wrong = String::new();
    for (name, unlike, cause) in reasons() {
        for seed in 0..5 {
            let diagnosis = fleet(true, &unlike, seed);
            let told = first(&diagnosis);
            let hypothesis = &diagnosis.findings[0].hypotheses[0];
            let r = diagnosis.findings[0].nodes[0].r;
            let predicted = hypothesis.experiment.as_ref().map_or(f64::NAN, |one| one.predicted_r);
            // Without its reason it is as its peers are.
            if told != cause || (predicted - 1.0).abs() > 0.1 || predicted > r {
                let _ = writeln!(wrong, "{name}, seed {seed}: {hypothesis:#?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn without_its_host_the_same_node_is_only_slow() {
    for (name, unlike, cause) in reasons() {
        let told = first(&fleet(false, &unlike, 1));
        let without = if cause == Cause::Cron { Cause::Cron } else { Cause::Hardware };
        assert_eq!(told, without, "{name}");
    }
}

#[test]
fn hosts_that_are_well_speak_against_what_they_could_be_the_reason_of() {
    let diagnosis = fleet(true, &slow(&[]), 1);
    let told: Vec<Cause> = diagnosis.findings[0].hypotheses.iter().map(|one| one.cause).collect();
    assert_eq!(told, [Cause::Hardware, Cause::Unknown]);
}

#[test]
fn who_waits_long_for_cores_that_are_free_has_a_neighbour_unless_a_quota_holds_it() {
    let told = |and: &[(Metric, Unlike)]| {
        let diagnosis = fleet(true, &slow(and), 1);
        let hypotheses = &diagnosis.findings[0].hypotheses;
        let hardware = hypotheses.iter().find(|one| one.cause == Cause::Hardware).expect("it is slow");
        format!("{:?}", hardware.evidence)
    };
    let waits = (Metric::RunWait, Is(0.02));
    let seen = told(std::slice::from_ref(&waits));
    assert!(seen.contains("waits over 20 ms for a core, of its peers' 0.3 ms") && seen.contains("40 %"), "{seen}");
    let held = told(&[waits, (Metric::Throttled, Is(0.4))]);
    assert!(!held.contains("for a core"), "{held}");
}

#[test]
fn a_node_that_is_asked_for_more_has_more_interrupts_and_comes_to_its_quota_for_that() {
    let more = [Metric::Requests, Metric::Busy, Metric::Cpu, Metric::Network, Metric::SoftIrq, Metric::SoftIrqCore];
    let mut unlike: Vec<(Metric, Unlike)> = more.into_iter().map(|metric| (metric, Times(1.7))).collect();
    unlike.extend([(Metric::Throttled, Is(0.3)), (Metric::CoreWait, Is(0.2))]);
    assert_eq!(first(&fleet(true, &unlike, 1)), Cause::Unknown);
}

#[test]
fn healthy_hosts_raise_nothing() {
    for seed in 0..10 {
        let diagnosis = fleet(true, &[], seed);
        assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    }
}

#[test]
fn what_a_kernel_does_is_no_finding_while_nobody_has_less_of_it() {
    let uneven = [
        (Metric::SoftIrqCore, Is(0.9)),
        (Metric::PacketSkew, Is(9.0)),
        (Metric::Steal, Is(0.2)),
        (Metric::RemoteMemory, Is(0.7)),
    ];
    let diagnosis = fleet(true, &uneven, 1);
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
}
