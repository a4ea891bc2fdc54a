//! The decision asks for students, and no event says of which student it is.

use mainspring_domain::{Decision, decide};
use mainspring_event::{Event, Tagged};
use mainspring_store::{MemoryStore, Store};

#[derive(serde::Serialize, serde::Deserialize, Event)]
#[event(crate = mainspring_event)]
struct Enrolled {
    #[tag]
    course: String,
}

#[derive(Tagged)]
#[event(crate = mainspring_event)]
struct Enrol {
    #[tag]
    student: String,
}

impl Decision for Enrol {
    const CATEGORY: &'static str = "enrolment";
    type State = ();
    type Event = Enrolled;
    type Error = std::convert::Infallible;
    fn evolve(&self, (): &mut (), _: &Enrolled) {}
    fn decide(&self, (): &()) -> Result<Vec<Enrolled>, Self::Error> {
        Ok(vec![])
    }
}

fn main() {
    let _ = decide(&Store::new(MemoryStore::new()), &Enrol { student: "ada".into() });
}
