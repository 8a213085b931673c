use std::time::Duration;

use sanity_tests::apiserver::{Fault, Key};
use serde_json::{Value, json};

use super::scene::{CLUSTER, MACHINES, NODES, Scene};

/// One of each that eckctl can mend, one that it cannot, and one that is well.
fn drifted() -> Scene {
    let scene = Scene::new();
    scene.disk("cd-well", Some(CLUSTER), Some(MACHINES[0]));
    scene.volume("pv-well", "cd-well");
    scene.attachment("csi-well", "pv-well", NODES[0], true);
    scene.disk("cd-leaked", Some(CLUSTER), None);
    scene.disk("cd-foreign", Some("another"), None);
    scene.disk("cd-unwanted", Some(CLUSTER), Some(MACHINES[1]));
    scene.volume("pv-unwanted", "cd-unwanted");
    scene.disk("cd-parting", Some(CLUSTER), None);
    scene.volume("pv-parting", "cd-parting");
    scene.attachment("csi-parting", "pv-parting", NODES[1], true);
    scene.api.delete(&Key::of("volumeattachments", "", "csi-parting")).unwrap();
    scene.volume("pv-missing", "cd-missing");
    scene
}

fn kinds(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = answer["findings"].as_array().unwrap();
    findings.iter().map(|one| (text(&one["kind"]), text(&one["disk"]))).collect()
}

fn all() -> Vec<(String, String)> {
    let all = [
        ("leaked-disk", "cd-leaked"),
        ("missing-disk", "cd-missing"),
        ("stuck-detach", "cd-parting"),
        ("unwanted-attach", "cd-unwanted"),
    ];
    all.map(|(kind, disk)| (kind.to_owned(), disk.to_owned())).into()
}

#[tokio::test]
async fn what_drifted_is_found_and_nothing_is_changed() {
    let scene = drifted();
    let answer = scene.eckctl(&["audit", "-o", "json"], true).await;
    assert!(answer.found(), "{:?}", answer.ended);
    assert_eq!(kinds(&answer.json()), all());
    assert_eq!(answer.json()["looked"]["disks"], 5);
    let text = scene.eckctl(&["audit"], true).await.text;
    assert!(
        text.contains("leaked-disk      disk cd-leaked (pvc-of-cd-leaked, 20 GiB, available) in fj-xiamen-4"),
        "{text}"
    );
    assert!(
        text.ends_with("4 findings; looked at 4 volumes, 2 attachments, 5 disks in 2 regions\n"),
        "{text}"
    );
    assert_eq!(scene.writes(), 0);
}

#[tokio::test]
async fn what_is_under_way_is_no_drift() {
    let scene = Scene::new();
    // An attach of this moment; by eckctl's clock, which is an hour ahead, it takes an hour.
    scene.disk("cd-1", Some(CLUSTER), None);
    scene.volume("pv-1", "cd-1");
    scene.attachment("csi-1", "pv-1", NODES[0], false);
    assert!(scene.eckctl(&["audit", "--grace-seconds", "7200"], true).await.well());
    let late = scene.eckctl(&["audit", "-o", "json"], true).await.json();
    assert_eq!(kinds(&late), [("stuck-attach".to_owned(), "cd-1".to_owned())]);
}

#[tokio::test]
async fn what_eckctl_is_told_to_mend_is_mended_and_the_rest_stays() {
    let scene = drifted();
    let fixes = ["audit", "--fix", "leaked-disk,unwanted-attach,stuck-detach"];
    let answer = scene.eckctl(&fixes, true).await;
    assert!(answer.found(), "{:?}", answer.ended);
    assert_eq!(answer.questions.len(), 3, "{:?}", answer.questions);
    let question = "delete disk cd-leaked (pvc-of-cd-leaked, 20 GiB) in fj-xiamen-4 with all its data?";
    assert!(answer.questions.iter().any(|asked| asked == question), "{:?}", answer.questions);
    assert!(!scene.has_disk("cd-leaked") && scene.has_disk("cd-foreign"), "{}", answer.text);
    assert_eq!(scene.sim.look(|world| world.disks["cd-unwanted"].holder.clone()), None);
    assert_eq!(scene.sim.look(|world| world.disks["cd-well"].holder.clone()).as_deref(), Some(MACHINES[0]));
    assert_eq!(scene.api.get(&Key::of("volumeattachments", "", "csi-parting")), None);
    let after = scene.eckctl(&["audit", "-o", "json"], true).await.json();
    assert_eq!(kinds(&after), [("missing-disk".to_owned(), "cd-missing".to_owned())]);
}

#[tokio::test]
async fn without_a_yes_and_where_somebody_holds_it_nothing_is_mended() {
    let scene = drifted();
    let fixes = ["audit", "--fix", "leaked-disk,unwanted-attach,stuck-detach"];
    let refused = scene.eckctl(&fixes, false).await;
    assert!(refused.found() && refused.questions.len() == 3, "{}", refused.text);
    assert_eq!(scene.writes(), 0);
    // The kubelet uses the one, the other is a leaked disk that is attached, the third is not away.
    let in_use = json!(["kubernetes.io/csi/eck.csi.k8s.io^cd-unwanted"]);
    scene.api.modify(&Key::node(NODES[1]), |node| node["status"]["volumesInUse"] = in_use).unwrap();
    scene.disk("cd-leaked", Some(CLUSTER), Some("evm-elsewhere"));
    scene.disk("cd-parting", Some(CLUSTER), Some(MACHINES[1]));
    let answer = scene.eckctl(&[&fixes[..], &["--yes"]].concat(), false).await;
    assert!(answer.questions.is_empty());
    for words in
        ["is in use there", "attached to evm-elsewhere", "the cloud still has the disk on evm-fjxiamen42"]
    {
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
    }
    assert_eq!(scene.writes(), 0);
}

#[tokio::test]
async fn where_one_side_cannot_be_read_nothing_is_said() {
    let scene = drifted();
    let effect = ecx_sim::Effect::Http { status: 403 };
    let op = Some(ecx::api::Op::ListDisks);
    scene.sim.fault(ecx_sim::Fault {
        op,
        contains: Some("zj-shaoxing-2".to_owned()),
        skip: 0,
        count: 0,
        effect,
    });
    let answer = scene.eckctl(&["audit"], true).await;
    let error = serve::chain::chain(&answer.ended.unwrap_err());
    assert!(error.contains("the cloud cannot be read in region zj-shaoxing-2"), "{error}");
    assert_eq!(answer.text, "");
    scene.sim.clear_faults();
    scene.api.fail("list", "volumeattachments", 1, Fault::Refused(403));
    let answer = tokio::time::timeout(Duration::from_secs(60), scene.eckctl(&["audit"], true)).await.unwrap();
    let error = serve::chain::chain(&answer.ended.unwrap_err());
    assert!(error.contains("the API server cannot be read"), "{error}");
}
