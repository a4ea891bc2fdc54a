//! The decision: a command over several entities, consistent over exactly the events that it depends on.

use mainspring_event::{Event, EventTypeName, NameError, Tag, Tagged};
use mainspring_store::{Query, QueryItem};

/// A command that decides over every event that shares a tag with it, whatever stream the event is in (dynamic
/// consistency boundary).
///
/// It needs no aggregate, no saga and no lock: its append fails if an event that it depends on was added since it read,
/// and then it decides again. Like a [`Decider`](crate::Decider) it is pure and synchronous. [`decide`](crate::decide())
/// runs it.
///
/// ```
/// use mainspring_domain::{Decision, testing::given_facts};
/// use mainspring_event::{Event, Tagged};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(crate = mainspring_event)]
/// enum Fact {
///     CourseOpened { #[tag] course: String, seats: u32 },
///     StudentEnrolled { #[tag] course: String, #[tag] student: String },
/// }
///
/// #[derive(Tagged)] // reads every `Fact` that shares a tag with the command
/// # #[event(crate = mainspring_event)]
/// struct Enrol {
///     #[tag]
///     course: String,
///     #[tag]
///     student: String,
/// }
///
/// #[derive(Default)]
/// struct Seen {
///     free: u32,
///     courses: u32,
/// }
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// enum Refused {
///     #[error("the course is full")]
///     Full,
///     #[error("two courses are enough")]
///     TooMany,
/// }
///
/// impl Decision for Enrol {
///     const CATEGORY: &'static str = "enrolment"; // the event goes to enrolment-<course>
///     type State = Seen;
///     type Event = Fact;
///     type Error = Refused;
///
///     fn evolve(&self, seen: &mut Seen, fact: &Fact) {
///         match fact {
///             Fact::CourseOpened { seats, .. } => seen.free += seats,
///             Fact::StudentEnrolled { course, student } => {
///                 seen.free -= u32::from(*course == self.course);
///                 seen.courses += u32::from(*student == self.student);
///             }
///         }
///     }
///
///     fn decide(&self, seen: &Seen) -> Result<Vec<Fact>, Refused> {
///         match seen {
///             Seen { free: 0, .. } => Err(Refused::Full),
///             Seen { courses: 2.., .. } => Err(Refused::TooMany),
///             _ => Ok(vec![Fact::StudentEnrolled { course: self.course.clone(), student: self.student.clone() }]),
///         }
///     }
/// }
///
/// let enrol = |student: &str| Enrol { course: "rust".into(), student: student.into() };
/// let opened = Fact::CourseOpened { course: "rust".into(), seats: 1 };
/// let ada = Fact::StudentEnrolled { course: "rust".into(), student: "ada".into() };
/// given_facts([opened.clone()]).when(enrol("ada")).then([ada.clone()]);
/// given_facts([opened, ada]).when(enrol("bob")).then_rejected(Refused::Full);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decision",
    note = "implement `Decision` for the command; it also needs `#[derive(Tagged)]`"
)]
pub trait Decision: Tagged + Send + Sync {
    /// New events go to the stream `CATEGORY-<value of the event's first tag>`.
    const CATEGORY: &'static str;
    /// What it has to know in order to decide.
    type State: Default + Send;
    /// The events it depends on and those it decides on; also the filter of what it reads.
    type Event: Event;
    /// Why it can refuse.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes in what has happened. It cannot fail: the event is a fact.
    fn evolve(&self, state: &mut Self::State, event: &Self::Event);

    /// Says what happens because of this command: nothing, one event, or several that are stored together. Each carries
    /// at least one tag.
    ///
    /// # Errors
    /// Why the command is refused. Nothing happens then.
    fn decide(&self, state: &Self::State) -> Result<Vec<Self::Event>, Self::Error>;

    /// The events it decides over. Derived: for each tag of the command, the types of [`Event`](Self::Event) that carry
    /// its key. Whatever else it selects must still be of those types.
    ///
    /// # Errors
    /// [`NameError`] when a value of the command cannot be a tag.
    fn query(&self) -> Result<Query, NameError> {
        let item = |tag: Tag| {
            let carrying = Self::Event::TYPES.iter().filter(|known| known.tags.contains(&tag.key()));
            let types = carrying.map(|known| EventTypeName::new(known.name)).collect::<Result<_, _>>()?;
            Ok(QueryItem { types, tags: vec![tag], ..QueryItem::default() })
        };
        Ok(Query::Items(self.tags()?.into_iter().map(item).collect::<Result<_, _>>()?))
    }

    /// What must not have been added since it read. All that it decides over, unless some of these events cannot hurt:
    /// a seat given back, for one.
    ///
    /// # Errors
    /// [`NameError`] when a value of the command cannot be a tag.
    fn condition(&self) -> Result<Query, NameError> {
        self.query()
    }
}
