//! scratch
#![allow(missing_docs, clippy::all)]
use bytes::Bytes;
use mainspring_event::*;
use mainspring_store::*;
use mainspring_store_disk::*;
use std::{
    any::Any,
    io,
    sync::Arc,
    time::{Duration, Instant},
};
struct D(OsDisk, bool);
struct F(Arc<dyn DiskFile>, bool);
impl DiskFile for F {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read_at(&self, o: u64, b: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(o, b)
    }
    fn write_at(&self, o: u64, b: &[u8]) -> io::Result<usize> {
        if self.1 { self.0.write_at(o, b) } else { Ok(b.len()) }
    }
    fn alignment(&self) -> usize {
        self.0.alignment()
    }
    fn set_len(&self, l: u64) -> io::Result<()> {
        self.0.set_len(l)
    }
    fn sync(&self) -> io::Result<()> {
        if self.1 { self.0.sync() } else { Ok(()) }
    }
    fn map(&self, l: u64) -> io::Result<Bytes> {
        if self.0.size()? < l {
            self.0.set_len(l)?;
        }
        self.0.map(l)
    }
}
impl Disk for D {
    fn describe(&self, n: &str) -> String {
        self.0.describe(n)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn create(&self, n: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create(n)
    }
    fn create_log(&self, n: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(F(self.0.create_log(n)?, self.1 || n == "00000001.log")))
    }
    fn open(&self, n: &str, a: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(n, a)
    }
    fn open_log(&self, n: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(F(self.0.open_log(n)?, self.1)))
    }
    fn rename(&self, a: &str, b: &str) -> io::Result<()> {
        self.0.rename(a, b)
    }
    fn remove(&self, n: &str) -> io::Result<()> {
        self.0.remove(n)
    }
    fn sync_entries(&self) -> io::Result<()> {
        Ok(())
    }
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        self.0.lock()
    }
}
fn cpu() -> Duration {
    let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(s.split(' ').next().unwrap().parse().unwrap())
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (clients, batch, real): (usize, usize, bool) = (a[1].parse().unwrap(), a[2].parse().unwrap(), a[3] == "real");
    let dir = tempfile::tempdir_in("/work/main/target").unwrap();
    let disk = Arc::new(D(OsDisk::create(dir.path()).unwrap(), real));
    let store = Options::default().open_on(disk).unwrap();
    let streams: Vec<StreamName> = (0..10000).map(|k| StreamName::of("order", k).unwrap()).collect();
    let mut next = 0usize;
    let ty: EventTypeName = "OrderPlaced".parse().unwrap();
    let region = Tag::new("region", "north").unwrap();
    let mut make = || {
        next = (next + 7919) % 10000;
        let mut e = NewEvent::json(streams[next].clone(), ty.clone(), vec![b'x'; 256]);
        e.tags = vec![Tag::new("customer", next).unwrap(), region.clone()];
        e
    };
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(if clients == 1 { 1 } else { 2 }).build().unwrap();
    let per = 200_000 / clients / batch;
    let mut best = f64::MAX;
    let mut bestw = f64::MAX;
    for _ in 0..12 {
        let work: Vec<Vec<Append>> = (0..clients)
            .map(|_| (0..per).map(|_| Append::new((0..batch).map(|_| make()).collect::<Vec<_>>())).collect())
            .collect();
        let n = (per * clients * batch) as f64;
        if clients == 1 {
            let store = store.clone();
            let (c, w) = rt.block_on(async {
                tokio::spawn(async move {
                    let (c, w) = (cpu(), Instant::now());
                    for a in work.into_iter().next().unwrap() {
                        store.append(a).await.unwrap();
                    }
                    (cpu() - c, w.elapsed())
                })
                .await
                .unwrap()
            });
            best = best.min(c.as_nanos() as f64 / n);
            bestw = bestw.min(w.as_nanos() as f64 / n);
        } else {
            let w = Instant::now();
            rt.block_on(async {
                let mut s = vec![];
                for q in work {
                    let store = store.clone();
                    s.push(tokio::spawn(async move {
                        for a in q {
                            store.append(a).await.unwrap();
                        }
                    }));
                }
                for h in s {
                    h.await.unwrap();
                }
            });
            bestw = bestw.min(w.elapsed().as_nanos() as f64 / n);
        }
    }
    println!("clients {clients} batch {batch} {}: cpu {best:.0} ns/event, wall {bestw:.0} ns/event", a[3]);
}
