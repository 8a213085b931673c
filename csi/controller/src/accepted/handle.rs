//! What is kept of a write that the cloud has accepted.

use ecx::api::JobReply;

/// What the cloud gave to ask after; nothing, if it gave none.
#[derive(Debug, Clone, Default)]
pub(crate) enum Handle {
    #[default]
    None,
    Job(String),
    Order(String),
}

impl Handle {
    /// Of an attach or a detach.
    pub(crate) fn job(reply: JobReply) -> Self {
        let job = reply.disk_request_id.or(reply.disk_job_id).filter(|job| !job.is_empty());
        job.map_or(Self::None, Self::Job)
    }

    /// Of an order.
    pub(crate) fn order(id: Option<String>) -> Self {
        id.filter(|id| !id.is_empty()).map_or(Self::None, Self::Order)
    }
}
