//! A network between a client and its broker that can be cut in the middle of anything.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Carries connections to a broker until it is cut.
pub struct Network {
    address: String,
    cut: watch::Sender<bool>,
    carrier: JoinHandle<Result<()>>,
}

impl Network {
    /// One that leads to `broker`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(broker: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let address = listener.local_addr()?.to_string();
        let (cut, mut is_cut) = watch::channel(false);
        let broker = broker.to_owned();
        let carrier = tokio::spawn(async move {
            let (mut near, _) = listener.accept().await.context("nobody connects")?;
            let mut far = TcpStream::connect(&broker).await.with_context(|| format!("cannot reach {broker}"))?;
            tokio::select! {
                // How the connection ends is seen by those at its ends.
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = is_cut.wait_for(|cut| *cut) => {}
            }
            Ok(())
        });
        Ok(Self { address, cut, carrier })
    }

    /// Where a client connects to. It carries one connection.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends the connection at once, whatever is on its way.
    ///
    /// # Errors
    /// When there was none.
    pub async fn cut(self) -> Result<()> {
        self.cut.send_replace(true);
        self.carrier.await.context("the network failed")?
    }
}
