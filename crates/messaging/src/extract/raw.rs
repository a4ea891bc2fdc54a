//! The delivery as it is, for handlers that look at bytes.

use std::{ops::Deref, sync::Arc};

use mainspring_broker::{Delivery, Message};

use super::{FromDelivery, Rejection, Takes};
use crate::Context;

/// The delivery as it came: any bytes, whoever sent them. It is never undecodable.
#[derive(Clone, Debug)]
pub struct Raw(Arc<Delivery>);

impl Raw {
    /// The message as it was sent.
    pub fn message(&self) -> &Message {
        &self.0.message
    }
}

impl Deref for Raw {
    type Target = Delivery;

    fn deref(&self) -> &Delivery {
        &self.0
    }
}

impl<S: Sync> FromDelivery<S> for Raw {
    const TAKES: Takes = Takes::One;

    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        Ok(Self(context.delivery().clone()))
    }
}

/// A batch of them.
impl<S: Sync> FromDelivery<S> for Vec<Raw> {
    const TAKES: Takes = Takes::Batch;

    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        Ok(context.deliveries().iter().cloned().map(Raw).collect())
    }
}

/// Which attempt this is, counted from 1. Attempts that ended with a crash count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u32);

impl<S: Sync> FromDelivery<S> for Attempt {
    const TAKES: Takes = Takes::One;

    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        Ok(Self(context.delivery().attempt))
    }
}
