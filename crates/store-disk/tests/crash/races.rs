//! What comes in between while space is freed, at the worst moment.

use std::sync::Arc;

use futures_util::FutureExt;
use mainspring_conformance::Seed;
use mainspring_sim::{Operation, SimDisk};
use mainspring_store::{Append, EventStore, Retained, Retention, StreamChange};
use mainspring_store_disk::verify_on;

use crate::{
    kit::{all, block_on, clock, event, replayable, stream},
    scavenging::{Scene, garbage, names, open},
};

/// Scavenging may be quicker than a process that has read the manifest and not yet opened its files.
#[test]
fn files_that_are_replaced_while_they_are_opened_are_no_damage() {
    block_on(async {
        let scene = Scene::after(6, None).await;
        let files = names(&scene.disk).into_iter().filter(|name| name.ends_with(".log") || name.ends_with(".idx"));
        for name in files.step_by(3) {
            for verifies in [false, true] {
                let disk = scene.disk();
                let store = open(&disk).unwrap();
                let quicker = store.clone();
                // In such a store a pass never waits.
                disk.meanwhile(Operation::Open, &name, move || {
                    quicker.scavenge().now_or_never().expect("it runs in place").unwrap();
                });
                if verifies {
                    let verified = verify_on(Arc::new(disk.clone())).unwrap();
                    assert!(verified.findings.is_empty(), "{name}: {verified:?}");
                } else {
                    let reader = replayable(1024, &clock()).open_read_only_on(Arc::new(disk.clone()));
                    assert_eq!(all(&reader.unwrap()).await, all(&store).await, "{name}");
                }
            }
        }
    });
}

/// The index of a full segment is written while appends go on, and scavenging may be quicker.
#[test]
fn an_index_that_comes_too_late_replaces_nothing() {
    block_on(async {
        for number in 2..=9 {
            let (disk, mut seed) = (SimDisk::new(8), Seed::new(8));
            let store = open(&disk).unwrap();
            let retention = Retention { max_count: Some(1), max_age: None };
            let target = Retained::Stream(stream("$r-1"));
            store.append(Append::default().change(StreamChange::Retain { target, retention })).await.unwrap();
            let quicker = store.clone();
            disk.meanwhile(Operation::Create, &format!("{number:08}.idx.new"), move || {
                let done = quicker.scavenge().now_or_never().expect("it runs in place").unwrap();
                assert!(done.rewritten > 0, "{done:?}");
            });
            for _ in 0..12 {
                let events = ["$r-1", "$r-1", "a-1"].map(|name| event(&mut seed, name, 10));
                store.append(Append::new(events)).await.unwrap();
            }
            assert!(disk.contents(&format!("{number:08}.log")).is_none(), "segment {number} was replaced");
            assert_eq!(garbage(&disk), [""; 0], "segment {number}");
            let shown = all(&store).await;
            assert_eq!(shown.len(), 12);
            store.scavenge().await.unwrap();
            assert_eq!(all(&store).await, shown);
            drop(store);
            assert_eq!(all(&open(&disk).unwrap()).await, shown);
        }
    });
}

/// Whoever relaxes a rule while a pass goes on keeps what it shows again.
#[test]
fn a_rule_that_is_relaxed_meanwhile_keeps_what_it_shows_again() {
    block_on(async {
        let mut kept_back = 0;
        for (number, generation) in (1..=12).flat_map(|number| (1..=6).map(move |generation| (number, generation))) {
            let (disk, mut seed) = (SimDisk::new(9), Seed::new(9));
            let store = open(&disk).unwrap();
            let rule = |max_count| {
                let retention = Retention { max_count, max_age: None };
                let target = Retained::Stream(stream("a-1"));
                Append::default().change(StreamChange::Retain { target, retention })
            };
            for _ in 0..10 {
                let events = [event(&mut seed, "a-1", 200), event(&mut seed, "b-1", 200)];
                store.append(Append::new(events)).await.unwrap();
            }
            store.append(rule(Some(2))).await.unwrap();
            let shown = Arc::new(std::sync::Mutex::new(Vec::new()));
            let (relaxed, seen) = (store.clone(), shown.clone());
            let file = format!("{number:08}-{generation}.log.new");
            disk.meanwhile(Operation::Create, &file, move || {
                block_on_thread(async move {
                    relaxed.append(rule(None)).await.unwrap();
                    *seen.lock().unwrap() = all(&relaxed).await;
                });
            });
            store.scavenge().await.unwrap();
            let shown = shown.lock().unwrap().clone();
            if !shown.is_empty() {
                kept_back += 1;
                assert_eq!(all(&store).await, shown, "relaxed before {file} was written");
            }
        }
        assert!(kept_back > 2, "only {kept_back} passes were met");
    });
}

/// Runs a future beside a runtime.
fn block_on_thread(future: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(|| block_on(future)).join().unwrap();
}
