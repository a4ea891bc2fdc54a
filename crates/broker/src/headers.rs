//! Headers: names with binary values, in order, and a name may occur several times.

use bytes::Bytes;

/// The headers of a message, in the order in which they were added.
///
/// ```
/// use mainspring_broker::Headers;
/// let headers = Headers::from_iter([("via", "a"), ("via", "b"), ("kind", "order")]);
/// assert_eq!(headers.get("via").map(|value| &value[..]), Some(&b"b"[..]));
/// assert_eq!(headers.all("via").count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// None at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, beside those of the same name.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value that was added last under `name`.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.all(name).last()
    }

    /// Every value under `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value)
    }

    /// Every header, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Keeps the headers for whose names `keep` holds.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// Renames the headers of one name; they keep their places.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        for (name, _) in self.0.iter_mut().filter(|(name, _)| name == from) {
            to.clone_into(name);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of all names and values.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl<N: Into<String>, V: Into<Bytes>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
