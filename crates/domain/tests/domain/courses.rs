//! The decision of these tests: a student enrols in a course, which has seats, while a student has time.

use mainspring_domain::Decision;
use mainspring_event::{Event, NameError, Tagged};
use mainspring_store::{Append, Query, Store};
use serde::{Deserialize, Serialize};

use crate::bank::raw;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
pub(crate) enum Fact {
    #[event(version = 2, upcast = CourseOpenedV1)]
    CourseOpened {
        #[tag]
        course: String,
        seats: u32,
    },
    StudentEnrolled {
        #[tag]
        course: String,
        #[tag]
        student: String,
    },
    StudentLeft {
        #[tag]
        course: String,
        #[tag]
        student: String,
    },
    TermEnded {
        #[tag("term")]
        term: Option<u32>,
    },
}

/// Once every course had one seat.
#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "CourseOpened", version = 1)]
pub(crate) struct CourseOpenedV1 {
    #[tag]
    course: String,
}

impl From<CourseOpenedV1> for Fact {
    fn from(old: CourseOpenedV1) -> Self {
        Self::CourseOpened { course: old.course, seats: 1 }
    }
}

#[derive(Tagged)]
#[event(crate = mainspring_event)]
pub(crate) struct Enrol {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

#[derive(Default)]
pub(crate) struct Seen {
    free: u32,
    courses: u32,
    enrolled: bool,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the course is full")]
    Full,
    #[error("two courses are enough")]
    TooMany,
}

impl Enrol {
    pub(crate) fn new(course: &str, student: &str) -> Self {
        Self { course: course.into(), student: student.into() }
    }
}

impl Decision for Enrol {
    const CATEGORY: &'static str = "enrolment";
    type State = Seen;
    type Event = Fact;
    type Error = Refused;

    fn evolve(&self, seen: &mut Seen, fact: &Fact) {
        let mine = |course: &String, student: &String| (*course == self.course, *student == self.student);
        match fact {
            Fact::CourseOpened { seats, .. } => seen.free += seats,
            Fact::StudentEnrolled { course, student } => {
                let (course, student) = mine(course, student);
                seen.free -= u32::from(course);
                seen.courses += u32::from(student);
                seen.enrolled |= course && student;
            }
            Fact::StudentLeft { course, student } => {
                let (course, student) = mine(course, student);
                seen.free += u32::from(course);
                seen.courses -= u32::from(student);
                seen.enrolled &= !(course && student);
            }
            Fact::TermEnded { .. } => {}
        }
    }

    fn decide(&self, seen: &Seen) -> Result<Vec<Fact>, Refused> {
        match seen {
            Seen { enrolled: true, .. } => Ok(vec![]),
            Seen { free: 0, .. } => Err(Refused::Full),
            Seen { courses: 2.., .. } => Err(Refused::TooMany),
            _ => Ok(vec![enrolled(&self.course, &self.student)]),
        }
    }

    /// A seat given back hurts nobody.
    fn condition(&self) -> Result<Query, NameError> {
        let Query::Items(mut items) = self.query()? else { unreachable!("a derived query has items") };
        for item in &mut items {
            item.types.retain(|name| name.as_str() != "StudentLeft");
        }
        Ok(Query::Items(items))
    }
}

pub(crate) fn opened(course: &str, seats: u32) -> Fact {
    Fact::CourseOpened { course: course.into(), seats }
}

pub(crate) fn enrolled(course: &str, student: &str) -> Fact {
    Fact::StudentEnrolled { course: course.into(), student: student.into() }
}

pub(crate) fn left(course: &str, student: &str) -> Fact {
    Fact::StudentLeft { course: course.into(), student: student.into() }
}

/// Appends `fact` as another program would.
pub(crate) fn fact_append(fact: &Fact) -> Append {
    let (event_type, payload) = (fact.event_type(), fact.encode().unwrap());
    let payload = std::str::from_utf8(&payload.bytes).unwrap();
    let mut event = raw("imported-1", event_type.name, event_type.version, payload);
    event.tags = fact.tags().unwrap();
    Append::new([event])
}

pub(crate) async fn open(store: &Store, course: &str, seats: u32) {
    store.append(fact_append(&opened(course, seats))).await.unwrap();
}
