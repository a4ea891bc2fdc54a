//! What a message comes from: the delivery or the event that is being handled, its conversation and its trace.

use mainspring_broker::Delivery;
use mainspring_event::{EventId, Metadata, Recorded, TraceContext};

use crate::Delivered;

/// What caused a message. The message gets its id as causation, and belongs to its conversation and its trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cause {
    /// The event or message, where it has an id.
    pub id: Option<EventId>,
    /// Its conversation.
    pub correlation: Option<EventId>,
    /// The trace it was handled in.
    pub trace: Option<TraceContext>,
}

impl Cause {
    /// Writes it into the metadata of what was caused. What is said there already stays.
    pub(crate) fn mark(&self, metadata: &mut Metadata) {
        metadata.causation = metadata.causation.or(self.id);
        metadata.correlation = metadata.correlation.or(self.correlation).or(self.id);
        if metadata.trace.is_none() {
            metadata.trace.clone_from(&self.trace);
        }
    }
}

impl From<&Delivery> for Cause {
    fn from(delivery: &Delivery) -> Self {
        let metadata = delivery.message.envelope.as_ref().map(|envelope| &envelope.metadata);
        let correlation = metadata.and_then(|metadata| metadata.correlation);
        Self { id: delivery.id(), correlation, trace: metadata.and_then(|metadata| metadata.trace.clone()) }
    }
}

impl<E> From<&Delivered<E>> for Cause {
    fn from(delivered: &Delivered<E>) -> Self {
        (&**delivered.delivery()).into()
    }
}

impl<E> From<&Recorded<E>> for Cause {
    fn from(recorded: &Recorded<E>) -> Self {
        let metadata = recorded.envelope().metadata.to_owned();
        Self { id: Some(recorded.id()), correlation: metadata.correlation, trace: metadata.trace }
    }
}

/// For commands: `.caused_by(&delivered)`. Where a message has no id of its own, its conversation begins with the command.
impl<E> From<&Delivered<E>> for mainspring_domain::Cause {
    fn from(delivered: &Delivered<E>) -> Self {
        let cause = Cause::from(delivered);
        Self { id: cause.id.unwrap_or_else(EventId::new), correlation: cause.correlation }
    }
}
