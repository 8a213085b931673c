//! Why the API server could not be asked or told.

use std::time::Duration;

/// What went wrong with a request to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It refused, or cannot be reached.
    #[error("the API server")]
    Api(#[from] kube::Error),
    /// It did not answer. What was asked for may have been done.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    Slow(Duration),
}

/// The answer, if it comes within `patience`.
pub async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    let answer = tokio::time::timeout(patience, asked).await;
    Ok(answer.map_err(|_| ClusterError::Slow(patience))??)
}
