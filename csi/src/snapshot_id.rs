//! The handle of a snapshot. A snapshot never leaves its region, so the handle carries it: `<region>/<the cloud's id>`.

use std::fmt;

use crate::driver::MAX_FIELD_BYTES;
use crate::field::{BadField, text};
use crate::volume::Region;

/// A snapshot handle as the CO sent it: any text the spec allows. Whether it can name a snapshot is asked with
/// [`SnapshotId::known`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Takes `value`, found in `field`.
    pub fn parse(field: &str, value: String) -> Result<Self, BadField> {
        text(field, value, MAX_FIELD_BYTES).map(Self)
    }

    /// The handle of a snapshot of the cloud.
    pub fn new(region: &Region, id: &str) -> Self {
        Self(format!("{region}/{id}"))
    }

    /// Region and the cloud's id; `None` if no snapshot of ours can have this handle.
    pub fn known(&self) -> Option<(Region, &str)> {
        let (region, id) = self.0.split_once('/')?;
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        Some((Region::parse("snapshot_id", region).ok()?, id)).filter(|_| plain)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_region_and_id_or_nothing() {
        let handle = |text: &str| SnapshotId::parse("snapshot_id", text.to_owned()).unwrap();
        let taken = handle("fj-xiamen-4/cs-1");
        assert_eq!(taken.known().map(|(r, id)| (r.to_string(), id.to_owned())), {
            Some(("fj-xiamen-4".to_owned(), "cs-1".to_owned()))
        });
        for other in ["cs-1", "/cs-1", "fj-xiamen-4/", "FJ/cs-1", "fj-xiamen-4/a b", "fj-xiamen-4/a/b"] {
            assert!(handle(other).known().is_none(), "{other}");
        }
        assert!(SnapshotId::parse("snapshot_id", String::new()).is_err());
    }
}
