//! Which cluster this controller is of: learnt once, before anything is ordered, attached or deleted.

use std::path::Path;
use std::time::Duration;

use eck_csi::cluster::{ClusterIdentity, ClusterUid};
use eck_csi_kubernetes::api::{self, ConfigError, UidError};
use serve::admin::Ready;
use tokio_util::sync::CancellationToken;

use crate::args::{Args, UidSource};

/// How long the API server may take to answer. One object is read in milliseconds; after this another attempt is better than a longer wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often an API server that has not told the UID is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

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
    loop {
        let asked = tokio::select! {
            () = token.cancelled() => return None,
            asked = tokio::time::timeout(PATIENCE, ask(kubeconfig)) => asked,
        };
        match asked.unwrap_or(Err(NotTold::Slow)) {
            Ok(uid) => {
                tracing::info!(%uid, "The API server has told the cluster's UID");
                return Some(uid);
            }
            Err(error) => {
                let error = serve::chain::chain(&error);
                tracing::warn!(error, "The API server has not told the cluster's UID yet");
                ready.set(Err(format!("the API server has not told the cluster's UID yet: {error}")));
            }
        }
        tokio::select! {
            () = token.cancelled() => return None,
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}

async fn ask(kubeconfig: Option<&Path>) -> Result<ClusterUid, NotTold> {
    let (kube, _) = api::connect(kubeconfig, None).await?;
    Ok(api::cluster_uid(&kube).await?)
}

#[cfg(test)]
mod tests;
