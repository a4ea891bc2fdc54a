//! How both sides write what they say: numbers of variable length, texts and moments, one after the other.
//!
//! Each type has one encoding, a [`Wire`]; structures are their fields in order, enumerations a byte that says which
//! variant and then its fields. What is read comes from another process and may be anything, so nothing is believed.

mod admin;
mod errors;
mod messages;
mod topology;
mod words;

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

/// The longest list that is written or read, so that a few bytes cannot ask for much memory.
pub(crate) const MAX_LIST: usize = 1 << 16;

/// What was read is not what this version of the protocol writes.
#[derive(Debug, thiserror::Error)]
#[error("this is not what this version of the protocol says: {0}")]
pub(crate) struct Garbled(pub(crate) &'static str);

/// Something that goes over the socket.
pub(crate) trait Wire: Sized {
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes it from the beginning of what is left.
    fn read(from: &mut Reader) -> Result<Self, Garbled>;
}

/// What is left to be read; blobs share its memory.
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Garbled> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<Bytes, Garbled> {
        if count > self.0.len() {
            return Err(Garbled("it is cut off"));
        }
        Ok(self.0.split_to(count))
    }

    fn blob(&mut self) -> Result<Bytes, Garbled> {
        let length = usize::read(self)?;
        self.take(length)
    }
}

/// A structure: its fields in this order.
macro_rules! wire_struct {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Wire for $type {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }

            fn read(from: &mut $crate::codec::Reader) -> Result<Self, $crate::codec::Garbled> {
                Ok(Self { $($field: $crate::codec::Wire::read(from)?),* })
            }
        }
    };
}

/// An enumeration: a byte for each variant, and then its fields. One that is open to later variants says what a
/// variant without a byte is written as, because this version of the protocol cannot say it.
macro_rules! wire_enum {
    ($type:ty {
        $($tag:literal => $variant:ident $( ( $($inner:ident),* ) )? $( { $($field:ident),* } )?),* $(,)?
    } $(later => $later:literal)?) => {
        impl $crate::codec::Wire for $type {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $( ( $($inner),* ) )? $( { $($field),* } )? => {
                        out.push($tag);
                        $( $($inner.write(out);)* )?
                        $( $($field.write(out);)* )?
                    })*
                    $(_ => out.push($later),)?
                }
            }

            fn read(from: &mut $crate::codec::Reader) -> Result<Self, $crate::codec::Garbled> {
                match from.byte()? {
                    $($tag => {
                        $( $(let $inner = $crate::codec::Wire::read(from)?;)* )?
                        $( $(let $field = $crate::codec::Wire::read(from)?;)* )?
                        Ok(Self::$variant $( ( $($inner),* ) )? $( { $($field),* } )?)
                    })*
                    _ => Err($crate::codec::Garbled(concat!("an unknown variant of ", stringify!($type)))),
                }
            }
        }
    };
}

/// A name: its text, checked when it is read.
macro_rules! wire_name {
    ($($type:ty),* $(,)?) => {
        $(impl $crate::codec::Wire for $type {
            fn write(&self, out: &mut Vec<u8>) {
                $crate::codec::write_blob(out, self.as_str().as_bytes());
            }

            fn read(from: &mut $crate::codec::Reader) -> Result<Self, $crate::codec::Garbled> {
                let text = <String as $crate::codec::Wire>::read(from)?;
                text.parse().map_err(|_| $crate::codec::Garbled(concat!("not a name: ", stringify!($type))))
            }
        })*
    };
}

pub(crate) use {wire_enum, wire_name, wire_struct};

/// A length and so many bytes.
pub(crate) fn write_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    bytes.len().write(out);
    out.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first.
impl Wire for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut number = *self;
        while number >= 0x80 {
            out.push((number as u8) | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let mut number = 0;
        for at in 0..10 {
            let byte = from.byte()?;
            let bits = Self::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Garbled("a number does not end"))
    }
}

impl Wire for usize {
    fn write(&self, out: &mut Vec<u8>) {
        (*self as u64).write(out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Self::try_from(u64::read(from)?).map_err(|_| Garbled("a number is too large"))
    }
}

impl Wire for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Self::try_from(u64::read(from)?).map_err(|_| Garbled("a number is too large"))
    }
}

impl Wire for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        from.byte()
    }
}

impl Wire for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbled("neither yes nor no")),
        }
    }
}

impl Wire for () {
    fn write(&self, _: &mut Vec<u8>) {}

    fn read(_: &mut Reader) -> Result<Self, Garbled> {
        Ok(())
    }
}

impl Wire for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_blob(out, self.as_bytes());
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Self::from_utf8(from.blob()?.into()).map_err(|_| Garbled("a text is not UTF-8"))
    }
}

impl Wire for Bytes {
    fn write(&self, out: &mut Vec<u8>) {
        write_blob(out, self);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        from.blob()
    }
}

impl Wire for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_secs().write(out);
        self.subsec_nanos().write(out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let (seconds, nanoseconds) = (u64::read(from)?, u32::read(from)?);
        if nanoseconds >= 1_000_000_000 {
            return Err(Garbled("a fraction is too large"));
        }
        Ok(Self::new(seconds, nanoseconds))
    }
}

/// Seconds and nanoseconds, which have the same sign, folded so that small numbers stay short.
impl Wire for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        let fold = |number: i64| ((number << 1) ^ (number >> 63)).cast_unsigned();
        fold(self.as_second()).write(out);
        fold(self.subsec_nanosecond().into()).write(out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let unfold = |number: u64| (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        let second = unfold(u64::read(from)?);
        let fraction = i32::try_from(unfold(u64::read(from)?)).map_err(|_| Garbled("a fraction is too large"))?;
        Self::new(second, fraction).map_err(|_| Garbled("a moment is out of range"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        if bool::read(from)? { Ok(Some(T::read(from)?)) } else { Ok(None) }
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        T::read(from).map(Self::new)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        self.iter().for_each(|value| value.write(out));
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let length = usize::read(from)?;
        if length > MAX_LIST {
            return Err(Garbled("a list is too long"));
        }
        (0..length).map(|_| T::read(from)).collect()
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_ok().write(out);
        match self {
            Ok(value) => value.write(out),
            Err(error) => error.write(out),
        }
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        if bool::read(from)? { Ok(Ok(T::read(from)?)) } else { Ok(Err(E::read(from)?)) }
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn comes_back<T: Wire + PartialEq + Debug>(value: &T) {
        let mut written = Vec::new();
        value.write(&mut written);
        let mut reader = Reader::new(written.into());
        assert_eq!(&T::read(&mut reader).unwrap(), value);
        assert!(reader.is_empty(), "nothing is left over");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in any::<u64>(),
            text in ".*",
            span in any::<Duration>(),
            list in any::<Vec<Option<(u32, bool)>>>(),
            second in -1_000_000_000_i64..1_000_000_000,
            fraction in 0..1_000_000_000,
        ) {
            comes_back(&number);
            comes_back(&text);
            comes_back(&span);
            comes_back(&list);
            comes_back(&Timestamp::new(second, fraction).unwrap());
        }

        #[test]
        fn anything_else_is_an_error_and_no_panic(bytes in any::<Vec<u8>>()) {
            let bytes = Bytes::from(bytes);
            let _ = Vec::<(String, Timestamp)>::read(&mut Reader::new(bytes.clone()));
            let _ = Vec::<(Duration, Option<Bytes>)>::read(&mut Reader::new(bytes));
        }
    }

    #[test]
    fn a_list_has_a_limit() {
        let mut written = Vec::new();
        (MAX_LIST + 1).write(&mut written);
        assert!(Vec::<()>::read(&mut Reader::new(written.into())).is_err());
    }
}
