//! A category with a dash would hide half of itself in the aggregate's id.

use mainspring_domain::{Decider, Repository};
use mainspring_event::Event;
use mainspring_store::{MemoryStore, Store};

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Noted;

#[derive(Default)]
struct Notes;

impl Decider for Notes {
    const CATEGORY: &'static str = "shared-notes";
    type Id = u64;
    type Command = ();
    type Event = Noted;
    type Error = std::convert::Infallible;
    fn evolve(&mut self, _: &Noted) {}
    fn decide(&self, (): ()) -> Result<Vec<Noted>, Self::Error> {
        Ok(vec![])
    }
}

fn main() {
    let _ = Repository::<Notes>::new(&Store::new(MemoryStore::new()));
}
