//! How the broker writes what it stores: numbers of variable length, texts and moments, one after the other.
//!
//! What is read here was written by this crate, so anything else is damage, and an error.

pub(crate) mod message;
pub(crate) mod progress;
pub(crate) mod topology;

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

/// What was read is not what this version of the broker writes.
#[derive(Debug, thiserror::Error)]
#[error("this is not written by a broker of this version: {0}")]
pub(crate) struct Damaged(pub(crate) &'static str);

/// Writes behind one another.
pub(crate) trait Write {
    /// A number, seven bits a byte, the lowest first.
    fn number(&mut self, number: u64);
    /// A length and so many bytes.
    fn blob(&mut self, bytes: &[u8]);
    /// A moment, to the nanosecond.
    fn moment(&mut self, moment: Timestamp);
    /// A span of time.
    fn span(&mut self, span: Duration);
}

impl Write for Vec<u8> {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push((number as u8) | 0x80);
            number >>= 7;
        }
        self.push(number as u8);
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn moment(&mut self, moment: Timestamp) {
        // The fraction of a moment has the sign of its second; both fit into what zigzag leaves.
        self.number(zigzag(moment.as_second()));
        self.number(zigzag(moment.subsec_nanosecond().into()));
    }

    fn span(&mut self, span: Duration) {
        self.number(span.as_secs());
        self.number(span.subsec_nanos().into());
    }
}

/// Reads what [`Write`] wrote; blobs share the memory of what is read.
pub(crate) struct Reader {
    bytes: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything that was not read yet.
    pub(crate) fn rest(self) -> Bytes {
        self.bytes
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn fixed(&mut self) -> Result<[u8; 8], Damaged> {
        Ok(self.take(8)?[..].try_into().expect("eight bytes were taken"))
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<Bytes, Damaged> {
        if count > self.bytes.len() {
            return Err(Damaged("it is cut off"));
        }
        Ok(self.bytes.split_to(count))
    }

    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0_u64;
        for (at, byte) in self.bytes.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                let _ = self.bytes.split_to(at + 1);
                return Ok(number);
            }
        }
        Err(Damaged("a number does not end"))
    }

    /// A number that counts something, so that it fits where it is used.
    pub(crate) fn count<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        T::try_from(self.number()?).map_err(|_| Damaged("a number is too large"))
    }

    pub(crate) fn blob(&mut self) -> Result<Bytes, Damaged> {
        let length = self.count()?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<String, Damaged> {
        String::from_utf8(self.blob()?.into()).map_err(|_| Damaged("a text is not UTF-8"))
    }

    pub(crate) fn moment(&mut self) -> Result<Timestamp, Damaged> {
        let second = unzigzag(self.number()?);
        let nanosecond = i32::try_from(unzigzag(self.number()?)).map_err(|_| Damaged("a fraction is too large"))?;
        Timestamp::new(second, nanosecond).map_err(|_| Damaged("a moment is out of range"))
    }

    pub(crate) fn span(&mut self) -> Result<Duration, Damaged> {
        let second = self.number()?;
        let nanosecond = self.count::<u32>()?;
        if nanosecond >= 1_000_000_000 {
            return Err(Damaged("a fraction is too large"));
        }
        Ok(Duration::new(second, nanosecond))
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in prop::collection::vec(any::<u64>(), 0..9),
            blob in any::<Vec<u8>>(),
            second in -377_705_000_000_i64..253_402_000_000,
            nanosecond in 0..999_999_999_i32,
            span in any::<Duration>(),
        ) {
            let moment = Timestamp::new(second, nanosecond).unwrap();
            let mut written = Vec::new();
            numbers.iter().for_each(|number| written.number(*number));
            written.blob(&blob);
            written.moment(moment);
            written.span(span);
            let mut reader = Reader::new(written.into());
            for number in numbers {
                prop_assert_eq!(reader.number().unwrap(), number);
            }
            prop_assert_eq!(&reader.blob().unwrap()[..], &blob[..]);
            prop_assert_eq!(reader.moment().unwrap(), moment);
            prop_assert_eq!(reader.span().unwrap(), span);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn damage_is_an_error_and_no_panic(bytes in any::<Vec<u8>>()) {
            let read = |with: fn(&mut Reader) -> bool| with(&mut Reader::new(bytes.clone().into()));
            read(|reader| reader.number().is_ok());
            read(|reader| reader.text().is_ok());
            read(|reader| reader.moment().is_ok());
            read(|reader| reader.span().is_ok());
        }
    }
}
