use sanity_tests::apiserver::{Fault, Key};
use serde_json::json;

use super::scene::{CLUSTER, MACHINES, Scene};

const ADOPT: [&str; 4] = ["adopt", "cd-old", "--claim", "data"];

fn volume(scene: &Scene) -> Option<std::sync::Arc<serde_json::Value>> {
    scene.api.get(&Key::of("persistentvolumes", "", "cd-old"))
}

fn claim(scene: &Scene) -> Option<std::sync::Arc<serde_json::Value>> {
    scene.api.get(&Key::of("persistentvolumeclaims", "default", "data"))
}

#[tokio::test]
async fn a_dry_run_prints_what_kubectl_would_apply_and_changes_nothing() {
    let scene = Scene::new();
    scene.disk("cd-old", None, None);
    let answer = scene.eckctl(&[&ADOPT[..], &["--dry-run"]].concat(), true).await;
    assert!(answer.well(), "{:?}", answer.ended);
    let lines = [
        "---",
        "kind: PersistentVolume",
        "    volumeHandle: cd-old",
        "    storage: 20Gi",
        "      diskType: cloud",
        "  persistentVolumeReclaimPolicy: Retain",
        "kind: PersistentVolumeClaim",
        "  volumeName: cd-old",
    ];
    for line in lines {
        assert!(answer.text.lines().any(|said| said == line), "{line:?} is not in:\n{}", answer.text);
    }
    assert_eq!(scene.writes(), 0);
}

#[tokio::test]
async fn a_disk_becomes_a_volume_and_a_claim_once() {
    let scene = Scene::new();
    scene.disk("cd-old", None, None);
    // Cut off between the two: the next run makes the rest.
    scene.api.fail("create", "persistentvolumeclaims", 1, Fault::Refused(403));
    let cut = scene.eckctl(&ADOPT, true).await;
    let error = serve::chain::chain(&cut.ended.unwrap_err());
    assert!(error.contains("the volume is there, the claim is not; run it again"), "{error}");
    assert!(volume(&scene).is_some() && claim(&scene).is_none());
    let rest = scene.eckctl(&ADOPT, true).await;
    assert!(rest.well() && rest.text == "persistentvolumeclaim/data created in default\n", "{}", rest.text);
    assert_eq!(volume(&scene).unwrap()["spec"]["claimRef"]["name"], "data");
    assert_eq!(claim(&scene).unwrap()["spec"]["volumeName"], "cd-old");
    let again = scene.eckctl(&ADOPT, true).await;
    assert!(again.well() && again.text.contains("is adopted already"), "{}", again.text);
    // A disk that was adopted is no drift.
    assert!(scene.eckctl(&["audit"], true).await.well());
    let other = scene.eckctl(&["adopt", "cd-old", "--claim", "other"], true).await;
    let error = other.ended.unwrap_err().to_string();
    assert!(error.contains("is volume cd-old already, for claim default/data"), "{error}");
}

#[tokio::test]
async fn what_must_not_be_adopted_is_refused_and_nothing_is_changed() {
    let scene = Scene::new();
    let refusal = async |args: &[&str]| {
        let ended = scene.eckctl(args, true).await.ended;
        ended.unwrap_err().to_string()
    };
    assert!(
        refusal(&ADOPT).await.contains("is in none of the cluster's regions: zj-shaoxing-2, fj-xiamen-4")
    );
    scene.disk("cd-old", Some(CLUSTER), Some(MACHINES[0]));
    assert!(refusal(&ADOPT).await.contains("is attached to evm-fjxiamen41"));
    scene.disk("cd-old", Some("another"), None);
    assert!(refusal(&ADOPT).await.contains("say --from-cluster another"));
    scene.put("storageclasses", json!({"metadata": {"name": "nfs"}, "provisioner": "nfs.io"}));
    scene.disk("cd-old", None, None);
    assert!(refusal(&[&ADOPT[..], &["--storage-class", "nfs"]].concat()).await.contains("nfs is of nfs.io"));
    assert!(refusal(&[&ADOPT[..], &["-n", "nowhere"]].concat()).await.contains("nowhere does not exist"));
    assert_eq!(scene.writes(), 0);
}
