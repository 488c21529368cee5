//! Who is let in, who waits, and who is shed: by example, in every order of events, and under a flood.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::draw::Draw;
use crate::guard::limit::Ended;

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

fn served(now: Mono, began: Mono, how: Ended) -> Served {
    Served { began, took: now.since(began), how }
}

fn config(text: &str) -> ShedConfig {
    serde_json::from_str(text).expect("valid")
}

/// One that lets two in at once.
fn two(more: &str) -> Shedder {
    let text = alloc::format!(r#"{{"limit": {{"initial": 2, "least": 2, "most": 2}}{more}}}"#);
    Shedder::new(config(&text))
}

const LOW: Asked = Asked { class: Class(1), deadline: None };
const HIGH: Asked = Asked { class: Class(0), deadline: None };

/// The ticket of one that waits.
fn waits(shedder: &mut Shedder, now: Mono, asked: Asked) -> (Ticket, Mono) {
    let verdict = shedder.arrive(now, asked, &mut Vec::new());
    let Verdict::Wait { ticket, until } = verdict else { panic!("{verdict:?}") };
    (ticket, until)
}

fn full(more: &str) -> Shedder {
    let mut shedder = two(more);
    for _ in 0..2 {
        assert_eq!(shedder.arrive(at(1), LOW, &mut Vec::new()), Verdict::Admit);
    }
    shedder
}

fn left(shedder: &mut Shedder, now: Mono) -> Vec<Turn> {
    let mut turns = Vec::new();
    shedder.leave(now, served(now, at(1), Ended::Answered), &mut turns);
    turns
}

#[test]
fn a_burst_may_wait_for_the_interval_and_is_served_in_its_order() {
    let mut shedder = full("");
    let (first, until) = waits(&mut shedder, at(10), LOW);
    waits(&mut shedder, at(11), LOW);
    assert_eq!(until, at(110));
    assert_eq!(left(&mut shedder, at(60)), [Turn::Start(first)]);
}

#[test]
fn a_standing_queue_calls_the_newest_and_lets_wait_for_twenty_milliseconds() {
    let mut shedder = full("");
    let (first, _) = waits(&mut shedder, at(10), LOW);
    let (newest, until) = waits(&mut shedder, at(110), LOW);
    assert_eq!(until, at(130));
    assert_eq!(left(&mut shedder, at(120)), [Turn::Start(newest)]);
    let late = left(&mut shedder, at(121));
    assert!(matches!(late[..], [Turn::Shed(ticket, Shed { why: Why::Late, .. })] if ticket == first), "{late:?}");
}

#[test]
fn the_most_important_is_called_first() {
    let mut shedder = full("");
    waits(&mut shedder, at(10), LOW);
    let (important, _) = waits(&mut shedder, at(11), HIGH);
    assert_eq!(left(&mut shedder, at(20)), [Turn::Start(important)]);
}

#[test]
fn a_flood_of_unimportant_requests_does_not_make_important_ones_impatient() {
    let mut shedder = full("");
    waits(&mut shedder, at(10), LOW);
    let (_, until) = waits(&mut shedder, at(500), HIGH);
    assert_eq!(until, at(1_000));
}

#[test]
fn important_requests_keep_their_patience_and_their_order_while_unimportant_ones_are_about() {
    let mut shedder = full("");
    let (first, _) = waits(&mut shedder, at(10), HIGH);
    let (_, until) = waits(&mut shedder, at(110), HIGH);
    assert_eq!(until, at(610));
    assert_eq!(left(&mut shedder, at(110)), [Turn::Start(first)]);
    // The last unimportant one came ten seconds ago.
    waits(&mut shedder, at(10_000), HIGH);
    let (_, until) = waits(&mut shedder, at(10_110), HIGH);
    assert_eq!(until, at(10_130));
}

#[test]
fn a_full_queue_sheds_the_least_important() {
    let mut shedder = full(r#", "queue_most": 1"#);
    let (low, _) = waits(&mut shedder, at(10), LOW);
    assert!(matches!(
        shedder.arrive(at(11), LOW, &mut Vec::new()),
        Verdict::Shed(Shed { why: Why::Full, elsewhere: true, .. })
    ));
    let mut turns = Vec::new();
    assert!(matches!(shedder.arrive(at(12), HIGH, &mut turns), Verdict::Wait { .. }));
    assert!(matches!(turns[..], [Turn::Shed(ticket, Shed { why: Why::Displaced, .. })] if ticket == low), "{turns:?}");
    assert!(matches!(shedder.arrive(at(13), LOW, &mut Vec::new()), Verdict::Shed(_)));
}

#[test]
fn a_standing_queue_that_is_full_sheds_who_has_waited_longest_for_who_comes() {
    let mut shedder = full(r#", "queue_most": 2"#);
    let (first, _) = waits(&mut shedder, at(10), LOW);
    waits(&mut shedder, at(60), LOW);
    let mut turns = Vec::new();
    assert!(matches!(shedder.arrive(at(110), LOW, &mut turns), Verdict::Wait { .. }));
    assert!(
        matches!(turns[..], [Turn::Shed(ticket, Shed { why: Why::Displaced, .. })] if ticket == first),
        "{turns:?}"
    );
}

#[test]
fn while_important_requests_are_about_a_slot_is_left_for_them() {
    let mut shedder = two("");
    assert_eq!(shedder.arrive(at(1), HIGH, &mut Vec::new()), Verdict::Admit);
    waits(&mut shedder, at(2), LOW);
    assert_eq!(shedder.arrive(at(3), HIGH, &mut Vec::new()), Verdict::Admit);
    // Ten seconds later nobody keeps anything.
    let mut shedder = two("");
    assert_eq!(shedder.arrive(at(1), HIGH, &mut Vec::new()), Verdict::Admit);
    assert_eq!(shedder.arrive(at(10_001), LOW, &mut Vec::new()), Verdict::Admit);
}

#[test]
fn a_request_with_a_deadline_may_wait_a_tenth_of_it_and_not_past_it() {
    let mut shedder = full("");
    let (_, until) = waits(&mut shedder, at(10), Asked { deadline: Some(at(5_010)), ..LOW });
    assert_eq!(until, at(510));
    let (_, until) = waits(&mut shedder, at(10), Asked { deadline: Some(at(60)), ..LOW });
    assert_eq!(until, at(60));
}

#[test]
fn who_says_that_it_has_a_year_waits_for_a_minute_at_most() {
    let mut shedder = full("");
    let (_, until) = waits(&mut shedder, at(10), Asked { deadline: Some(at(31_536_000_000)), ..LOW });
    assert_eq!(until, at(60_010));
}

#[test]
fn what_cannot_be_answered_in_time_is_not_begun_and_not_sent_elsewhere() {
    let mut shedder = full("");
    let gone = shedder.arrive(at(10), Asked { deadline: Some(at(10)), ..LOW }, &mut Vec::new());
    assert!(matches!(gone, Verdict::Shed(Shed { why: Why::Hopeless, elsewhere: false, .. })), "{gone:?}");
}

#[test]
fn a_plain_depth_lets_wait_as_many_as_it_says_in_their_order() {
    let mut shedder = full(r#", "by": "depth", "queue_most": 2"#);
    let (first, until) = waits(&mut shedder, at(10), LOW);
    waits(&mut shedder, at(500), LOW);
    assert!(matches!(shedder.arrive(at(501), LOW, &mut Vec::new()), Verdict::Shed(Shed { why: Why::Full, .. })));
    assert!(until > at(50_000));
    assert_eq!(left(&mut shedder, at(5_000)), [Turn::Start(first)]);
}

#[test]
fn one_that_gave_up_or_left_is_not_called() {
    let mut shedder = full("");
    let (first, until) = waits(&mut shedder, at(10), LOW);
    let (second, _) = waits(&mut shedder, at(11), LOW);
    assert!(matches!(shedder.give_up(until, first), Some(Shed { why: Why::Late, .. })));
    assert!(shedder.forget(until, second) && !shedder.forget(until, second));
    assert_eq!(left(&mut shedder, until), []);
    assert_eq!((shedder.in_flight(), shedder.waiting()), (1, 0));
}

#[test]
fn observing_lets_everything_in_and_counts_what_it_would_have_shed() {
    let mut shedder = two(r#", "mode": "observe", "queue_most": 3"#);
    for i in 0..10 {
        assert_eq!(shedder.arrive(at(i), LOW, &mut Vec::new()), Verdict::Admit);
    }
    assert_eq!(shedder.counts().shed[1][0], 5, "two begin, three would wait");
    assert_eq!(shedder.counts().admitted[1], 10);
}

#[test]
fn under_twelve_times_the_load_nearly_all_important_requests_are_served() {
    // Eight slots of 20 ms carry 400 a second; 100 important and 4,800 unimportant ones come.
    let mut shedder = Shedder::new(ShedConfig::default());
    let (mut draw, mut turns) = (Draw::seeded(11), Vec::new());
    let mut running: Vec<(Mono, f64)> = Vec::new();
    let mut waiting: Vec<(Ticket, Mono)> = Vec::new();
    let (mut high, mut lost) = (0_u32, 0_u32);
    for step in 1..60_000_u64 {
        let now = Mono::default() + Span::from_micros(step * 500);
        let flood = step > 10_000;
        for (asked, rate) in [(HIGH, 0.05), (LOW, if flood { 2.4 } else { 0.1 })] {
            for _ in 0..3 {
                if draw.unit() >= rate / 3.0 {
                    continue;
                }
                high += u32::from(asked == HIGH);
                match shedder.arrive(now, asked, &mut turns) {
                    Verdict::Admit => running.push((now, 20.0 * (0.5 + draw.unit()))),
                    Verdict::Wait { ticket, until } => waiting.push((ticket, until)),
                    Verdict::Shed(_) => lost += u32::from(asked == HIGH),
                }
            }
        }
        let due: Vec<Ticket> = waiting.iter().filter(|(_, until)| *until <= now).map(|(ticket, _)| *ticket).collect();
        for ticket in due {
            if shedder.give_up(now, ticket).is_some() {
                waiting.retain(|(known, _)| *known != ticket);
                lost += u32::from(ticket.class == HIGH.class);
            }
        }
        let pace = 0.5 * (8.0 / running.len() as f64).min(1.0);
        running.iter_mut().for_each(|(_, left)| *left -= pace);
        while let Some(done) = running.iter().position(|(_, left)| *left <= 0.0) {
            let (began, _) = running.swap_remove(done);
            shedder.leave(now, served(now, began, Ended::Answered), &mut turns);
        }
        for turn in turns.drain(..) {
            let (Turn::Start(ticket) | Turn::Shed(ticket, _)) = turn;
            waiting.retain(|(known, _)| *known != ticket);
            match turn {
                Turn::Start(_) => running.push((now, 20.0 * (0.5 + draw.unit()))),
                Turn::Shed(..) => lost += u32::from(ticket.class == HIGH.class),
            }
        }
    }
    let served = 1.0 - f64::from(lost) / f64::from(high);
    assert!(served >= 0.994, "{lost} of {high} important requests were lost");
}

proptest! {
    #[test]
    fn every_request_is_told_once_and_nobody_waits_while_there_is_room(
        steps in prop::collection::vec((0_u8..6, 0_u64..60, 0_u8..3, any::<bool>()), 1..300),
        by_depth: bool,
    ) {
        let by = if by_depth { "depth" } else { "delay" };
        let text = alloc::format!(r#"{{"limit": {{"initial": 3}}, "queue_most": 5, "by": "{by}"}}"#);
        let mut shedder = Shedder::new(config(&text));
        let (mut now, mut turns) = (at(1), Vec::new());
        let (mut running, mut waiting): (Vec<Mono>, Vec<Ticket>) = (Vec::new(), Vec::new());
        for (what, pause, class, soon) in steps {
            now = now + Span::from_millis(pause);
            let asked = Asked { class: Class(class), deadline: soon.then(|| now + Span::from_millis(300)) };
            match what {
                0..3 => match shedder.arrive(now, asked, &mut turns) {
                    Verdict::Admit => running.push(now),
                    Verdict::Wait { ticket, until } => {
                        prop_assert!(until > now);
                        waiting.push(ticket);
                    }
                    Verdict::Shed(shed) => prop_assert!(shed.retry_after >= Span::from_secs(1)),
                },
                3 if !waiting.is_empty() => {
                    let ticket = waiting.swap_remove(0);
                    prop_assert!(shedder.give_up(now, ticket).is_some());
                }
                4 if !waiting.is_empty() => {
                    let ticket = waiting.swap_remove(0);
                    prop_assert!(shedder.forget(now, ticket));
                }
                _ => if let Some(began) = running.pop() {
                    let how = if soon { Ended::Dropped } else { Ended::Answered };
                    shedder.leave(now, served(now, began, how), &mut turns);
                    let room = |ticket: &Ticket| shedder.in_flight() >= shedder.room(now, ticket.class);
                    let still: Vec<Ticket> = waiting.iter().filter(|ticket| turns.iter().all(|turn| {
                        let (Turn::Start(told) | Turn::Shed(told, _)) = turn;
                        told != *ticket
                    })).copied().collect();
                    prop_assert!(still.iter().all(room), "somebody waits beside a free slot");
                }
            }
            for turn in turns.drain(..) {
                let (Turn::Start(ticket) | Turn::Shed(ticket, _)) = turn;
                let at = waiting.iter().position(|known| *known == ticket);
                prop_assert!(at.is_some(), "told twice");
                waiting.swap_remove(at.expect("just seen"));
                if matches!(turn, Turn::Start(_)) {
                    running.push(now);
                }
            }
            prop_assert_eq!(shedder.in_flight() as usize, running.len());
            prop_assert_eq!(shedder.waiting() as usize, waiting.len());
            prop_assert!(waiting.len() <= 5);
        }
    }
}
