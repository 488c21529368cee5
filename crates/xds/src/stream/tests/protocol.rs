//! A client that keeps to the protocol, whatever happens: in the end it has what there is.

use proptest::prelude::*;

use super::*;

/// What may happen to a stream and a client that keeps to the protocol.
#[derive(Clone, Debug)]
enum Step {
    Change(Vec<(usize, u8)>),
    Accept,
    Refuse,
    Want(Vec<usize>),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec((0..NAMES.len(), 1..4_u8), 0..5);
    let step = prop_oneof![
        some().prop_map(Step::Change),
        Just(Step::Accept),
        Just(Step::Accept),
        Just(Step::Refuse),
        prop::collection::vec(0..NAMES.len(), 0..4).prop_map(Step::Want),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// Whatever happens, a client that accepts in the end has all that it wants and that there is, and no more comes.
    #[test]
    fn a_client_that_accepts_in_the_end_has_what_there_is(steps in steps(), whole: bool) {
        let dialect = BOTH[usize::from(whole)];
        let mut scene = Scene::new(dialect, &[("a", 1.0)]);
        let mut client = Client::default();
        let first = scene.ask(EDS, &["a"]);
        client.wanted = vec!["a".into()];
        client.take(&first);
        for step in steps {
            client.step(&mut scene, &step);
        }
        for _ in 0..32 {
            client.step(&mut scene, &Step::Accept);
        }
        prop_assert!(client.out.is_none());
        for name in &client.wanted {
            let there = scene.catalog.get(EDS, name).map(|resource| resource.version);
            let refused = client.refused.contains_key(name) && client.refused.get(name) == there.as_ref();
            prop_assert!(there.is_none() || refused || client.has.get(name) == there.as_ref(), "{name}");
        }
    }
}

/// A client that keeps to the protocol.
#[derive(Default)]
struct Client {
    wanted: Vec<String>,
    has: HashMap<String, Version>,
    refused: HashMap<String, Version>,
    out: Option<(u64, Vec<(String, Version)>)>,
}

impl Client {
    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Send(answer) = effect {
                assert!(self.out.is_none(), "an answer before the word on the last one");
                let of = |(name, resource): &(Arc<str>, Resource)| (name.to_string(), resource.version);
                self.out = Some((answer.nonce, answer.resources.iter().map(of).collect()));
            }
        }
    }

    fn step(&mut self, scene: &mut Scene, step: &Step) {
        let effects = match step {
            Step::Change(some) => {
                let clusters: Vec<_> = some.iter().map(|(at, weight)| (NAMES[*at], f64::from(*weight))).collect();
                scene.change(&clusters)
            }
            Step::Want(some) => self.want(scene, some),
            Step::Accept | Step::Refuse => {
                let Some((nonce, what)) = self.out.take() else { return };
                let refuse = matches!(step, Step::Refuse);
                let what = what.into_iter().filter(|(name, _)| self.wanted.contains(name));
                if refuse {
                    self.refused.extend(what)
                } else {
                    self.has.extend(what)
                }
                let wanted: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
                scene.say(EDS, nonce, &wanted, refuse.then_some("no"))
            }
        };
        self.take(&effects);
    }

    fn want(&mut self, scene: &mut Scene, some: &[usize]) -> Vec<Effect> {
        let mut wanted: Vec<String> = some.iter().map(|at| NAMES[*at].to_owned()).collect();
        wanted.sort();
        wanted.dedup();
        let before = std::mem::replace(&mut self.wanted, wanted);
        let gone: Vec<String> = before.iter().filter(|name| !self.wanted.contains(name)).cloned().collect();
        let new: Vec<String> = self.wanted.iter().filter(|name| !before.contains(name)).cloned().collect();
        self.has.retain(|name, _| !gone.contains(name));
        self.refused.retain(|name, _| !gone.contains(name));
        match scene.stream.dialect {
            Dialect::StateOfTheWorld => {
                // With the nonce of the last answer that reached it: one that is under way makes the request stale.
                let last = scene.stream.nonce.to_string();
                let nonce = if self.out.is_some() { "0" } else { last.as_str() };
                let wanted: Vec<&str> = self.wanted.iter().map(String::as_str).collect();
                scene.on(Event::World(world(EDS, &wanted, nonce, None)))
            }
            Dialect::Delta => scene.on(Event::Delta(DeltaDiscoveryRequest {
                resource_names_subscribe: new,
                resource_names_unsubscribe: gone,
                ..delta(EDS, &[])
            })),
        }
    }
}
