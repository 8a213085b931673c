//! Since when each disk is unclaimed: the first of two steps to its deletion by nobody's hand. The cloud takes no label on a disk that
//! exists (ecx/API.md B.3), so the marks stand in a ConfigMap beside the driver.

use std::collections::BTreeMap;
use std::time::Duration;

use eck_csi_audit::{FindingKind, Report};
use eck_csi_kubernetes::Millis;
use ecx::api::Disk;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde::{Deserialize, Serialize};

use super::fix::held;
use crate::cluster::Kubernetes;

/// The ConfigMap, in the driver's namespace.
const NAME: &str = "eck-csi-unclaimed-disks";

/// Its key: the marks as JSON, by disk.
const KEY: &str = "marks.json";

/// Longest time between two looks at a disk that are one: a daily job may miss a day. After more nobody knows what the disk was
/// meanwhile, and a cluster that came back from a backup has a ConfigMap from then.
const LOOKS_APART: Duration = Duration::from_secs(2 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// Why nothing is marked, and so nothing deleted.
#[derive(Debug, thiserror::Error)]
pub enum MarksError {
    /// The API server.
    #[error("the ConfigMap {NAME} cannot be read or written")]
    Kube(#[from] kube::Error),
    /// Somebody else wrote into it.
    #[error("the ConfigMap {NAME} holds no marks; delete it, and every disk is marked anew")]
    Unreadable(#[from] serde_json::Error),
}

/// A disk's mark. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// The first look that found it unclaimed; so did every look since.
    since: Millis,
    /// The last one.
    seen: Millis,
    /// When the cloud last changed it, as far as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<Millis>,
}

impl Mark {
    /// Whether it has stood for so many days.
    pub fn stands(&self, days: u64, now: Millis) -> bool {
        now.saturating_sub(self.since) >= days.saturating_mul(DAY * 1000)
    }

    /// Days for which it has stood, whole ones.
    pub fn days(&self) -> u64 {
        self.seen.saturating_sub(self.since) / (DAY * 1000)
    }

    /// At this look; anew if the disk was out of sight or was changed meanwhile.
    fn again(&self, disk: &Disk, now: Millis) -> Self {
        let apart = u128::from(now.saturating_sub(self.seen)) > LOOKS_APART.as_millis();
        let clock_went_back = now < self.seen;
        if apart || clock_went_back || self.changed != disk.update_time {
            return Self::new(disk, now);
        }
        Self { seen: now, ..self.clone() }
    }

    fn new(disk: &Disk, now: Millis) -> Self {
        Self { since: now, seen: now, changed: disk.update_time }
    }
}

/// By disk.
pub type Marks = BTreeMap<String, Mark>;

/// The marks after a look. Only a disk that is unclaimed and that nothing holds has one: whatever else it was at one look, it starts
/// anew at the next.
fn next(marks: &Marks, report: &Report, now: Millis) -> Marks {
    let unclaimed = |id: &str| {
        let mut findings = report.findings.iter();
        findings.any(|finding| finding.kind == FindingKind::UnclaimedDisk && finding.disk == id)
    };
    let disks = report.cloud.disks.iter().map(|placed| &placed.disk);
    let marked = disks.filter(|disk| held(disk).is_none() && unclaimed(&disk.disk_id));
    let mark = |disk: &Disk| {
        let mark = marks.get(&disk.disk_id).map_or_else(|| Mark::new(disk, now), |old| old.again(disk, now));
        (disk.disk_id.clone(), mark)
    };
    marked.map(mark).collect()
}

/// Writes the marks after this look, and returns them. Whoever wrote since they were read wins: then this is an error.
pub(super) async fn look(kubernetes: &Kubernetes, report: &Report, now: Millis) -> Result<Marks, MarksError> {
    let maps: Api<ConfigMap> = Api::namespaced(kubernetes.client.clone(), &kubernetes.driver_namespace);
    let old = maps.get_opt(NAME).await?;
    let text = old.as_ref().and_then(|map| map.data.as_ref()?.get(KEY));
    let before: Marks = text.map_or_else(|| Ok(Marks::new()), |text| serde_json::from_str(text))?;
    let marks = next(&before, report, now);
    let data = Some(BTreeMap::from([(KEY.to_owned(), serde_json::to_string_pretty(&marks)?)]));
    match old {
        Some(old) => {
            maps.replace(NAME, &PostParams::default(), &ConfigMap { data, ..old }).await?;
        }
        None => {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let map = ConfigMap { data, metadata, ..ConfigMap::default() };
            maps.create(&PostParams::default(), &map).await?;
        }
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use eck_csi::volume::Region;
    use eck_csi_audit::Finding;
    use eck_csi_audit::cloud::Placed;
    use ecx::api::DiskState;

    use super::*;

    const NOW: Millis = 1_700_000_000_000;
    const DAY_MS: Millis = DAY * 1000;

    fn report(state: DiskState, unclaimed: bool, changed: Option<Millis>) -> Report {
        let disk =
            Disk { disk_id: "cd-1".to_owned(), disk_status: state, update_time: changed, ..Disk::default() };
        let region = Region::parse("region", "fj-xiamen-4").unwrap();
        let mut report = Report::default();
        report.cloud.disks.push(Placed { region, disk });
        let finding = Finding::new(FindingKind::UnclaimedDisk, "cd-1", String::new());
        report.findings.extend(unclaimed.then_some(finding));
        report
    }

    fn unclaimed() -> Report {
        report(DiskState::Available, true, None)
    }

    /// Looks once a day, and tells for how many days the disk is marked after each.
    fn days(looks: &[&Report]) -> Vec<Option<u64>> {
        let (mut marks, mut now) = (Marks::new(), NOW);
        let mut days = Vec::new();
        for report in looks {
            marks = next(&marks, report, now);
            days.push(marks.get("cd-1").map(Mark::days));
            now += DAY_MS;
        }
        days
    }

    #[test]
    fn a_mark_grows_old_while_the_disk_is_unclaimed_at_every_look() {
        let free = unclaimed();
        assert_eq!(days(&[&free, &free, &free]), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_disk_that_is_claimed_attached_or_changed_loses_its_mark() {
        let free = unclaimed();
        let claimed = report(DiskState::Available, false, None);
        assert_eq!(days(&[&free, &free, &claimed, &free]), [Some(0), Some(1), None, Some(0)]);
        let attached = report(DiskState::InUse, true, None);
        assert_eq!(days(&[&free, &free, &attached, &free]), [Some(0), Some(1), None, Some(0)]);
        let changed = report(DiskState::Available, true, Some(NOW));
        assert_eq!(days(&[&free, &free, &changed, &changed]), [Some(0), Some(1), Some(0), Some(1)]);
    }

    #[test]
    fn a_mark_that_was_not_looked_after_is_none() {
        let marks = next(&Marks::new(), &unclaimed(), NOW);
        for (later, since) in [(2 * DAY_MS, NOW), (2 * DAY_MS + 1, NOW + 2 * DAY_MS + 1)] {
            assert_eq!(next(&marks, &unclaimed(), NOW + later)["cd-1"].since, since);
        }
        // By a clock that went back nothing grows old.
        assert_eq!(next(&marks, &unclaimed(), NOW - 1)["cd-1"].since, NOW - 1);
    }

    #[test]
    fn a_mark_stands_after_whole_days() {
        let mark = Mark { since: NOW, seen: NOW, changed: None };
        assert!(!mark.stands(7, NOW + 7 * DAY_MS - 1) && mark.stands(7, NOW + 7 * DAY_MS));
    }
}
