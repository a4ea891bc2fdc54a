//! Another process works with the broker of an application that holds the directory.

#![cfg(all(unix, feature = "disk"))]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use mainspring::App;
use mainspring_broker::{Binding, Broker, Ensure, Message, Subscription, Topic, Topology};
use mainspring_broker_socket::{SOCKET, SocketBroker};

fn topology() -> Topology {
    let subscription = Subscription::new("billing".parse().unwrap(), [Binding::all("orders".parse().unwrap())]);
    Topology::new().topic(Topic::new("orders".parse().unwrap())).subscription(subscription)
}

#[tokio::test]
async fn the_broker_of_an_application_is_reached_through_its_directory_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join(SOCKET);
    let mut app = App::open(&format!("disk:{}", directory.path().display())).await.unwrap();
    app.broker().await.unwrap().ensure(&topology(), Ensure::Create).await.unwrap();
    let asked = app.run_until(async {
        let operator = SocketBroker::connect(&socket).await.unwrap();
        let sent = operator.send(vec![Message::new("orders".parse().unwrap(), "one")]).await.unwrap().await;
        assert!(sent[0].is_ok());
        operator.admin().unwrap().groups().await.unwrap()
    });
    let groups = asked.await.unwrap();
    assert_eq!((groups[0].group.as_str(), groups[0].lag), ("billing", 1));
    assert!(SocketBroker::connect(&socket).await.is_err(), "it ends with the application");
}
