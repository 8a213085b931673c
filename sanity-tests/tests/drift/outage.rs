//! A node that is not ready: the shipped controller leaves its disk where it is while its machine may run, and taints it when the cloud
//! says that the machine is off.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sanity_tests::apiserver::Key;
use sanity_tests::process::{Process, shipped};
use sanity_tests::sidecar::{Reply, Request, RetryPolicy, Sidecar};
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use super::rig::{CLUSTER, MACHINES, NODES, REGION, Rig};

const TIMEOUT: Duration = Duration::from_secs(60);

const TAINT: &str = "node.kubernetes.io/out-of-service";
const MARK: &str = "eck.csi.k8s.io/out-of-service";

/// A cluster whose first node uses the disk `cd-1`, and the controller.
struct Outage {
    rig: Rig,
    controller: Process,
    channel: Channel,
}

impl Outage {
    async fn start(flags: &[&str]) -> Self {
        let rig = Rig::new();
        rig.disk("cd-1", Some(CLUSTER), Some(MACHINES[0]));
        // The cloud shows by itself what is attached; this would stay when the disk has left.
        rig.sim.change(|world| world.disks.get_mut("cd-1").unwrap().disk.attachments.clear());
        let this = json!({"key": "dedicated", "effect": "NoSchedule"});
        rig.api.modify(&Key::node(NODES[0]), |node| node["spec"]["taints"] = json!([this])).unwrap();
        // Long ago: the kubelet is not one that has only just come back.
        ready(&rig, true);
        let socket = rig.folder.path().join("csi.sock");
        let (ak, sk) = Rig::keys();
        let mut command = Command::new(shipped("eck-csi-controller", "eck-csi-controller").unwrap());
        command.env("CTYUN_AK", ak).env("CTYUN_SK", sk).arg("--csi-endpoint").arg(&socket);
        command.args(["--ecx-url", &rig.sim.url(), "--regions", REGION, "--cluster-id", CLUSTER]);
        command.args(["--allow-plain-http", "--admin-address", "127.0.0.1:0"]).args(flags);
        command.arg("--kubeconfig").arg(rig.folder.path().join("kubeconfig"));
        let mut controller = Process::start(command, &rig.folder.path().join("controller.log")).unwrap();
        let channel = controller.serves(&socket, TIMEOUT).await.unwrap();
        Self { rig, controller, channel }
    }

    fn machine(&self, status: &str) {
        self.rig.sim.change(|world| world.set_instance_status(MACHINES[0], status)).unwrap();
    }

    async fn detach(&self) -> Result<Reply, tonic::Status> {
        let request = Request::Unpublish { volume: "cd-1".to_owned(), node: NODES[0].to_owned() };
        let once = RetryPolicy { max_calls: 1, ..RetryPolicy::default() };
        Sidecar::new(self.channel.clone()).call(&request, &once, |_| {}).await
    }

    fn holder(&self) -> Option<String> {
        self.rig.sim.look(|world| world.disks["cd-1"].holder.clone())
    }

    /// Waits for the node to be so.
    async fn node(&self, is: impl Fn(&Value) -> bool) -> Arc<Value> {
        let found =
            |api: &sanity_tests::apiserver::ApiServer| api.get(&Key::node(NODES[0])).filter(|node| is(node));
        tokio::time::timeout(TIMEOUT, self.rig.api.wait_for(found)).await.unwrap().unwrap()
    }

    async fn stop(mut self) {
        self.controller.stop(TIMEOUT).await.unwrap();
    }
}

/// The first node's kubelet uses the disk, and posts or does not.
fn ready(rig: &Rig, ready: bool) {
    let status = if ready { "True" } else { "Unknown" };
    let condition = json!({"type": "Ready", "status": status, "lastTransitionTime": "2023-11-14T22:13:20Z"});
    let volumes = json!(["kubernetes.io/csi/eck.csi.k8s.io^cd-1"]);
    let status =
        json!({"conditions": [condition], "volumesInUse": volumes, "nodeInfo": {"bootID": "boot-1"}});
    rig.api.modify(&Key::node(NODES[0]), |node| node["status"] = status).unwrap();
}

fn tainted(node: &Value) -> bool {
    node["spec"]["taints"].as_array().is_some_and(|taints| taints.iter().any(|taint| taint["key"] == TAINT))
}

/// A person taints the node.
fn taint(rig: &Rig) {
    let taint = json!({"key": TAINT, "value": "nodeshutdown", "effect": "NoExecute"});
    rig.api.modify(&Key::node(NODES[0]), |node| node["spec"]["taints"] = json!([taint])).unwrap();
}

#[tokio::test]
async fn a_disk_that_is_used_stays_on_a_machine_that_runs_until_a_person_taints_its_node() {
    let outage = Outage::start(&["--detach-from-running-machine", "after-taint"]).await;
    ready(&outage.rig, false);
    let refused = outage.detach().await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    for text in [MACHINES[0], NODES[0], "it is running", "Stop the machine", TAINT] {
        assert!(refused.message().contains(text), "{text}: {refused}");
    }
    assert_eq!(outage.holder().as_deref(), Some(MACHINES[0]));
    taint(&outage.rig);
    outage.detach().await.unwrap();
    assert_eq!(outage.holder(), None);
    outage.stop().await;
}

#[tokio::test]
async fn with_never_only_a_machine_that_is_off_loses_its_disk() {
    let outage = Outage::start(&["--detach-from-running-machine", "never"]).await;
    ready(&outage.rig, false);
    taint(&outage.rig);
    assert_eq!(outage.detach().await.unwrap_err().code(), Code::Aborted);
    outage.machine("stopped");
    outage.detach().await.unwrap();
    assert_eq!(outage.holder(), None);
    outage.stop().await;
}

#[tokio::test]
async fn a_node_that_is_gone_does_not_free_the_disk_of_a_machine_that_runs() {
    let outage = Outage::start(&["--detach-from-running-machine", "after-taint"]).await;
    outage.rig.api.delete(&Key::node(NODES[0])).unwrap();
    outage.rig.api.delete(&Key::new("csinodes", "", NODES[0])).unwrap();
    let refused = outage.detach().await.unwrap_err();
    assert!(refused.message().contains("the Node object is gone"), "{refused}");
    outage.machine("stopped");
    outage.detach().await.unwrap();
    outage.stop().await;
}

#[tokio::test]
async fn a_ready_node_loses_its_disk_as_ever_and_without_an_api_server_none_does() {
    let outage = Outage::start(&["--detach-from-running-machine", "never"]).await;
    outage.rig.api.go_away();
    assert_eq!(outage.detach().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(outage.holder().as_deref(), Some(MACHINES[0]));
    outage.rig.api.come_back();
    outage.detach().await.unwrap();
    assert_eq!(outage.holder(), None);
    outage.stop().await;
}

#[tokio::test]
async fn a_node_whose_machine_is_off_is_tainted_and_keeps_its_other_taints() {
    let lease = json!({"metadata": {"name": "attacher", "namespace": "kube-system"}, "spec": {"holderIdentity": "other"}});
    let flags = ["--taint-dead-nodes", "--leader-lease", "kube-system/attacher", "--pod-name", "pod-1"];
    let mut outage = Outage::start(&flags).await;
    outage.rig.create("leases", lease);
    outage.machine("stopped");
    ready(&outage.rig, false);
    // As long as another replica leads it only looks at the Lease.
    let api = &outage.rig.api;
    let looks = async || (api.calls_of("get", "leases") > 1).then_some(());
    outage.controller.until("two looks at the Lease", TIMEOUT, looks).await.unwrap();
    assert!(!tainted(&outage.rig.api.get(&Key::node(NODES[0])).unwrap()));
    let lease = Key::new("leases", "kube-system", "attacher");
    outage.rig.api.modify(&lease, |lease| lease["spec"]["holderIdentity"] = json!("pod-1")).unwrap();
    let node = outage.node(tainted).await;
    assert_eq!(node["metadata"]["annotations"][MARK], "boot-1");
    assert_eq!(node["spec"]["taints"][0]["key"], "dedicated");
    ready(&outage.rig, true);
    let node = outage.node(|node| !tainted(node)).await;
    assert!(node["metadata"]["annotations"][MARK].is_null());
    assert_eq!(node["spec"]["taints"], json!([{"key": "dedicated", "effect": "NoSchedule"}]));
    let both = |api: &sanity_tests::apiserver::ApiServer| {
        (api.list("events").len() == 2).then(|| api.list("events"))
    };
    let events = tokio::time::timeout(TIMEOUT, outage.rig.api.wait_for(both)).await.unwrap().unwrap();
    let reasons: Vec<&Value> = events.iter().map(|event| &event["reason"]).collect();
    assert!(
        reasons.contains(&&json!("OutOfService")) && reasons.contains(&&json!("BackInService")),
        "{reasons:?}"
    );
    outage.stop().await;
}

#[tokio::test]
async fn without_an_api_server_the_flags_end_the_program() {
    let rig = Rig::new();
    let (ak, sk) = Rig::keys();
    let mut command = Command::new(shipped("eck-csi-controller", "eck-csi-controller").unwrap());
    command.env("CTYUN_AK", ak).env("CTYUN_SK", sk).env("HOME", rig.folder.path()).env_remove("KUBECONFIG");
    command.args([
        "--ecx-url",
        &rig.sim.url(),
        "--regions",
        REGION,
        "--cluster-id",
        CLUSTER,
        "--allow-plain-http",
    ]);
    command.args(["--admin-address", "127.0.0.1:0", "--taint-dead-nodes"]);
    let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("need an API server"), "{said}");
}
