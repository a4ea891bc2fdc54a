//! What the program says about itself, and how it takes wrong usage.

use crate::kit::Place;

#[test]
fn the_help_names_every_exit_code() {
    let help = Place::new().run("--help", "");
    assert_eq!(help.code, Some(0));
    let codes = "\
Exit codes:
  0  done
  1  failed; for append, import and publish also that a part of the input was refused
  2  wrong usage
  3  conflict: a stream is not where it was expected to be
  4  damage found in the files of the store, or of the backup that was to be restored
";
    assert!(help.out.ends_with(codes), "{}", help.out);
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let place = Place::new();
    for args in [
        "",
        "nonsense",
        "events --limit 0",
        "events --follow --backwards",
        "events --from-version 1",
        "events order-1 --category order",
        "events order-1 --from-version 1 --from 3",
        "events --tag customer",
        "append order-1 --payload {}",
        "append order-1 --type A --payload {",
        "append order-1 --expected soon",
        "append $lease-1 --type A",
        "streams --limit many",
        "state seventeen",
        "state 17 --at-version 1 --at-time 2026-01-01",
        "demo --orders 0",
        "projections forget",
        "completions tcsh",
        "backup",
        "restore",
        "reindex some",
        "topics create",
        "topics create a/b",
        "topics create a --partitions 0",
        "topics create a --max-age 7d",
        "topics create a --dedupe soon",
        "subscriptions create g",
        "subscriptions create g --from t --order random",
        "subscriptions create g --from t --hold",
        "subscriptions create g --from t --start tomorrow",
        "subscriptions create g --from t --header a=b --any-header c=d",
        "publish",
        "publish t b --header nothing",
        "publish t b --delay later",
        "consume",
        "consume g --count 0",
        "consume g --follow --no-ack",
        "dead-letters",
        "dead-letters show g",
        "dead-letters show g orders/17",
        "dead-letters edit g orders/0/17",
        "dead-letters resubmit g",
        "dead-letters purge g",
        "dead-letters purge g orders/0/17 --all",
        "dead-letters redrive g --rate fast",
        "schedule",
        "schedule cancel",
    ] {
        let ran = place.run(args, "");
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args}: {}", ran.err);
        assert!(!ran.err.is_empty(), "{args}");
    }
    assert!(!place.path("mainspring-data").exists());
}

#[test]
fn completions_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = place.run(&format!("completions {shell}"), "");
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(
            ran.out.contains("export") && ran.out.contains("from-version") && ran.out.contains("dead-letters"),
            "{shell}"
        );
    }
}
