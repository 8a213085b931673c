//! `--with-a-disk`: what only a write shows is named, and whatever the cloud does no disk is left behind unnamed.

use std::sync::Arc;

use eck_csi::volume::DiskId;
use eckctl::args::{CloudCheckArgs, Format};
use second_cloud::{Cloud, Dialect, HOME, REGIONS, WithMachine, World};
use tokio::time::Instant;

use crate::dialects::{Row, client, fault, named};
use crate::rig::{Outcome, run_with};

pub(crate) fn args(output: Format) -> CloudCheckArgs {
    let instance = Some(format!("evm-ours-{HOME}-6"));
    CloudCheckArgs { output, with_a_disk: true, instance, sys_block: None, yes: true }
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
pub(crate) async fn tried(dialect: Dialect, args: &CloudCheckArgs, answer: Option<bool>) -> (Outcome, World) {
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
    ("snapshot-begins-after-30-s", &[]),
    ("snapshots-under-another-key", &["listed under `snapshotList`", "a snapshot is listed"]),
    ("snapshots-are-an-empty-object", &["listed under `snapshotList`", "a snapshot is listed"]),
    ("snapshots-omit-one-that-they-count", &["a snapshot is listed", "unknown to op 4"]),
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
async fn that_a_disk_goes_with_its_machine_is_named_where_the_cloud_tells() {
    const STAYS: &str = "not deleted together with its machine";
    for (with_machine, verdict, seen) in [
        (WithMachine::Untold, "unknown", "no field of op 4 tells"),
        (WithMachine::Told, "fits", "`deleteDiskWithInstance` is false"),
        (WithMachine::Always, "differs", "is true, and `deleteDiskWithInstance: false` was sent"),
    ] {
        let dialect = Dialect { with_machine, ..Dialect::base() };
        let (outcome, _) = tried(dialect, &args(Format::Json), None).await;
        let lines = outcome.with(verdict);
        assert!(lines.iter().any(|line| line.contains(STAYS) && line.contains(seen)), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_how_much_lists_lag_is_a_choice_in_the_profile() {
    let lagging = tried(named("list-lags-20-s"), &args(Format::Json), None).await.0;
    let millis =
        lagging.text.split("# choose: reads_lag_ms = ").nth(1).and_then(|text| text.split(',').next());
    let millis: u64 = millis.unwrap().parse().unwrap();
    assert!((15_000..25_000).contains(&millis), "{millis}");
    assert!(!tried(Dialect::base(), &args(Format::Json), None).await.0.text.contains("reads_lag_ms"));
}

/// A machine on which the trial runs: whatever disk the cloud attaches appears in its folder with this of its id as its serial.
async fn on_the_machine(folder: &str, serial: fn(&str) -> String) -> Outcome {
    let root = std::env::temp_dir().join(format!("eck-cloud-check-{}-{folder}", std::process::id()));
    std::fs::create_dir_all(root.join("vda")).unwrap();
    let (cloud, start) = (Arc::new(Cloud::new(&Dialect::base())), Instant::now());
    let appears = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let truth = cloud.truth(u64::try_from(start.elapsed().as_millis()).unwrap());
            if let Some(disk) = truth.disks.iter().find(|disk| disk.bought && disk.holder.is_some()) {
                std::fs::create_dir_all(root.join("vdb")).unwrap();
                std::fs::write(root.join("vdb/serial"), serial(&disk.id)).unwrap();
            }
        }
    };
    let args = CloudCheckArgs { sys_block: Some(root.clone()), ..args(Format::Json) };
    let outcome = tokio::select! {
        outcome = run_with(client(&cloud, start), &REGIONS, &args, None) => outcome,
        () = appears => unreachable!(),
    };
    let _absent = std::fs::remove_file(root.join("vdb/serial"));
    for folder in ["vdb", "vda", ""] {
        let _absent = std::fs::remove_dir(root.join(folder));
    }
    outcome
}

#[tokio::test(start_paused = true)]
async fn the_serial_that_the_machine_sees_is_judged_by_the_disks_id() {
    const SERIAL: &str = "serial in the guest";
    let own = |id: &str| DiskId::parse(id).unwrap().serials()[0].clone();
    let other = |_: &str| "0123456789".to_owned();
    for (folder, serial, verdict) in
        [("own", own as fn(&str) -> String, "fits"), ("other", other as fn(&str) -> String, "differs")]
    {
        let lines = on_the_machine(folder, serial).await.with(verdict);
        assert!(lines.iter().any(|line| line.contains(SERIAL) && line.contains("vdb")), "{lines:?}");
    }
    // From another machine nothing is known of it.
    let lines = tried(Dialect::base(), &args(Format::Json), None).await.0.with("unknown");
    assert!(lines.iter().any(|line| line.contains(SERIAL) && line.contains("--sys-block")), "{lines:?}");
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
