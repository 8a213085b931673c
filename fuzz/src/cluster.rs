//! Nodes and pods as the API server tells the scheduler of them, in any order, more than once, with forged annotations.
//!
//! An input is lines of JSON; one with a `spec` is a pod, any other a node.

use std::collections::HashSet;
use std::iter::once;

use ideal_gpu::place::Policy;
use ideal_gpu::usage::Used;
use ideal_gpu_scheduler::cluster::Cluster;
use ideal_gpu_scheduler::filter::filter;
use ideal_gpu_scheduler::pod::Request;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::Value;

/// Lines of one input at most.
const LINES: usize = 40;

pub(crate) fn run(bytes: &[u8]) {
    let cluster = Cluster::default();
    let (mut nodes, mut pods) = (HashSet::new(), Vec::new());
    for line in bytes.split(|byte| *byte == b'\n').take(LINES) {
        let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
        if value.get("spec").is_some() {
            let Ok(pod) = serde_json::from_value::<Pod>(value) else { continue };
            cluster.apply_pod(&pod);
            pods.push(pod);
        } else {
            let Ok(node) = serde_json::from_value::<Node>(value) else { continue };
            cluster.apply_node(&node);
            nodes.extend(node.metadata.name);
        }
    }
    for pod in &pods {
        let request = Request::of(pod);
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let names = nodes.iter().map(String::as_str).chain(once("a node that nobody knows"));
        let verdicts = filter(&cluster, uid, request.as_ref().map(Option::as_ref), Policy::Spread, names);
        assert_eq!(verdicts.len(), nodes.len() + 1, "every node has its verdict");
    }
    for pod in &pods {
        cluster.forget_pod(pod.metadata.uid.as_deref().unwrap_or_default());
    }
    let names = nodes.iter().map(String::as_str);
    cluster.with_nodes(names, |name, node| {
        let Some(node) = node else { return };
        assert!(
            node.taken() == (0, 0) && node.undecided() == 0,
            "{name}: nothing is left of pods that are gone"
        );
        assert!(node.used().iter().all(|used| *used == Used::default()), "{name}");
    });
}
