//! What a trial orders, for whom, and how long it waits.

use std::time::Duration;

/// The longest time that is waited for one thing.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// Between two looks.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Between two times that one thing is sent: what was accepted may not have begun.
pub(super) const AGAIN: Duration = Duration::from_secs(60);

/// GiB.
pub(in crate::cloud_check) const SIZE: u64 = 20;

/// GiB that it grows to.
pub(in crate::cloud_check) const LARGER: u64 = 30;

/// What the tokens of the trial are made for, in the place of a cluster.
pub(super) const WHOM: &str = "eck-cloud-check";
