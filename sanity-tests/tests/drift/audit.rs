//! `eckctl audit`: drift is reported, and repaired where that is safe.

use std::time::Duration;

use sanity_tests::apiserver::{Fault, Key};
use serde_json::{Value, json};

use super::rig::{CLUSTER, MACHINES, NODES, Output, REGION, Rig};

/// A drift of each kind that eckctl can repair, one that it cannot, a disk of another cluster, and a volume without drift.
fn drifted() -> Rig {
    let rig = Rig::new();
    rig.disk("cd-well", Some(CLUSTER), Some(MACHINES[0]));
    rig.volume("pv-well", "cd-well");
    rig.attachment("csi-well", "pv-well", NODES[0], true);
    rig.disk("cd-unclaimed", Some(CLUSTER), None);
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
        finding("unclaimed-disk", "cd-unclaimed"),
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
async fn an_audit_looks_at_the_regions_that_the_controller_learns() {
    let rig = drifted();
    rig.controller_flag("--regions=zj-shaoxing-2");
    assert_eq!(rig.eckctl(&["audit", "-o", "json"]).await.json()["looked"]["disks"], 0);
    // The nodes of the rig name the other one.
    rig.controller_flag("--learn-regions");
    let looked = &rig.eckctl(&["audit", "-o", "json"]).await.json()["looked"];
    assert_eq!((&looked["disks"], &looked["regions"]), (&json!(5), &json!(["zj-shaoxing-2", REGION])));
}

#[tokio::test]
async fn an_audit_prints_each_finding_and_a_sum() {
    let text = drifted().eckctl(&["audit"]).await.text;
    assert!(
        text.contains(
            "unclaimed-disk   disk cd-unclaimed (pvc-of-cd-unclaimed, 20 GiB, available) in fj-xiamen-4"
        ),
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

const FIX: [&str; 6] =
    ["audit", "--fix", "unwanted-attach,stuck-detach", "--delete-disk", "cd-unclaimed", "--with-data"];

#[tokio::test]
async fn a_repair_asks_about_each_finding() {
    let output = drifted().eckctl(&FIX).await;
    assert!(output.found_problems(), "{:?}", output.result);
    assert_eq!(output.questions.len(), 3, "{:?}", output.questions);
    let question = "delete disk cd-unclaimed (pvc-of-cd-unclaimed, 20 GiB) in fj-xiamen-4 with all its data?";
    assert!(output.questions.iter().any(|asked| asked == question), "{:?}", output.questions);
}

#[tokio::test]
async fn an_unclaimed_disk_is_deleted_where_it_is_named() {
    let rig = drifted();
    let output = rig.eckctl(&FIX).await;
    assert!(!rig.has_disk("cd-unclaimed") && rig.has_disk("cd-foreign"), "{}", output.text);
}

#[tokio::test]
async fn a_disk_that_is_not_named_is_kept() {
    let rig = drifted();
    rig.disk("cd-kept", Some(CLUSTER), None);
    let fix = ["audit", "--fix", "unwanted-attach,stuck-detach", "--with-data", "--yes"];
    rig.eckctl(&fix).await;
    rig.eckctl(&FIX).await;
    assert!(rig.has_disk("cd-kept") && !rig.has_disk("cd-unclaimed"));
}

#[tokio::test]
async fn a_disk_that_may_hold_data_is_kept_unless_that_is_said_too() {
    let rig = drifted();
    let output = rig.eckctl(&["audit", "--delete-disk", "cd-unclaimed", "--yes"]).await;
    assert!(
        output.text.contains("the cloud does not say; --with-data deletes it all the same"),
        "{}",
        output.text
    );
    assert_eq!(rig.writes(), 0);
}

#[tokio::test]
async fn a_disk_that_is_not_unclaimed_is_not_deleted_however_it_is_named() {
    let rig = drifted();
    for disk in ["cd-well", "cd-parting", "cd-foreign", "cd-nowhere"] {
        let output = rig.eckctl(&["audit", "--delete-disk", disk, "--with-data", "--yes"]).await;
        assert!(output.found_problems(), "{:?}", output.result);
        assert!(
            output.text.contains(&format!("{disk}: not done: the audit finds no unclaimed")),
            "{}",
            output.text
        );
    }
    assert_eq!(rig.writes(), 0);
}

/// The error of an audit that is to change something and is not let.
async fn not_let(rig: &Rig, flags: &[&str]) -> String {
    let error = rig.eckctl(&[&FIX[..], &["--yes"], flags].concat()).await.error();
    assert_eq!(rig.writes(), 0);
    assert!(rig.has_disk("cd-unclaimed") && error.starts_with("nothing is changed: "), "{error}");
    error
}

#[tokio::test]
async fn with_another_clusters_flags_nothing_is_changed() {
    let rig = drifted();
    let error = not_let(&rig, &["--cluster-id", "other"]).await;
    for text in [
        "the cluster id is other by flags",
        "and test in the Deployment",
        "leave --cluster-id or ECK_CLUSTER_ID away",
    ] {
        assert!(error.contains(text), "{error}");
    }
    let error = not_let(&rig, &["--regions", REGION]).await;
    assert!(
        error.contains("is fj-xiamen-4 by flags") && error.contains("and fj-xiamen-4,zj-shaoxing-2 in"),
        "{error}"
    );
    let url = rig.sim.url().replace("127.0.0.1", "localhost");
    assert!(not_let(&rig, &["--ecx-url", &url]).await.contains("the cloud's URL"));
    // Whoever only looks may look at anything.
    assert!(rig.eckctl(&["audit", "--cluster-id", "other"]).await.found_problems());
}

#[tokio::test]
async fn with_another_accounts_keys_nothing_is_changed() {
    let rig = drifted();
    let data = json!({"ak": "b3RoZXIta2V5", "sk": "b3RoZXItc2VjcmV0"});
    rig.api.modify(&Key::new("secrets", "kube-system", "keys"), |secret| secret["data"] = data).unwrap();
    let (ak, sk) = Rig::keys();
    for (name, key) in [("ak", &ak), ("sk", &sk)] {
        std::fs::write(rig.folder.path().join(name), key).unwrap();
    }
    let error = not_let(&rig, &["--credentials-dir", rig.folder.path().to_str().unwrap()]).await;
    assert!(
        error.contains("the access key is ") && error.contains("and othe… in") && !error.contains(&ak),
        "{error}"
    );
}

#[tokio::test]
async fn without_the_driver_in_the_cluster_nothing_is_changed() {
    let rig = drifted();
    let (ak, sk) = Rig::keys();
    for (name, key) in [("ak", &ak), ("sk", &sk)] {
        std::fs::write(rig.folder.path().join(name), key).unwrap();
    }
    let url = rig.sim.url();
    let folder = rig.folder.path().to_str().unwrap();
    let regions = format!("{REGION},zj-shaoxing-2");
    let said = [
        "--allow-plain-http",
        "--credentials-dir",
        folder,
        "--cluster-id",
        CLUSTER,
        "--regions",
        &regions,
        "--ecx-url",
        &url,
    ];
    rig.api.delete(&Key::new("csidrivers", "", "eck.csi.k8s.io")).unwrap();
    assert!(not_let(&rig, &said).await.contains("the cluster has no CSIDriver of this name"));
    rig.api.delete(&Key::new("deployments", "kube-system", "eck-csi-controller")).unwrap();
    let error = not_let(&rig, &said).await;
    assert!(
        error.contains("no Deployment eck-csi-controller") && error.contains("--driver-namespace"),
        "{error}"
    );
}

#[tokio::test]
async fn a_repair_detaches_an_unwanted_disk() {
    let rig = drifted();
    let output = rig.eckctl(&FIX).await;
    assert!(output.text.contains("unwanted-attach cd-unwanted: done: detach disk"), "{}", output.text);
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
    rig.disk("cd-unclaimed", Some(CLUSTER), Some("evm-elsewhere"));
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
    silence(&rig, None);
    let output = rig.eckctl(&["audit"]).await;
    assert_eq!(output.text, "");
    let error = output.error();
    assert!(error.contains("the cloud cannot be read in region zj-shaoxing-2"), "{error}");
}

/// From now on the disks of a region, or of all, cannot be listed.
fn silence(rig: &Rig, region: Option<&str>) {
    let (op, contains) = (Some(ecx::api::Op::ListDisks), region.map(str::to_owned));
    let effect = ecx_sim::Effect::Http { status: 403 };
    rig.sim.fault(ecx_sim::Fault { op, contains, skip: 0, count: 0, effect });
}

#[tokio::test]
async fn a_region_that_does_not_answer_blinds_the_audit_to_itself_alone() {
    let rig = drifted();
    silence(&rig, Some("zj-shaoxing-2"));
    let output = rig.eckctl(&["audit", "-o", "json"]).await;
    assert!(output.found_problems() && findings(&output).len() == 4, "{}", output.text);
    assert!(output.json()["unread"]["zj-shaoxing-2"].is_string(), "{}", output.text);
    let silent = Rig::new();
    silence(&silent, Some("zj-shaoxing-2"));
    let output = silent.eckctl(&["audit"]).await;
    assert!(output.found_problems(), "{}", output.text);
    assert!(output.text.starts_with("not read         zj-shaoxing-2: "), "{}", output.text);
}

#[tokio::test]
async fn by_a_part_of_the_cloud_nothing_is_changed() {
    let rig = drifted();
    silence(&rig, Some("zj-shaoxing-2"));
    assert!(not_let(&rig, &[]).await.contains("the cloud cannot be read in region zj-shaoxing-2: "));
}

#[tokio::test]
async fn without_the_api_server_an_audit_fails() {
    let rig = drifted();
    rig.api.fail("list", "volumeattachments", 1, Fault::Refused(403));
    let output = tokio::time::timeout(Duration::from_secs(60), rig.eckctl(&["audit"])).await.unwrap();
    let error = output.error();
    assert!(error.contains("the API server cannot be read"), "{error}");
}

#[tokio::test]
async fn a_disk_that_does_not_answer_for_itself_is_not_deleted() {
    let rig = drifted();
    rig.sim.fault(ecx_sim::Fault {
        op: Some(ecx::api::Op::GetDisk),
        contains: Some("cd-unclaimed".to_owned()),
        skip: 0,
        count: 0,
        effect: ecx_sim::Effect::Http { status: 403 },
    });
    let output = rig.eckctl(&["audit", "--delete-disk", "cd-unclaimed", "--with-data", "--yes"]).await;
    assert!(output.text.contains("not done: delete disk cd-unclaimed"), "{}", output.text);
    assert!(rig.has_disk("cd-unclaimed"));
    assert_eq!(rig.writes(), 0);
}
