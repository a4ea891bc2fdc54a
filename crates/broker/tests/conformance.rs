//! The reference model under the laws of the contract.

use mainspring_conformance::broker::{Backend, Memory};

fn memory() -> impl Backend {
    Memory
}

mainspring_conformance::broker_laws!(memory);
