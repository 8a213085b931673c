//! GetCapacity: what a region still sells, so that the scheduler never picks one that is sold out.

use eck_csi::driver::{GIB, MAX_DISK_GIB, MIN_DISK_GIB, TOPOLOGY_REGION};
use eck_csi::field::BadField;
use eck_csi::volume::Region;
use ecx::Error;
use ecx::api::{CheckStock, Op, Stock};
use futures::future::join_all;
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::ReadError;
use crate::parameters::Parameters;
use crate::silent_regions::HANGS;

/// Capacity of the regions that topology and parameters leave: the sum of what is available, the largest single disk. A region has at
/// most the largest disk: kube-scheduler 1.37 prefers nodes with more capacity, and the random region of a claim is not to be the one
/// with the largest quota each time (ADR 0018).
pub(crate) async fn capacity(
    driver: &Driver,
    request: pb::GetCapacityRequest,
) -> Result<pb::GetCapacityResponse, ReadError> {
    let parameters = Parameters::parse(&request.parameters)?;
    let mut regions = driver.regions.configured().to_vec();
    if let Some(value) = request.accessible_topology.as_ref().and_then(|t| t.segments.get(TOPOLOGY_REGION)) {
        let wanted = Region::parse(&format!("accessible_topology.{TOPOLOGY_REGION}"), value)?;
        // Of the settings or not: a node is there.
        regions = vec![wanted];
    } else if request.accessible_topology.is_some_and(|t| !t.segments.is_empty()) {
        let allowed = format!("segments with the key {TOPOLOGY_REGION}");
        return Err(BadField::new("accessible_topology.segments", "other keys", allowed).into());
    }
    regions.retain(|region| parameters.regions.is_empty() || parameters.regions.contains(region));
    let wanted = driver.disk_type(parameters.disk_type.as_deref());
    let asked = regions.iter().map(|region| available(driver, region, wanted));
    let (mut total, mut largest, mut unknown) = (0u64, 0u64, None);
    let mut answered = regions.is_empty();
    for gib in join_all(asked).await {
        match gib {
            Ok(gib) => {
                let gib = gib.min(MAX_DISK_GIB);
                answered = true;
                total = total.saturating_add(gib);
                largest = largest.max(gib);
            }
            Err(error) => unknown = Some(error),
        }
    }
    // Of several regions, those that answer have this much at least; of none nothing is known, and what was published stays.
    if let Some(error) = unknown.filter(|_| !answered) {
        return Err(error);
    }
    let bytes = |gib: u64| i64::try_from(gib.saturating_mul(GIB)).unwrap_or(i64::MAX);
    Ok(pb::GetCapacityResponse {
        available_capacity: bytes(total),
        maximum_volume_size: Some(bytes(largest)),
        minimum_volume_size: Some(bytes(MIN_DISK_GIB)),
    })
}

/// GiB that can be ordered in a region. The API says yes or no for a size (op 16) and tells the account's quota, not the
/// stock: so it is the quota's rest if the smallest disk is to be had, and 0 if not.
async fn available(driver: &Driver, region: &Region, disk_type: &str) -> Result<u64, ReadError> {
    let silent = || ReadError::Silent(region.clone(), HANGS);
    let patience = driver.silent_regions.patience(region);
    if patience.is_zero() {
        return Err(silent());
    }
    let answer = tokio::time::timeout(patience, stock(driver, region, disk_type)).await;
    let answer = answer.map_err(|_| silent())?;
    driver.silent_regions.answered(region);
    Ok(answer?)
}

async fn stock(driver: &Driver, region: &Region, disk_type: &str) -> Result<u64, Error> {
    // A region that is none of the cloud's has nothing: an answer, not an error.
    if !driver.regions.known(region).await? {
        return Ok(0);
    }
    if !driver.client.profile().has(Op::CheckStock) {
        return Ok(MAX_DISK_GIB);
    }
    let query = CheckStock {
        region_id: region.to_string(),
        product_type: "ebs".to_owned(),
        ebs_type: disk_type.to_owned(),
        ebs_size: MIN_DISK_GIB,
    };
    match driver.client.check_stock(&query).await {
        Ok(stock) => Ok(left(&stock)),
        // A region that does not know the disk type sells none of it.
        Err(Error::Parameter(_)) => Ok(0),
        // A cloud without this call, or that answers it otherwise, still sells: the order will tell. The scheduler takes 0 for "never".
        Err(Error::Unknown(_) | Error::Unreadable(_) | Error::DiskNotFound(_)) => Ok(MAX_DISK_GIB),
        Err(error) => Err(error),
    }
}

fn left(stock: &Stock) -> u64 {
    if stock.satisfied == Some(false) || stock.sellout == Some(true) {
        return 0;
    }
    let quota = stock.quota_info.as_ref().and_then(|quota| quota.ebs_size_quota);
    let used = stock.used_info.as_ref().and_then(|used| used.ebs_size).unwrap_or(0);
    quota.map_or(MAX_DISK_GIB, |quota| quota.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use ecx::api::{QuotaInfo, UsedInfo};
    use ecx_sim::{Config, Effect};
    use futures::StreamExt as _;
    use serve::code::GrpcCode as _;
    use tokio::time::Instant;

    use super::*;
    use crate::local_cloud::{LocalCloud, OTHER_REGION, REGION};

    /// How many the provisioner asks at once, and how often it asks all (deploy/charts/eck-csi).
    const THREADS: usize = 10;
    const POLL: Duration = Duration::from_secs(60);

    fn asks(region: Option<&str>) -> pb::GetCapacityRequest {
        let topology = |region: &str| pb::Topology {
            segments: HashMap::from([(TOPOLOGY_REGION.to_owned(), region.to_owned())]),
        };
        pb::GetCapacityRequest { accessible_topology: region.map(topology), ..Default::default() }
    }

    /// A cloud whose [`OTHER_REGION`] takes every question of its stock and answers none.
    fn hanging() -> LocalCloud {
        let cloud = LocalCloud::new();
        cloud.meets_in(OTHER_REGION, Op::CheckStock, Effect::HoldBefore);
        cloud
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_that_hangs_does_not_age_the_numbers_of_the_others() {
        let (cloud, begun) = (hanging(), Instant::now());
        let driver = cloud.driver();
        // Of forty classes the region that hangs is asked first.
        let of_classes =
            [OTHER_REGION, REGION].into_iter().flat_map(|region| std::iter::repeat_n(region, 40));
        let rounds = of_classes.map(|region| {
            let driver = &driver;
            async move { (region, capacity(driver, asks(Some(region))).await.is_ok(), begun.elapsed()) }
        });
        let told: Vec<_> = futures::stream::iter(rounds).buffer_unordered(THREADS).collect().await;
        assert_eq!(told.len(), 80);
        for (region, known, after) in told {
            assert_eq!(known, region == REGION, "{region}");
            assert!(after < POLL, "{region} after {after:?}");
        }
    }

    /// Finding D7.
    #[tokio::test(start_paused = true)]
    async fn twenty_regions_that_hang_do_not_age_the_numbers_of_the_last() {
        let cloud = LocalCloud::new();
        let hung: Vec<String> = (1..=20).map(|n| format!("hung-{n}")).collect();
        for region in &hung {
            cloud.meets_in(region, Op::CheckStock, Effect::HoldBefore);
        }
        let all: Vec<Region> =
            hung.iter().map(String::as_str).chain([REGION]).map(crate::local_cloud::region).collect();
        let transport = cloud.transport(1, Duration::from_secs(40));
        let profile = ecx::Profile { base_url: "http://ecx-sim".into(), ..ecx::Profile::default() };
        let client = Arc::new(ecx::Client::over(transport, profile, cloud.credentials()));
        let driver = &Driver::new(client, eck_csi::cluster::ClusterIdentity::default(), all.clone());
        for round in 0..3 {
            let begun = Instant::now();
            // Of each region its four classes come at once, and the one that answers comes last.
            let asked =
                all.iter().flat_map(|region| std::iter::repeat_n(region, 4)).map(|region| async move {
                    (region.as_str() == REGION, capacity(driver, asks(Some(region.as_str()))).await.is_ok())
                });
            let told: Vec<_> = futures::stream::iter(asked).buffer_unordered(THREADS).collect().await;
            assert!(told.iter().all(|(healthy, known)| healthy == known), "round {round}: {told:?}");
            assert!(begun.elapsed() < POLL, "round {round} took {:?}", begun.elapsed());
            tokio::time::sleep_until(begun + POLL).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_that_answers_again_is_known_again() {
        let cloud = hanging();
        let driver = cloud.driver();
        capacity(&driver, asks(Some(OTHER_REGION))).await.unwrap_err();
        cloud.clear_faults();
        tokio::time::sleep(POLL).await;
        capacity(&driver, asks(Some(OTHER_REGION))).await.unwrap();
        capacity(&driver, asks(Some(OTHER_REGION))).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_that_hangs_is_unknown_and_neither_empty_nor_the_end_of_the_sum() {
        let cloud = hanging();
        let driver = cloud.driver();
        let silent = capacity(&driver, asks(Some(OTHER_REGION))).await.unwrap_err();
        assert_eq!(silent.code(), tonic::Code::Unavailable);
        assert!(silent.to_string().contains(OTHER_REGION), "{silent}");
        let one = capacity(&driver, asks(Some(REGION))).await.unwrap();
        assert_eq!(capacity(&driver, asks(None)).await.unwrap(), one);
    }

    /// What kube-scheduler 1.37 gives a node of 100 points, by default: fewer, the more of its capacity is asked for, in whole percent
    /// (pkg/scheduler/framework/plugins/volumebinding/scorer.go; the shape of SetDefaults_VolumeBindingArgs).
    fn score(asked_gib: u64, capacity: &pb::GetCapacityResponse) -> u64 {
        100 - asked_gib * GIB * 100 / capacity.available_capacity.unsigned_abs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_with_a_larger_quota_attracts_no_more_claims_than_one_that_has_enough() {
        let mut config = Config::default();
        for (code, quota_gib) in [(REGION, 33_000), (OTHER_REGION, 1_000_000)] {
            config.regions.get_mut(code).unwrap().quota_gib = quota_gib;
        }
        let cloud = LocalCloud::of(config);
        let driver = cloud.driver();
        let small = capacity(&driver, asks(Some(REGION))).await.unwrap();
        let large = capacity(&driver, asks(Some(OTHER_REGION))).await.unwrap();
        for asked in [20, 100, 500, 1000, 10_000, MAX_DISK_GIB] {
            assert_eq!(score(asked, &small), score(asked, &large), "{asked} GiB");
        }
    }

    #[test]
    fn what_a_region_does_not_tell_is_not_nothing() {
        assert_eq!(left(&Stock::default()), MAX_DISK_GIB);
        assert_eq!(left(&Stock { satisfied: Some(true), ..Stock::default() }), MAX_DISK_GIB);
    }

    #[test]
    fn a_region_that_is_sold_out_has_nothing() {
        assert_eq!(left(&Stock { satisfied: Some(false), ..Stock::default() }), 0);
        assert_eq!(left(&Stock { satisfied: Some(true), sellout: Some(true), ..Stock::default() }), 0);
    }

    #[test]
    fn the_rest_of_the_quota_can_be_ordered() {
        let quota_info = Some(QuotaInfo { ebs_size_quota: Some(100) });
        let used_info = Some(UsedInfo { ebs_size: Some(30) });
        assert_eq!(left(&Stock { quota_info, used_info, ..Stock::default() }), 70);
    }
}
