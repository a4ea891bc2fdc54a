//! What both sides say to each other. `docs/broker-socket.md` says it in words.
//!
//! A frame is a length (four bytes, little-endian), a number by which requests and their answers belong together, and a
//! [`Request`] or a [`Reply`]. Whoever changes any of it, or adds a variant to an error of the contract, raises
//! [`VERSION`]: both sides must speak the same one.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_broker::{
    BrokerError, Capabilities, CommitError, Delivery, DeliveryTag, Destination, Drift, Ensure, Group, GroupStatus,
    Limit, Message, Outcome, Pending, Place, Receipt, Resume, ScheduleId, Scheduled, SendError, SettleError, Slice,
    Start, SubscriptionSpec, TopicStatus, Topology,
};

use crate::codec::{Garbled, Reader, Wire, wire_enum};

/// Which protocol this is.
pub(crate) const VERSION: u32 = 1;

/// The longest frame. A batch of 16 MiB with everything around it fits.
pub(crate) const MAX_FRAME: usize = 24 << 20;

/// The most that one answer of `next` carries, in bytes of bodies, keys and headers; one message always fits.
pub(crate) const MAX_BATCH: Limit = Limit { messages: 10_000, bytes: 16 << 20 };

/// What a client asks. Those of one kind of connection are not understood on the other.
#[derive(Debug)]
pub(crate) enum Request {
    Ensure(Topology, Ensure),
    Capabilities(Destination),
    Send(Vec<Message>),
    /// The first request of a connection that is a member from then on.
    Subscribe(SubscriptionSpec),
    Groups,
    Browse(Group, usize),
    Purge(Group),
    Schedules(usize),
    Resume(Group, Bytes, Resume),
    Topics,
    Remove(Group, Vec<Place>),
    Resubmit(Group, Place, Box<Message>),
    Cancel(ScheduleId),
    Find(Group, Place),
    /// Asks for what happens next; the number of this frame names the question.
    Next(Limit),
    /// Whoever asked has gone away. What was answered is given back untried.
    Forget(u64),
    /// The answer is being handed over: from now on it was tried.
    Taken(u64),
    /// Nobody will ask again, but what was delivered can be settled.
    StopFetching,
    /// A handover has ended.
    GiveUp(u64),
    Settle(Vec<(DeliveryTag, Outcome)>),
    Extend(Vec<DeliveryTag>, Duration),
    Commit(Vec<(DeliveryTag, Outcome)>, Vec<Message>),
    Seek(Start),
    Pause(Vec<Slice>, bool),
    Close(Duration),
}

wire_enum!(Request {
    0 => Ensure(topology, mode),
    1 => Capabilities(of),
    2 => Send(batch),
    3 => Subscribe(spec),
    4 => Groups,
    5 => Browse(group, limit),
    6 => Purge(group),
    7 => Schedules(limit),
    8 => Resume(group, key, how),
    9 => Topics,
    10 => Remove(group, places),
    11 => Resubmit(from, place, message),
    12 => Cancel(id),
    13 => Find(group, place),
    16 => Next(max),
    17 => Forget(question),
    18 => Taken(question),
    19 => StopFetching,
    20 => GiveUp(handover),
    21 => Settle(outcomes),
    22 => Extend(tags, by),
    23 => Commit(outcomes, out),
    24 => Seek(to),
    25 => Pause(slices, paused),
    26 => Close(within),
});

/// What a server answers, under the number of the request.
#[derive(Debug)]
pub(crate) enum Reply {
    Ensured(Result<Vec<Drift>, BrokerError>),
    Capabilities(Result<Capabilities, BrokerError>),
    /// None of the messages was admitted.
    NotAdmitted(SendError),
    /// All of them were; `Confirmed` comes later under the same number.
    Admitted,
    Confirmed(Vec<Result<Receipt, SendError>>),
    Done(Result<(), BrokerError>),
    Groups(Result<Vec<GroupStatus>, BrokerError>),
    Pending(Result<Vec<Pending>, BrokerError>),
    Scheduled(Result<Vec<Scheduled>, BrokerError>),
    Count(Result<u64, BrokerError>),
    Topics(Result<Vec<TopicStatus>, BrokerError>),
    Resubmitted(Result<Receipt, BrokerError>),
    Cancelled(Result<bool, BrokerError>),
    Found(Result<Option<Box<Pending>>, BrokerError>),
    Next(Result<Told, BrokerError>),
    Settled(Vec<Result<(), SettleError>>),
    Committed(Result<Vec<Receipt>, CommitError>),
}

wire_enum!(Reply {
    0 => Ensured(answer),
    1 => Capabilities(answer),
    2 => NotAdmitted(error),
    3 => Admitted,
    4 => Confirmed(answers),
    5 => Done(answer),
    6 => Groups(answer),
    7 => Pending(answer),
    8 => Scheduled(answer),
    9 => Count(answer),
    10 => Topics(answer),
    11 => Resubmitted(answer),
    12 => Cancelled(answer),
    13 => Found(answer),
    16 => Next(answer),
    17 => Settled(answers),
    18 => Committed(answer),
});

/// What happens next at a member.
#[derive(Debug)]
pub(crate) enum Told {
    Batch(Vec<Delivery>),
    Assigned(Vec<Slice>),
    Revoking {
        /// By which `GiveUp` ends it.
        handover: u64,
        slices: Vec<Slice>,
        deadline: Timestamp,
    },
    Lost(Vec<Slice>),
    Closed,
}

wire_enum!(Told {
    0 => Batch(deliveries),
    1 => Assigned(slices),
    2 => Revoking { handover, slices, deadline },
    3 => Lost(slices),
    4 => Closed,
});

/// A frame with its length; an error says how long it would be.
pub(crate) fn frame(number: u64, content: &impl Wire) -> Result<Vec<u8>, usize> {
    let mut out = vec![0; 4];
    number.write(&mut out);
    content.write(&mut out);
    let length = out.len() - 4;
    if length > MAX_FRAME {
        return Err(length);
    }
    let header = u32::try_from(length).expect("a frame is smaller than 4 GiB");
    out[..4].copy_from_slice(&header.to_le_bytes());
    Ok(out)
}

/// The content of a frame, and its number.
pub(crate) fn content<T: Wire>(frame: Bytes) -> Result<(u64, T), Garbled> {
    let mut reader = Reader::new(frame);
    let read = (u64::read(&mut reader)?, T::read(&mut reader)?);
    if reader.is_empty() { Ok(read) } else { Err(Garbled("there is more than was expected")) }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use mainspring_broker::{Binding, Envelope, Filter, Keep, Order, Require, Sharing, Subscription, Topic};
    use mainspring_event::{EventId, NewEvent};

    use super::*;

    fn message() -> Message {
        let event = NewEvent {
            id: EventId::from_bytes([7; 16]),
            time: Timestamp::new(1, 2).unwrap(),
            ..NewEvent::json("order-1".parse().unwrap(), "OrderPlaced".parse().unwrap(), "{}")
        };
        let event = NewEvent { source: "shop".parse().unwrap(), ..event };
        let message = Message::new("orders".parse().unwrap(), "two").key("k").routed_by("a.b").header("h", "v");
        let message = message.priority(3).delay(Duration::from_secs(2)).expires_after(Duration::from_millis(1_500));
        Message { envelope: Some(Envelope::of(event).0), ..message }
    }

    fn topology() -> Topology {
        let topic = |name: &str| name.parse().unwrap();
        let slice = Slice { topic: topic("orders"), partition: 1 };
        let filters = [
            Filter::All,
            Filter::Direct("a".to_owned()),
            Filter::Pattern("a.#".parse().unwrap()),
            Filter::Headers { require: Require::Any, headers: vec![("h".to_owned(), "v".into())] },
        ];
        let bindings = filters.map(|filter| Binding { from: topic("orders"), filter });
        let group = Subscription::new("billing".parse().unwrap(), bindings).start(Start::Offsets(vec![(slice, 300)]));
        let group = group.sharing(Sharing::Slices).order(Order::Sessions).dead_letter(topic("dead"));
        let keep = Keep::Log { max_age: Some(Duration::from_secs(5)), max_bytes: None };
        let orders = Topic { keep, dedupe: Some(Duration::from_secs(60)), ..Topic::log(topic("orders"), 2) };
        Topology::new().topic(orders).subscription(group.hold_after_dead_letter())
    }

    fn place() -> Place {
        Place { slice: Slice { topic: "orders".parse().unwrap(), partition: 0 }, offset: 9 }
    }

    fn told() -> Reply {
        let tag = DeliveryTag { number: 1, epoch: 2 };
        let place = place();
        let stored = Some(Timestamp::new(3, 4).unwrap());
        Reply::Next(Ok(Told::Batch(vec![Delivery { tag, message: message(), place: Some(place), stored, attempt: 5 }])))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    /// The frame of `content` as a line of text, after it was read again.
    fn line<T: Wire + std::fmt::Debug>(number: u64, content: &T) -> String {
        let frame = Bytes::from(frame(number, content).unwrap());
        let inner = frame.slice(4..);
        let (read, again) = super::content::<T>(inner.clone()).unwrap();
        assert_eq!((read, format!("{again:?}")), (number, format!("{content:?}")));
        for cut in 0..inner.len() {
            assert!(super::content::<T>(inner.slice(..cut)).is_err(), "what is cut off is not understood");
        }
        hex(&frame) + "\n"
    }

    /// Another encoding is another version.
    #[test]
    fn the_first_version_stays_as_it_is() {
        assert_eq!(VERSION, 1);
        let too_large = SendError::TooLarge { what: "a priority", actual: 10, limit: 9 };
        let frames = [
            line(1, &Request::Ensure(topology(), Ensure::Create)),
            line(300, &Request::Send(vec![message()])),
            line(2, &Request::Forget(1)),
            line(3, &told()),
            line(4, &Reply::Confirmed(vec![Ok(Receipt { place: None, duplicate: true }), Err(too_large)])),
            line(
                6,
                &Request::Resubmit("billing".parse().unwrap(), place(), Message::new("a".parse().unwrap(), "b").into()),
            ),
            line(7, &Request::Cancel(ScheduleId::new("c"))),
            line(5, &Request::Settle(vec![(DeliveryTag { number: 1, epoch: 2 }, Outcome::Ack)])),
        ];
        assert_eq!(frames.concat(), include_str!("../tests/golden/frames-1.txt"));
    }

    #[test]
    fn a_frame_has_a_limit_and_an_end() {
        let large = Request::Resume("billing".parse().unwrap(), vec![0; MAX_FRAME].into(), Resume::Skip);
        assert!(frame(1, &large).is_err_and(|length| length > MAX_FRAME));
        let mut longer = frame(1, &Request::Groups).unwrap().split_off(4);
        longer.push(0);
        assert!(content::<Request>(longer.into()).is_err());
    }
}
