//! The programs themselves, each as its instructions, beside what they would be called in C.
//!
//! All begin alike: `R1` holds the tracepoint's arguments, eight bytes each. All end at `end`. None loops.

use super::assembly::Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};
use super::assembly::{Assembly, Code, Helper, If, Map, Mark};
use super::row::{FULL_POLLS, POLLS, RECEIVED, SENT, SERVED, SINCE, WAITED, WAITS};
use super::waits::LENGTHS;
use crate::snapshot::Softirq;

/// A program and the tracepoint that it is for.
pub(super) struct Program {
    /// What the kernel calls the tracepoint.
    pub(super) tracepoint: &'static str,
    /// What the program is called.
    pub(super) name: &'static str,
    /// Its instructions.
    pub(super) code: Code,
}

/// All of them, in the order in which they begin: what ends something comes before what begins it.
pub(super) fn all() -> Vec<Program> {
    let program = |tracepoint, name, code| Program { tracepoint, name, code };
    vec![
        program("softirq_exit", "softirq_exit", softirq_exit()),
        program("softirq_entry", "softirq_entry", softirq_entry()),
        program("sched_switch", SWITCH, sched_switch(true)),
        program("sched_switch", SWITCH_BEFORE, sched_switch(false)),
        program("sched_wakeup", "sched_wakeup", sched_wakeup()),
        program("sched_wakeup_new", "sched_wakeup_new", sched_wakeup()),
        program("netif_receive_skb", "packet_in", counted(RECEIVED)),
        program("net_dev_xmit", "packet_out", net_dev_xmit()),
        program("napi_poll", "napi_poll", napi_poll()),
    ]
}

/// Sees tasks that lose their core while they could go on, which kernels from 5.18 on tell.
pub(super) const SWITCH: &str = "sched_switch";
/// Does not: for those before.
pub(super) const SWITCH_BEFORE: &str = "sched_switch_old";

/// `row[SINCE] = now()`
fn softirq_entry() -> Code {
    let mut program = Assembly::default();
    let end = program.mark();
    row(&mut program, end);
    program.copy(R6, R0).call(Helper::Now).store(R6, at(SINCE), R0);
    program.finish(end)
}

/// `if (row[SINCE]) row[SERVED + kind] += now() - row[SINCE]`
fn softirq_exit() -> Code {
    let mut program = Assembly::default();
    let end = program.mark();
    program.load(R7, R1, 0).jump(If::More(R7, LAST_KIND), end);
    row(&mut program, end);
    program.copy(R6, R0).load(R8, R6, at(SINCE)).jump(If::Equal(R8, 0), end);
    program.store_number(R6, at(SINCE), 0).call(Helper::Now).subtract(R0, R8);
    program.shift_left(R7, 3).add(R6, R7);
    program.load(R1, R6, at(SERVED)).add(R1, R0).store(R6, at(SERVED), R1);
    program.finish(end)
}

/// `waiting[task] = now()`; of a task that is new, too.
fn sched_wakeup() -> Code {
    let mut program = Assembly::default();
    let end = program.mark();
    program.load(R6, R1, 0);
    wait(&mut program);
    program.finish(end)
}

/// Who leaves the core and could go on waits from now on; who gets it has waited until now.
///
/// A task is known by its address, which is a number here and never looked into. The task of an idle core is never woken up and
/// waits for nobody.
fn sched_switch(preempted: bool) -> Code {
    let mut program = Assembly::default();
    let end = program.mark();
    program.load(R7, R1, 16);
    if preempted {
        let (next, goes_on) = (program.mark(), program.mark());
        // Arguments: whether it was made to go, who goes, who comes, and what state the former is in (0: it could go on).
        program.load(R6, R1, 8).load(R8, R1, 0).load(R9, R1, 24).keep_bits(R8, 1);
        program.jump(If::Unequal(R8, 0), goes_on).jump(If::Unequal(R9, 0), next).here(goes_on);
        program.call(Helper::Current).shift_left(R0, 32).jump(If::Equal(R0, 0), next);
        wait(&mut program);
        program.here(next);
    }
    program.store(R10, TASK, R7).copy(R2, R10).add_number(R2, TASK.into());
    program.map(R1, Map::Waiting).call(Helper::Find).jump(If::Equal(R0, 0), end);
    // Its place stays, empty: to take it away and make it again took twice as long (measured).
    program.load(R8, R0, 0).jump(If::Equal(R8, 0), end).store_number(R0, 0, 0);
    program.call(Helper::Now).jump(If::LessThan(R0, R8), end).subtract(R0, R8).copy(R7, R0);
    row(&mut program, end);
    program.copy(R6, R0).load(R1, R6, at(WAITED)).add(R1, R7).store(R6, at(WAITED), R1);
    length(&mut program);
    program.shift_left(R1, 3).add(R6, R1).load(R2, R6, at(WAITS)).add_number(R2, 1).store(R6, at(WAITS), R2);
    program.finish(end)
}

/// `if (sent) row[SENT]++`
fn net_dev_xmit() -> Code {
    let mut program = Assembly::default();
    let end = program.mark();
    program.load(R7, R1, 8).jump(If::Unequal(R7, 0), end);
    row(&mut program, end);
    one_more(&mut program, SENT);
    program.finish(end)
}

/// `row[POLLS]++; if (taken >= allowed) row[FULL_POLLS]++`
fn napi_poll() -> Code {
    let mut program = Assembly::default();
    let end = program.mark();
    // Two whole numbers of four bytes each: compared as the upper halves of eight.
    program.load(R7, R1, 8).shift_left(R7, 32).load(R8, R1, 16).shift_left(R8, 32);
    row(&mut program, end);
    one_more(&mut program, POLLS);
    program.jump(If::LessThan(R7, R8), end);
    one_more(&mut program, FULL_POLLS);
    program.finish(end)
}

/// `row[place]++`
fn counted(place: usize) -> Code {
    let mut program = Assembly::default();
    let end = program.mark();
    row(&mut program, end);
    one_more(&mut program, place);
    program.finish(end)
}

/// `R0 = this core's row`
fn row(program: &mut Assembly, end: Mark) {
    program.store_half(R10, KEY, 0).copy(R2, R10).add_number(R2, KEY.into());
    program.map(R1, Map::Rows).call(Helper::Find).jump(If::Equal(R0, 0), end);
}

/// Of the row in `R0`.
fn one_more(program: &mut Assembly, place: usize) {
    program.load(R1, R0, at(place)).add_number(R1, 1).store(R0, at(place), R1);
}

/// `waiting[R6] = now()`: in its place where it has one.
fn wait(program: &mut Assembly) {
    let (new, done) = (program.mark(), program.mark());
    program.store(R10, TASK, R6).call(Helper::Now).store(R10, MOMENT, R0);
    program.copy(R2, R10).add_number(R2, TASK.into()).map(R1, Map::Waiting).call(Helper::Find);
    program.jump(If::Equal(R0, 0), new).load(R1, R10, MOMENT).store(R0, 0, R1).jump(If::Always, done).here(new);
    program.copy(R2, R10).add_number(R2, TASK.into()).copy(R3, R10).add_number(R3, MOMENT.into()).set(R4, 0);
    program.map(R1, Map::Waiting).call(Helper::Put).here(done);
}

/// `R1 =` which length `R7` nanoseconds are: how many bits they have beyond ten, and no more than there are lengths.
fn length(program: &mut Assembly) {
    let known = program.mark();
    program.shift_right(R7, 10).set(R1, 0).jump(If::Equal(R7, 0), known).set(R1, 1);
    for bits in [16, 8, 4, 2, 1] {
        let fewer = program.mark();
        program.jump(If::Less(R7, 1 << bits), fewer).shift_right(R7, bits).add_number(R1, bits).here(fewer);
    }
    program.jump(If::Less(R1, LAST_LENGTH), known).set(R1, LAST_LENGTH).here(known);
}

/// Where a number of a row is, in bytes.
#[expect(clippy::cast_possible_truncation, reason = "a row is short")]
const fn at(place: usize) -> i16 {
    (place * 8) as i16
}

#[expect(clippy::cast_possible_truncation, reason = "there are few")]
const LAST_LENGTH: i32 = LENGTHS as i32 - 1;
/// Of soft interrupts.
#[expect(clippy::cast_possible_truncation, reason = "there are few")]
const LAST_KIND: i32 = Softirq::ALL.len() as i32 - 1;
/// Places on the stack.
const KEY: i16 = -4;
const TASK: i16 = -16;
const MOMENT: i16 = -24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_as_short_as_they_are_said_to_be_and_use_two_maps() {
        for Program { name, code, .. } in all() {
            let length = code.bytes.len() / 8;
            assert!((12..=90).contains(&length), "{name} has {length} instructions");
            assert!(code.maps.iter().all(|(at, _)| code.bytes[*at] == 0x18), "{name}: {:?}", code.maps);
        }
    }

    #[test]
    fn all_numbers_of_a_row_lie_within_it() {
        const { assert!(super::super::row::LENGTH >= WAITS + LENGTHS) };
        assert_eq!((at(SINCE), at(WAITS)), (80, 128));
    }
}
