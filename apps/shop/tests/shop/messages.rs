//! What others hear of orders, in the report and as an operator sees it.

use mainspring::{
    App, Store,
    broker::{Admin, DeadLetter},
    disk::DiskStore,
};
use mainspring_shop::{Cents, OrderId};

use crate::input::{Place, assert_complete, lines};

/// Sends every dead letter of the mails again, as an operator does.
async fn resubmit(place: &Place) -> usize {
    let mut app = App::new(Store::new(DiskStore::open(place.data()).unwrap()));
    let broker = app.broker().await.unwrap().clone();
    let again = async {
        let (admin, keeper): (&dyn Admin, _) = (broker.admin().unwrap(), "notification.dead".parse().unwrap());
        let letters = admin.browse(&keeper, 10).await.unwrap();
        for pending in &letters {
            let letter = DeadLetter::read(&pending.message).unwrap();
            admin.resubmit(&keeper, pending.place.as_ref().unwrap(), letter.again()).await.unwrap();
        }
        letters.len()
    };
    app.run_until(again).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_subscriber_has_done_what_the_events_ask_for() {
    let place = Place::with_purchases(120);
    let report = place.run().await;
    assert_complete(&report, &lines(120));
    let messages = &report.messages;
    let published: Vec<_> = messages.published.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(published, [("OrderConfirmed", 120)]);
    assert_eq!((messages.kept, messages.orders, messages.cents), (120, 120, Cents(report.revenue_cents)));
    assert_eq!((messages.mails, messages.differences_found), (119, 0));
    let [letter] = &messages.dead_letters[..] else { panic!("{report}") };
    assert_eq!((letter.order, letter.attempts, letter.group.as_str()), (Some(OrderId(113)), 3, "notification"));
    assert_eq!(letter.reason, "the mailbox of order 000113 is not open to strangers yet (refusal 3 of 3)");
    let text = report.to_string();
    for line in [
        "\nmessages     120: 120 OrderConfirmed\n",
        "\n  notification        119 mails sent, 1 dead letter\n",
        "\n  notification.dead/0/0: order 000113, after 3 attempts: the mailbox of order 000113 is not open ",
        "\n    again: mainspring dead-letters resubmit notification.dead notification.dead/0/0, then the demo once more\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_sent_again_is_handled_by_the_next_run() {
    let place = Place::with_purchases(120);
    assert_eq!(place.run().await.messages.dead_letters.len(), 1);
    assert_eq!(place.run().await.messages.dead_letters.len(), 1, "it waits for somebody");
    assert_eq!(resubmit(&place).await, 1);
    let report = place.run().await;
    assert_complete(&report, &lines(120));
    assert_eq!((report.messages.mails, report.messages.dead_letters.len()), (120, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_the_service_has_lost_is_a_difference() {
    let place = Place::with_purchases(120);
    place.run().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new();
    let options = options.filename(place.data().join("services/mail-service.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("DELETE FROM mails WHERE \"order\" = 7").execute(&pool).await.unwrap();
    pool.close().await;
    let report = place.run().await;
    assert!(!report.reconciled && report.differences_found == 0);
    assert_eq!(report.messages.differences, ["mails and dead letters of order 7: 1 by the events, nothing there"]);
    assert!(report.to_string().contains("\nNOT RECONCILED: 1 figure is different.\n"), "{report}");
}
