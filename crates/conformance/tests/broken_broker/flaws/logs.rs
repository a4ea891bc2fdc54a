//! Logs that are read from elsewhere, or keep too much or too little.

use mainspring_broker::{Keep, Start, Topology};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "always begins at the earliest",
        caught_by: &[
            "replay::a_group_begins_at_the_latest",
            "replay::a_group_begins_at_an_offset",
            "replay::a_group_begins_at_a_time",
        ],
        topology: |topology| starting(topology, &Start::Earliest),
        ..SOUND
    },
    Flaw {
        name: "always begins at the latest",
        caught_by: &["replay::a_group_begins_at_the_earliest", "confirmed::a_log_is_a_route"],
        topology: |topology| starting(topology, &Start::Latest),
        ..SOUND
    },
    Flaw {
        name: "does not move when it is told to",
        caught_by: &["replay::a_seek_moves_the_whole_group"],
        seek: |_, _| Box::pin(async { Ok(()) }),
        ..SOUND
    },
    Flaw {
        name: "says that it has moved where nothing is kept",
        caught_by: &["replay::a_seek_needs_a_log"],
        seek: |settler, to| {
            Box::pin(async move {
                drop(settler.inner.seek(to).await);
                Ok(())
            })
        },
        ..SOUND
    },
    Flaw {
        name: "keeps logs for ever",
        caught_by: &["replay::a_log_keeps_messages_for_a_time", "replay::a_log_keeps_so_many_bytes"],
        topology: |topology| keeping(topology, |_| Keep::Log { max_age: None, max_bytes: None }),
        ..SOUND
    },
    Flaw {
        name: "keeps logs for too short a time",
        caught_by: &["replay::a_log_keeps_messages_for_a_time"],
        topology: |topology| {
            keeping(topology, |keep| match keep {
                Keep::Log { max_age, max_bytes } => Keep::Log { max_age: max_age.map(|age| age / 3), max_bytes },
                Keep::UntilSettled => keep,
            })
        },
        ..SOUND
    },
];

fn starting(mut topology: Topology, start: &Start) -> Topology {
    topology.subscriptions.iter_mut().for_each(|group| group.start = start.clone());
    topology
}

fn keeping(mut topology: Topology, keep: fn(Keep) -> Keep) -> Topology {
    for topic in &mut topology.topics {
        if let Keep::Log { .. } = topic.keep {
            topic.keep = keep(topic.keep);
        }
    }
    topology
}
