//! Operators who are told what is not so, or break something by looking.

use mainspring_broker::Admin;

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
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
