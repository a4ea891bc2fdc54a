//! Fuzzes the decoder `run`; what it is and what must hold stands there.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mainspring_store_disk::fuzzing::run(bytes));
