//! Which partition a key belongs to: the same as with the Java client and kafka-python, so that their messages and ours
//! stay in order with each other.

/// The partition of `key` among so many: 32-bit murmur2 with Kafka's seed, made positive, modulo the count.
///
/// This is `Utils.toPositive(Utils.murmur2(key)) % partitions` of Apache Kafka's Java client. librdkafka's default is
/// CRC32 and differs.
///
/// ```
/// assert_eq!(mainspring_broker::partition_of(b"foobar", 50), 16);
/// ```
///
/// # Panics
/// When there is no partition.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// MurmurHash2 by Austin Appleby as Apache Kafka uses it (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // The length is mixed in as Java's `int`; no key comes near that limit.
    let mut hash = SEED ^ u32::try_from(data.len()).expect("a key is smaller than 4 GiB");
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().expect("a chunk has four bytes")).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vectors of Apache Kafka's `UtilsTest.testMurmur2` (clients/src/test/java/org/apache/kafka/common/utils).
    #[test]
    fn it_hashes_as_the_java_client_does() {
        let vectors = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, expected) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    /// The vectors of librdkafka's `rdmurmur2.c`, which cover each length of what is left after whole words.
    #[test]
    fn it_hashes_as_librdkafka_does_when_it_is_told_to() {
        let vectors = [
            ("kafka", 0xd067_cf64),
            ("giberish123456789", 0x8f55_2b0c),
            ("1234", 0x9fc9_7b14),
            ("234", 0xe7c0_09ca),
            ("34", 0x8739_30da),
            ("4", 0x5a4b_5ca1),
        ];
        for (key, expected) in vectors {
            assert_eq!(murmur2(key.as_bytes()), expected, "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_key_has_one_partition_and_it_exists(key in any::<Vec<u8>>(), partitions in 1_u32..100) {
            let partition = partition_of(&key, partitions);
            prop_assert!(partition < partitions);
            prop_assert_eq!(partition_of(&key, partitions), partition);
        }
    }
}
