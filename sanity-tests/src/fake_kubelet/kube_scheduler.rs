//! What kube-scheduler does for one pod with our extender: its own filters, then filter, prioritize and bind over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::pod::Pod;
use crate::apiserver::{ApiServer, Key};

/// Why a pod could not be scheduled for reasons that are nobody's room.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The extender cannot be reached.
    #[error("{0}: {1}")]
    Io(&'static str, #[source] std::io::Error),
    /// It answered with another status than 200, or with what is no answer.
    #[error("{verb}: {answer}")]
    Answer {
        /// `/filter`, …
        verb: &'static str,
        /// Status line and body.
        answer: String,
    },
    /// The pod is gone, or is none.
    #[error("there is no pod {0:?}")]
    NoPod(Key),
}

/// What became of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Bound to this node.
    Bound(String),
    /// Pending, and each node's reason.
    Pending(BTreeMap<String, String>),
    /// A node was chosen and bind has failed.
    Refused(String),
}

/// A kube-scheduler with one extender.
pub struct KubeScheduler<'a> {
    /// The cluster.
    pub api: &'a ApiServer,
    /// The extender, on plain HTTP.
    pub extender: SocketAddr,
}

impl KubeScheduler<'_> {
    /// Tries one pod once.
    pub async fn schedule(&self, key: &Key) -> Result<Outcome, ScheduleError> {
        let object = self.api.get(key).ok_or_else(|| ScheduleError::NoPod(key.clone()))?;
        let pod = Pod::read(&object).ok_or_else(|| ScheduleError::NoPod(key.clone()))?;
        let (fits, mut reasons) = self.own_filters(&object, &pod);
        if fits.is_empty() {
            return Ok(Outcome::Pending(reasons));
        }
        let answer = self.call("/filter", &json!({"Pod": *object, "NodeNames": fits})).await?;
        for list in ["FailedNodes", "FailedAndUnresolvableNodes"] {
            let failed = answer[list].as_object().into_iter().flatten();
            reasons.extend(
                failed.map(|(node, why)| (node.clone(), why.as_str().unwrap_or_default().to_owned())),
            );
        }
        let left = answer["NodeNames"].as_array().cloned().unwrap_or_default();
        if left.is_empty() {
            return Ok(Outcome::Pending(reasons));
        }
        let scores = self.call("/prioritize", &json!({"Pod": *object, "NodeNames": left})).await?;
        let scores = scores.as_array().cloned().unwrap_or_default();
        // The first of the best.
        let best = scores.iter().rev().max_by_key(|score| score["Score"].as_i64());
        let node = best.and_then(|best| best["Host"].as_str()).unwrap_or_default().to_owned();
        let binding =
            json!({"PodName": pod.name, "PodNamespace": pod.namespace, "PodUID": pod.uid, "Node": node});
        let bound = self.call("/bind", &binding).await?;
        Ok(match bound["Error"].as_str().unwrap_or_default() {
            "" => Outcome::Bound(node),
            error => Outcome::Refused(error.to_owned()),
        })
    }

    /// NodeAffinity (nodeSelector only) and NodeResourcesFit on extended resources.
    fn own_filters(&self, object: &Value, pod: &Pod) -> (Vec<String>, BTreeMap<String, String>) {
        let (mut fits, mut reasons) = (Vec::new(), BTreeMap::new());
        let pods = self.api.list("pods");
        for node in self.api.list("nodes") {
            let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let selector = object["spec"]["nodeSelector"].as_object().into_iter().flatten();
            let missed =
                selector.filter(|(label, value)| node["metadata"]["labels"][*label] != **value).count();
            if missed > 0 {
                reasons.insert(name, "node(s) didn't match Pod's node affinity/selector".to_owned());
            } else if let Some(resource) = lacks(&node, &name, pod, &pods) {
                reasons.insert(name, format!("Insufficient {resource}"));
            } else {
                fits.push(name);
            }
        }
        (fits, reasons)
    }

    async fn call(&self, verb: &'static str, body: &Value) -> Result<Value, ScheduleError> {
        let io = |e| ScheduleError::Io(verb, e);
        let mut stream = tokio::net::TcpStream::connect(self.extender).await.map_err(io)?;
        let body = body.to_string();
        let head = format!(
            "POST {verb} HTTP/1.1\r\nHost: extender\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.map_err(io)?;
        stream.write_all(body.as_bytes()).await.map_err(io)?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.map_err(io)?;
        let answer = || ScheduleError::Answer { verb, answer: reply.clone() };
        let (head, body) = reply.split_once("\r\n\r\n").ok_or_else(answer)?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(answer());
        }
        serde_json::from_str(body).map_err(|_| answer())
    }
}

/// The first resource that the node has too little of, by its status and the pods that are bound there.
fn lacks(node: &Value, name: &str, pod: &Pod, pods: &[Arc<Value>]) -> Option<String> {
    let here = |pod: &&Arc<Value>| {
        let over = matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
        pod["spec"]["nodeName"] == *name && !over
    };
    let others: Vec<Pod> = pods.iter().filter(here).filter_map(|pod| Pod::read(pod)).collect();
    let resources = pod.resources().into_iter();
    let lacks = resources.filter(|resource| {
        let amount = &node["status"]["allocatable"][*resource];
        let amount = amount.as_str().and_then(|text| text.parse().ok()).or(amount.as_u64()).unwrap_or(0);
        let used: u64 = others.iter().map(|pod| pod.request(resource)).sum();
        pod.request(resource) > 0 && used + pod.request(resource) > amount
    });
    lacks.map(str::to_owned).next()
}
