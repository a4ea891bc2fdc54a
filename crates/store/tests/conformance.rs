//! The reference model under the laws of the contract.

use mainspring_conformance::{Backend, Memory};

fn memory() -> impl Backend {
    Memory
}

mainspring_conformance::laws!(memory);
