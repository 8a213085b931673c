//! A node, as far as it matters whether its machine is alive and what it uses.

use std::collections::BTreeSet;

use eck_csi::volume::NodeId;
use eck_csi_kubernetes::{Millis, disks_in_use};
use k8s_openapi::api::core::v1::{Node as CoreNode, NodeStatus, Taint};
use serde_json::{Value, json};

use crate::instance::InstanceSource;

/// The taint by which Kubernetes is told that a node's machine is off: its pods are deleted and its volumes detached at once, mounted or
/// not (k8s.io/docs/concepts/cluster-administration/node-shutdown, "Non-graceful node shutdown").
pub const TAINT: &str = "node.kubernetes.io/out-of-service";

/// Value and effect as Kubernetes' documents have them.
const TAINT_VALUE: &str = "nodeshutdown";
const TAINT_EFFECT: &str = "NoExecute";

/// The annotation that marks the taint as ours. It holds the boot that was found dead.
const MARK: &str = "eck.csi.k8s.io/out-of-service";

/// Whether a node is said to be out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfService {
    /// Nobody says so.
    No,
    /// We said so, by what the cloud told then.
    ByUs,
    /// A person, or another program: their word.
    ByOthers,
}

/// A node at one look.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name in Kubernetes.
    pub name: String,
    /// Which object of that name.
    pub uid: String,
    /// Which version of that object.
    pub version: String,
    /// What the driver is called there, if it is registered there.
    pub id: Option<NodeId>,
    /// The cloud's id of its machine, if the platform has written it: a hint, for nobody here asks the cloud.
    pub instance: Option<String>,
    /// The kernel's boot, as the kubelet told it last.
    pub boot: String,
    /// The condition `Ready` is `True`. Where it is not, the kubelet has not posted for 40 to 50 s, or says itself that it cannot run pods.
    pub ready: bool,
    /// Since when `ready` is as it is, if it is told.
    pub since: Option<Millis>,
    /// Disks of the driver that the kubelet uses, by its last word.
    pub in_use: BTreeSet<String>,
    /// Whether it is tainted.
    pub out_of_service: OutOfService,
    /// All taints, as they came.
    pub taints: Vec<Taint>,
}

impl Node {
    /// The same boot of the same node, still without a ready kubelet and without the taint.
    pub fn is_still_out(&self, before: &Self) -> bool {
        let same = self.uid == before.uid && self.boot == before.boot && self.id == before.id;
        same && !self.ready && self.out_of_service == OutOfService::No
    }

    /// The node of an object; `None` of one without a name, which the API server has not.
    pub(crate) fn read(object: CoreNode, id: Option<NodeId>, source: &InstanceSource) -> Option<Self> {
        let instance = source.read(&object);
        let status = object.status.unwrap_or_default();
        let (ready, since) = readiness(&status);
        let taints = object.spec.and_then(|spec| spec.taints).unwrap_or_default();
        let marked = object.metadata.annotations.is_some_and(|all| all.contains_key(MARK));
        let out_of_service = match (taints.iter().any(|taint| taint.key == TAINT), marked) {
            (false, _) => OutOfService::No,
            (true, true) => OutOfService::ByUs,
            (true, false) => OutOfService::ByOthers,
        };
        Some(Self {
            name: object.metadata.name?,
            uid: object.metadata.uid.unwrap_or_default(),
            version: object.metadata.resource_version.unwrap_or_default(),
            id,
            instance,
            boot: status.node_info.map(|info| info.boot_id).unwrap_or_default(),
            ready,
            since,
            in_use: disks_in_use(status.volumes_in_use),
            out_of_service,
            taints,
        })
    }

    /// The patch that puts the taint and the mark. With the version: the API server refuses it if anything has changed since the look.
    pub(crate) fn patch_to_taint(&self) -> Value {
        let ours = json!({"key": TAINT, "value": TAINT_VALUE, "effect": TAINT_EFFECT});
        let taints = self.taints.iter().map(|taint| json!(taint)).chain([ours]);
        self.patch(json!(self.boot), taints.collect())
    }

    /// The patch that takes both away.
    pub(crate) fn patch_to_untaint(&self) -> Value {
        let others = self.taints.iter().filter(|taint| taint.key != TAINT);
        self.patch(Value::Null, others.map(|taint| json!(taint)).collect())
    }

    fn patch(&self, mark: Value, taints: Vec<Value>) -> Value {
        json!({
            "metadata": {"resourceVersion": self.version, "annotations": {MARK: mark}},
            "spec": {"taints": taints},
        })
    }
}

/// Whether the kubelet posts that it is ready, and since when that is so or not.
pub(crate) fn readiness(status: &NodeStatus) -> (bool, Option<Millis>) {
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let since = ready.and_then(|condition| condition.last_transition_time.as_ref());
    let since = since.and_then(|time| Millis::try_from(time.0.as_millisecond()).ok());
    (ready.is_some_and(|condition| condition.status == "True"), since)
}

/// Whether a node is to be looked at: it is not ready, or carries our taint.
pub(crate) fn is_unsettled(node: &CoreNode) -> bool {
    let marked = node.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MARK));
    marked || !node.status.as_ref().is_some_and(|status| readiness(status).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(extra: Value) -> CoreNode {
        let mut object = json!({
            "metadata": {"name": "n", "uid": "u", "resourceVersion": "7"},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": "2023-11-14T22:13:20Z"}],
                "volumesInUse": ["kubernetes.io/csi/eck.csi.k8s.io^cd-1", "kubernetes.io/csi/other^cd-2"],
            },
        });
        for (name, value) in extra.as_object().into_iter().flatten() {
            object[name] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn tainted(mark: bool) -> CoreNode {
        let annotations = if mark { json!({MARK: "b"}) } else { json!({}) };
        let other = json!({"key": "dedicated", "effect": "NoSchedule"});
        let taints = json!([other, {"key": TAINT, "value": "x", "effect": "NoExecute"}]);
        let metadata = json!({"name": "n", "resourceVersion": "7", "annotations": annotations});
        node(json!({"metadata": metadata, "spec": {"taints": taints}}))
    }

    #[test]
    fn a_node_is_read_as_its_object_has_it() {
        let read = Node::read(node(json!({})), None, &InstanceSource::ProviderId).unwrap();
        assert!(!read.ready);
        assert_eq!(read.since, Some(1_700_000_000_000));
        assert_eq!(read.in_use, BTreeSet::from(["cd-1".to_owned()]));
        assert_eq!(read.out_of_service, OutOfService::No);
    }

    #[test]
    fn a_taint_is_ours_where_our_mark_is_beside_it() {
        assert_eq!(
            Node::read(tainted(true), None, &InstanceSource::ProviderId).unwrap().out_of_service,
            OutOfService::ByUs
        );
        assert_eq!(
            Node::read(tainted(false), None, &InstanceSource::ProviderId).unwrap().out_of_service,
            OutOfService::ByOthers
        );
    }

    #[test]
    fn other_taints_are_kept() {
        let patch = Node::read(node(json!({})), None, &InstanceSource::ProviderId).unwrap().patch_to_taint();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(
            patch["spec"]["taints"],
            json!([{"key": TAINT, "value": "nodeshutdown", "effect": "NoExecute"}])
        );
        let patch = Node::read(tainted(true), None, &InstanceSource::ProviderId).unwrap().patch_to_untaint();
        assert_eq!(patch["spec"]["taints"], json!([{"key": "dedicated", "effect": "NoSchedule"}]));
        assert_eq!(patch["metadata"]["annotations"], json!({MARK: null}));
    }

    #[test]
    fn a_node_that_is_not_ready_or_carries_our_mark_is_looked_at() {
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        assert!(is_unsettled(&node(json!({}))) && is_unsettled(&node(json!({"status": {}}))));
        assert!(!is_unsettled(&node(json!({"status": ready}))));
        let mut marked = tainted(true);
        marked.status = node(json!({"status": ready})).status;
        assert!(is_unsettled(&marked));
    }

    #[test]
    fn another_boot_or_another_object_is_another_outage() {
        let id = NodeId::parse("fj-xiamen-4.172.16.0.6".into()).ok();
        let before = Node::read(node(json!({})), id, &InstanceSource::ProviderId).unwrap();
        assert!(before.is_still_out(&before));
        for now in [
            Node { boot: "boot-2".into(), ..before.clone() },
            Node { uid: "another".into(), ..before.clone() },
            Node { ready: true, ..before.clone() },
            Node { id: None, ..before.clone() },
            Node { out_of_service: OutOfService::ByOthers, ..before.clone() },
        ] {
            assert!(!now.is_still_out(&before), "{now:?}");
        }
    }
}
