//! Handlers of any type as one type: a route, which is a tower service so that tower layers apply.

use std::{
    future::Future,
    marker::PhantomData,
    sync::Arc,
    task::{self, Poll},
};

use mainspring_retry::{BoxError, Failure};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use crate::{BoxFuture, Context, Extract, Handler, IntoSettlement, Settlement, handler};

/// A handler without its type, as a tower service.
#[derive(Clone)]
pub struct Route(Kind);

#[derive(Clone)]
enum Kind {
    Plain(Arc<dyn Call>),
    Layered(BoxCloneSyncService<Context, Settlement, BoxError>),
}

/// A failed attempt, as the layers around a handler see it. [`Failure`] is no error itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub Failure);

/// What the runtime asks of a handler.
trait Call: Send + Sync {
    fn call(self: Arc<Self>, context: Context) -> BoxFuture<'static, Result<Settlement, BoxError>>;
}

struct Bound<H, A, S> {
    handler: H,
    state: S,
    arguments: PhantomData<fn() -> A>,
}

impl<H, A, S> Call for Bound<H, A, S>
where
    H: Handler<A, Future: Send, Output: IntoSettlement + Send>,
    A: Extract<S> + 'static,
    S: Send + Sync + 'static,
{
    fn call(self: Arc<Self>, context: Context) -> BoxFuture<'static, Result<Settlement, BoxError>> {
        Box::pin(async move {
            let done = handler::run(&self.handler, context, &self.state).await;
            done.map_err(|failure| Failed(failure).into())
        })
    }
}

impl Route {
    pub(crate) fn new<H, A, S>(handler: H, state: S) -> Self
    where
        H: Handler<A, Future: Send, Output: IntoSettlement + Send>,
        A: Extract<S> + 'static,
        S: Send + Sync + 'static,
    {
        Self(Kind::Plain(Arc::new(Bound { handler, state, arguments: PhantomData })))
    }

    pub(crate) fn layered<L>(self, layer: &L) -> Self
    where
        L: Layer<Self>,
        L::Service: Service<Context, Response = Settlement> + Clone + Send + Sync + 'static,
        <L::Service as Service<Context>>::Error: Into<BoxError>,
        <L::Service as Service<Context>>::Future: Send + 'static,
    {
        Self(Kind::Layered(BoxCloneSyncService::new(layer.layer(self).map_err(Into::into))))
    }

    /// Calls the handler. Waiting until a layer is ready is a part of the call.
    pub(crate) fn handle(
        &self,
        context: Context,
    ) -> impl Future<Output = Result<Settlement, Failure>> + Send + 'static + use<> {
        let called = self.start(context);
        async move { called.await.map_err(failure_of) }
    }

    fn start(&self, context: Context) -> BoxFuture<'static, Result<Settlement, BoxError>> {
        match &self.0 {
            Kind::Plain(handler) => handler.clone().call(context),
            Kind::Layered(service) => Box::pin(service.clone().oneshot(context)),
        }
    }
}

impl Service<Context> for Route {
    type Response = Settlement;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Settlement, BoxError>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, context: Context) -> Self::Future {
        self.start(context)
    }
}

/// The failure that a handler answered with, or that of a layer, which means to try again by schedule.
fn failure_of(error: BoxError) -> Failure {
    match error.downcast::<Failed>() {
        Ok(failed) => failed.0,
        Err(error) => error.into(),
    }
}
