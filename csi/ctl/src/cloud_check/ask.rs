//! Where the questions go.

/// The longest page of a list of disks.
pub(super) const MOST: u32 = 1000;

/// A region of a cloud.
pub(super) struct Ask<'a> {
    /// The cloud.
    pub(super) client: &'a ecx::Client,
    /// The region's code.
    pub(super) region: String,
}
