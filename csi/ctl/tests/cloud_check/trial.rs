//! `--with-a-disk`: what only a write shows is named, and whatever the cloud does no disk is left behind unnamed.

use std::sync::Arc;

use eckctl::args::{CloudCheckArgs, Format};
use second_cloud::{Cloud, Dialect, HOME, REGIONS, World};
use tokio::time::Instant;

use crate::dialects::{Row, client, fault, named};
use crate::rig::{Outcome, run_with};

fn args(output: Format) -> CloudCheckArgs {
    CloudCheckArgs { output, with_a_disk: true, instance: Some(format!("evm-ours-{HOME}-6")), yes: true }
}

/// Tokens mean nothing, and an order begins late: the second one is not to be seen for longer than the first took.
fn tokens_ignored_and_late() -> Dialect {
    Dialect { tokens: named("tokens-ignored").tokens, ..named("create-begins-after-30-s") }
}

#[tokio::test(start_paused = true)]
async fn a_second_disk_that_comes_late_is_refunded_too() {
    let (outcome, truth) = tried(tokens_ignored_and_late(), &args(Format::Json), None).await;
    let bought: Vec<_> = truth.disks.iter().filter(|disk| disk.bought).collect();
    assert_eq!(bought.len(), 2, "{}", outcome.text);
    assert!(bought.iter().all(|disk| !disk.exists()), "{}", outcome.text);
    assert!(outcome.with("differs")[0].contains("the same token"), "{}", outcome.text);
}

/// What is said, and what is true half an hour later.
async fn tried(dialect: Dialect, args: &CloudCheckArgs, answer: Option<bool>) -> (Outcome, World) {
    let (cloud, start) = (Arc::new(Cloud::new(&dialect)), Instant::now());
    cloud.speak(dialect, &[]);
    let outcome = run_with(client(&cloud, start), &REGIONS, args, answer).await;
    let now = u64::try_from(start.elapsed().as_millis()).unwrap() + 1_800_000;
    (outcome, cloud.truth(now))
}

/// Dialects that show only by a write.
const ROWS: &[Row] = &[
    ("base", &[]),
    ("name-cut", &["made as it was ordered", "is found by its name"]),
    ("by-name-lags-20-s", &["is found by its name"]),
    ("list-lags-20-s", &["is in the list"]),
    ("tokens-ignored", &["the same token"]),
    ("create-reply-lost", &[]),
    ("attach-fails-late", &["in use", "comes to its end", "detached"]),
    ("create-begins-after-30-s", &[]),
    ("refund-begins-after-30-s", &[]),
    ("refunded-disk-shown-for-2-min", &[]),
    ("refund-reply-lost", &[]),
    ("detach-fails-late", &["detached"]),
];

#[tokio::test(start_paused = true)]
async fn what_a_write_shows_is_named_and_every_disk_is_refunded() {
    let mut wrong = Vec::new();
    for (name, expected) in ROWS {
        let (outcome, truth) = tried(named(name), &args(Format::Json), None).await;
        let differs = outcome.with("differs");
        if fault(&differs, expected) {
            wrong.push(format!("{name}: expected {expected:?}, said\n    {}", differs.join("\n    ")));
        }
        for disk in truth.disks.iter().filter(|disk| disk.bought && disk.exists()) {
            if !outcome.text.contains(&format!("{} in {HOME} is not refunded", disk.id)) {
                wrong.push(format!("{name}: {} is left", disk.id));
            }
        }
        assert!(truth.disks.iter().any(|disk| disk.bought), "{name}: nothing was tried");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn without_a_yes_nothing_is_ordered() {
    let args = CloudCheckArgs { yes: false, ..args(Format::Text) };
    let (outcome, truth) = tried(Dialect::base(), &args, Some(false)).await;
    assert!(outcome.text.contains("no disk was ordered: not confirmed"));
    assert!(!truth.log.iter().any(|entry| entry.op.writes()));
}

#[tokio::test(start_paused = true)]
async fn the_name_stands_before_the_order() {
    let (outcome, truth) = tried(Dialect::base(), &args(Format::Text), None).await;
    let bought: Vec<&str> =
        truth.disks.iter().filter(|disk| disk.bought).map(|disk| disk.asked.as_str()).collect();
    assert_eq!(bought, ["eck-cloud-check-23456789"]);
    assert!(outcome.text.starts_with("order one disk of 20 GiB, eck-cloud-check-23456789, in zj-shaoxing-2"));
}
