//! What can go wrong with a call, as one enum, from one table.

use std::fmt;
use std::time::Duration;

use crate::codes;

/// What the cloud said: kept with every error, so that an event can show the cloud's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiMessage {
    /// `errorCode`, or what stood in its place.
    pub code: String,
    /// Message for people.
    pub message: String,
    /// Our request id, by which the cloud side can find the call, and what was asked in which region.
    pub request_id: Box<str>,
    /// The order that a refusal is about: one in progress is told with its id.
    pub order_id: Option<Box<str>>,
}

impl fmt::Display for ApiMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, request {})", self.message, self.code, self.request_id)
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The disk does not exist.
    #[error("no such disk: {0}")]
    DiskNotFound(ApiMessage),
    /// The machine does not exist.
    #[error("no such instance: {0}")]
    InstanceNotFound(ApiMessage),
    /// The machine's state allows nothing now.
    #[error("the instance is not ready: {0}")]
    InstanceState(ApiMessage),
    /// The disk's state allows nothing now.
    #[error("the disk's state does not allow this: {0}")]
    DiskState(ApiMessage),
    /// Held by another machine.
    #[error("the disk is attached elsewhere: {0}")]
    AttachedElsewhere(ApiMessage),
    /// No slot left.
    #[error("the instance holds as many disks as it can: {0}")]
    NoSlot(ApiMessage),
    /// Disk and machine are in different regions.
    #[error("disk and instance are in different regions: {0}")]
    RegionMismatch(ApiMessage),
    /// Disks never shrink.
    #[error("a disk cannot shrink: {0}")]
    Shrink(ApiMessage),
    /// Quota.
    #[error("quota exceeded: {0}")]
    Quota(ApiMessage),
    /// Sold out.
    #[error("sold out: {0}")]
    SoldOut(ApiMessage),
    /// Billing refused.
    #[error("billing refused the order: {0}")]
    Billing(ApiMessage),
    /// The client token was used for another request.
    #[error("the client token belongs to another request: {0}")]
    TokenConflict(ApiMessage),
    /// An order with this token is still processed.
    #[error("the order is in progress: {0}")]
    InProgress(ApiMessage),
    /// A parameter is wrong.
    #[error("bad parameter: {0}")]
    Parameter(ApiMessage),
    /// Signature, date or key refused.
    #[error("authentication refused: {0}")]
    Auth(ApiMessage),
    /// No right.
    #[error("permission denied: {0}")]
    Denied(ApiMessage),
    /// Throttled.
    #[error("throttled: {message}")]
    Throttled {
        /// What was said.
        message: ApiMessage,
        /// The pause the cloud asks for.
        retry_after: Option<Duration>,
    },
    /// The server's own fault.
    #[error("the cloud failed: {0}")]
    Server(ApiMessage),
    /// No reply: the request may or may not have been carried out.
    #[error("no reply from the cloud: {0}")]
    NoReply(ApiMessage),
    /// A reply that cannot be read: the request may or may not have been carried out.
    #[error("unreadable reply: {0}")]
    Unreadable(ApiMessage),
    /// A code nobody knows.
    #[error("unknown error: {0}")]
    Unknown(ApiMessage),
}

/// Makes an error of what was said.
type Make = fn(ApiMessage) -> Error;

/// Codes, lower case, and what they mean (ecx/API.md B.6). A code that ends in `.` or `_` stands for all that begin with it.
const TABLE: [(&str, Make); 33] = [
    (codes::ORDER_IN_PROGRESS, Error::InProgress),
    ("Openapi.Order.Inprogress", Error::InProgress),
    (codes::DISK_UNKNOWN, Error::DiskNotFound),
    (codes::BILLING, Error::Billing),
    (codes::QUOTA, Error::Quota),
    (codes::SOLD_OUT, Error::SoldOut),
    (codes::TOKEN_CONFLICT, Error::TokenConflict),
    (codes::INSTANCE_UNKNOWN, Error::InstanceNotFound),
    (codes::INSTANCE_STATE, Error::InstanceState),
    ("Ecs.Instance.StatusNotStopped", Error::InstanceState),
    (codes::STATE_INVALID, Error::DiskState),
    (codes::ATTACHED, Error::AttachedElsewhere),
    (codes::SLOTS, Error::NoSlot),
    (codes::REGION_MISMATCH, Error::RegionMismatch),
    (codes::SHRINK, Error::Shrink),
    (codes::PARAMETER, Error::Parameter),
    (codes::AUTH, Error::Auth),
    (codes::FLOW, throttled),
    (codes::DENIED, Error::Denied),
    (codes::NO_PRIVILEGE, Error::Denied),
    (codes::SERVER, Error::Server),
    ("openapi.", Error::Server),
    // The ESX vocabulary: numbered, and the gRPC names that the numbers stand for.
    ("BC_0001", Error::Parameter),
    ("BC_0002", Error::DiskState),
    ("BC_0003", Error::Denied),
    ("BC_0004", Error::DiskState),
    ("BC_0005", Error::Auth),
    ("BC_0006", Error::Server),
    ("BC_0007", Error::Quota),
    ("BC_0008", Error::DiskNotFound),
    ("NotFound", Error::DiskNotFound),
    ("ResourceExhausted", Error::Quota),
    ("PermissionDenied", Error::Denied),
];

fn throttled(message: ApiMessage) -> Error {
    Error::Throttled { message, retry_after: None }
}

impl Error {
    /// From a refusal: the HTTP status, and what was said.
    pub fn from_reply(http: u16, message: ApiMessage, retry_after: Option<Duration>) -> Self {
        let matches = |code: &str| {
            let code = code.to_ascii_lowercase();
            let whole = message.code.to_ascii_lowercase();
            if code.ends_with('.') { whole.starts_with(&code) } else { whole == code }
        };
        if http == 429 {
            return Self::Throttled { message, retry_after };
        }
        match TABLE.iter().find(|(code, _)| matches(code)) {
            Some((_, make)) => {
                let mut error = make(message);
                if let Self::Throttled { retry_after: wait, .. } = &mut error {
                    *wait = retry_after;
                }
                error
            }
            None if http == 401 => Self::Auth(message),
            None if http == 403 => Self::Denied(message),
            None if http == 400 => Self::Parameter(message),
            None if http >= 500 => Self::Server(message),
            None => Self::Unknown(message),
        }
    }

    /// Its kind as one word: the label of a metric. Few, and ours: the cloud's own codes are without number.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DiskNotFound(_) => "disk_not_found",
            Self::InstanceNotFound(_) => "instance_not_found",
            Self::InstanceState(_) => "instance_state",
            Self::DiskState(_) => "disk_state",
            Self::AttachedElsewhere(_) => "attached_elsewhere",
            Self::NoSlot(_) => "no_slot",
            Self::RegionMismatch(_) => "region_mismatch",
            Self::Shrink(_) => "shrink",
            Self::Quota(_) => "quota",
            Self::SoldOut(_) => "sold_out",
            Self::Billing(_) => "billing",
            Self::TokenConflict(_) => "token_conflict",
            Self::InProgress(_) => "in_progress",
            Self::Parameter(_) => "parameter",
            Self::Auth(_) => "auth",
            Self::Denied(_) => "denied",
            Self::Throttled { .. } => "throttled",
            Self::Server(_) => "server",
            Self::NoReply(_) => "no_reply",
            Self::Unreadable(_) => "unreadable",
            Self::Unknown(_) => "unknown",
        }
    }

    /// True if the same request may succeed later without anything else changing.
    pub fn retryable(&self) -> bool {
        match self {
            Self::InstanceState(_)
            | Self::InProgress(_)
            | Self::Throttled { .. }
            | Self::Server(_)
            | Self::NoReply(_)
            | Self::Unreadable(_)
            | Self::Unknown(_) => true,
            Self::DiskNotFound(_)
            | Self::InstanceNotFound(_)
            | Self::DiskState(_)
            | Self::AttachedElsewhere(_)
            | Self::NoSlot(_)
            | Self::RegionMismatch(_)
            | Self::Shrink(_)
            | Self::Quota(_)
            | Self::SoldOut(_)
            | Self::Billing(_)
            | Self::TokenConflict(_)
            | Self::Parameter(_)
            | Self::Auth(_)
            | Self::Denied(_) => false,
        }
    }

    /// True if the region itself said so: whatever it says, it does not refuse to speak with these keys, and works.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Auth(_) | Self::Denied(_) | Self::NoReply(_) | Self::Server(_) | Self::Throttled { .. } => {
                false
            }
            Self::DiskNotFound(_)
            | Self::InstanceNotFound(_)
            | Self::InstanceState(_)
            | Self::DiskState(_)
            | Self::AttachedElsewhere(_)
            | Self::NoSlot(_)
            | Self::RegionMismatch(_)
            | Self::Shrink(_)
            | Self::Quota(_)
            | Self::SoldOut(_)
            | Self::Billing(_)
            | Self::TokenConflict(_)
            | Self::InProgress(_)
            | Self::Parameter(_)
            | Self::Unreadable(_)
            | Self::Unknown(_) => true,
        }
    }

    /// True if it tells how the disk is, or how the order is, so that whoever asked looks there next; false if the request alone was
    /// refused, which tells nothing of what an earlier one has done.
    pub(crate) fn tells_of_the_disk(&self) -> bool {
        match self {
            Self::DiskNotFound(_)
            | Self::DiskState(_)
            | Self::AttachedElsewhere(_)
            | Self::Shrink(_)
            | Self::TokenConflict(_)
            | Self::InProgress(_)
            | Self::Server(_)
            | Self::NoReply(_)
            | Self::Unreadable(_)
            | Self::Unknown(_) => true,
            Self::InstanceNotFound(_)
            | Self::InstanceState(_)
            | Self::NoSlot(_)
            | Self::RegionMismatch(_)
            | Self::Quota(_)
            | Self::SoldOut(_)
            | Self::Billing(_)
            | Self::Parameter(_)
            | Self::Auth(_)
            | Self::Denied(_)
            | Self::Throttled { .. } => false,
        }
    }

    /// True if a write that ended so may have taken effect all the same.
    pub fn outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::NoReply(_) | Self::Unreadable(_) | Self::Server(_) | Self::Unknown(_) | Self::InProgress(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(http: u16, code: &str) -> Error {
        Error::from_reply(
            http,
            ApiMessage { code: code.into(), ..ApiMessage::default() },
            Some(Duration::from_secs(2)),
        )
    }

    #[test]
    fn codes_match_whatever_their_case() {
        assert!(matches!(reply(200, "Ebs.EbsInfo.DataDamaged"), Error::DiskNotFound(_)));
        assert!(matches!(reply(200, "ecs.instance.notfound"), Error::InstanceNotFound(_)));
        assert!(matches!(reply(400, "openapi.parameter.diskSize"), Error::Parameter(_)));
        assert!(matches!(reply(500, "openapi.ebs.accessFailed"), Error::Server(_)));
        assert!(matches!(reply(401, "eop.auth.signature"), Error::Auth(_)));
        assert!(matches!(reply(400, "BC_0008"), Error::DiskNotFound(_)));
    }

    #[test]
    fn the_http_status_speaks_when_the_code_is_unknown() {
        assert!(matches!(reply(403, ""), Error::Denied(_)));
        assert!(matches!(reply(502, "<html>"), Error::Server(_)));
        assert!(matches!(reply(200, "new.code"), Error::Unknown(_)));
        let throttled = reply(429, "whatever");
        assert!(matches!(throttled, Error::Throttled { retry_after: Some(d), .. } if d.as_secs() == 2));
        assert!(throttled.retryable() && !throttled.outcome_unknown());
    }

    #[test]
    fn the_documents_tell_of_every_code_and_no_two_errors_have_the_same() {
        let codes: Vec<&str> = include_str!("error.rs")
            .lines()
            .filter_map(|line| line.trim().split_once(" => \"")?.1.strip_suffix("\","))
            .collect();
        assert_eq!(codes.len(), codes.iter().collect::<std::collections::BTreeSet<_>>().len());
        assert!(codes.len() >= 21 && codes.contains(&reply(200, "new.code").code()), "{codes:?}");
        for language in ["en", "zh"] {
            let root = env!("CARGO_MANIFEST_DIR");
            let text =
                std::fs::read_to_string(format!("{root}/../../docs/{language}/troubleshoot.md")).unwrap();
            let untold: Vec<_> = codes.iter().filter(|code| !text.contains(&format!("`{code}`"))).collect();
            assert!(untold.is_empty(), "docs/{language}/troubleshoot.md does not tell of {untold:?}");
        }
    }
}
