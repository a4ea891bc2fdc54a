//! The claim check: a body that is too large for a broker lies in an object store, and the message carries where.

use std::sync::Arc;

use bytes::Bytes;
use mainspring_broker::{Delivery, Message, SendError};
use mainspring_event::EventId;
use mainspring_retry::{Advise, Failure};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

/// Where the body lies.
const CLAIM: &str = "mainspring-claim";

/// How many bytes it has, so that one that was cut off is noticed.
const CLAIM_BYTES: &str = "mainspring-claim-bytes";

/// Bodies above this many bytes are checked in, unless said otherwise.
const ABOVE: usize = 256 << 10;

/// Puts large bodies into an object store and gets them back. Cheap to clone.
///
/// A publisher that has one ([`Publisher::claims`](crate::Publisher::claims)) sends messages without their large bodies;
/// subscriptions that are prepared with such a publisher hand them to handlers as if they had been sent whole. Dead
/// letters keep the claim.
///
/// Objects are not removed: every group reads them, and nobody knows which is the last. Give what lies under the prefix a
/// lifetime in the object store that is longer than messages are kept.
#[derive(Clone, Debug)]
pub struct ClaimCheck {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    above: usize,
}

/// A body that is not where its message says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The message has a claim, and nobody here knows an object store.
    #[error(
        "the body of the message is in an object store: prepare the subscription with a publisher that has a claim check"
    )]
    NoStore,
    /// The claim is not a path, or the object is of another size.
    #[error("the body of the message at `{0}` is damaged or its claim is")]
    Damaged(String),
    /// The object store does not give it.
    #[error("the body of the message cannot be fetched")]
    Fetch(#[from] object_store::Error),
}

impl ClaimCheck {
    /// Bodies above 256 KiB go into `store`, under `messages/`.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, prefix: Path::from("messages"), above: ABOVE }
    }

    /// Bodies above so many bytes.
    pub fn above(mut self, bytes: usize) -> Self {
        self.above = bytes;
        self
    }

    /// Where they go in the object store.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Path::from(prefix);
        self
    }

    /// Puts the body of a message that is too large into the object store. The object is there before the message is.
    pub(crate) async fn check_in(&self, message: &mut Message) -> Result<(), SendError> {
        if message.body.len() <= self.above {
            return Ok(());
        }
        let path = self.prefix.clone().join(message.destination.as_str()).join(EventId::new().to_string());
        let body = std::mem::take(&mut message.body);
        message.headers.retain(|name| name != CLAIM && name != CLAIM_BYTES);
        message.headers.add(CLAIM, path.to_string());
        message.headers.add(CLAIM_BYTES, body.len().to_string());
        let put = self.store.put(&path, body.into()).await;
        put.map(drop).map_err(|error| SendError::NotAttempted(error.into()))
    }

    async fn redeem(&self, claim: &str, bytes: Option<usize>) -> Result<Bytes, ClaimError> {
        let damaged = || ClaimError::Damaged(claim.to_owned());
        let path = Path::parse(claim).map_err(|_| damaged())?;
        let body = self.store.get(&path).await?.bytes().await?;
        if bytes.is_some_and(|bytes| bytes != body.len()) { Err(damaged()) } else { Ok(body) }
    }
}

/// Whether the body of the delivery lies elsewhere.
pub(crate) fn is_claim(delivery: &Delivery) -> bool {
    !delivery.message.headers.is_empty() && delivery.message.headers.get(CLAIM).is_some()
}

/// The delivery with its body. A body that is gone, or that is not what it was, does not come back.
pub(crate) async fn redeemed(check: Option<&ClaimCheck>, delivery: &Delivery) -> Result<Arc<Delivery>, Failure> {
    let said = |name: &str| {
        let value = delivery.message.headers.get(name)?;
        std::str::from_utf8(value).ok()
    };
    let claim = said(CLAIM).unwrap_or_default();
    let check = check.ok_or(ClaimError::NoStore)?;
    let bytes = said(CLAIM_BYTES).and_then(|bytes| bytes.parse().ok());
    let gone = |error: &ClaimError| {
        matches!(error, ClaimError::Damaged(_) | ClaimError::Fetch(object_store::Error::NotFound { .. }))
    };
    let body = check.redeem(claim, bytes).await.permanent_if(gone)?;
    let mut whole = delivery.clone();
    whole.message.body = body;
    whole.message.headers.retain(|name| name != CLAIM && name != CLAIM_BYTES);
    Ok(Arc::new(whole))
}
