//! A demo whose process is killed, again and again.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use mainspring_shop::demo::{Options, Phase, Progress, run};

use crate::input::{Place, assert_complete, lines};

const DATA: &str = "MAINSPRING_TEST_SHOP";
const INPUT: &str = "MAINSPRING_TEST_PURCHASES";

/// What the process that is to be killed says when it is worth it.
const KILL_ME: &str = "commands are under way";

/// Says so when some commands have been carried out.
struct Tell;

impl Progress for Tell {
    fn phase(&self, phase: Phase, _: u64) {
        println!("{}", phase.as_str());
    }

    fn at(&self, done: u64) {
        if done > 0 {
            println!("{KILL_ME}");
        }
    }
}

/// The same test is the process that is killed, where it is told so.
async fn run_until_killed(data: OsString) {
    let input = env::var_os(INPUT).map(PathBuf::from);
    run(&Options { data: data.into(), orders: None, input, linger: None }, &Tell).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_is_done_twice() {
    if let Some(data) = env::var_os(DATA) {
        return run_until_killed(data).await;
    }
    let place = Place::with_purchases(20_000);
    let mut killed = 0;
    for _ in 0..3 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed::nothing_is_lost_and_nothing_is_done_twice", "--nocapture"])
            .env(DATA, place.data())
            .env(INPUT, place.input())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let worth_it = said.lines().map_while(Result::ok).any(|line| line.contains(KILL_ME));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(worth_it && !ended.success(), "the process ended by itself: {ended}");
        killed += 1;
    }
    let report = place.run().await;
    assert_complete(&report, &lines(20_000));
    assert!(report.resumed && report.commands < report.events, "after {killed} kills: {report}");
    assert!(place.run().await.already_complete);
}
