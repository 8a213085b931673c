//! Everything that ECX may spell differently, as data (ecx/API.md B.1): a real ECX finding changes this, not code.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::Op;
use crate::throttle::Limits;

/// The profile of a cloud. Each default's origin stands in ecx/API.md B.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Scheme, host and port of the gateway; every path lies below it.
    pub base_url: String,
    /// How the region field is spelled on the wire.
    pub region_key: String,
    /// Paths by operation; missing ones take the default.
    pub paths: BTreeMap<Op, String>,
    /// Texts of `statusCode` or `code` that mean success.
    pub ok_codes: Vec<String>,
    /// Never empty: a request without one can be stopped by the gateway.
    pub user_agent: String,
    /// Adds the unsigned header `x-alogic-externalId` with ten digits.
    pub send_external_id: bool,
    /// Orders and attaches say `deleteDiskWithInstance: false`: without it a pool may delete a machine's disks together with the
    /// machine. Off only for a pool that refuses a field it does not know.
    pub send_delete_disk_with_instance: bool,
    /// `VBD`.
    pub disk_mode: String,
    /// What `diskType: cloud` means.
    pub default_disk_type: String,
    /// Smallest disk, GiB.
    pub min_size_gib: u64,
    /// Largest disk, GiB.
    pub max_size_gib: u64,
    /// Id or name of the cluster's VPC: of two machines with one address the node is the one in it. Empty: not known.
    pub vpc: String,
    /// A region's list of disks is whole and as new as the word of one disk, so that what it does not show is gone. Where that is
    /// not known, each disk is asked by itself before it counts as gone or free.
    pub lists_are_proof: bool,
    /// Milliseconds by which a read may be old: a disk that was made just now is not there yet then, and one that was attached just now
    /// is free. Before an end is founded on either, it is read again after so long. 0: reads are of now. (Ours: ecx/API.md says nothing
    /// of it, and clouds of this make are seconds behind.)
    pub reads_lag_ms: u64,
    /// How a wait is paced.
    pub poll: Poll,
    /// Longest time for one HTTP exchange, milliseconds.
    pub http_timeout_ms: u64,
    /// Attempts for one call, the first included.
    pub attempts: u32,
    /// Requests per second of one account to begin with: how many the cloud allows is learnt.
    pub rate_per_second: f64,
    /// However much the cloud throttles, requests per second are not fewer.
    pub min_rate_per_second: f64,
    /// However little it throttles, they are not more.
    pub max_rate_per_second: f64,
    /// Requests that may go at once after a pause.
    pub burst: f64,
}

/// How a wait is paced: the first look after `first_ms`, then ×`factor` up to `max_ms`, given up after `give_up_ms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Poll {
    /// Milliseconds before the first look.
    pub first_ms: u64,
    /// Growth of the pause.
    pub factor: f64,
    /// Longest pause, milliseconds.
    pub max_ms: u64,
    /// A wait ends here, milliseconds.
    pub give_up_ms: u64,
}

/// A setting that the client cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not allowed; allowed: {allowed}")]
pub struct BadSetting {
    /// Its name.
    pub field: &'static str,
    /// What came.
    pub value: String,
    /// What would have been taken.
    pub allowed: &'static str,
}

/// The longest time that can be set: a day. Nothing is waited for longer, and every sum of such times is a time.
const LONGEST_MS: u64 = 24 * 3600 * 1000;

impl Default for Poll {
    fn default() -> Self {
        Self { first_ms: 1000, factor: 1.5, max_ms: 5000, give_up_ms: 300_000 }
    }
}

impl Poll {
    /// The pause after the pause `last` (`None`: before the first look).
    pub fn next(&self, last: Option<Duration>) -> Duration {
        let first = Duration::from_millis(self.first_ms);
        let longest = Duration::from_millis(self.max_ms.max(self.first_ms));
        let seconds = last.map_or(first.as_secs_f64(), |last| last.as_secs_f64() * self.factor.max(1.0));
        // What is no time any more is longer than the longest.
        Duration::try_from_secs_f64(seconds).map_or(longest, |grown| grown.min(longest))
    }

    /// When a wait ends.
    pub fn give_up(&self) -> Duration {
        Duration::from_millis(self.give_up_ms)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            base_url: "https://ecx-global.ctapi.ctyun.cn".to_owned(),
            region_key: "regionID".to_owned(),
            paths: BTreeMap::new(),
            ok_codes: ["800", "200", "core.ok"].map(str::to_owned).into(),
            user_agent: concat!("eck-csi/", env!("CARGO_PKG_VERSION")).to_owned(),
            send_external_id: false,
            send_delete_disk_with_instance: true,
            disk_mode: "VBD".to_owned(),
            default_disk_type: "SAS".to_owned(),
            min_size_gib: 20,
            max_size_gib: 32_768,
            vpc: String::new(),
            lists_are_proof: false,
            reads_lag_ms: 10_000,
            poll: Poll::default(),
            http_timeout_ms: 10_000,
            attempts: 4,
            rate_per_second: 10.0,
            min_rate_per_second: 0.5,
            max_rate_per_second: 100.0,
            burst: 20.0,
        }
    }
}

impl Profile {
    /// By how much a read may be old.
    pub fn reads_lag(&self) -> Duration {
        Duration::from_millis(self.reads_lag_ms)
    }

    /// Whether a client can work with it: the first setting that it cannot work with.
    pub fn check(&self) -> Result<(), BadSetting> {
        let time = "1 to 86400000 ms";
        let ms = |field, value: u64| (field, value.to_string(), (1..=LONGEST_MS).contains(&value), time);
        let number = |field, value: f64, most: f64, allowed| {
            (field, value.to_string(), (0.001..=most).contains(&value), allowed)
        };
        let (poll, url) = (&self.poll, &self.base_url);
        let web = url.starts_with("https://") || url.starts_with("http://");
        let all = [
            ("base_url", url.clone(), web, "an https:// or http:// URL"),
            ("poll.factor", poll.factor.to_string(), (1.0..=100.0).contains(&poll.factor), "1 to 100"),
            ms("poll.first_ms", poll.first_ms),
            ms("poll.max_ms", poll.max_ms),
            ms("poll.give_up_ms", poll.give_up_ms),
            ms("http_timeout_ms", self.http_timeout_ms),
            (
                "reads_lag_ms",
                self.reads_lag_ms.to_string(),
                self.reads_lag_ms <= LONGEST_MS,
                "0 to 86400000 ms",
            ),
            ("attempts", self.attempts.to_string(), (1..=100).contains(&self.attempts), "1 to 100"),
            number("rate_per_second", self.rate_per_second, 1e6, "0.001 to 1000000"),
            number("min_rate_per_second", self.min_rate_per_second, 1e6, "0.001 to 1000000"),
            number("max_rate_per_second", self.max_rate_per_second, 1e6, "0.001 to 1000000"),
            number("burst", self.burst, 1e6, "0.001 to 1000000"),
        ];
        match all.into_iter().find(|(_, _, allowed, _)| !allowed) {
            Some((field, value, _, allowed)) => Err(BadSetting { field, value, allowed }),
            None => Ok(()),
        }
    }

    /// How many requests may be sent. A beginning that is outside of the bounds moves them.
    pub fn limits(&self) -> Limits {
        let (floor, ceiling) = (self.min_rate_per_second, self.max_rate_per_second);
        Limits { start: self.rate_per_second, floor, ceiling, burst: self.burst }
    }

    /// Path of an operation; empty if this cloud has none.
    pub fn path(&self, op: Op) -> &str {
        self.paths.get(&op).map_or_else(|| default_path(op), String::as_str)
    }

    /// Whether this cloud has the operation.
    pub fn has(&self, op: Op) -> bool {
        !self.path(op).is_empty()
    }
}

fn default_path(op: Op) -> &'static str {
    match op {
        Op::CreateDisk => "/v4/ebs/new-ebs",
        Op::CreateDiskFromSnapshot => "/v4/ebs/new-from-snapshot-ebs-snap",
        Op::DeleteDisk => "/v4/ebs/refund-ebs",
        Op::GetDisk => "/v4/ebs/info-ebs",
        Op::FindDiskByName => "/v4/ebs/list-by-name-ebs",
        Op::ListDisks => "/v4/ebs/list-ebs",
        Op::AttachDisk => "/v4/ebs/attach-ebs",
        Op::DetachDisk => "/v4/ebs/detach-ebs",
        Op::ResizeDisk => "/v4/ebs/resize-ebs",
        Op::GetJob => "/v4/job/info",
        Op::GetOrder => "/v4/ecs/order/query-uuid",
        Op::CreateSnapshot => "/v4/ebs_snapshot/create-ebs-snap",
        Op::DeleteSnapshot => "/v4/ebs_snapshot/delete-ebs-snap",
        Op::ListSnapshots => "/v4/ebs_snapshot/list-ebs-snap",
        Op::ListDiskTypes => "/v4/ebs/list-disk-type",
        Op::CheckStock => "/v4/region/check-demand",
        Op::ListInstances => "/v4/ecs/list-instances",
        Op::UpdateDisk => "/v4/ebs/update-attr-ebs",
        Op::ModifyDisk => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_client_can_work_with_is_refused_by_name() {
        assert_eq!(Profile::default().check(), Ok(()));
        let poll = |poll| Profile { poll, ..Profile::default() };
        for (profile, field) in [
            (Profile { base_url: "ftp://x".into(), ..Profile::default() }, "base_url"),
            (Profile { rate_per_second: f64::NAN, ..Profile::default() }, "rate_per_second"),
            (Profile { burst: -1e300, ..Profile::default() }, "burst"),
            (Profile { attempts: 0, ..Profile::default() }, "attempts"),
            (poll(Poll { factor: f64::INFINITY, ..Poll::default() }), "poll.factor"),
            (poll(Poll { give_up_ms: u64::MAX, ..Poll::default() }), "poll.give_up_ms"),
        ] {
            let error = profile.check().unwrap_err();
            assert_eq!(error.field, field, "{error}");
        }
    }

    #[test]
    fn a_pause_grows_to_the_longest_whatever_the_factor() {
        let poll = Poll { factor: 1e300, ..Poll::default() };
        assert_eq!(poll.next(None), Duration::from_secs(1));
        assert_eq!(poll.next(Some(Duration::from_secs(1))), Duration::from_secs(5));
    }
}
