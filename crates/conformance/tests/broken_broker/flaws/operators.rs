//! Operators who are told what is not so, or break something by looking.

use mainspring_broker::{Admin, BrokerError};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "forgets the topics that are empty",
        caught_by: &["operators::topics_are_listed"],
        topics: |mut topics| {
            topics.retain(|status| status.slices.iter().any(|slice| slice.first < slice.next));
            topics
        },
        ..SOUND
    },
    Flaw {
        name: "says that a log begins at its first message ever",
        caught_by: &["operators::a_log_says_where_it_begins"],
        topics: |mut topics| {
            topics.iter_mut().flat_map(|status| &mut status.slices).for_each(|slice| slice.first = 0);
            topics
        },
        ..SOUND
    },
    Flaw {
        name: "says that it keeps nothing",
        caught_by: &["operators::topics_are_listed", "operators::a_log_says_where_it_begins"],
        topics: |mut topics| {
            topics.iter_mut().flat_map(|status| &mut status.slices).for_each(|slice| slice.first = slice.next);
            topics
        },
        ..SOUND
    },
    Flaw {
        name: "shows one slice after the other",
        caught_by: &["operators::browsing_goes_in_order_over_all_slices"],
        browse: |broker, group, limit| {
            Box::pin(async move {
                let mut seen = broker.inner.browse(group, usize::MAX).await?;
                seen.sort_by_key(|pending| pending.place.clone());
                seen.truncate(limit);
                Ok(seen)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "finds what is settled",
        caught_by: &["operators::what_is_shown_is_found_at_its_place"],
        find: |broker, group, place| {
            Box::pin(async move {
                let found = broker.inner.find(group, place).await?;
                let mut shown = broker.inner.browse(group, 1).await?;
                Ok(found.or_else(|| shown.pop()))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "removes everything that nobody holds",
        caught_by: &["operators::removing_takes_only_what_is_named"],
        remove: |broker, group, places| {
            Box::pin(async move {
                broker.inner.purge(group).await?;
                Ok(places.len() as u64)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "counts as removed what it was asked to remove",
        caught_by: &["operators::removing_takes_only_what_is_named"],
        remove: |broker, group, places| {
            Box::pin(async move {
                broker.inner.remove(group, places).await?;
                Ok(places.len() as u64)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "says that it cancels, and does not",
        caught_by: &[
            "operators::a_cancelled_message_does_not_come",
            "operators::a_cancelled_message_may_be_sent_again",
            "operators::a_cancelled_message_stays_cancelled",
        ],
        cancel: |_, _| Box::pin(async { Ok(true) }),
        ..SOUND
    },
    Flaw {
        name: "knows no message that is not due",
        caught_by: &["operators::a_cancelled_message_does_not_come"],
        cancel: |_, _| Box::pin(async { Ok(false) }),
        ..SOUND
    },
    Flaw {
        name: "resumes keys of groups with members only",
        caught_by: &["operators::a_key_is_resumed_without_members"],
        resume: |broker, group, key, how| {
            Box::pin(async move {
                let groups = broker.inner.groups().await?;
                if groups.iter().any(|status| status.group == *group && status.members == 0) {
                    return Err(BrokerError::Invalid { reason: "the group does not hold the key".to_owned() });
                }
                broker.inner.resume(group, key, how).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "counts no lag for what is in flight",
        caught_by: &["operators::lag_counts_what_is_not_settled"],
        groups: |mut groups| {
            groups.iter_mut().for_each(|group| group.lag -= group.in_flight);
            groups
        },
        ..SOUND
    },
    Flaw {
        name: "takes what it shows",
        caught_by: &["operators::browsing_takes_nothing"],
        browse: |broker, group, limit| {
            Box::pin(async move {
                let seen = broker.inner.browse(group, limit).await?;
                broker.inner.purge(group).await?;
                Ok(seen)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "purges every group",
        caught_by: &["operators::purging_removes_what_nobody_holds"],
        purge: |broker, group| {
            Box::pin(async move {
                let purged = broker.inner.purge(group).await?;
                for other in broker.inner.groups().await? {
                    broker.inner.purge(&other.group).await?;
                }
                Ok(purged)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "lists schedules backwards",
        caught_by: &["operators::schedules_are_listed"],
        schedules: |mut schedules| {
            schedules.reverse();
            schedules
        },
        ..SOUND
    },
];
