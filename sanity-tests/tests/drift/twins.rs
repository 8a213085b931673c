//! Two clusters with one id in one cloud account, as after a copied file of values: neither looks after the other's disks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sanity_tests::apiserver::{Fault, Key};
use sanity_tests::process::{Process, admin_address, get, shipped};
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy, Sidecar};
use tonic::{Code, Status};

use super::rig::{CLUSTER, NODES, REGION, Rig, UIDS};

const TIMEOUT: Duration = Duration::from_secs(60);

const JOB: [&str; 6] = ["audit", "--delete-marked", "--with-data", "--yes", "--after-days", "1"];

const ADOPT: [&str; 4] = ["adopt", "cd-theirs", "--claim", "data"];

/// A free disk of this cluster, one of the other cluster with the same id, and one from before UIDs were written.
fn rig() -> Rig {
    let rig = Rig::new();
    for (disk, uid) in [("cd-ours", Some(UIDS[0])), ("cd-theirs", Some(UIDS[1])), ("cd-old", None)] {
        rig.disk(disk, Some(CLUSTER), None);
        if let Some(uid) = uid {
            rig.mark(disk, uid);
        }
    }
    rig
}

/// The same after the other cluster is gone and this one was told that its disks are its own now.
fn rebuilt() -> Rig {
    let rig = rig();
    rig.controller_flag(&former());
    rig
}

fn former() -> String {
    format!("--former-cluster-uids={}", UIDS[1])
}

async fn on_day(rig: &Rig, day: u64) {
    rig.eckctl_after(Duration::from_secs(3600 + day * 86_400), &JOB, true).await;
}

#[tokio::test]
async fn the_job_that_deletes_unclaimed_disks_deletes_none_of_the_other_cluster() {
    let rig = rig();
    on_day(&rig, 0).await;
    on_day(&rig, 1).await;
    assert!(!rig.has_disk("cd-ours") && !rig.has_disk("cd-old"));
    assert!(rig.has_disk("cd-theirs"));
}

#[tokio::test]
async fn a_disk_of_the_other_cluster_is_not_deleted_by_its_name_either() {
    let rig = rig();
    let args = ["audit", "--delete-disk", "cd-theirs", "--with-data", "--yes"];
    let output = rig.eckctl(&args).await;
    assert!(output.text.contains("no unclaimed disk of this cluster"), "{}", output.text);
    assert!(rig.has_disk("cd-theirs"));
}

#[tokio::test]
async fn a_rebuilt_cluster_looks_after_the_disks_of_the_one_that_it_has_come_after() {
    let output = rebuilt().eckctl(&["audit"]).await;
    let mark =
        format!("cd-theirs (pvc-of-cd-theirs, 20 GiB, available) in {REGION} carries the mark of cluster");
    assert!(output.text.contains(&mark), "{}", output.text);
    assert!(output.text.contains(UIDS[1]), "{}", output.text);
}

#[tokio::test]
async fn without_the_clusters_uid_nothing_is_said_of_its_disks() {
    let rig = rig();
    rig.api.delete(&Key::new("namespaces", "", "kube-system")).unwrap();
    let error = rig.eckctl(&["audit"]).await.error();
    assert!(error.contains("the cluster's UID is not known: the namespace kube-system"), "{error}");
}

#[tokio::test]
async fn the_uid_that_the_controller_was_told_counts() {
    let rig = rig();
    rig.controller_flag(&format!("--cluster-uid={}", UIDS[1]));
    let output = rig.eckctl(&["audit"]).await;
    assert!(output.text.contains("cd-theirs") && !output.text.contains("cd-ours"), "{}", output.text);
}

/// The shipped controller with the flags of the chart and these.
fn controller(rig: &Rig, socket: &Path, more: &[&str]) -> Process {
    let (ak, sk) = Rig::keys();
    let mut command = Command::new(shipped("eck-csi-controller", "eck-csi-controller").unwrap());
    command.env("CTYUN_AK", ak).env("CTYUN_SK", sk).arg("--csi-endpoint").arg(socket);
    command.args(["--ecx-url", &rig.sim.url(), "--regions", REGION, "--cluster-id", CLUSTER]);
    command.args(["--allow-plain-http", "--admin-address", "127.0.0.1:0", "--cluster-uid", "api-server"]);
    command.args(more).arg("--kubeconfig").arg(rig.folder.path().join("kubeconfig"));
    Process::start(command, &rig.folder.path().join("controller.log")).unwrap()
}

/// What a controller with these flags makes of the request.
async fn call(rig: &Rig, more: &[&str], request: Request) -> Result<Reply, Status> {
    let socket = rig.folder.path().join("csi.sock");
    let mut controller = controller(rig, &socket, more);
    let channel = controller.serves(&socket, TIMEOUT).await.unwrap();
    let result = Sidecar::new(channel).call(&request, &RetryPolicy::default(), |_| {}).await;
    controller.stop(TIMEOUT).await.unwrap();
    result
}

fn publish() -> Request {
    Request::Publish { volume: "cd-theirs".to_owned(), node: NODES[0].to_owned() }
}

#[tokio::test]
async fn what_eckctl_does_not_adopt_the_controller_does_not_attach() {
    let rig = rig();
    let error = rig.eckctl(&ADOPT).await.error();
    let refused = call(&rig, &[], publish()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    for text in [error.as_str(), refused.message()] {
        assert!(UIDS.iter().all(|uid| text.contains(uid)), "{text}");
        assert!(text.contains("name its UID in formerClusterUids"), "{text}");
    }
}

#[tokio::test]
async fn what_eckctl_adopts_the_controller_attaches() {
    let rig = rebuilt();
    assert!(rig.eckctl(&ADOPT).await.succeeded());
    let attached = call(&rig, &[&former()], publish()).await;
    assert!(attached.is_ok(), "{attached:?}");
}

#[tokio::test]
async fn the_controller_marks_a_disk_with_the_uid_that_the_api_server_tells() {
    let rig = Rig::new();
    let claim = Claim { name: "pvc-1".to_owned(), gib: 20, ..Claim::default() };
    let created = call(&rig, &[], Request::Create(claim)).await.unwrap();
    let Reply::Created { volume, .. } = created else { panic!("{created:?}") };
    let labels = rig.sim.look(|world| world.disks[&volume].disk.labels.clone());
    let labels: Vec<_> = labels.iter().map(|label| (label.key.as_str(), label.value.as_str())).collect();
    let uid = UIDS[0].replace('-', "");
    assert_eq!(labels, [("eck-csi", CLUSTER), ("eck-csi-cluster-uid", uid.as_str())]);
}

#[tokio::test]
async fn the_controller_waits_for_the_api_server_that_is_to_tell_who_it_is() {
    let rig = Rig::new();
    rig.api.fail("get", "namespaces", 1, Fault::Refused(403));
    let socket = rig.folder.path().join("csi.sock");
    let mut controller = controller(&rig, &socket, &[]);
    let log = rig.folder.path().join("controller.log");
    let not_yet = async || {
        let address = admin_address(&std::fs::read_to_string(&log).ok()?)?;
        let reply = get(address, "/readyz").await.ok()?;
        reply
            .contains("has not told the cluster's UID yet: the namespace kube-system cannot be read")
            .then_some(())
    };
    controller.until("reason of not being ready", TIMEOUT, not_yet).await.unwrap();
    assert!(!socket.exists());
    // It asks again.
    controller.serves(&socket, TIMEOUT).await.unwrap();
    controller.stop(TIMEOUT).await.unwrap();
}
