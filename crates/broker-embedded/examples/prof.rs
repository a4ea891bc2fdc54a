use std::{sync::Arc, time::{Duration, Instant}};
use mainspring_broker::*;
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_store::Store;
use mainspring_store_disk::DiskStore;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let groups: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1);
    let n: usize = std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(1_000_000);
    let batch: usize = std::env::args().nth(3).and_then(|s| s.parse().ok()).unwrap_or(1000);
    let dir = tempfile::TempDir::new_in(std::env::var("DIR").unwrap_or("/work".into())).unwrap();
    let store = DiskStore::open(dir.path()).unwrap();
    let broker = EmbeddedBroker::open(Store::new(store)).await.unwrap();
    let mut topology = Topology::new().topic(Topic::new("t".parse().unwrap()));
    for g in 0..groups { topology = topology.subscription(Subscription::new(format!("g{g}").parse().unwrap(), [Binding::all("t".parse().unwrap())])); }
    broker.ensure(&topology, Ensure::Create).await.unwrap();
    // latency
    let (mut d, s) = broker.subscribe(SubscriptionSpec::new("g0".parse().unwrap()).prefetch(16384, 64<<20)).await.unwrap();
    if groups == 1 {
    let mut lat = Vec::new();
    let (tx, mut rx) = tokio::sync::mpsc::channel(1);
    let s2 = s.clone();
    let h = tokio::spawn(async move {
        for _ in 0..3000 {
            let Ok(Next::Batch(b)) = d.next(Limit::messages(64)).await else { panic!() };
            tx.send(Instant::now()).await.unwrap();
            for r in s2.settle(b.iter().map(|m| (m.tag, Outcome::Ack)).collect()).await { r.unwrap(); }
        }
        d
    });
    for _ in 0..3000 {
        tokio::time::sleep(Duration::from_micros(300)).await;
        let t = Instant::now();
        let c = broker.send(vec![Message::new("t".parse().unwrap(), vec![7u8; 256])]).await.unwrap();
        let at = rx.recv().await.unwrap();
        lat.push(at - t);
        c.await[0].as_ref().unwrap();
    }
    d = h.await.unwrap();
    lat.sort();
    println!("latency p50 {:?} p99 {:?}", lat[1500], lat[2970]);
    }
    let start = Instant::now();
    let mut tasks = Vec::new();
    let mut members = vec![(d, s)];
    for g in 1..groups { members.push(broker.subscribe(SubscriptionSpec::new(format!("g{g}").parse().unwrap()).prefetch(16384, 64<<20)).await.unwrap()); }
    for (mut d, s) in members {
        tasks.push(tokio::spawn(async move {
            let mut got = 0;
            let mut settling = futures_util::stream::FuturesUnordered::new();
            use futures_util::StreamExt;
            while got < n {
                tokio::select! {
                    next = d.next(Limit::messages(4096)) => {
                        let Ok(Next::Batch(b)) = next else { panic!() };
                        let s = s.clone();
                        settling.push(async move { let n = b.len(); for r in s.settle(b.iter().map(|m| (m.tag, Outcome::Ack)).collect()).await { r.unwrap(); } n });
                    }
                    Some(k) = settling.next(), if !settling.is_empty() => { got += k; }
                }
            }
        }));
    }
    let b2 = Arc::new(broker);
    let b = b2.clone();
    let p = tokio::spawn(async move {
        let mut pending = std::collections::VecDeque::new();
        for _ in 0..n / batch {
            let msgs = (0..batch).map(|_| Message::new("t".parse().unwrap(), vec![7u8; 256])).collect();
            pending.push_back(b.send(msgs).await.unwrap());
            if pending.len() > 16 { let r = pending.pop_front().unwrap().await; r[0].as_ref().unwrap(); }
        }
        for c in pending { c.await; }
    });
    p.await.unwrap();
    println!("published {:.0}/s", n as f64 / start.elapsed().as_secs_f64());
    for t in tasks { t.await.unwrap(); }
    println!("groups {groups} delivered {:.0}/s each", n as f64 / start.elapsed().as_secs_f64());
}
