//! Orders the disk, and waits until it is there.

use std::time::Duration;

use eck_csi::volume::{Region, VolumeId};
use ecx::api::{CreateDisk, Disk, DiskState, GetOrder, Group, Label};
use ecx::token;
use tokio::time::Instant;

use super::request::CreateRequest;
use super::spec::DiskSpec;
use crate::accepted::{Ended, Handle};
use crate::delete;
use crate::disk_reader::{Query, Verdict, WaitError};
use crate::driver::Driver;
use crate::error::CreateError;
use crate::name::{disk_name, numbered, other_cluster};
use crate::open_orders::Placed;

/// An order that fails in the cloud is ordered anew, each time with a token of its own, so often in one call.
const ATTEMPTS: u32 = 3;

/// So long a clone's token may be another request's, while no disk is shown, before the clone is ordered with the next token.
const CONFLICT: Duration = Duration::from_secs(1200);

/// What is seen of a disk that is not there.
const NO_DISK: &str = "no disk";

/// After a lost reply the disk is looked for this long before the retry is asked to order again: a cloud that does not know its own
/// client tokens would sell a second one.
const LOST_REPLY: Duration = Duration::from_secs(15);

/// What became of the disk.
enum Arrived {
    There(Disk),
    /// Its order has failed, and no disk is there.
    Failed,
    /// Its order is done, and the disk that it names is not there by its own word.
    Gone,
    /// It is dead, and was seen being made before, or its order has failed: it never was usable, and nothing can be on it.
    Stillborn(Disk),
}

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
    let arrived = arrived(driver, request, region, &query, &placed.handle, deadline).await?;
    match &arrived {
        Arrived::There(disk) => return Ok(Some((region.clone(), disk.clone()))),
        Arrived::Stillborn(disk) => discard(driver, request, disk).await?,
        Arrived::Failed | Arrived::Gone => {}
    }
    // No disk is there: the token of this order tells of nothing but this end any more.
    driver.order_attempts.failed(&purpose(request), placed.number);
    driver.open_orders.refused(&request.name, region);
    if matches!(arrived, Arrived::Gone) { Err(late(request, deadline)) } else { Ok(None) }
}

/// Waits until a disk that was found is there to be used. An attached one is: the volume was created long ago.
pub(super) async fn settle(
    driver: &Driver,
    request: &CreateRequest,
    region: Region,
    id: &str,
    deadline: Instant,
) -> Result<(Region, Disk), CreateError> {
    let query = Query::Id(id.to_owned());
    match arrived(driver, request, &region, &query, &Handle::None, deadline).await? {
        Arrived::There(disk) => return Ok((region, disk)),
        Arrived::Stillborn(disk) => {
            discard(driver, request, &disk).await?;
            let number = driver.order_attempts.next(&purpose(request));
            driver.order_attempts.failed(&purpose(request), number);
            driver.open_orders.refused(&request.name, &region);
        }
        Arrived::Failed | Arrived::Gone => {}
    }
    Err(CreateError::Deleting { name: request.name.clone(), disk: id.to_owned() })
}

/// Refunds a disk that never was usable. Every other dead disk is left to a person: it may have been usable and hold data.
async fn discard(driver: &Driver, request: &CreateRequest, disk: &Disk) -> Result<(), CreateError> {
    let error = |source| CreateError::Stillborn {
        name: request.name.clone(),
        disk: disk.disk_id.clone(),
        source: Box::new(source),
    };
    delete::delete(driver, &VolumeId::parse(disk.disk_id.clone())?).await.map_err(error)
}

/// What has become of the disk when nothing goes on with it any more.
async fn arrived(
    driver: &Driver,
    request: &CreateRequest,
    region: &Region,
    query: &Query,
    handle: &Handle,
    deadline: Instant,
) -> Result<Arrived, CreateError> {
    let wait = |source| CreateError::Wait { name: request.name.clone(), source };
    let mut being_made = false;
    let over = |disks: &[Disk]| {
        being_made |= disks.iter().any(|disk| disk.disk_status == DiskState::Creating);
        disks.first().is_some_and(|disk| disk.disk_status.group() != Group::Busy)
    };
    let disks = match driver.ended_of(region, query, handle, deadline, over).await.map_err(wait)? {
        Ended::Shown(disks) => disks,
        Ended::Failed => return Ok(Arrived::Failed),
        Ended::NotShown(_) => match ordered(driver, request, region, handle, deadline).await? {
            Some(disk) => vec![disk],
            None => return Ok(Arrived::Gone),
        },
    };
    if let [one] = disks.as_slice()
        && let Some(other) = other_cluster(one, &driver.cluster)
    {
        // Of one id and one name two clusters make one token, and the cloud may tell both of one disk.
        let (name, disk) = (request.name.clone(), one.disk_id.clone());
        return Err(CreateError::OthersAnswer { name, disk, other });
    }
    if let [one] = disks.as_slice()
        && one.disk_status == DiskState::Error
        && one.holders().is_empty()
        && (being_made || driver.said_failed(region, handle).await)
    {
        return Ok(Arrived::Stillborn(one.clone()));
    }
    match disks.as_slice() {
        [] => Ok(Arrived::Failed),
        [one] if one.disk_status.group() == Group::Dead => Err(CreateError::dead(&request.name, region, one)),
        [one] => Ok(Arrived::There(one.clone())),
        many => Err(CreateError::ambiguous(&request.name, many.iter())),
    }
}

/// The disk of an order that is done, though no disk of the name is shown: by the id that the order tells. `None` if until the deadline
/// there is none of that id: it was deleted since, and the token gives no other one.
async fn ordered(
    driver: &Driver,
    request: &CreateRequest,
    region: &Region,
    handle: &Handle,
    deadline: Instant,
) -> Result<Option<Disk>, CreateError> {
    let wait = |source| CreateError::Wait { name: request.name.clone(), source };
    let Handle::Order(order) = handle else { return Err(late(request, deadline)) };
    let told = driver.client.get_order(&GetOrder { master_order_id: order.clone() }).await;
    let told = told.map_err(|source| CreateError::Cloud { name: request.name.clone(), source })?;
    let Some(id) = told.instance_id_list.into_iter().flatten().next() else {
        return Err(late(request, deadline));
    };
    let judge = |disks: &[Disk]| match disks.first() {
        None => Verdict::Wait(NO_DISK.to_owned()),
        Some(disk) if disk.disk_status.group() == Group::Busy => {
            Verdict::Wait(disk.disk_status.as_str().to_owned())
        }
        Some(disk) => Verdict::Done(disk.clone()),
    };
    match driver.reader.wait_until(deadline, region, Query::Proven(id), judge).await {
        Ok(disk) => Ok(Some(disk)),
        Err(WaitError::TooLong { last, .. }) if last == NO_DISK => Ok(None),
        Err(error) => Err(wait(error)),
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

/// The token of a clone's order is another request's, and no disk is there. The other request named an earlier snapshot of the clone, which
/// is gone: it goes only when its order was refused or its disk was made, so no order is open, and a controller before this one knew.
/// This one cannot know, but an order that is open nevertheless shows its disk sooner or later. Then the next token's turn comes.
pub(super) fn forget_conflict(driver: &Driver, request: &CreateRequest) {
    let purpose = purpose(request);
    if driver.order_attempts.conflicted(&purpose) >= CONFLICT {
        driver.order_attempts.failed(&purpose, driver.order_attempts.next(&purpose));
    }
}

/// Sends the order to one region after the other, until one takes it.
///
/// All are sent with one token, so that an order of an earlier attempt is met again, wherever it was sent. A cloud may bind a token to the
/// first region that it was sent to, also where it sells nothing: then the next region calls it another request's. That the first one
/// has refused, in this call or one before, says that no order has this token, and those regions are asked again with the next one.
async fn place(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    regions: &[Region],
    snapshot_id: Option<&String>,
) -> Result<Placed, CreateError> {
    let (name, purpose) = (request.name.clone(), purpose(request));
    let (mut tried, mut left) = (Vec::new(), regions.to_vec());
    while !left.is_empty() {
        let (number, mut bound) = (driver.order_attempts.next(&purpose), Vec::new());
        let mut sold_out = driver.order_attempts.was_sold_out(&purpose, number);
        for region in left {
            let body = body(driver, request, wanted, &region, snapshot_id, number);
            let source = match send(driver, request, &region, &body, number).await? {
                Ok(placed) => return Ok(placed),
                Err(source) => source,
            };
            if matches!(source, ecx::Error::SoldOut(_) | ecx::Error::Quota(_)) {
                sold_out = true;
                driver.order_attempts.sold_out(&purpose, number);
                tried.push(format!("{region}: {source}"));
            } else if sold_out && matches!(source, ecx::Error::TokenConflict(_)) {
                bound.push(region);
            } else {
                return Err(CreateError::Refused { name, source });
            }
        }
        if !bound.is_empty() {
            driver.order_attempts.failed(&purpose, number);
        }
        left = bound;
    }
    Err(CreateError::Exhausted { name, tried: tried.join("; ") })
}

/// Sends the order to a region: what it placed, or why it is refused and none is open there.
async fn send(
    driver: &Driver,
    request: &CreateRequest,
    region: &Region,
    body: &CreateDisk,
    number: u32,
) -> Result<Result<Placed, ecx::Error>, CreateError> {
    let name = &request.name;
    let open_before = driver.open_orders.sent(name, region);
    let placed = |handle, disk| {
        let order = Placed { region: region.clone(), handle, disk, number, at: Instant::now() };
        driver.open_orders.took(name, order.clone());
        Ok(Ok(order))
    };
    let source = match driver.client.create_disk(body).await {
        Ok(reply) => {
            let resources = reply.resources.into_iter().flatten();
            let disk = resources.filter_map(|resource| resource.disk_id).find(|id| !id.is_empty());
            return placed(Handle::order(reply.master_order_id), disk);
        }
        Err(ecx::Error::InProgress(said)) => {
            return placed(Handle::order(said.order_id.map(String::from)), None);
        }
        Err(source) => source,
    };
    driver.order_attempts.refused(&purpose(request), number, &source);
    if source.outcome_unknown() {
        let found = lost(driver, region, &body.disk_name).await;
        let found = found.ok_or_else(|| CreateError::Cloud { name: name.clone(), source })?;
        return placed(Handle::None, Some(found));
    }
    if open_before {
        // An earlier order may still become a disk, whatever is said of this one.
        return Err(CreateError::Cloud { name: name.clone(), source });
    }
    driver.open_orders.refused(name, region);
    Ok(Err(source))
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
        // carries out only now meets this one's token and is a conflict, not a second disk.
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
        None => Verdict::Wait(NO_DISK.to_owned()),
    };
    let until = Instant::now() + LOST_REPLY;
    driver.reader.wait_until(until, region, Query::Name(name.to_owned()), judge).await.ok()
}
