//! The open shop: its store, its orders, and the read models that follow.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use mainspring::{
    App, Projected, Store,
    broker::{Admin, Broker},
    disk::DiskStore,
    event::Position,
    projection::Options,
    sqlite::Views,
    store::EventStore,
};
use sqlx::SqlitePool;

use super::progress::{Progress, Stopwatch};
use crate::{
    messages::{self, MailService, Services},
    projections::VIEWS,
    views::{DailyRevenue, OrderSummary, OrdersByCustomer},
};

/// A read model that is behind is asked again after this time.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The directory of services that are not the shop's own, in that of the store.
pub(super) const SERVICES: &str = "services";

pub(super) struct Shop {
    disk: DiskStore,
    store: Store,
    broker: Arc<dyn Broker>,
    mails: MailService,
    pub(super) summary: Projected<OrderSummary>,
    pub(super) customers: Projected<OrdersByCustomer>,
    pub(super) revenue: Projected<DailyRevenue>,
}

impl Shop {
    /// Opens the shop in `data`, and the application that keeps its read models up to date and handles its messages.
    pub(super) async fn open(data: &Path, linger: Duration) -> Result<(Self, App)> {
        let directory = data.to_owned();
        // Recovery reads the end of the log.
        let opened = tokio::task::spawn_blocking(move || DiskStore::open(directory)).await?;
        let disk = opened.with_context(|| format!("the store in `{}` cannot be opened", data.display()))?;
        let views = Views::open(data.join(VIEWS)).await?;
        let store = Store::from(Arc::new(disk.clone()) as Arc<dyn EventStore>);
        let mut app = App::new(store.clone());
        let options = Options { linger, ..Options::default() };
        let summary = app.project_with(OrderSummary, views.clone(), options.clone()).await?;
        let customers = app.project_with(OrdersByCustomer, views.clone(), options.clone()).await?;
        let revenue = app.project_with(DailyRevenue, views, options).await?;
        let services = data.join(SERVICES);
        std::fs::create_dir_all(&services).with_context(|| format!("`{}` cannot be made", services.display()))?;
        let mails = MailService::open(&services).await?;
        let (stopping, stop) = tokio::sync::watch::channel(false);
        app.task("stop of the feed", |stop| async move {
            stop.requested().await;
            // Whoever listened may have ended.
            let _ = stopping.send(true);
            anyhow::Ok(())
        });
        let services = Services { store: store.clone(), mails: mails.clone(), stop };
        app.subscribe(messages::subscriptions(services)).await?;
        let (publisher, broker) = (app.publisher().await?, app.broker().await?.clone());
        let shop = Self { disk, store, broker, mails, summary, customers, revenue };
        messages::begin(shop.admin()?, &publisher).await?;
        Ok((shop, app))
    }

    /// What can be asked of the broker.
    pub(super) fn admin(&self) -> Result<&dyn Admin> {
        self.broker.admin().context("the embedded broker answers operators")
    }

    pub(super) fn mails(&self) -> &MailService {
        &self.mails
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Waits until every read model has come to `head`. One that cannot go on ends the application with its cause, and one
    /// that is tried again says why in its log.
    pub(super) async fn caught_up(&self, head: Position, watch: &Stopwatch<'_, impl Progress>) -> Result<()> {
        loop {
            let at = self.summary.at().min(self.customers.at()).min(self.revenue.at());
            watch.at(at.0);
            if at >= head {
                return Ok(());
            }
            let failures = [self.summary.status(), self.customers.status(), self.revenue.status()];
            if let Some((name, failure)) = failures.into_iter().find_map(|of| of.failure.map(|why| (of.name, why))) {
                anyhow::bail!("the read model `{name}` cannot go on: {}", failure.error);
            }
            // Which of them is last does not matter: the loop asks all of them again.
            let _ = tokio::join!(
                self.summary.read_after(head, LOOK_EVERY),
                self.customers.read_after(head, LOOK_EVERY),
                self.revenue.read_after(head, LOOK_EVERY),
            );
        }
    }

    pub(super) fn readers(&self) -> [SqlitePool; 3] {
        [self.summary.read(), self.customers.read(), self.revenue.read()]
    }

    /// Bytes of the log in use.
    pub(super) fn log_bytes(&self) -> Result<u64> {
        Ok(self.disk.stats()?.log_bytes)
    }

    pub(super) async fn close(self) -> Result<()> {
        self.mails.close().await;
        self.disk.close().context("the store cannot be closed")
    }
}
