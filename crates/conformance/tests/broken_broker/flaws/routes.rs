//! Bindings that select too much or too little.

use mainspring_broker::{Confirmations, Filter, Require, Topology};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "takes direct keys for patterns",
        caught_by: &["routing::a_direct_binding_selects_its_key"],
        topology: |topology| {
            filtering(topology, |filter| match filter {
                Filter::Direct(key) => Filter::Pattern(key.parse().expect("a short pattern")),
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes `#` for at least one word",
        caught_by: &["routing::a_pattern_selects_by_words"],
        topology: |topology| {
            filtering(topology, |filter| match filter {
                Filter::Pattern(pattern) => {
                    Filter::Pattern(pattern.as_str().replace('#', "*.#").parse().expect("a short pattern"))
                }
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "asks for any header where all are required",
        caught_by: &["routing::headers_select_all_or_any"],
        topology: |topology| {
            filtering(topology, |filter| match filter {
                Filter::Headers { headers, .. } => Filter::Headers { require: Require::Any, headers },
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not filter",
        caught_by: &[
            "routing::a_direct_binding_selects_its_key",
            "routing::a_pattern_selects_by_words",
            "routing::headers_select_all_or_any",
            "confirmed::a_message_that_no_binding_selects_is_an_error",
        ],
        topology: |topology| filtering(topology, |_| Filter::All),
        ..SOUND
    },
    Flaw {
        name: "delivers a message once for each binding",
        caught_by: &["routing::a_message_comes_once_to_a_group"],
        send: |broker, batch| {
            Box::pin(async move {
                let groups = broker.memo().topology.subscriptions.clone();
                let times = groups.iter().map(|group| group.bindings.len()).max().unwrap_or(1);
                let answers = batch.into_iter().flat_map(|message| {
                    let mut answers: Vec<_> = (0..times).flat_map(|_| broker.send_now(vec![message.clone()])).collect();
                    answers.pop()
                });
                Ok(Confirmations::now(answers.collect()))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "knows one topic for each group",
        caught_by: &["routing::a_group_may_get_several_topics"],
        topology: |mut topology| {
            topology.subscriptions.iter_mut().for_each(|group| group.bindings.truncate(1));
            topology
        },
        ..SOUND
    },
];

fn filtering(mut topology: Topology, filter: fn(Filter) -> Filter) -> Topology {
    for binding in topology.subscriptions.iter_mut().flat_map(|group| &mut group.bindings) {
        binding.filter = filter(binding.filter.clone());
    }
    topology
}
