//! `eckctl explain`: where a claim is stuck, in one sentence, with the cloud's own words.

use serde_json::json;

use crate::args::{ExplainArgs, Format};
use crate::cluster::Kubernetes;
use crate::console::{Console, Ended};
use crate::settings::Cloud;

mod decide;
mod facts;
mod read;

pub use decide::{Explanation, decide};
pub use facts::Facts;

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// There is no such claim.
    #[error("there is no claim {claim} in namespace {namespace}")]
    NoClaim {
        /// The claim.
        claim: String,
        /// Its namespace.
        namespace: String,
    },
    /// The API server.
    #[error("the API server cannot be read")]
    Kube(#[from] kube::Error),
    /// Output.
    #[error("the answer cannot be written")]
    Write(#[from] std::io::Error),
}

/// Looks, decides, tells. Without the cloud (`Err` with the reason) the cluster alone speaks.
pub async fn explain(
    kubernetes: &Kubernetes,
    cloud: Result<&Cloud, String>,
    args: &ExplainArgs,
    console: &mut Console<'_>,
) -> Result<Ended, ExplainError> {
    let namespace = args.namespace.clone().unwrap_or_else(|| kubernetes.namespace.clone());
    let facts = read::facts(kubernetes, cloud, &namespace, &args.claim).await?;
    let Some(facts) = facts else {
        return Err(ExplainError::NoClaim { claim: args.claim.clone(), namespace });
    };
    let explanation = decide(&facts);
    match args.output {
        Format::Text => writeln!(console.out, "{}/{}: {}", namespace, args.claim, explanation.sentence)?,
        Format::Json => {
            let volume = facts.volume.as_ref().map(|volume| &volume.name);
            let disk = facts.volume.as_ref().map(|volume| &volume.disk);
            let answer = json!({ "claim": args.claim, "namespace": namespace, "well": explanation.well,
                "sentence": explanation.sentence, "volume": volume, "disk": disk });
            writeln!(console.out, "{answer:#}")?;
        }
    }
    Ok(if explanation.well { Ended::Well } else { Ended::Found })
}
