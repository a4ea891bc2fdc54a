//! Where a command comes from: what caused it, on whose behalf, and when it happens. Its events carry that.

use jiff::Timestamp;
use mainspring_event::{EventId, EventRef, Metadata, Recorded, Source};

/// What caused a command: an event, and the conversation that the event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The event.
    pub id: EventId,
    /// Its conversation; begun by the event itself where it belongs to none.
    pub correlation: Option<EventId>,
}

impl From<EventRef<'_>> for Cause {
    fn from(event: EventRef<'_>) -> Self {
        Self { id: event.id, correlation: event.metadata.correlation() }
    }
}

impl<E> From<&Recorded<E>> for Cause {
    fn from(event: &Recorded<E>) -> Self {
        event.envelope().into()
    }
}

/// What the events of a command carry besides the fact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) metadata: Metadata,
    pub(crate) cause: Option<Cause>,
    pub(crate) at: Option<Timestamp>,
    pub(crate) source: Option<Source>,
}

impl Origin {
    /// The time of events that are decided on now.
    pub(crate) fn time(&self) -> Timestamp {
        self.at.unwrap_or_else(Timestamp::now)
    }

    /// The metadata of every event of an append whose first event is `first`, which begins a conversation of its own
    /// where nothing else does.
    pub(crate) fn metadata(&self, first: EventId) -> Metadata {
        let mut metadata = self.metadata.clone();
        let of_cause = self.cause.map(|cause| cause.correlation.unwrap_or(cause.id));
        metadata.correlation = metadata.correlation.or(of_cause).or(Some(first));
        metadata.causation = self.cause.map(|cause| cause.id).or(metadata.causation);
        metadata
    }
}

/// The options of everything that runs a command: methods that take and return a builder with a field `origin`.
macro_rules! origin_options {
    () => {
        /// Names what caused it: `.caused_by(&recorded)`. The events get its id as their causation and belong to its
        /// conversation.
        pub fn caused_by(mut self, cause: impl Into<$crate::Cause>) -> Self {
            self.origin.cause = Some(cause.into());
            self
        }

        /// Puts the events into this conversation. Without it they belong to that of their cause, or else begin one of
        /// their own whose id is that of the first event.
        pub fn correlation(mut self, id: mainspring_event::EventId) -> Self {
            self.origin.metadata.correlation = Some(id);
            self
        }

        /// When it happens, as the events say; without it, now.
        pub fn at(mut self, time: jiff::Timestamp) -> Self {
            self.origin.at = Some(time);
            self
        }

        /// On whose behalf.
        pub fn user(mut self, user: impl Into<String>) -> Self {
            self.origin.metadata.user = Some(user.into());
            self
        }

        /// For which tenant.
        pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
            self.origin.metadata.tenant = Some(tenant.into());
            self
        }

        /// Who produces the events; without it, Mainspring.
        pub fn source(mut self, source: mainspring_event::Source) -> Self {
            self.origin.source = Some(source);
            self
        }

        /// What the events carry besides, such as the trace and free entries. It replaces what options before it said
        /// of correlation, user and tenant.
        pub fn metadata(mut self, metadata: mainspring_event::Metadata) -> Self {
            self.origin.metadata = metadata;
            self
        }
    };
}
pub(crate) use origin_options;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_taken_over_or_begun() {
        let (first, event, conversation) = (EventId::new(), EventId::new(), EventId::new());
        let caused = |correlation| Origin { cause: Some(Cause { id: event, correlation }), ..Origin::default() };
        assert_eq!(Origin::default().metadata(first).correlation, Some(first));
        assert_eq!(Origin::default().metadata(first).causation, None);
        assert_eq!(caused(None).metadata(first).correlation, Some(event));
        assert_eq!(caused(Some(conversation)).metadata(first).correlation, Some(conversation));
        assert_eq!(caused(Some(conversation)).metadata(first).causation, Some(event));
        let mut explicit = caused(Some(conversation));
        explicit.metadata.correlation = Some(first);
        assert_eq!(explicit.metadata(EventId::new()).correlation, Some(first));
    }
}
