//! The reference model under the laws of the contract: as it is, and as brokers of two classes that can do less.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use mainspring_broker::{Broker, Capabilities, Durability, Feature, Limits, MemoryBroker};
use mainspring_conformance::broker::{Backend, Home, Memory, Need, OptOut};
use mainspring_store::Clock;

fn memory() -> impl Backend {
    Memory
}

mainspring_conformance::broker_laws!(memory);

/// The model with less features.
struct Lesser {
    name: &'static str,
    opt_outs: &'static [OptOut],
}

struct LesserHome {
    refused: Vec<Feature>,
    broker: OnceLock<MemoryBroker>,
}

#[async_trait]
impl Backend for Lesser {
    fn name(&self) -> &'static str {
        self.name
    }

    fn opt_outs(&self) -> &'static [OptOut] {
        self.opt_outs
    }

    async fn create(&self) -> Box<dyn Home> {
        let refused = self.opt_outs.iter().filter_map(|opt_out| match opt_out.lacks {
            Need::With(feature) => Some(feature),
            Need::Reopen => None,
        });
        Box::new(LesserHome { refused: refused.collect(), broker: OnceLock::new() })
    }
}

#[async_trait]
impl Home for LesserHome {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        let capabilities = Capabilities {
            emulated: Vec::new(),
            refused: self.refused.clone(),
            durability: Durability::Memory,
            gapless: true,
            limits: Limits::default(),
        };
        let broker = self.broker.get_or_init(|| MemoryBroker::with_capabilities(clock, capabilities));
        Arc::new(broker.clone())
    }

    async fn reopen(&self, broker: Arc<dyn Broker>, _: Arc<dyn Clock>) -> Arc<dyn Broker> {
        drop(broker);
        Arc::new(self.broker.get().expect("it was opened before").restart())
    }
}

const fn lacks(feature: Feature, why: &'static str) -> OptOut {
    OptOut { lacks: Need::With(feature), why }
}

mod queues {
    use super::{Feature, Lesser, OptOut, lacks};

    const OPT_OUTS: &[OptOut] = &[
        lacks(Feature::Slices, "queues have no partitions"),
        lacks(Feature::Replay, "queues keep nothing that is settled"),
        lacks(Feature::Commit, "a queue settles and sends apart"),
        lacks(Feature::HoldKeys, "a queue does not know keys"),
        lacks(Feature::KeyParks, "a queue does not know keys"),
    ];

    pub(super) fn queue() -> Lesser {
        Lesser { name: "memory, as a queue", opt_outs: OPT_OUTS }
    }

    mainspring_conformance::broker_laws!(queue);
}

mod logs {
    use super::{Feature, Lesser, Need, OptOut, lacks};

    const OPT_OUTS: &[OptOut] = &[
        lacks(Feature::Competing, "a partition has one reader"),
        lacks(Feature::Sessions, "a partition has one reader"),
        lacks(Feature::Priority, "a log has one order"),
        lacks(Feature::Delay, "a log has one order"),
        lacks(Feature::RetryAfter, "a log has one order"),
        lacks(Feature::Expiry, "a log keeps everything for the same time"),
        lacks(Feature::Dedupe, "a log does not know ids"),
        lacks(Feature::DirectRouting, "a log has no routing keys"),
        lacks(Feature::PatternRouting, "a log has no routing keys"),
        lacks(Feature::HeaderRouting, "a log does not look at headers"),
        OptOut { lacks: Need::Reopen, why: "it dies with the process" },
    ];

    pub(super) fn log() -> Lesser {
        Lesser { name: "memory, as a log", opt_outs: OPT_OUTS }
    }

    mainspring_conformance::broker_laws!(log);
}
