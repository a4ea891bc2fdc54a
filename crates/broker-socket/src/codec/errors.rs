//! Errors on the wire: each keeps its class, because that is the decision that its caller takes; what caused it is kept
//! as text.

use std::error::Error;

use mainspring_broker::{BrokerError, CommitError, SendError, SettleError};
use mainspring_store::{AppendError, BoxError};

use super::{Garbled, Reader, Wire, wire_enum};

wire_enum!(BrokerError {
    0 => Invalid { reason },
    1 => Refused { feature, at },
    2 => NoTopic(topic),
    3 => NoGroup(group),
    4 => Denied { reason },
    5 => Closed,
    6 => Failed(source),
    7 => NotSent(source),
} later => 255);

wire_enum!(SendError {
    0 => Rejected { reason },
    1 => TooLarge { what, actual, limit },
    2 => Unroutable { destination, routing_key },
    3 => Throttled { after },
    4 => NotAttempted(source),
    5 => Unknown(source),
} later => 255);

wire_enum!(SettleError {
    0 => Stale,
    1 => TooLarge { what, actual, limit },
    2 => Refused { reason },
    3 => NotMoved(source),
    4 => Failed(source),
    5 => Unknown(source),
} later => 255);

wire_enum!(CommitError {
    0 => Settle { tag, source },
    1 => Send { at, source },
    2 => Append(source),
    3 => Refused,
    4 => Unknown(source),
} later => 255);

/// Its text and those of all that caused it.
impl Wire for BoxError {
    fn write(&self, out: &mut Vec<u8>) {
        chain(&**self).write(out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Ok(String::read(from)?.into())
    }
}

/// Nobody appends events of his own over the socket, so all that counts of this error is whether it happened.
impl Wire for AppendError {
    fn write(&self, out: &mut Vec<u8>) {
        matches!(self, Self::Unknown(_)).write(out);
        match self {
            Self::Unknown(source) | Self::Failed(source) => source.write(out),
            other => chain(other).write(out),
        }
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let (unknown, text) = (bool::read(from)?, String::read(from)?);
        Ok(if unknown { Self::Unknown(text.into()) } else { Self::Failed(text.into()) })
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{fmt::Debug, time::Duration};

    use mainspring_broker::{DeliveryTag, Feature};

    use super::*;

    #[track_caller]
    fn keeps_its_class<E: Wire + Debug>(errors: Vec<E>) {
        for error in errors {
            let mut written = Vec::new();
            error.write(&mut written);
            let read = E::read(&mut Reader::new(written.into())).unwrap();
            assert_eq!(format!("{read:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn every_error_keeps_its_class() {
        let name = || "orders".parse().unwrap();
        let too_large = || SendError::TooLarge { what: "a priority", actual: 9, limit: 8 };
        keeps_its_class(vec![
            BrokerError::Invalid { reason: "a".into() },
            BrokerError::Refused { feature: Feature::Dedupe, at: "b".into() },
            BrokerError::NoTopic(name()),
            BrokerError::NoGroup("billing".parse().unwrap()),
            BrokerError::Denied { reason: "c".into() },
            BrokerError::Closed,
            BrokerError::Failed("d".into()),
            BrokerError::NotSent(too_large()),
        ]);
        keeps_its_class(vec![
            SendError::Rejected { reason: "a".into() },
            too_large(),
            SendError::Unroutable { destination: name(), routing_key: "b".into() },
            SendError::Throttled { after: Some(Duration::from_millis(1)) },
            SendError::NotAttempted("c".into()),
            SendError::Unknown("d".into()),
        ]);
        keeps_its_class(vec![
            SettleError::Stale,
            SettleError::TooLarge { what: "a lease", actual: 2, limit: 1 },
            SettleError::Refused { reason: "a".into() },
            SettleError::NotMoved(too_large()),
            SettleError::Failed("b".into()),
            SettleError::Unknown("c".into()),
        ]);
        keeps_its_class(vec![
            CommitError::Settle { tag: DeliveryTag { number: 1, epoch: 2 }, source: SettleError::Stale },
            CommitError::Send { at: 3, source: too_large() },
            CommitError::Append(AppendError::Unknown("a".into())),
            CommitError::Append(AppendError::Failed("b".into())),
            CommitError::Refused,
            CommitError::Unknown("c".into()),
        ]);
    }

    #[test]
    fn causes_are_kept_as_text() {
        let cause: BoxError = Box::new(SendError::Unknown("the cable was cut".into()));
        let expected = format!("{cause}: the cable was cut");
        let mut written = Vec::new();
        cause.write(&mut written);
        assert_eq!(BoxError::read(&mut Reader::new(written.into())).unwrap().to_string(), expected);
    }
}
