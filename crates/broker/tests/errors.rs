//! What errors say to whoever has to act on them.

use std::error::Error;

use mainspring_broker::{BrokerError, CommitError, DeliveryTag, Drift, Feature, SendError, SettleError, Slice};

#[test]
fn an_error_does_not_repeat_its_cause() {
    let cause = || "connection reset".into();
    let errors: [Box<dyn Error>; 5] = [
        Box::new(SendError::NotAttempted(cause())),
        Box::new(SendError::Unknown(cause())),
        Box::new(SettleError::Unknown(cause())),
        Box::new(CommitError::Unknown(cause())),
        Box::new(BrokerError::Failed(cause())),
    ];
    for error in errors {
        assert_eq!(error.source().unwrap().to_string(), "connection reset");
        assert!(!error.to_string().contains("connection reset"), "{error}");
    }
}

#[test]
fn an_error_says_what_to_do() {
    let unroutable =
        SendError::Unroutable { destination: "orders".parse().unwrap(), routing_key: "order.placed".to_owned() };
    let text = "no route from `orders` by the routing key `order.placed`: create the topic or a binding";
    assert_eq!(unroutable.to_string(), text);
    let unknown = SendError::Unknown("".into()).to_string();
    assert!(unknown.contains("sending it again may duplicate it"), "{unknown}");
    let refused = BrokerError::Refused { feature: Feature::Sessions, at: "billing".to_owned() };
    let text = "sessions are not possible at `billing`: choose another mode, or another broker";
    assert_eq!(refused.to_string(), text);
    let missing = BrokerError::NoGroup("billing".parse().unwrap()).to_string();
    assert!(missing.contains("`billing`") && missing.contains("let `ensure` create it"), "{missing}");
}

#[test]
fn a_failed_move_tells_why_and_that_nothing_was_settled() {
    let source = SendError::Throttled { after: None };
    let error = SettleError::NotMoved(source);
    assert_eq!(error.to_string(), "the message could not be moved, so it was not settled");
    assert_eq!(error.source().unwrap().to_string(), "the broker has no room now; send again later");
    let tag = DeliveryTag { number: 7, epoch: 3 };
    let error = CommitError::Settle { tag, source: SettleError::Stale };
    assert_eq!(error.to_string(), "delivery 7 of epoch 3 cannot be settled");
    assert!(error.source().unwrap().to_string().contains("belongs to somebody else"));
}

#[test]
fn a_refused_feature_is_named_in_a_rejection() {
    let error = SendError::refused(Feature::Priority, &"orders".parse().unwrap());
    assert_eq!(error.to_string(), "rejected: priorities are not possible at `orders`");
}

#[test]
fn a_difference_names_what_differs() {
    let drift = Drift::Topic { topic: "orders".parse().unwrap(), what: "it has 3 partitions".to_owned() };
    assert_eq!(drift.to_string(), "topic `orders`: it has 3 partitions");
    assert_eq!(Drift::MissingSubscription("billing".parse().unwrap()).to_string(), "group `billing` does not exist");
    let slice = Slice { topic: "orders".parse().unwrap(), partition: 2 };
    assert_eq!(slice.to_string(), "orders/2");
}
