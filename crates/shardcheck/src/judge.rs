//! Judges a history by what clients saw.
//!
//! A write adds its own number to the end of its key's list, and a read gets the list. So the last list of a key is the order in which
//! its writes took place, and everything follows from places in it:
//!
//! | rule | how it shows |
//! |---|---|
//! | every acknowledged write is there exactly once | its number is in the last list, once |
//! | what was refused was not run | its number is not |
//! | order per key and producer | writes of one client through one router lie in the order in which it sent them |
//! | old reads | a read that takes old answers may get one, marked: a beginning of the last list, and at no worker less than was seen there before |
//! | linearizable | what ended before something began lies before it; a read is a beginning of the last list, with all that ended before it began, and nothing that began after it ended; later reads are never shorter |
//! | epochs grow, ranges tile | of every table that the store showed |

use std::fmt;

use ambidex_core::shard::records::{Epoch, SliceId};
use ambidex_core::shard::space::Point;
use ambidex_core::shard::table::Table;

use crate::record::{Asked, Record, Seen};

/// What is wrong with a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Judges a history.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge(record: &Record) -> Result<(), Broken> {
    for key in 0..record.last.len() {
        Key::new(record, key).judge()?;
    }
    tables(record)
}

/// One key's part.
struct Key<'a> {
    key: usize,
    list: &'a [u32],
    /// Its requests, with their numbers.
    asked: Vec<(usize, &'a Asked)>,
    /// Of each request of the history: its place in the list.
    places: Vec<Option<usize>>,
}

impl<'a> Key<'a> {
    fn new(record: &'a Record, key: usize) -> Self {
        let asked = record.asked.iter().enumerate().filter(|(_, asked)| asked.key == key).collect();
        Self { key, list: &record.last[key], asked, places: vec![None; record.asked.len()] }
    }

    fn judge(mut self) -> Result<(), Broken> {
        self.once()?;
        for (number, asked) in &self.asked {
            match (&asked.ended, asked.write) {
                (Some((_, Seen::Acknowledged)), true) if self.places[*number].is_none() => {
                    return self.broken(format!("acknowledged write {number} is lost"));
                }
                (Some((_, Seen::NotRun)), true) if self.places[*number].is_some() => {
                    return self.broken(format!("write {number} was refused, and was run"));
                }
                (Some((ended, Seen::List(_, list))), false) => self.read(*number, asked, *ended, list)?,
                (Some((ended, Seen::Old(by, list))), false) => self.old_read(*number, asked, *ended, (*by, list))?,
                _ => {}
            }
        }
        self.order()
    }

    /// Each number is a write to this key, and there once.
    fn once(&mut self) -> Result<(), Broken> {
        for (place, number) in self.list.iter().enumerate() {
            let number = *number as usize;
            let known = self.asked.iter().any(|(asked, of)| *asked == number && of.write);
            if !known {
                return self.broken(format!("{number} is in the list, and no write to this key"));
            }
            if self.places[number].replace(place).is_some() {
                return self.broken(format!("write {number} was run twice"));
            }
        }
        Ok(())
    }

    /// A beginning of the last list, and no less than the same worker showed before.
    fn old_read(&self, number: usize, read: &Asked, ended: u64, (by, list): (usize, &[u32])) -> Result<(), Broken> {
        if !read.stale {
            return self.broken(format!("read {number} asked for no old answer, and got one"));
        }
        self.beginning(number, ended, list)?;
        for (other, earlier) in &self.asked {
            let Some((done, seen)) = &earlier.ended else { continue };
            let before = match seen {
                Seen::List(Some(of), before) | Seen::Old(of, before) if *of == by => before,
                Seen::List(..) | Seen::Old(..) | Seen::Acknowledged | Seen::NotRun | Seen::Unknown => continue,
            };
            if *done < read.began && before.len() > list.len() {
                return self.broken(format!("old read {number} saw less at worker {by} than read {other}"));
            }
        }
        Ok(())
    }

    /// What a read saw lies at the beginning of the last list, and was asked for before it ended.
    fn beginning(&self, number: usize, ended: u64, list: &[u32]) -> Result<(), Broken> {
        if !self.list.starts_with(list) {
            return self.broken(format!("read {number} saw {list:?}, which no one will ever see again"));
        }
        let of = |seen: &u32| self.asked.iter().find(|(other, _)| *other == *seen as usize);
        match list.iter().filter_map(of).find(|(_, write)| ended < write.began) {
            Some((other, _)) => self.broken(format!("read {number} saw write {other}, which began after it ended")),
            None => Ok(()),
        }
    }

    fn read(&self, number: usize, read: &Asked, ended: u64, list: &[u32]) -> Result<(), Broken> {
        self.beginning(number, ended, list)?;
        for (other, write) in self.asked.iter().filter(|(_, asked)| asked.write) {
            let seen = self.places[*other].is_some_and(|place| place < list.len());
            if acknowledged(write).is_some_and(|done| done < read.began) && !seen {
                return self.broken(format!("read {number} did not see write {other}, acknowledged before it began"));
            }
        }
        for (other, earlier) in self.asked.iter().filter(|(_, asked)| !asked.write) {
            if let Some((done, Seen::List(_, before))) = &earlier.ended
                && *done < read.began
                && before.len() > list.len()
            {
                return self.broken(format!("read {number} saw less than read {other}, which ended before it began"));
            }
        }
        Ok(())
    }

    /// Writes lie as they ended and began, and each client's as it sent them.
    fn order(&self) -> Result<(), Broken> {
        let writes: Vec<_> = self.asked.iter().filter(|(_, asked)| asked.write).collect();
        for (number, write) in &writes {
            let (Some(done), Some(place)) = (acknowledged(write), self.places[*number]) else { continue };
            for (other, later) in &writes {
                let Some(other_place) = self.places[*other] else { continue };
                if done < later.began && other_place < place {
                    return self.broken(format!("write {other} lies before {number}, which ended before it began"));
                }
                let same = (write.client, write.router) == (later.client, later.router) && number < other;
                let plain = !write.again && !later.again && acknowledged(later).is_some();
                if same && plain && other_place < place {
                    let client = write.client;
                    return self.broken(format!("writes {number} and {other} of client {client} were reordered"));
                }
            }
        }
        Ok(())
    }

    fn broken(&self, what: String) -> Result<(), Broken> {
        Err(Broken(format!("key {}: {what}", self.key)))
    }
}

fn acknowledged(asked: &Asked) -> Option<u64> {
    match &asked.ended {
        Some((step, Seen::Acknowledged)) => Some(*step),
        Some((_, Seen::List(..) | Seen::Old(..) | Seen::NotRun | Seen::Unknown)) | None => None,
    }
}

/// Every table tiles the space, and what changes owner or range has a later epoch.
fn tables(record: &Record) -> Result<(), Broken> {
    let mut before: Option<&Table> = None;
    for (revision, table) in &record.tables {
        let Some(table) = table else {
            return Err(Broken(format!("the slices of revision {} do not tile the space", revision.0)));
        };
        if let Some(before) = before {
            for (id, slice) in table.slices() {
                let changed = changed_without_epoch(before, *id, slice.range.first(), slice.epoch);
                let (_, old) = before.look_up(slice.range.first());
                if changed || (old.epoch == slice.epoch && (old.owner, old.range) != (slice.owner, slice.range)) {
                    return Err(Broken(format!("slice {} changed at revision {} in its epoch", id.0, revision.0)));
                }
            }
        }
        before = Some(table);
    }
    Ok(())
}

fn changed_without_epoch(before: &Table, _: SliceId, point: Point, epoch: Epoch) -> bool {
    before.look_up(point).1.epoch > epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(client: usize, began: u64, ended: u64) -> Asked {
        Asked {
            client,
            router: 0,
            key: 0,
            write: true,
            stale: false,
            again: false,
            began,
            ended: Some((ended, Seen::Acknowledged)),
        }
    }

    fn read(began: u64, ended: u64, list: &[u32]) -> Asked {
        let ended = Some((ended, Seen::List(Some(0), list.to_vec())));
        Asked { client: 9, router: 0, key: 0, write: false, stale: false, again: false, began, ended }
    }

    fn judged(asked: Vec<Asked>, last: &[u32]) -> Result<(), Broken> {
        judge(&Record { asked, last: vec![last.to_vec()], ..Record::default() })
    }

    #[test]
    fn a_history_in_order_passes() {
        assert_eq!(judged(vec![write(1, 0, 1), write(1, 2, 3), read(4, 5, &[0, 1])], &[0, 1]), Ok(()));
    }

    #[test]
    fn a_lost_write_is_found() {
        assert!(judged(vec![write(1, 0, 1)], &[]).is_err());
    }

    #[test]
    fn a_doubled_write_is_found() {
        assert!(judged(vec![write(1, 0, 1)], &[0, 0]).is_err());
    }

    #[test]
    fn writes_of_one_client_out_of_order_are_found() {
        assert!(judged(vec![write(1, 0, 5), write(1, 1, 4)], &[1, 0]).is_err());
        assert_eq!(judged(vec![write(1, 0, 5), write(2, 1, 4)], &[1, 0]), Ok(()));
    }

    #[test]
    fn a_stale_read_is_found() {
        assert!(judged(vec![write(1, 0, 1), read(2, 3, &[])], &[0]).is_err());
        assert_eq!(judged(vec![write(1, 0, 2), read(1, 3, &[])], &[0]), Ok(()));
    }

    #[test]
    fn an_old_answer_is_for_who_takes_it_and_no_older_than_its_worker_showed_before() {
        let old = |began, list: &[u32]| {
            let ended = Some((began + 1, Seen::Old(0, list.to_vec())));
            Asked { stale: true, ended, ..read(began, 0, &[]) }
        };
        assert_eq!(judged(vec![write(1, 0, 1), old(2, &[])], &[0]), Ok(()));
        assert!(judged(vec![write(1, 0, 1), Asked { stale: false, ..old(2, &[]) }], &[0]).is_err());
        assert!(judged(vec![write(1, 0, 1), read(2, 3, &[0]), old(4, &[])], &[0]).is_err());
        assert!(judged(vec![old(0, &[1]), write(1, 5, 6)], &[1]).is_err());
    }

    #[test]
    fn a_read_that_sees_less_than_one_before_it_is_found() {
        let unknown = Asked { ended: None, ..write(1, 0, 9) };
        assert!(judged(vec![unknown, read(1, 2, &[0]), read(3, 4, &[])], &[0]).is_err());
    }

    #[test]
    fn what_was_refused_and_run_is_found() {
        let refused = Asked { ended: Some((1, Seen::NotRun)), ..write(1, 0, 1) };
        assert!(judged(vec![refused], &[0]).is_err());
    }
}
