//! Bugs that can be planted between the controller and its callers or in the cloud, to show that the invariants detect
//! them.

use std::future::pending;

use tonic::{Code, Status};

use super::caller::{Call, Reply, Request, Service};
use crate::direct::Direct;
use crate::sidecar::is_retryable;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A volume that is created is ordered once more, as a retry with another token and without a look would.
    OrdersTwice,
    /// An unknown outcome is reported as success.
    UnknownIsDone,
    /// An unknown outcome of CreateVolume is reported as a final failure.
    UnknownIsFailure,
    /// CreateVolume is reported as failed for good before it has ended.
    FailsEarly,
    /// A volume that is attached to another machine is reported as published.
    HolderIgnored,
    /// Callers that would have to retry get no reply.
    NeverAnswers,
    /// Unpublishing deletes the volume.
    UnpublishDeletes,
    /// Expanding detaches the volume.
    ExpandDetaches,
}

impl Bug {
    /// All bugs.
    pub const ALL: [Self; 8] = [
        Self::OrdersTwice,
        Self::UnknownIsDone,
        Self::UnknownIsFailure,
        Self::FailsEarly,
        Self::HolderIgnored,
        Self::NeverAnswers,
        Self::UnpublishDeletes,
        Self::ExpandDetaches,
    ];

    /// What the caller gets in place of the controller's `result`.
    async fn replace(self, request: &Request, result: Result<Reply, Status>) -> Result<Reply, Status> {
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        let unknown = matches!(code, Code::Unavailable | Code::DeadlineExceeded);
        match (self, request) {
            (Self::UnknownIsDone, Request::Publish(_) | Request::Unpublish(_) | Request::Delete)
                if unknown =>
            {
                Ok(Reply::Done)
            }
            (Self::UnknownIsFailure, Request::Create(_)) if unknown => {
                Err(Status::resource_exhausted("planted"))
            }
            (Self::HolderIgnored, Request::Publish(_)) if code == Code::FailedPrecondition => Ok(Reply::Done),
            (Self::NeverAnswers, _) if is_retryable(code) => pending().await,
            _ => result,
        }
    }
}

/// The controller with a bug between it and its callers, or without one.
#[derive(Clone)]
pub(super) struct WithBug {
    pub(super) controller: Direct,
    pub(super) bug: Option<Bug>,
}

impl Service for WithBug {
    async fn serve(&self, call: &Call) -> Result<Reply, Status> {
        let Some(bug) = self.bug else { return self.controller.serve(call).await };
        if bug == Bug::FailsEarly && matches!(call.request, Request::Create(_)) {
            let (controller, call) = (self.controller.clone(), call.clone());
            tokio::spawn(async move { controller.serve(&call).await });
            return Err(Status::resource_exhausted("planted"));
        }
        let result = self.controller.serve(call).await;
        match (bug, &call.request) {
            (Bug::OrdersTwice, Request::Create(_)) => {
                if let Ok(Reply::Created(created)) = &result {
                    self.controller.order_again(&call.claim, created).await;
                }
            }
            (Bug::UnpublishDeletes, Request::Unpublish(_)) if result.is_ok() => {
                let _ = self.controller.delete(call.volume_id.clone()).await;
            }
            // Without a node id it is detached from every machine.
            (Bug::ExpandDetaches, Request::Expand(_)) if result.is_ok() => {
                let _ = self.controller.unpublish(call.volume_id.clone(), String::new()).await;
            }
            _ => {}
        }
        bug.replace(&call.request, result).await
    }
}
