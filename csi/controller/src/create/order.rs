//! Orders the disk, and waits until it is there.

use std::time::Duration;

use eck_csi::volume::Region;
use ecx::api::{CreateDisk, Disk, GetOrder, Group, Label};
use ecx::token;
use tokio::time::Instant;

use super::request::CreateRequest;
use super::spec::DiskSpec;
use crate::accepted::{Ended, Handle};
use crate::disk_reader::{Query, Verdict, WaitError};
use crate::driver::Driver;
use crate::error::CreateError;
use crate::name::{disk_name, numbered, other_cluster};
use crate::open_orders::Placed;

/// An order that fails in the cloud is ordered anew, each time with a token of its own, so often in one call.
const ATTEMPTS: u32 = 3;

/// After a lost reply the disk is looked for this long before the retry is asked to order again: a cloud that does not know its own
/// client tokens would sell a second one.
const LOST_REPLY: Duration = Duration::from_secs(15);

/// Orders the disk in the first region that has one, and waits until it is there.
pub(super) async fn buy(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    regions: &[Region],
    deadline: Instant,
) -> Result<(Region, Disk), CreateError> {
    let snapshot_id = match wanted.content {
        None => None,
        Some(content) => Some(content.ready(driver, request).await?),
    };
    for _ in 1..=ATTEMPTS {
        let placed = place(driver, request, wanted, regions, snapshot_id.as_ref()).await?;
        if let Some(disk) = outcome(driver, request, &placed, deadline).await? {
            return Ok(disk);
        }
    }
    driver.open_orders.closed(&request.name);
    Err(CreateError::OrderFailed { name: request.name.clone(), attempts: ATTEMPTS })
}

/// The disk of an order that the cloud took, when it is there; `None` if the order has failed.
pub(super) async fn outcome(
    driver: &Driver,
    request: &CreateRequest,
    placed: &Placed,
    deadline: Instant,
) -> Result<Option<(Region, Disk)>, CreateError> {
    let shown = || Query::Shown(disk_name(&request.name));
    let (region, query) = (&placed.region, placed.disk.clone().map_or_else(shown, Query::Id));
    if let Some(disk) = arrived(driver, request, region, &query, &placed.handle, deadline).await? {
        return Ok(Some((region.clone(), disk)));
    }
    // No disk is there: the token of this order tells of nothing but this failure any more.
    driver.order_attempts.failed(&purpose(request), placed.number);
    driver.open_orders.refused(&request.name, region);
    Ok(None)
}

/// Waits until a disk that was found is there to be used. An attached one is: the volume was created long ago.
pub(super) async fn settle(
    driver: &Driver,
    request: &CreateRequest,
    region: Region,
    id: &str,
    deadline: Instant,
) -> Result<(Region, Disk), CreateError> {
    let arrived =
        arrived(driver, request, &region, &Query::Id(id.to_owned()), &Handle::None, deadline).await?;
    let gone = || CreateError::Deleting { name: request.name.clone(), disk: id.to_owned() };
    Ok((region, arrived.ok_or_else(gone)?))
}

/// The disk when it is there to be used; `None` if its order has failed.
async fn arrived(
    driver: &Driver,
    request: &CreateRequest,
    region: &Region,
    query: &Query,
    handle: &Handle,
    deadline: Instant,
) -> Result<Option<Disk>, CreateError> {
    let wait = |source| CreateError::Wait { name: request.name.clone(), source };
    let over = |disks: &[Disk]| disks.first().is_some_and(|disk| disk.disk_status.group() != Group::Busy);
    let disks = match driver.ended_of(region, query, handle, deadline, over).await.map_err(wait)? {
        Ended::Shown(disks) => disks,
        Ended::Failed => return Ok(None),
        Ended::NotShown(_) => vec![ordered(driver, request, region, handle, deadline).await?],
    };
    if let [one] = disks.as_slice()
        && let Some(other) = other_cluster(one, &driver.cluster)
    {
        // Of one id and one name two clusters make one token, and the cloud may tell both of one disk.
        let (name, disk) = (request.name.clone(), one.disk_id.clone());
        return Err(CreateError::OthersAnswer { name, disk, other });
    }
    match disks.as_slice() {
        [] => Ok(None),
        [one] if one.disk_status.group() == Group::Dead => {
            let (disk, state) = (one.disk_id.clone(), one.disk_status.as_str().to_owned());
            Err(CreateError::Dead { disk, state })
        }
        [one] => Ok(Some(one.clone())),
        many => Err(CreateError::ambiguous(&request.name, many.iter())),
    }
}

/// The disk of an order that is done, though no disk of the name is shown: by the id that the order tells.
async fn ordered(
    driver: &Driver,
    request: &CreateRequest,
    region: &Region,
    handle: &Handle,
    deadline: Instant,
) -> Result<Disk, CreateError> {
    let wait = |source| CreateError::Wait { name: request.name.clone(), source };
    let Handle::Order(order) = handle else { return Err(late(request, deadline)) };
    let told = driver.client.get_order(&GetOrder { master_order_id: order.clone() }).await;
    let told = told.map_err(|source| CreateError::Cloud { name: request.name.clone(), source })?;
    let Some(id) = told.instance_id_list.into_iter().flatten().next() else {
        return Err(late(request, deadline));
    };
    let over = |disks: &[Disk]| disks.first().is_some_and(|disk| disk.disk_status.group() != Group::Busy);
    let ended = driver.ended_of(region, &Query::Id(id), &Handle::None, deadline, over).await.map_err(wait)?;
    match ended {
        Ended::Shown(disks) => disks.into_iter().next().ok_or_else(|| late(request, deadline)),
        Ended::Failed | Ended::NotShown(_) => Err(late(request, deadline)),
    }
}

fn late(request: &CreateRequest, deadline: Instant) -> CreateError {
    let after = Instant::now().saturating_duration_since(deadline);
    let source = WaitError::TooLong { after, last: "an order that is done, and no disk".to_owned() };
    CreateError::Wait { name: request.name.clone(), source }
}

/// What the order of this volume's disk is to do, for the table of order attempts.
pub(super) fn purpose(request: &CreateRequest) -> String {
    format!("create {}", request.name)
}

/// Sends the order to one region after the other, until one takes it.
async fn place(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    regions: &[Region],
    snapshot_id: Option<&String>,
) -> Result<Placed, CreateError> {
    let name = &request.name;
    let number = driver.order_attempts.next(&purpose(request));
    let mut tried = Vec::new();
    for region in regions {
        let body = body(driver, request, wanted, region, snapshot_id, number);
        let open_before = driver.open_orders.sent(name, region);
        let placed = |handle, disk| {
            let order = Placed { region: region.clone(), handle, disk, number, at: Instant::now() };
            driver.open_orders.took(name, order.clone());
            order
        };
        let source = match driver.client.create_disk(&body).await {
            Ok(reply) => {
                let resources = reply.resources.into_iter().flatten();
                let disk = resources.filter_map(|resource| resource.disk_id).find(|id| !id.is_empty());
                return Ok(placed(Handle::order(reply.master_order_id), disk));
            }
            Err(ecx::Error::InProgress(said)) => {
                return Ok(placed(Handle::order(said.order_id.map(String::from)), None));
            }
            Err(source) => source,
        };
        driver.order_attempts.refused(&purpose(request), number, &source);
        if source.outcome_unknown() {
            let found = lost(driver, region, &wanted.name).await;
            let found = found.ok_or_else(|| CreateError::Cloud { name: name.clone(), source })?;
            return Ok(placed(Handle::None, Some(found)));
        }
        if open_before {
            // An earlier order may still become a disk, whatever is said of this one.
            return Err(CreateError::Cloud { name: name.clone(), source });
        }
        driver.open_orders.refused(name, region);
        if !matches!(source, ecx::Error::SoldOut(_) | ecx::Error::Quota(_)) {
            return Err(CreateError::Refused { name: name.clone(), source });
        }
        tried.push(format!("{region}: {source}"));
    }
    let tried = tried.join("; ");
    Err(CreateError::Exhausted { name: name.clone(), tried })
}

fn body(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    region: &Region,
    snapshot_id: Option<&String>,
    number: u32,
) -> CreateDisk {
    // A disk from a snapshot takes neither type nor labels (ECX-API B.3, op 2).
    let (disk_type, labels) = match snapshot_id {
        Some(_) => (None, Vec::new()),
        None => {
            let mark = driver.cluster.labels().into_iter();
            let labels = mark.map(|(key, value)| Label { key: key.to_owned(), value });
            (wanted.disk_type.map(str::to_owned), labels.collect())
        }
    };
    CreateDisk {
        // The name's alone, whatever the region: an order that an earlier attempt sent elsewhere and that the cloud
        // carries out only now meets this one's token and is a conflict, not a second disk. A region that refuses
        // for want of stock has made no order, so it leaves the token free for the next.
        client_token: token::create(&driver.cluster.id, &numbered(&request.name, number)),
        region_id: region.to_string(),
        disk_name: wanted.name.clone(),
        disk_mode: driver.client.profile().disk_mode.clone(),
        disk_type,
        disk_size: wanted.size.min_gib,
        on_demand: true,
        labels,
        snapshot_id: snapshot_id.cloned(),
    }
}

/// The disk of an order whose reply was lost, if it shows soon.
async fn lost(driver: &Driver, region: &Region, name: &str) -> Option<String> {
    let judge = |disks: &[Disk]| match disks.first() {
        Some(disk) => Verdict::Done(disk.disk_id.clone()),
        None => Verdict::Wait("no disk".to_owned()),
    };
    let until = Instant::now() + LOST_REPLY;
    driver.reader.wait_until(until, region, Query::Name(name.to_owned()), judge).await.ok()
}
