//! A command over several entities is given to the repository of one.

use mainspring_domain::{Repository, decide};
use mainspring_store::{MemoryStore, Store};

struct Enrol;

fn main() {
    let store = Store::new(MemoryStore::new());
    let _ = Repository::<Enrol>::new(&store);
    let _ = decide(&store, &Enrol);
}
