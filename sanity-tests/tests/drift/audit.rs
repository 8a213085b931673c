//! `eckctl audit`: drift is reported, and repaired where that is safe.

use std::time::Duration;

use sanity_tests::apiserver::{Fault, Key};
use serde_json::{Value, json};

use super::rig::{CLUSTER, MACHINES, NODES, Output, Rig};

/// A drift of each kind that eckctl can repair, one that it cannot, a disk of another cluster, and a volume without drift.
fn drifted() -> Rig {
    let rig = Rig::new();
    rig.disk("cd-well", Some(CLUSTER), Some(MACHINES[0]));
    rig.volume("pv-well", "cd-well");
    rig.attachment("csi-well", "pv-well", NODES[0], true);
    rig.disk("cd-leaked", Some(CLUSTER), None);
    rig.disk("cd-foreign", Some("another"), None);
    rig.disk("cd-unwanted", Some(CLUSTER), Some(MACHINES[1]));
    rig.volume("pv-unwanted", "cd-unwanted");
    rig.disk("cd-parting", Some(CLUSTER), None);
    rig.volume("pv-parting", "cd-parting");
    rig.attachment("csi-parting", "pv-parting", NODES[1], true);
    rig.api.delete(&Key::new("volumeattachments", "", "csi-parting")).unwrap();
    rig.volume("pv-missing", "cd-missing");
    rig
}

/// Kind and disk of each finding.
fn findings(output: &Output) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let json = output.json();
    let findings = json["findings"].as_array().unwrap();
    findings.iter().map(|one| (text(&one["kind"]), text(&one["disk"]))).collect()
}

fn finding(kind: &str, disk: &str) -> (String, String) {
    (kind.to_owned(), disk.to_owned())
}

#[tokio::test]
async fn an_audit_finds_every_drift() {
    let output = drifted().eckctl(&["audit", "-o", "json"]).await;
    assert!(output.found_problems(), "{:?}", output.result);
    let all = [
        finding("leaked-disk", "cd-leaked"),
        finding("missing-disk", "cd-missing"),
        finding("stuck-detach", "cd-parting"),
        finding("unwanted-attach", "cd-unwanted"),
    ];
    assert_eq!(findings(&output), all);
}

#[tokio::test]
async fn an_audit_says_how_many_disks_it_has_compared() {
    let output = drifted().eckctl(&["audit", "-o", "json"]).await;
    assert_eq!(output.json()["looked"]["disks"], 5);
}

#[tokio::test]
async fn an_audit_prints_each_finding_and_a_sum() {
    let text = drifted().eckctl(&["audit"]).await.text;
    assert!(
        text.contains("leaked-disk      disk cd-leaked (pvc-of-cd-leaked, 20 GiB, available) in fj-xiamen-4"),
        "{text}"
    );
    assert!(
        text.ends_with("4 findings; looked at 4 volumes, 2 attachments, 5 disks in 2 regions\n"),
        "{text}"
    );
}

#[tokio::test]
async fn an_audit_changes_nothing() {
    let rig = drifted();
    rig.eckctl(&["audit", "-o", "json"]).await;
    rig.eckctl(&["audit"]).await;
    assert_eq!(rig.writes(), 0);
}

/// An attachment that was requested now, which is an hour ago by eckctl's clock.
fn attaching() -> Rig {
    let rig = Rig::new();
    rig.disk("cd-1", Some(CLUSTER), None);
    rig.volume("pv-1", "cd-1");
    rig.attachment("csi-1", "pv-1", NODES[0], false);
    rig
}

#[tokio::test]
async fn an_attachment_in_progress_is_no_drift() {
    assert!(attaching().eckctl(&["audit", "--grace-seconds", "7200"]).await.succeeded());
}

#[tokio::test]
async fn an_attachment_that_takes_too_long_is_drift() {
    let output = attaching().eckctl(&["audit", "-o", "json"]).await;
    assert_eq!(findings(&output), [finding("stuck-attach", "cd-1")]);
}

const FIX: [&str; 3] = ["audit", "--fix", "leaked-disk,unwanted-attach,stuck-detach"];

#[tokio::test]
async fn a_repair_asks_about_each_finding() {
    let output = drifted().eckctl(&FIX).await;
    assert!(output.found_problems(), "{:?}", output.result);
    assert_eq!(output.questions.len(), 3, "{:?}", output.questions);
    let question = "delete disk cd-leaked (pvc-of-cd-leaked, 20 GiB) in fj-xiamen-4 with all its data?";
    assert!(output.questions.iter().any(|asked| asked == question), "{:?}", output.questions);
}

#[tokio::test]
async fn a_repair_deletes_a_leaked_disk_of_this_cluster() {
    let rig = drifted();
    let output = rig.eckctl(&FIX).await;
    assert!(!rig.has_disk("cd-leaked") && rig.has_disk("cd-foreign"), "{}", output.text);
}

#[tokio::test]
async fn a_repair_detaches_an_unwanted_disk() {
    let rig = drifted();
    rig.eckctl(&FIX).await;
    let holder = |disk: &str| rig.sim.look(|world| world.disks[disk].holder.clone());
    assert_eq!(holder("cd-unwanted"), None);
    assert_eq!(holder("cd-well").as_deref(), Some(MACHINES[0]));
}

#[tokio::test]
async fn a_repair_ends_a_stuck_detach() {
    let rig = drifted();
    rig.eckctl(&FIX).await;
    assert_eq!(rig.api.get(&Key::new("volumeattachments", "", "csi-parting")), None);
}

#[tokio::test]
async fn after_a_repair_only_what_cannot_be_repaired_is_left() {
    let rig = drifted();
    rig.eckctl(&FIX).await;
    let output = rig.eckctl(&["audit", "-o", "json"]).await;
    assert_eq!(findings(&output), [finding("missing-disk", "cd-missing")]);
}

#[tokio::test]
async fn without_a_yes_nothing_is_repaired() {
    let rig = drifted();
    let output = rig.eckctl_with_answer(&FIX, false).await;
    assert!(output.found_problems() && output.questions.len() == 3, "{}", output.text);
    assert_eq!(rig.writes(), 0);
}

/// Each drift is in use: by the kubelet, by a machine that is no node, by a machine to which it is still attached.
fn drifted_and_in_use() -> Rig {
    let rig = drifted();
    let in_use = json!(["kubernetes.io/csi/eck.csi.k8s.io^cd-unwanted"]);
    rig.api.modify(&Key::node(NODES[1]), |node| node["status"]["volumesInUse"] = in_use).unwrap();
    rig.disk("cd-leaked", Some(CLUSTER), Some("evm-elsewhere"));
    rig.disk("cd-parting", Some(CLUSTER), Some(MACHINES[1]));
    rig
}

#[tokio::test]
async fn what_is_in_use_is_not_repaired() {
    let rig = drifted_and_in_use();
    let output = rig.eckctl_with_answer(&[&FIX[..], &["--yes"]].concat(), false).await;
    for text in
        ["is in use there", "attached to evm-elsewhere", "the cloud still has the disk on evm-fjxiamen42"]
    {
        assert!(output.text.contains(text), "{text}: {}", output.text);
    }
    assert_eq!(rig.writes(), 0);
}

#[tokio::test]
async fn with_yes_on_the_command_line_no_question_is_asked() {
    let output = drifted_and_in_use().eckctl_with_answer(&[&FIX[..], &["--yes"]].concat(), false).await;
    assert!(output.questions.is_empty());
}

#[tokio::test]
async fn without_the_cloud_an_audit_reports_no_finding() {
    let rig = drifted();
    rig.sim.fault(ecx_sim::Fault {
        op: Some(ecx::api::Op::ListDisks),
        contains: Some("zj-shaoxing-2".to_owned()),
        skip: 0,
        count: 0,
        effect: ecx_sim::Effect::Http { status: 403 },
    });
    let output = rig.eckctl(&["audit"]).await;
    assert_eq!(output.text, "");
    let error = output.error();
    assert!(error.contains("the cloud cannot be read in region zj-shaoxing-2"), "{error}");
}

#[tokio::test]
async fn without_the_api_server_an_audit_fails() {
    let rig = drifted();
    rig.api.fail("list", "volumeattachments", 1, Fault::Refused(403));
    let output = tokio::time::timeout(Duration::from_secs(60), rig.eckctl(&["audit"])).await.unwrap();
    let error = output.error();
    assert!(error.contains("the API server cannot be read"), "{error}");
}
