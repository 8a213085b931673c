use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use eck_csi_fencing::{Node, Nodes, OutOfService};
use eck_csi_kubernetes::ClusterError;
use ecx::api::Op;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serve::code::GrpcCode as _;

use super::*;
use crate::args::DetachPolicy;
use crate::detach::DetachRequest;
use crate::local_cloud::{LocalCloud, MACHINE, OTHER_MACHINE, REGION, disk, region, run, volume};

const DISK: &str = "cd-1";

/// The nodes of a cluster; `None`: the API server does not answer.
struct Cluster(Mutex<Option<Vec<Node>>>);

impl Nodes for Cluster {
    fn called<'a>(&'a self, _: &'a NodeId) -> BoxFuture<'a, Result<Vec<Node>, ClusterError>> {
        let nodes = self.0.lock().clone();
        std::future::ready(nodes.ok_or(ClusterError::Slow(Duration::from_secs(5)))).boxed()
    }
}

fn node(ready: bool, out_of_service: OutOfService) -> Node {
    crate::detach_policy::tests::node(ready, None, &[DISK], out_of_service)
}

fn silent() -> Node {
    node(false, OutOfService::No)
}

/// A cloud with a disk on [`MACHINE`], and a controller before a cluster with these nodes.
struct Scene {
    cloud: LocalCloud,
    driver: Arc<Driver>,
    cluster: Arc<Cluster>,
}

impl Scene {
    fn new(policy: DetachPolicy, nodes: Option<Vec<Node>>) -> Self {
        let cloud = LocalCloud::new();
        cloud.add_held(disk(DISK), MACHINE);
        let cluster = Arc::new(Cluster(Mutex::new(nodes)));
        let driver = Arc::into_inner(cloud.driver()).unwrap();
        let driver = Arc::new(driver.guarded(policy, Arc::clone(&cluster) as Arc<dyn Nodes>));
        // Known: without the guard the detach would be sent without a look.
        driver.disk_locator.learn(DISK, &region(REGION));
        Self { cloud, driver, cluster }
    }

    async fn detach(&self) -> Result<(), DetachError> {
        let node = NodeId::Instance { region: region(REGION), instance: MACHINE.into() };
        run(&self.driver, DetachRequest { volume: volume(DISK), node: Some(node) }).await
    }

    /// The error of a detach that is not sent.
    async fn refused(&self) -> DetachError {
        let refused = self.detach().await.unwrap_err();
        assert!(self.cloud.sent(Op::DetachDisk).is_empty());
        refused
    }

    fn machine(&self, status: &str) {
        self.cloud.change(|world| world.set_instance_status(MACHINE, status)).unwrap();
    }

    async fn succeeds(&self) {
        self.detach().await.unwrap();
        assert_eq!(self.cloud.record_of(DISK).holder, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_a_silent_kubelet_uses_leaves_only_a_machine_that_is_off() {
    for policy in [DetachPolicy::Never, DetachPolicy::AfterTaint] {
        let scene = Scene::new(policy, Some(vec![silent()]));
        for word in ["running", "stopping", "suspended"] {
            scene.machine(word);
            let refused = scene.refused().await;
            assert_eq!(refused.code(), tonic::Code::Aborted);
            assert!(refused.to_string().contains(&format!("it is {word}")), "{refused}");
        }
        scene.machine("stopped");
        scene.succeeds().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_persons_taint_is_taken_for_that_where_the_policy_says_so() {
    let tainted = || Some(vec![node(false, OutOfService::ByOthers)]);
    Scene::new(DetachPolicy::AfterTaint, tainted()).succeeds().await;
    Scene::new(DetachPolicy::Never, tainted()).refused().await;
    Scene::new(DetachPolicy::AfterTaint, Some(vec![node(false, OutOfService::ByUs)])).refused().await;
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_that_is_there_or_has_let_go_keeps_nothing_back() {
    Scene::new(DetachPolicy::Never, Some(vec![node(true, OutOfService::No)])).succeeds().await;
    let let_go = Node { in_use: BTreeSet::new(), ..silent() };
    let scene = Scene::new(DetachPolicy::Never, Some(vec![let_go]));
    scene.succeeds().await;
    // Nor is the cloud asked more than before.
    assert_eq!(scene.cloud.log_from(0)[0].op, Op::DetachDisk);
    assert!(scene.cloud.sent(Op::ListInstances).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_that_has_only_just_come_back_is_waited_for() {
    let just_back = Node { since: Some(eck_csi_kubernetes::now()), ..node(true, OutOfService::No) };
    let refused = Scene::new(DetachPolicy::AfterTaint, Some(vec![just_back])).refused().await;
    assert!(matches!(refused, DetachError::JustBack { .. }), "{refused}");
    assert_eq!(refused.code(), tonic::Code::Aborted);
}

#[tokio::test(start_paused = true)]
async fn without_a_node_object_the_machine_must_be_off() {
    let scene = Scene::new(DetachPolicy::AfterTaint, Some(vec![]));
    assert!(scene.refused().await.to_string().contains("the Node object is gone"));
    scene.machine("released");
    scene.succeeds().await;
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_no_permission() {
    let scene = Scene::new(DetachPolicy::AfterTaint, None);
    assert_eq!(scene.refused().await.code(), tonic::Code::Unavailable);
    *scene.cluster.0.lock() = Some(vec![node(true, OutOfService::No)]);
    scene.succeeds().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_of_one_name_the_stricter_counts() {
    let nodes = vec![node(true, OutOfService::No), silent()];
    Scene::new(DetachPolicy::AfterTaint, Some(nodes)).refused().await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_has_left_is_not_kept_back() {
    let scene = Scene::new(DetachPolicy::Never, Some(vec![silent()]));
    scene.cloud.change(|world| world.disks.get_mut(DISK).unwrap().holder = Some(OTHER_MACHINE.into()));
    scene.detach().await.unwrap();
    assert_eq!(scene.cloud.record_of(DISK).holder.as_deref(), Some(OTHER_MACHINE));
}

#[tokio::test(start_paused = true)]
async fn who_names_no_node_is_not_asked_about_one() {
    let scene = Scene::new(DetachPolicy::Never, Some(vec![silent()]));
    run(&scene.driver, DetachRequest { volume: volume(DISK), node: None }).await.unwrap();
    assert_eq!(scene.cloud.record_of(DISK).holder, None);
}
