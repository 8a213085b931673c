//! Disks that the lists leave out. A list is a hint: that a volume's disk is gone is told only by the cloud's own word about that
//! disk, since whoever is told so gives up the volume.

use eck_csi::volume::Region;
use ecx::api::GetDisk;
use ecx::{Client, Error};
use futures::future::join_all;

use crate::finding::{Finding, FindingKind};

/// The findings without those of disks that are there when they are asked for by themselves, or that cannot be asked for; and the
/// regions that did not say.
pub(crate) async fn proven(
    client: &Client,
    regions: &[Region],
    findings: Vec<Finding>,
) -> (Vec<Finding>, Vec<(Region, Error)>) {
    let looks = findings.into_iter().map(|finding| async move {
        let holds = finding.kind != FindingKind::MissingDisk || !is_there(client, regions, &finding).await?;
        Ok(holds.then_some(finding))
    });
    let (mut proven, mut silent) = (Vec::new(), Vec::new());
    for look in join_all(looks).await {
        match look {
            Ok(finding) => proven.extend(finding),
            Err(error) => silent.push(error),
        }
    }
    (proven, silent)
}

/// Whether a region has the disk: the finding's, or any if it names none.
async fn is_there(client: &Client, regions: &[Region], finding: &Finding) -> Result<bool, (Region, Error)> {
    let named = |region: &&Region| finding.region.as_deref().is_none_or(|named| named == region.as_str());
    for region in regions.iter().filter(named) {
        let query = GetDisk { region_id: region.to_string(), disk_id: finding.disk.clone() };
        match client.get_disk(&query).await {
            Ok(_) => return Ok(true),
            Err(Error::DiskNotFound(_)) => {}
            Err(error) => return Err((region.clone(), error)),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted_cloud::scripted;

    const THERE: (u16, &str) =
        (200, r#"{"statusCode":800,"returnObj":{"diskID":"cd-1","diskStatus":"in-use"}}"#);
    const GONE: (u16, &str) = (200, r#"{"statusCode":900,"errorCode":"ebs.ebsInfo.dataDamaged"}"#);
    const BROKEN: (u16, &str) = (500, "");

    /// The findings that are left of one about `kind`, after these replies of the regions that are asked.
    async fn left(kind: FindingKind, region: Option<&str>, replies: &[(u16, &str)]) -> Result<usize, String> {
        let client = scripted(replies.iter().map(|(http, body)| (*http, (*body).to_owned())));
        let regions = ["a-1", "b-1"].map(|code| Region::parse("region", code).unwrap());
        let region = region.map(str::to_owned);
        let finding = Finding { region, ..Finding::new(kind, "cd-1", String::new()) };
        let (left, silent) = proven(&client, &regions, vec![finding]).await;
        silent.first().map_or(Ok(left.len()), |(region, _)| Err(region.to_string()))
    }

    #[tokio::test]
    async fn a_disk_that_only_a_list_leaves_out_is_not_missing() {
        let missing = FindingKind::MissingDisk;
        assert_eq!(left(missing, Some("b-1"), &[THERE]).await, Ok(0));
        assert_eq!(left(missing, Some("b-1"), &[GONE]).await, Ok(1));
        assert_eq!(left(missing, None, &[GONE, THERE]).await, Ok(0));
        assert_eq!(left(missing, None, &[GONE, GONE]).await, Ok(1));
    }

    #[tokio::test]
    async fn nothing_is_said_while_the_disk_cannot_be_asked() {
        assert_eq!(left(FindingKind::MissingDisk, Some("b-1"), &[BROKEN]).await, Err("b-1".to_owned()));
    }

    #[tokio::test]
    async fn nothing_else_is_asked() {
        assert_eq!(left(FindingKind::UnclaimedDisk, Some("b-1"), &[]).await, Ok(1));
    }
}
