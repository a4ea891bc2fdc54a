//! Slices that belong to nobody, to everybody, or for too long.

use mainspring_broker::{Next, Sharing, partition_of};

use super::{with_key, with_own_key};
use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "assigns no slices",
        caught_by: &[
            "slices::a_single_member_has_every_slice",
            "slices::a_slice_is_delivered_to_its_owner_only",
            "slices::a_member_too_many_is_idle_until_another_ends",
            "slices::a_member_that_stops_asking_gives_its_slices_up",
            "slices::nothing_is_delivered_of_a_slice_that_is_handed_over",
            "slices::a_handover_ends_at_its_deadline",
        ],
        topology: |mut topology| {
            topology.subscriptions.iter_mut().for_each(|group| group.sharing = Sharing::Competing);
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "puts keys into slices by another hash",
        caught_by: &["slices::a_key_belongs_to_the_slice_of_its_murmur2"],
        delivery: |_, _, mut delivery| {
            if let (Some(place), Some(key)) = (&mut delivery.place, &delivery.message.key) {
                let sum = key.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
                place.slice.partition = sum % 8;
            }
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "spreads the messages of a key over all slices",
        caught_by: &[
            "slices::a_key_belongs_to_the_slice_of_its_murmur2",
            "slices::a_slice_is_delivered_to_its_owner_only",
        ],
        message: |broker, message| with_key(message, broker.count().to_string()),
        delivery: |_, _, delivery| with_own_key(delivery),
        ..SOUND
    },
    Flaw {
        name: "takes slices away without a word",
        caught_by: &["slices::a_slice_is_delivered_to_its_owner_only", "slices::a_handover_ends_at_its_deadline"],
        next: |deliveries, max| {
            Box::pin(async move {
                loop {
                    match deliveries.inner.next(max).await? {
                        Next::Revoking(handover) => handover.complete(),
                        other => return Ok(other),
                    }
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not say which slices were lost",
        caught_by: &["slices::a_handover_ends_at_its_deadline"],
        next: |deliveries, max| {
            Box::pin(async move {
                loop {
                    match deliveries.inner.next(max).await? {
                        Next::Lost(_) => {}
                        other => return Ok(other),
                    }
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "delivers to the new owner what the old one still holds",
        caught_by: &["slices::nothing_is_delivered_of_a_slice_that_is_handed_over"],
        next: |deliveries, max| {
            Box::pin(async move {
                let next = deliveries.inner.next(max).await?;
                if let Next::Revoking(handover) = &next {
                    let slices = handover.slices().to_vec();
                    let is_moving = |key: &[u8]| slices.iter().any(|slice| partition_of(key, 2) == slice.partition);
                    let mut memo = deliveries.broker.memo();
                    let delivered =
                        memo.delivered.values().filter(|one| one.message.key.as_deref().is_some_and(is_moving));
                    let copies: Vec<_> = delivered.map(|one| (deliveries.member, one.clone())).collect();
                    memo.copies = copies;
                    return Ok(next);
                }
                if let Next::Assigned(_) = &next {
                    return Ok(next);
                }
                let copies = std::mem::take(&mut deliveries.broker.memo().copies);
                Ok(if copies.is_empty() { next } else { Next::Batch(copies.into_iter().map(|(_, one)| one).collect()) })
            })
        },
        ..SOUND
    },
];
