//! The bytes on disk. `docs/format.md` is the specification; this module and nothing else encodes and decodes them.
//!
//! Numbers are little-endian. Every structure carries a CRC32C of itself, so each can be verified alone.

pub(crate) mod frame;
pub(crate) mod manifest;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod watermark;

/// The version of everything below. A store of a higher version is refused.
pub(crate) const FORMAT: u32 = 1;

/// Reads the four bytes at `at`; the caller has checked that they are there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// Reads the eight bytes at `at`; the caller has checked that they are there.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// Reads the eight bytes at `at` as a signed number; the caller has checked that they are there.
pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array_at(bytes, at))
}

/// The `N` bytes at `at`; the caller has checked that they are there.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

/// A length that was checked against a limit far below 4 GiB.
pub(crate) fn short(length: usize) -> u32 {
    u32::try_from(length).expect("lengths in the log are limited far below 4 GiB")
}
