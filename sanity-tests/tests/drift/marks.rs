//! `eckctl audit --delete-marked`, as a daily job runs it: what is unclaimed is marked first, stays for days, and is deleted only
//! where that is switched on.

use std::time::Duration;

use ecx::api::Op;
use ecx_sim::{Effect, Fault as CloudFault};
use sanity_tests::apiserver::{Fault, Key};
use serde_json::json;

use super::rig::{CLUSTER, Output, Rig};

const JOB: [&str; 4] = ["audit", "--delete-marked", "--with-data", "--yes"];

/// An unclaimed disk, and one of another cluster.
fn rig() -> Rig {
    let rig = Rig::new();
    rig.disk("cd-unclaimed", Some(CLUSTER), None);
    rig.disk("cd-foreign", Some("another"), None);
    rig
}

/// A run of the job on this day.
async fn on_day(rig: &Rig, day: u64, job: &[&str]) -> Output {
    rig.eckctl_after(Duration::from_secs(3600 + day * 86_400), job, false).await
}

async fn days(rig: &Rig, days: std::ops::RangeInclusive<u64>, job: &[&str]) {
    for day in days {
        on_day(rig, day, job).await;
    }
}

fn marks() -> Key {
    Key::new("configmaps", "kube-system", "eck-csi-unclaimed-disks")
}

/// The marks as they are written.
fn written(rig: &Rig) -> Option<String> {
    let map = rig.api.get(&marks())?;
    map["data"]["marks.json"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn an_unclaimed_disk_is_marked_and_deleted_after_seven_days() {
    let rig = rig();
    days(&rig, 0..=6, &JOB).await;
    assert!(rig.has_disk("cd-unclaimed") && written(&rig).unwrap().contains("cd-unclaimed"));
    let output = on_day(&rig, 7, &JOB).await;
    assert!(!rig.has_disk("cd-unclaimed") && rig.has_disk("cd-foreign"), "{}", output.text);
    on_day(&rig, 8, &JOB).await;
    assert_eq!(written(&rig).unwrap(), "{}");
}

#[tokio::test]
async fn the_days_can_be_told() {
    let rig = rig();
    let job = [&JOB[..], &["--after-days", "2"]].concat();
    days(&rig, 0..=1, &job).await;
    assert!(rig.has_disk("cd-unclaimed"));
    on_day(&rig, 2, &job).await;
    assert!(!rig.has_disk("cd-unclaimed"));
}

#[tokio::test]
async fn marks_alone_and_a_job_that_may_not_delete_data_delete_nothing() {
    let rig = rig();
    days(&rig, 0..=9, &["audit", "--mark"]).await;
    let output = on_day(&rig, 10, &["audit", "--delete-marked", "--yes"]).await;
    assert!(output.text.contains("marked as unclaimed for 10 days"), "{}", output.text);
    assert!(output.text.contains("--with-data deletes it all the same"), "{}", output.text);
    assert!(rig.has_disk("cd-unclaimed"));
}

#[tokio::test]
async fn a_disk_that_is_claimed_again_loses_its_mark() {
    let rig = rig();
    days(&rig, 0..=5, &JOB).await;
    rig.volume("pv-again", "cd-unclaimed");
    on_day(&rig, 6, &JOB).await;
    assert_eq!(written(&rig).unwrap(), "{}");
    rig.api.delete(&Key::new("persistentvolumes", "", "pv-again")).unwrap();
    days(&rig, 7..=13, &JOB).await;
    assert!(rig.has_disk("cd-unclaimed"));
    on_day(&rig, 14, &JOB).await;
    assert!(!rig.has_disk("cd-unclaimed"));
}

#[tokio::test]
async fn a_mark_from_before_a_long_silence_counts_no_more() {
    let rig = rig();
    on_day(&rig, 0, &JOB).await;
    on_day(&rig, 30, &JOB).await;
    assert!(rig.has_disk("cd-unclaimed"));
}

/// What stands on the last day is neither marked anew nor deleted while something cannot be read.
async fn nothing_is_done(rig: &Rig) -> String {
    let before = (written(rig), rig.writes());
    let error = on_day(rig, 7, &JOB).await.error();
    assert_eq!((written(rig), rig.writes()), before);
    assert!(rig.has_disk("cd-unclaimed"));
    error
}

#[tokio::test]
async fn a_region_that_does_not_answer_lets_nothing_be_marked_or_deleted() {
    let rig = rig();
    days(&rig, 0..=6, &JOB).await;
    let op = Some(Op::ListDisks);
    let contains = Some("zj-shaoxing-2".to_owned());
    rig.sim.fault(CloudFault { op, contains, skip: 0, count: 0, effect: Effect::Http { status: 403 } });
    assert!(nothing_is_done(&rig).await.contains("the cloud cannot be read in region zj-shaoxing-2"));
}

#[tokio::test]
async fn volumes_that_cannot_be_listed_let_nothing_be_marked_or_deleted() {
    let rig = rig();
    days(&rig, 0..=6, &JOB).await;
    rig.api.fail("list", "persistentvolumes", 1, Fault::Refused(403));
    assert!(nothing_is_done(&rig).await.contains("the API server cannot be read"));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_lets_nothing_be_marked_or_deleted() {
    let rig = rig();
    days(&rig, 0..=6, &JOB).await;
    rig.api.modify(&marks(), |map| map["data"] = json!({"marks.json": "odd"})).unwrap();
    assert!(nothing_is_done(&rig).await.contains("delete it, and every disk is marked anew"));
}
