//! Bugs that can be planted, to show that the invariants see them: between the controller and its callers, or in the
//! cloud.

use std::future::pending;

use tonic::{Code, Status};

use super::caller::{Answer, Ask, Call, ask};
use crate::direct::Direct;
use crate::sidecar::is_retryable;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The cloud remembers no client tokens, as if each order had a new one: a lost reply orders twice.
    FreshTokens,
    /// An unknown outcome is told as success.
    UnknownIsDone,
    /// An unknown outcome of CreateVolume is told as a final failure.
    UnknownIsFailure,
    /// CreateVolume is told to have failed for good before it has ended.
    FailsEarly,
    /// A volume that another machine holds is told to be published.
    HolderIgnored,
    /// Who is to ask again hears nothing.
    NeverAnswers,
    /// Unpublishing deletes.
    UnpublishDeletes,
    /// A growth takes the disk from its machine.
    ExpandDetaches,
}

impl Bug {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::FreshTokens,
        Self::UnknownIsDone,
        Self::UnknownIsFailure,
        Self::FailsEarly,
        Self::HolderIgnored,
        Self::NeverAnswers,
        Self::UnpublishDeletes,
        Self::ExpandDetaches,
    ];

    /// Asks, with the bug.
    pub(super) async fn ask(self, controller: &Direct, call: &Call) -> Result<Answer, Status> {
        if self == Self::FailsEarly && matches!(call.ask, Ask::Create(_)) {
            let (controller, call) = (controller.clone(), call.clone());
            tokio::spawn(async move { ask(&controller, &call).await });
            return Err(Status::resource_exhausted("planted"));
        }
        let told = ask(controller, call).await;
        match (self, &call.ask) {
            (Self::UnpublishDeletes, Ask::Unpublish(_)) if told.is_ok() => {
                let _ = controller.delete(call.id.clone()).await;
            }
            // No node: from any.
            (Self::ExpandDetaches, Ask::Expand(_)) if told.is_ok() => {
                let _ = controller.unpublish(call.id.clone(), String::new()).await;
            }
            _ => {}
        }
        self.twist(&call.ask, told).await
    }

    /// What the caller hears instead of `told`.
    async fn twist(self, ask: &Ask, told: Result<Answer, Status>) -> Result<Answer, Status> {
        let code = told.as_ref().map_or_else(Status::code, |_| Code::Ok);
        let unknown = matches!(code, Code::Unavailable | Code::DeadlineExceeded);
        match (self, ask) {
            (Self::UnknownIsDone, Ask::Publish(_) | Ask::Unpublish(_) | Ask::Delete) if unknown => {
                Ok(Answer::Done)
            }
            (Self::UnknownIsFailure, Ask::Create(_)) if unknown => Err(Status::resource_exhausted("planted")),
            (Self::HolderIgnored, Ask::Publish(_)) if code == Code::FailedPrecondition => Ok(Answer::Done),
            (Self::NeverAnswers, _) if is_retryable(code) => pending().await,
            _ => told,
        }
    }
}
