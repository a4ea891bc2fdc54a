//! Topics, subscriptions and capabilities on the wire.

use mainspring_broker::{
    AfterDeadLetter, Binding, Capabilities, Destination, Drift, Durability, Ensure, Feature, Filter, Group, Keep,
    Limit, Limits, Order, Pattern, Require, Sharing, Slice, Start, Subscription, SubscriptionSpec, Topic, Topology,
};

use super::{wire_enum, wire_name, wire_struct};

wire_name!(Destination, Group, Pattern);

wire_struct!(Topology { topics, subscriptions });
wire_struct!(Topic { name, partitions, keep, dedupe });
wire_enum!(Keep { 0 => UntilSettled, 1 => Log { max_age, max_bytes } });
wire_struct!(Subscription { group, bindings, start, sharing, order, dead_letter, after_dead_letter });
wire_struct!(Binding { from, filter });
wire_enum!(Filter { 0 => All, 1 => Direct(key), 2 => Pattern(pattern), 3 => Headers { require, headers } });
wire_enum!(Require { 0 => All, 1 => Any });
wire_enum!(Start { 0 => Earliest, 1 => Latest, 2 => Offsets(offsets), 3 => Time(time) });
wire_struct!(Slice { topic, partition });
wire_enum!(Sharing { 0 => Competing, 1 => Slices });
wire_enum!(Order { 0 => Unordered, 1 => KeyBlocks, 2 => KeyParks, 3 => Sessions });
wire_enum!(AfterDeadLetter { 0 => Continue, 1 => Hold });
wire_enum!(Ensure { 0 => Verify, 1 => Create });
wire_enum!(Drift {
    0 => MissingTopic(topic),
    1 => MissingSubscription(group),
    2 => Topic { topic, what },
    3 => Subscription { group, what },
} later => 255);

wire_struct!(SubscriptionSpec { group, member, prefetch, lease });
wire_struct!(Limit { messages, bytes });

wire_struct!(Capabilities { emulated, refused, durability, gapless, limits });
wire_enum!(Durability { 0 => Memory, 1 => Replicated, 2 => Synced });
wire_struct!(Limits { message_bytes, header_bytes, batch_messages, batch_bytes, delay, lease, priority, window });
wire_enum!(Feature {
    0 => Competing,
    1 => Slices,
    2 => KeyBlocks,
    3 => KeyParks,
    4 => Sessions,
    5 => HoldKeys,
    6 => DirectRouting,
    7 => PatternRouting,
    8 => HeaderRouting,
    9 => Delay,
    10 => Priority,
    11 => Expiry,
    12 => Dedupe,
    13 => Replay,
    14 => Commit,
    15 => RetryAfter,
} later => 255);
