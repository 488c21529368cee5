//! Making the map of a keyspace: workers get numbers, slices get owners, and the map's own record says last of all that it is whole.
//!
//! Each step is one change that compares the leader's key; what a leader before has begun is written over. Until the map's record is there
//! nobody shows or uses any slice, so it does not matter who owned what in an earlier attempt.
//!
//! Slices go to the workers in equal parts, neighbours to the same one, so that merges find them together.

use ambidex_core::shard::records::{Epoch, Key, Record, Slice, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::shard::store::Revision;
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::{Change, Picture};
use ambidex_wire::shard::records::{Map, Named, Path, Value, XXH3_64};

use crate::config::MoverConfig;
use crate::orders::Refusal;

/// Numbers for members that have none, and addresses that are new; `None`: there are no such.
pub(crate) fn names(leader: Revision, picture: &Picture, members: &[Named]) -> Option<Change> {
    let (ids, mut highest) = picture.ids().unwrap_or((Revision::ABSENT, 0));
    let before = highest;
    let mut change = Change::default().if_still(Path::Record(Key::Leader), leader);
    for member in members {
        if change.writes.len() >= MOST_WRITES {
            break;
        }
        match picture.number_of(&member.name) {
            None => {
                let Ok(number) = u32::try_from(highest + 1) else { break };
                highest += 1;
                let path = Path::Name(WorkerId(number));
                change = change.if_still(path, Revision::ABSENT).put(path, Value::Name(member.clone()));
            }
            Some(id) if picture.names().any(|(known, named)| known == id && named != member) => {
                let path = Path::Name(id);
                change = change.if_still(path, picture.revision_of(path)).put(path, Value::Name(member.clone()));
            }
            Some(_) => {}
        }
    }
    if highest > before {
        let path = Path::Record(Key::Ids);
        change = change.if_still(path, ids).put(path, Value::Record(Record::Ids(highest)));
    }
    (!change.writes.is_empty()).then_some(change)
}

/// The next step to a map; `None`: it is made.
pub(crate) fn map(
    leader: Revision,
    picture: &Picture,
    members: &[Named],
    config: &MoverConfig,
    map_id: u64,
) -> Result<Option<Change>, Refusal> {
    if picture.map().is_some() {
        return Ok(None);
    }
    let mut owners: Vec<(&str, WorkerId)> =
        members.iter().filter_map(|member| Some((&*member.name, picture.number_of(&member.name)?))).collect();
    owners.sort_unstable();
    if owners.is_empty() {
        return Err(Refusal::NoMembers(config.keyspace.clone()));
    }
    let (ids, highest) = picture.ids().unwrap_or((Revision::ABSENT, 0));
    let count = config.slices.max(1) as u64;
    let wanted = |at: u64| {
        let owner = owners[usize::try_from(u128::from(at) * owners.len() as u128 / u128::from(count)).unwrap_or(0)].1;
        let range = part(at, count);
        let slice = Slice { range, owner, epoch: Epoch::FIRST, moving: None, sealed: false };
        (SliceId(highest + 1 + at), slice)
    };
    let led = Change::default().if_still(Path::Record(Key::Leader), leader);
    let mut change = led.clone();
    let surplus = picture.slices().filter(|(id, _)| id.0 <= highest || highest + count < id.0);
    for (id, _) in surplus.take(MOST_WRITES) {
        change = change.take_away(Path::Record(Key::Slice(id)));
    }
    for (id, slice) in (0..count).map(wanted) {
        if change.writes.len() >= MOST_WRITES {
            break;
        }
        if picture.slice(id).map(|(_, known)| known) != Some(slice) {
            change = change.put_record(Key::Slice(id), Record::Slice(slice));
        }
    }
    if !change.writes.is_empty() {
        return Ok(Some(change));
    }
    let map = Map { id: map_id, keyspace: config.keyspace.clone(), hash: XXH3_64.to_owned() };
    Ok(Some(
        led.if_still(Path::Map, Revision::ABSENT)
            .if_still(Path::Record(Key::Ids), ids)
            .put_record(Key::Ids, Record::Ids(highest + count))
            .put(Path::Map, Value::Map(map)),
    ))
}

/// One of so many equal parts of the space.
fn part(at: u64, count: u64) -> Range {
    let begin = |at: u64| (u128::from(at) << 64) / u128::from(count);
    let point = |point: u128| Point(u64::try_from(point).unwrap_or(u64::MAX));
    Range::new(point(begin(at)), point(begin(at + 1) - 1)).unwrap_or(Range::ALL)
}

/// Writes of one change: an etcd takes 128, and a name may have a compare of its own.
const MOST_WRITES: usize = 100;

#[cfg(test)]
mod tests {
    use ambidex_core::shard::store::Revision;
    use ambidex_core::shard::table::Table;
    use ambidex_store::shards::Written;

    use super::*;

    fn member(name: &str) -> Named {
        Named { name: name.to_owned(), address: format!("http://{name}:1") }
    }

    /// Does changes until there are no more; how many there were.
    fn made(picture: &mut Picture, members: &[Named], config: &MoverConfig, most: usize) -> usize {
        for step in 0..most {
            let next = names(Revision::ABSENT, picture, members)
                .or_else(|| map(Revision::ABSENT, picture, members, config, 7).expect("there are members"));
            let Some(change) = next else { return step };
            assert!(picture.allows(&change) && change.writes.len() <= 128 && change.compares.len() <= 128);
            let revision = Revision(picture.revision.0 + 1);
            picture.take(&Written { revision, writes: change.writes });
        }
        most
    }

    fn tiles(picture: &Picture) -> bool {
        Table::new(picture.revision, picture.slices().collect()).is_ok()
    }

    #[test]
    fn slices_of_a_new_map_tile_the_space_and_go_to_workers_in_equal_parts() {
        for (slices, workers) in [(1, 1), (64, 3), (1_000, 7), (3, 5)] {
            let members: Vec<Named> = (0..workers).map(|at| member(&format!("w{at}"))).collect();
            let mut picture = Picture::default();
            made(&mut picture, &members, &MoverConfig { slices, ..MoverConfig::new("carts") }, 100);
            assert!(picture.map().is_some() && tiles(&picture), "{slices} slices");
            assert_eq!(picture.slices().count(), slices);
            let owned = |name: &str| {
                let id = picture.number_of(name).expect("it has a number");
                picture.slices().filter(|(_, slice)| slice.owner == id).count()
            };
            let counts: Vec<usize> = members.iter().map(|member| owned(&member.name)).collect();
            let (least, most) = (counts.iter().min().expect("some"), counts.iter().max().expect("some"));
            assert!(most - least <= 1, "{counts:?}");
        }
    }

    #[test]
    fn a_map_whose_making_was_interrupted_is_made_anew_with_other_workers() {
        let config = MoverConfig { slices: 300, ..MoverConfig::new("carts") };
        let mut picture = Picture::default();
        made(&mut picture, &[member("a"), member("b")], &config, 3);
        assert!(picture.map().is_none() && picture.slices().count() > 0);
        let smaller = MoverConfig { slices: 30, ..config };
        made(&mut picture, &[member("b"), member("c")], &smaller, 100);
        assert!(picture.map().is_some() && tiles(&picture));
        let gone = picture.number_of("a").expect("its number stays");
        assert!(picture.slices().all(|(_, slice)| slice.owner != gone));
    }

    #[test]
    fn a_number_is_given_once_and_an_address_follows_its_worker() {
        let mut picture = Picture::default();
        let config = MoverConfig { slices: 2, ..MoverConfig::new("carts") };
        made(&mut picture, &[member("a")], &config, 100);
        let a = picture.number_of("a");
        let moved = Named { address: "http://elsewhere:1".to_owned(), ..member("a") };
        made(&mut picture, &[moved.clone(), member("b")], &config, 100);
        assert_eq!(picture.number_of("a"), a);
        assert!(picture.names().any(|(_, named)| *named == moved));
        let b = picture.number_of("b").expect("it has one");
        assert!(picture.slices().all(|(id, _)| id.0 != u64::from(b.0)), "no slice has that number");
    }
}
