//! Whose turn is next, of a fixed number: a tournament over the times at which each is due.
//!
//! ```text
//!            2:7ms              the winner of each pair is the one that is due first, a tie goes to the left;
//!        /          \           a new time is a walk from the leaf up, and ends where the winner stays the same
//!     1:9ms        2:7ms
//!    0:-  1:9ms  2:7ms  3:12ms
//! ```
//! A heap would keep the times that were overtaken, and the next completion of a processor that is shared is overtaken by
//! every arrival.

/// The times of a fixed number, in nanoseconds.
#[derive(Debug)]
pub(super) struct Due {
    times: Vec<u64>,
    /// Node 1 is the root; the children of n are 2n and 2n + 1; the leaves are the second half.
    winners: Vec<u32>,
}

/// Not due at all.
pub(super) const NEVER: u64 = u64::MAX;

impl Due {
    /// Nobody of so many is due.
    pub(super) fn new(count: usize) -> Self {
        let leaves = count.max(1).next_power_of_two();
        let mut winners = vec![0; 2 * leaves];
        for (node, winner) in winners.iter_mut().enumerate().skip(leaves) {
            #[expect(clippy::cast_possible_truncation, reason = "at most 10,000 workers")]
            let leaf = (node - leaves) as u32;
            *winner = leaf;
        }
        let mut due = Self { times: vec![NEVER; leaves], winners };
        (1..leaves).rev().for_each(|node| due.winners[node] = due.winner_below(node));
        due
    }

    /// Sets when one is due.
    pub(super) fn set(&mut self, who: usize, at: u64) {
        self.times[who] = at;
        let mut node = (self.times.len() + who) / 2;
        while node > 0 {
            let winner = self.winner_below(node);
            // Whoever wins above is another one, and stays so.
            if winner == self.winners[node] && winner as usize != who {
                return;
            }
            self.winners[node] = winner;
            node /= 2;
        }
    }

    /// When the next one is due.
    pub(super) fn at(&self) -> u64 {
        self.times[self.who()]
    }

    /// Who is due next.
    pub(super) fn who(&self) -> usize {
        // A tournament of one has its only leaf for a root.
        self.winners[1] as usize
    }

    fn winner_below(&self, node: usize) -> u32 {
        let (left, right) = (self.winners[2 * node], self.winners[2 * node + 1]);
        if self.times[right as usize] < self.times[left as usize] { right } else { left }
    }
}

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;

    use super::*;

    #[test]
    fn the_first_of_any_number_is_found_after_any_change() {
        for count in [1, 2, 3, 100] {
            let mut due = Due::new(count);
            let mut times = vec![NEVER; count];
            let mut draw = Draw::seeded(count as u64);
            for _ in 0..2_000 {
                let who = draw.below(count);
                times[who] = if draw.below(10) == 0 { NEVER } else { draw.below(1_000) as u64 };
                due.set(who, times[who]);
                let first = times.iter().min().expect("somebody");
                assert_eq!((due.at(), times[due.who()]), (*first, *first));
            }
        }
    }
}
