//! Asking from a terminal what an application answers that holds the directory.

use mainspring::{App, Delivered, Event, Reply, Subscriptions, messaging::Subscription};
use serde::{Deserialize, Serialize};

use crate::kit::Place;

#[derive(Serialize, Deserialize, Event)]
struct StockAsked {
    units: u32,
}

#[derive(Serialize, Deserialize, Event)]
struct StockTold {
    units: u32,
}

/// Has twice as much as is asked for.
async fn stock(asked: Delivered<StockAsked>) -> Reply<StockTold> {
    Reply(StockTold { units: 2 * asked.event.units })
}

#[test]
fn a_request_is_answered_by_the_application_that_holds_the_directory() {
    let place = Place::new();
    let directory = place.path("mainspring-data");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut app = App::open(&format!("disk:{}", directory.display())).await.unwrap();
        let handlers = Subscriptions::new(()).on(Subscription::new("stock", "warehouse"), stock);
        app.subscribe(handlers).await.unwrap();
        app.run_until(async {
            tokio::task::block_in_place(|| {
                place.check("request stock {\"units\":3}", "", 0, "{\"units\":6}\n", "");
                let told = place.run("request stock {\"units\":4} --json", "").out;
                assert!(told.contains("\"body\":\"{\\\"units\\\":8}\""), "{told}");
            });
        })
        .await
        .unwrap();
    });
}

#[test]
fn without_an_answer_it_says_so() {
    let place = Place::new();
    place.check("topics create stock", "", 0, "stock is made\n", "");
    place.check("subscriptions create warehouse --from stock", "", 0, "warehouse is made\n", "");
    let late = "error: no answer within 50ms: the request may have been handled, or may be handled later\n";
    place.check("request stock anything --within 50ms", "", 1, "", late);
    let missing = "error: there is no topic `nowhere`: `mainspring topics` lists the topics, `mainspring topics create \
                   nowhere` makes it\n";
    place.check("request nowhere anything", "", 1, "", missing);
}
