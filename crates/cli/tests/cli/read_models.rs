//! The read models of a directory: how far they are, and building one of them anew.

use mainspring::{Failure, Projection, Recorded, Store, disk::DiskStore, projection::prepare, sqlite::Views};
use mainspring_shop::{order::OrderEvent, views::OrderSummary};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use crate::kit::Place;

fn demo() -> Place {
    let place = Place::new();
    let ran = place.run("demo --json --orders 10", "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    place
}

/// What `projections` lists.
fn listed(place: &Place) -> Vec<Value> {
    place.run("projections --json", "").out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Opens a read model in this process, as a program does that keeps it up to date.
async fn hold<P: Projection<View = Views>>(place: &Place, projection: P) -> impl Sized + use<P> {
    let data = place.path("mainspring-data");
    let views = Views::open(data.join("views")).await.unwrap();
    prepare(projection, views, Store::new(DiskStore::open_read_only(data).unwrap())).await.unwrap()
}

#[test]
fn there_are_none() {
    let place = Place::with_orders();
    let none = "note: there are no read models yet; `mainspring demo` makes some\n";
    place.check("projections", "", 0, "", none);
    let none = "error: there is no read model `order_summary`, nor any other; `mainspring demo` makes some\n";
    place.check("projections rebuild order_summary", "", 1, "", none);
    assert!(!place.path("mainspring-data/views").exists());
}

#[test]
fn they_are_listed() {
    let place = demo();
    place.run("append cart-1 --type Opened", "");
    let listed = listed(&place);
    let names: Vec<_> = listed.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["daily_revenue", "order_summary", "orders_by_customer"]);
    let all = listed[0]["checkpoint"].as_u64().unwrap() + listed[0]["lag"].as_u64().unwrap();
    for model in &listed {
        let (at, lag) = (model["checkpoint"].as_u64().unwrap(), model["lag"].as_u64().unwrap());
        // Thirty events of orders and what became of them as messages, and the cart that nobody has seen yet.
        assert!(at > 30 && lag >= 1 && at + lag == all, "{model}");
        assert_eq!(model["state"], json!("current"));
        assert!(model["bytes"].as_u64().unwrap() > 0);
    }
    let table = place.run("projections list", "").out;
    assert!(table.starts_with("NAME                VERSION  GENERATION  STATE    CHECKPOINT  LAG "), "{table}");
    assert_eq!(table.lines().count(), 4);
}

#[test]
fn one_of_the_demo_is_built_at_once() {
    let place = demo();
    place.run("append cart-1 --type Opened", "");
    let ran = place.run("projections rebuild order_summary --json", "");
    assert_eq!((ran.code, ran.err.as_str(), ran.out.lines().count()), (Some(0), "", 1));
    let mut answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(answer["seconds"].take().as_f64().unwrap() > 0.0);
    let position = answer["position"].as_u64().unwrap();
    assert!(position > 31, "messages are events, too");
    let expected =
        json!({ "name": "order_summary", "outcome": "done", "generation": 2, "position": position, "seconds": null });
    assert_eq!(answer, expected);
    let rebuilt = listed(&place).into_iter().find(|model| model["generation"] == json!(2)).unwrap();
    let facts = ["name", "state", "lag", "rebuild_asked"].map(|fact| &rebuilt[fact]);
    assert_eq!(facts, [&json!("order_summary"), &json!("current"), &json!(0), &json!(false)]);

    let ran = place.run("projections rebuild order_summary", "");
    assert_eq!((ran.code, ran.err.as_str(), ran.out.lines().count()), (Some(0), "", 1));
    let built = format!("order_summary: generation 3 was built up to position {position} in ");
    assert!(ran.out.starts_with(&built), "{}", ran.out);
    assert!(ran.out.ends_with(" s; readers see it now\n"), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_another_process_runs_is_built_at_its_next_run() {
    let place = demo();
    let held = hold(&place, OrderSummary).await;
    let recorded = "{\"name\":\"order_summary\",\"outcome\":\"recorded\"}\n";
    place.check("projections rebuild order_summary --json", "", 0, recorded, "");
    let recorded = "order_summary: another process keeps it up to date, and it is built anew at its next run; until then \
                    readers see the present one\n";
    place.check("projections rebuild order_summary", "", 0, recorded, "");
    assert_eq!(listed(&place)[1]["rebuild_asked"], json!(true));
    drop(held);
    assert_eq!(place.run("demo --orders 10", "").code, Some(0));
    let rebuilt = listed(&place).into_iter().find(|model| model["generation"] == json!(2)).unwrap();
    assert_eq!([&rebuilt["name"], &rebuilt["rebuild_asked"]], [&json!("order_summary"), &json!(false)]);
}

/// A read model of a program that the command line does not know.
struct Carts;

impl Projection for Carts {
    const NAME: &'static str = "carts";
    const VERSION: u32 = 1;
    type View = Views;
    type Event = OrderEvent;

    async fn create(&self, _: &mut SqliteConnection) -> Result<(), Failure> {
        Ok(())
    }

    async fn apply(&self, _: &mut SqliteConnection, _: &Recorded<OrderEvent>) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_program_is_built_at_its_next_run() {
    let place = demo();
    drop(hold(&place, Carts).await);
    let recorded = "{\"name\":\"carts\",\"outcome\":\"recorded\"}\n";
    place.check("projections rebuild carts --json", "", 0, recorded, "");
    let recorded = "carts: it is built anew when its program runs next; until then readers see the present one\n";
    place.check("projections rebuild carts", "", 0, recorded, "");
    assert!(
        listed(&place).iter().any(|model| (&model["name"], &model["rebuild_asked"]) == (&json!("carts"), &json!(true)))
    );
}

#[test]
fn one_that_nobody_has() {
    let unknown = "error: there is no projection `nothing` in `./mainspring-data/views`\n";
    demo().check("projections rebuild nothing", "", 1, "", unknown);
}
