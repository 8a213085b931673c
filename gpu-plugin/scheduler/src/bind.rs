//! Bind: cards are promised in memory, then one Binding carries node and decision to the API server in one write.
//!
//! A Binding whose outcome is not known keeps its cards: the API server may still carry it out. The promise ends when the watch
//! shows the pod bound or gone, when the scheduler tries again and gets an answer, or when no request can be on its way any more.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use ideal_gpu::decision::Decision;
use ideal_gpu::names::DECISION;
use ideal_gpu::place::Policy;
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use kube::api::{ObjectMeta, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cluster::{Cluster, Placement, ReserveError};
use crate::extender_api::ExtenderBindingArgs;
use crate::leader::LeadershipGate;

/// The longest that the API server works on a request that nobody waits for any more (`--request-timeout`, 1 minute).
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// Between looks at promises whose outcome is not known.
const LOOK: Duration = Duration::from_secs(5);

/// Why a pod was not bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another replica binds.
    #[error("this replica does not hold the Lease and binds nothing")]
    NotLeader,
    /// An earlier call has not ended.
    #[error("the pod is being bound")]
    UnderWay,
    /// No cards.
    #[error(transparent)]
    ReserveError(#[from] ReserveError),
    /// The API server refused; nothing was bound.
    #[error("the API server refused the binding to {node}: {message}")]
    Refused {
        /// Node.
        node: String,
        /// The API server's.
        message: String,
    },
    /// It may or may not be bound.
    #[error("the binding to {node} was sent and its outcome is not known: {why}")]
    Unknown {
        /// Node.
        node: String,
        /// What was answered, if anything.
        why: String,
    },
    /// Before anything was sent.
    #[error("the pod cannot be read: {0}")]
    Read(#[from] ReadError),
}

/// Why a pod cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is gone.
    #[error("it does not exist (any more)")]
    Gone,
    /// The API server did not tell.
    #[error("{0}")]
    Unknown(String),
}

impl BindError {
    /// For counting.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotLeader => "not the leader",
            Self::UnderWay => "under way",
            Self::ReserveError(ReserveError::Full { why, .. }) => crate::filter::kind(why),
            Self::ReserveError(ReserveError::Bound(_)) => "bound already",
            Self::ReserveError(ReserveError::Elsewhere(_)) => "promised elsewhere",
            Self::ReserveError(ReserveError::Taken(_)) => "cards taken",
            Self::ReserveError(ReserveError::Unknown) | Self::Read(ReadError::Gone) => "pod unknown",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "outcome unknown",
            Self::Read(ReadError::Unknown(_)) => "api server",
        }
    }
}

/// What binding needs.
pub struct Binder {
    client: Client,
    patience: Duration,
    card: Policy,
    under_way: Mutex<HashSet<String>>,
}

/// Marks a pod as being bound while it lives.
struct UnderWay<'a>(&'a Binder, &'a str);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().remove(self.1);
    }
}

/// What became of a Binding that was sent.
enum Posted {
    Done,
    /// The pod is gone.
    Gone,
    /// Somebody has bound it, perhaps we; or it is another pod; or it is being deleted.
    Conflict(String),
    /// Not carried out.
    Refused(String),
    /// Carried out or not.
    Unknown(String),
}

impl Binder {
    /// Binds through `client`; a Binding may take `patience`. `card` is the policy for pods that name none.
    pub fn new(client: Client, patience: Duration, card: Policy) -> Self {
        Self { client, patience, card, under_way: Mutex::default() }
    }

    /// Binds one pod. At most two requests: the Binding, and one look at the pod if it is not known or the answer is not clear.
    pub async fn bind(
        &self,
        cluster: &Cluster,
        gate: &LeadershipGate,
        args: &ExtenderBindingArgs,
    ) -> Result<(), BindError> {
        let uid = args.pod_uid.as_str();
        let first = self.under_way.lock().insert(uid.to_owned());
        if !first {
            return Err(BindError::UnderWay);
        }
        let _under_way = UnderWay(self, uid);
        gate.until().ok_or(BindError::NotLeader)?;
        if !cluster.knows(uid) {
            self.look(cluster, &args.pod_namespace, &args.pod_name, uid).await?;
        }
        let before = cluster.place(uid);
        let decision = match &before {
            // It asks for no cards: bound as any other, without a decision.
            None => None,
            Some(Placement::Bound { node }) if *node == args.node => return Ok(()),
            Some(_) => {
                let policy = cluster.request(uid).and_then(|request| request.policies.card);
                Some(cluster.promise(uid, &args.node, policy.unwrap_or(self.card))?)
            }
        };
        let again = matches!(before, Some(Placement::Promised { .. }));
        // The look may have taken long: what counts is whether the Binding itself is sent and answered in time.
        let Some(until) = gate.until() else {
            if !again {
                cluster.give_back(uid);
            }
            return Err(BindError::NotLeader);
        };
        let posted = self.post(args, decision.as_ref(), until).await;
        self.settle(cluster, args, posted, again).await
    }

    /// Reads the pod from the API server into the view of the cluster.
    async fn look(
        &self,
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<Pod, ReadError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let listed = cluster.listed();
        let pod = match tokio::time::timeout(self.patience, pods.get_opt(name)).await {
            Ok(Ok(pod)) => pod.filter(|pod| pod.metadata.uid.as_deref() == Some(uid)),
            Ok(Err(error)) => return Err(ReadError::Unknown(serve::chain::chain(&error))),
            Err(_) => return Err(ReadError::Unknown("no answer in time".to_owned())),
        };
        match pod {
            Some(pod) => {
                cluster.looked(&pod, listed);
                Ok(pod)
            }
            None => {
                cluster.forget_pod(uid);
                Err(ReadError::Gone)
            }
        }
    }

    async fn post(&self, args: &ExtenderBindingArgs, decision: Option<&Decision>, until: Instant) -> Posted {
        let binding = binding(args, decision);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &args.pod_namespace);
        let params = PostParams::default();
        let posted = pods.create_subresource::<_, Status>("binding", &args.pod_name, &params, &binding);
        let end = until.min(Instant::now() + self.patience);
        match tokio::time::timeout_at(end, posted).await {
            Ok(Ok(_)) => Posted::Done,
            Ok(Err(kube::Error::Api(status))) => match status.code {
                404 => Posted::Gone,
                409 => Posted::Conflict(status.message.clone()),
                // 408 and 5xx may be said of a request that is carried out all the same.
                408 | 500.. => Posted::Unknown(status.message.clone()),
                _ => Posted::Refused(status.message.clone()),
            },
            Ok(Err(error)) => Posted::Unknown(serve::chain::chain(&error)),
            Err(_) => Posted::Unknown("no answer in time".to_owned()),
        }
    }

    /// `again`: an earlier Binding of the same promise may be on its way.
    async fn settle(
        &self,
        cluster: &Cluster,
        args: &ExtenderBindingArgs,
        posted: Posted,
        again: bool,
    ) -> Result<(), BindError> {
        let (node, uid) = (args.node.clone(), args.pod_uid.as_str());
        match posted {
            Posted::Done => {
                cluster.kept(uid);
                Ok(())
            }
            Posted::Gone => {
                cluster.forget_pod(uid);
                Err(BindError::Refused { node, message: "the pod is gone".to_owned() })
            }
            Posted::Refused(message) => {
                if !again {
                    cluster.give_back(uid);
                }
                Err(BindError::Refused { node, message })
            }
            Posted::Conflict(message) => {
                let looked = self.look(cluster, &args.pod_namespace, &args.pod_name, uid).await;
                match looked {
                    // Our own earlier Binding, whose answer was lost.
                    Ok(pod) if ours(&pod, &node, uid) => Ok(()),
                    Ok(_) => {
                        // Bound by somebody else (the look has counted that), or being deleted: nothing of ours can follow.
                        cluster.give_back(uid);
                        Err(BindError::Refused { node, message })
                    }
                    Err(_) => Err(BindError::Refused { node, message }),
                }
            }
            Posted::Unknown(why) => {
                match self.look(cluster, &args.pod_namespace, &args.pod_name, uid).await {
                    Ok(pod) if ours(&pod, &node, uid) => Ok(()),
                    // Unbound still, or not to be read: the Binding may yet arrive, and the promise stands.
                    _ => Err(BindError::Unknown { node, why }),
                }
            }
        }
    }

    /// Ends promises that nobody tries again: each pod is looked at until it is bound, gone, or so long ago that no request can
    /// be on its way. Looks at pods that may be gone, too. Runs for ever.
    pub async fn watch_promises(&self, cluster: &Cluster) {
        loop {
            tokio::time::sleep(LOOK).await;
            let old = |sent: Option<Instant>, age| sent.is_some_and(|sent| sent.elapsed() > age);
            for pod in cluster.open().into_iter().filter(|pod| pod.sent.is_none() || old(pod.sent, LOOK)) {
                let looked = self.look(cluster, &pod.namespace, &pod.name, &pod.uid).await;
                if looked.is_ok() && old(pod.sent, ON_ITS_WAY + self.patience) {
                    cluster.give_back(&pod.uid);
                }
            }
        }
    }
}

/// Whether the pod is bound there, with a decision of ours if it asks for cards.
fn ours(pod: &Pod, node: &str, uid: &str) -> bool {
    let decided = crate::pod::decision(pod).is_some_and(|text| Decision::parse(text, uid).is_ok());
    crate::pod::node(pod) == Some(node) && (decided || !crate::pod::names_ours(pod))
}

/// The uid is a precondition, so that no other pod of this name is bound; the annotations arrive with the node in one write.
fn binding(args: &ExtenderBindingArgs, decision: Option<&Decision>) -> Binding {
    let annotations = decision.map(|decision| BTreeMap::from([(DECISION.to_owned(), decision.to_text())]));
    Binding {
        metadata: ObjectMeta {
            name: Some(args.pod_name.clone()),
            namespace: Some(args.pod_namespace.clone()),
            uid: Some(args.pod_uid.clone()),
            annotations,
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(args.node.clone()),
            ..ObjectReference::default()
        },
    }
}
