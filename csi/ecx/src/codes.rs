//! Error codes of the wire (ecx/API.md B.6), shared by the client's table and the simulator.

/// The order still runs; not a failure.
pub const ORDER_IN_PROGRESS: &str = "ebs.order.inProgress";
/// The disk does not exist.
pub const DISK_UNKNOWN: &str = "ebs.ebsInfo.dataDamaged";
/// Any unmapped billing failure.
pub const BILLING: &str = "ebs.order.procFailed";
/// The account's quota is used up.
pub const QUOTA: &str = "ebs.order.quotaExceeded";
/// The region has none left.
pub const SOLD_OUT: &str = "ebs.resource.soldOut";
/// A client token came again with another request.
pub const TOKEN_CONFLICT: &str = "ebs.order.tokenConflict";
/// The machine does not exist.
pub const INSTANCE_UNKNOWN: &str = "Ecs.Instance.NotFound";
/// The machine is in a state that allows nothing.
pub const INSTANCE_STATE: &str = "Ecs.Instance.StatusNotRunning";
/// The disk is in a state that allows nothing.
pub const STATE_INVALID: &str = "ebs.ebsInfo.statusInvalid";
/// The disk is attached to another machine.
pub const ATTACHED: &str = "ebs.attach.alreadyAttached";
/// The machine has no slot left.
pub const SLOTS: &str = "ebs.attach.limitExceeded";
/// Disk and machine are in different regions.
pub const REGION_MISMATCH: &str = "ebs.attach.regionMismatch";
/// Disks never shrink.
pub const SHRINK: &str = "ebs.resize.shrinkNotAllowed";
/// Begins the code of a bad parameter; its name follows.
pub const PARAMETER: &str = "openapi.parameter.";
/// Begins the code of a refused signature, date or key.
pub const AUTH: &str = "eop.auth.";
/// Throttled.
pub const FLOW: &str = "eop.flow.limited";
/// No right.
pub const DENIED: &str = "CTIAM_0005";
/// No privilege.
pub const NO_PRIVILEGE: &str = "CTIAM_1044";
/// The server's own fault.
pub const SERVER: &str = "openapi.implementation.error";
