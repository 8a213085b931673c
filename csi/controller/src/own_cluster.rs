//! Which cluster this controller is of: learnt once, before anything is ordered, attached or deleted.

use std::path::Path;
use std::time::Duration;

use eck_csi::cluster::{ClusterIdentity, ClusterUid};
use eck_csi_kubernetes::api::{self, ConfigError, UidError};
use serve::admin::Ready;
use tokio_util::sync::CancellationToken;

use crate::args::{Args, UidSource};
use crate::first_answer::first_answer;

/// How long the API server may take to answer. One object is read in milliseconds; after this another attempt is better than a longer wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the UID is not known yet.
#[derive(Debug, thiserror::Error)]
enum NotTold {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Uid(#[from] UidError),
    #[error("it has not answered for {} s", PATIENCE.as_secs())]
    Slow,
}

/// The cluster, as soon as its UID is known; `None` if the program is to end before. Where the API server is to tell it, nothing is done
/// without it: a disk that is marked without the UID could be told from another cluster's by a name alone, for as long as it lives.
pub(crate) async fn learn(args: &Args, ready: &Ready, token: &CancellationToken) -> Option<ClusterIdentity> {
    let uid = match args.cluster_uid {
        Some(UidSource::Said(uid)) => Some(uid),
        Some(UidSource::ApiServer) => Some(told(args.kubeconfig.as_deref(), ready, token).await?),
        None => {
            tracing::warn!(
                "No --cluster-uid: disks are told apart by the cluster's name alone, and a disk with a UID is not touched"
            );
            None
        }
    };
    let (former_uids, former_ids) = (args.former_cluster_uids.clone(), args.former_cluster_ids.clone());
    Some(ClusterIdentity { id: args.cluster_id.clone(), uid, former_uids, former_ids })
}

/// The UID, as soon as the API server tells it.
async fn told(kubeconfig: Option<&Path>, ready: &Ready, token: &CancellationToken) -> Option<ClusterUid> {
    let ask = || async {
        let asked = tokio::time::timeout(PATIENCE, ask(kubeconfig)).await;
        asked.unwrap_or(Err(NotTold::Slow))
    };
    let uid = first_answer("the cluster's UID", ask, ready, token).await?;
    tracing::info!(%uid, "The API server has told the cluster's UID");
    Some(uid)
}

async fn ask(kubeconfig: Option<&Path>) -> Result<ClusterUid, NotTold> {
    let (kube, _) = api::connect(kubeconfig, None).await?;
    Ok(api::cluster_uid(&kube).await?)
}

#[cfg(test)]
mod tests;
