//! CreateVolume: exactly one disk, however often it is asked for.
//!
//! Look: the disks of this name in every region where an earlier attempt can have ordered one: those of the class, which
//! never changes, or all, since a retry without a class's region may come with another one than the first attempt. Decide: one fits → it; one does not → ALREADY_EXISTS; none → order. Act: order with a client token made from the name, so
//! that even a lost reply orders nothing twice; then wait by name. What is deleted here is only a disk that never was usable: it was seen
//! being made and died of it, or its order failed. Any other dead disk is named and left to a person.

use std::sync::Arc;

use eck_csi::cluster::ClusterIdentity;
use eck_csi::context::VolumeContext;
use eck_csi::driver::DISK_TYPE_DEFAULT;
use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::Region;
use ecx::api::{Disk, DiskState, Group};
use tokio::time::Instant;

use crate::disk_locator::Ask;
use crate::disk_reader::Query;
use crate::driver::Driver;
use crate::error::CreateError;
use crate::modify::{self, Mutable};
use crate::name::{disk_name, is_marked, other_cluster};
mod content;
mod order;
mod request;
mod spec;

use content::Content;
pub use request::CreateRequest;
pub(crate) use request::Source;
use spec::DiskSpec;

/// What to do about the disks that were found.
#[derive(Debug, PartialEq, Eq)]
enum CreateStep {
    /// This one is the volume.
    Use(Region, String),
    /// Order one, in the first of these regions that has stock.
    Order(Vec<Region>),
}

/// A volume that is there.
#[derive(Debug, Clone)]
pub struct CreatedVolume {
    pub(crate) region: Region,
    pub(crate) disk: Disk,
    /// What the node gets to know of it.
    pub(crate) context: VolumeContext,
    /// What its content was made from.
    pub(crate) source: Option<Source>,
}

impl Operation<Driver> for CreateRequest {
    type Output = CreatedVolume;
    type Error = CreateError;
    const NAME: &'static str = "CreateVolume";
    const KEY_IS: &'static str = "csi.volume_name";

    fn key(&self) -> String {
        self.name.clone()
    }

    fn made(created: &CreatedVolume) -> Option<&str> {
        Some(&created.disk.disk_id)
    }

    fn on_conflict(_: bool) -> OnConflict {
        // The same name with other arguments is the caller's contradiction.
        OnConflict::Abort
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<CreatedVolume, CreateError> {
        let (region, disk) = create(&driver, &self).await?;
        let context = VolumeContext {
            disk_type: display_type(&self),
            fs: self.fs,
            provisioned: true,
            source: self.source.as_ref().map(Source::to_string),
            options: self.parameters.options.clone(),
        };
        Ok(CreatedVolume { region, disk, context, source: self.source.clone() })
    }
}

/// The disk of the volume, and its region.
async fn create(driver: &Driver, request: &CreateRequest) -> Result<(Region, Disk), CreateError> {
    let allowed = allowed(request, &usable(driver, request).await?)?;
    let found = look(driver, request, &allowed).await?;
    let content = content::look(driver, request, &found).await?;
    modify::possible(driver, &later(request))?;
    let made =
        make(driver, request, &DiskSpec::new(driver, request, allowed, content.as_ref())?, found).await;
    if let Some(content) = &content {
        // A clone's snapshot is needed no more when the disk is there, or will not be.
        let over = made.as_ref().map_or_else(CreateError::is_final, |_| true);
        let finished = if over { content.finish(driver, request).await } else { Ok(()) };
        if made.is_ok() {
            let left = |source| CreateError::Cleanup { name: request.name.clone(), source: Box::new(source) };
            finished.map_err(left)?;
        }
    }
    let (region, disk) = made?;
    driver.disk_locator.learn(&disk.disk_id, &region);
    driver.open_orders.closed(&request.name);
    if disk.disk_status.group() == Group::Settled {
        driver.left_machines.made(&disk.disk_id);
    }
    let changed = modify::apply(driver, &region, disk, &request.mutable).await;
    let disk = changed
        .map_err(|source| CreateError::Modify { name: request.name.clone(), source: Box::new(source) })?;
    Ok((region, disk))
}

/// What its class of attributes asks for that an order cannot have: an empty disk is ordered with its type.
fn later(request: &CreateRequest) -> Mutable {
    let disk_type = request.mutable.disk_type.clone().filter(|_| request.source.is_some());
    Mutable { disk_type, ..request.mutable.clone() }
}

/// Finds or orders the disk, and waits until it is there.
async fn make(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    found: Vec<(Region, Disk)>,
) -> Result<(Region, Disk), CreateError> {
    let deadline = driver.deadline();
    let found = match driver.open_orders.placed(&request.name) {
        // Accepted is not begun: it is waited for, and not sent again.
        Some(order) if found.is_empty() => {
            order::outcome(driver, request, &order, deadline).await?.into_iter().collect()
        }
        _ => found,
    };
    let regions = match decide(request, wanted, &driver.cluster, &found)? {
        CreateStep::Use(region, id) => return order::settle(driver, request, region, &id, deadline).await,
        CreateStep::Order(regions) => regions,
    };
    match order::buy(driver, request, wanted, &regions, deadline).await {
        Err(error) if error.is_token_conflict() => conflict(driver, request, wanted, error, deadline).await,
        bought => bought,
    }
}

/// The name was ordered with other arguments: the disk is somewhere, and it decides. That none is shown does not say that there is none:
/// a cloud may have given it another name.
async fn conflict(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    error: CreateError,
    deadline: Instant,
) -> Result<(Region, Disk), CreateError> {
    let everywhere = driver.regions.all();
    let found = look(driver, request, &everywhere).await?;
    match decide(request, wanted, &driver.cluster, &found)? {
        CreateStep::Use(region, id) => order::settle(driver, request, region, &id, deadline).await,
        CreateStep::Order(_) => {
            if wanted.content.is_some_and(Content::is_clone) {
                order::forget_conflict(driver, request);
            }
            Err(CreateError::Hidden { name: request.name.clone(), source: Box::new(error) })
        }
    }
}

/// The disks of this name: in the regions that are needed and where an order may be open, which must answer, and in the others, which
/// need not: a region that is down takes only itself down. Needed is every region in which the disk may be ordered: an earlier attempt,
/// also of a controller before this one, may have found the first sold out. (With WaitForFirstConsumer that is the region of the pod's
/// node alone.) An attempt for another node can have ordered one in another of the class's regions, which never change, or in any.
async fn look(
    driver: &Driver,
    request: &CreateRequest,
    needed: &[Region],
) -> Result<Vec<(Region, Disk)>, CreateError> {
    let open = driver.open_orders.of(&request.name);
    let class = &request.parameters.regions;
    let any = class.is_empty() || request.source.is_some();
    let ask = |region: &Region| {
        if needed.contains(region) || open.contains(region) {
            Ask::Must
        } else if any || class.contains(region) {
            Ask::May
        } else {
            Ask::Not
        }
    };
    let query = Query::Name(disk_name(&request.name));
    let found = driver.disk_locator.among(&driver.reader, &query, ask).await;
    found.map_err(|source| CreateError::Cloud { name: request.name.clone(), source })
}

/// The regions of the settings; where none of them will do, also those that the request names and that are the cloud's. A claim that is
/// bound at once, for which the provisioner names the regions of all nodes, waits for no other region than the settings say.
async fn usable(driver: &Driver, request: &CreateRequest) -> Result<Vec<Region>, CreateError> {
    let mut regions = driver.regions.configured().to_vec();
    for region in beyond(request, &regions) {
        let known = driver.regions.known(&region).await;
        if known.map_err(|source| CreateError::Cloud { name: request.name.clone(), source })? {
            regions.push(region);
        }
    }
    Ok(regions)
}

/// The regions that the request allows, if none of them is configured.
fn beyond(request: &CreateRequest, configured: &[Region]) -> Vec<Region> {
    let class = &request.parameters.regions;
    let asked = if request.requisite.is_empty() { class } else { &request.requisite };
    let fits = |region: &&Region| class.is_empty() || class.contains(region);
    let asked: Vec<Region> = asked.iter().filter(fits).cloned().collect();
    if asked.iter().any(|region| configured.contains(region)) { Vec::new() } else { asked }
}

/// The regions in which the volume may be, the best first.
fn allowed(request: &CreateRequest, configured: &[Region]) -> Result<Vec<Region>, BadField> {
    let class = &request.parameters.regions;
    let list = |regions: &[Region]| regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
    // For an Immediate claim the provisioner names the regions of all nodes, also of those that are no machines of this cloud's
    // regions: what is not known is left out, and refused only if nothing else is left.
    let known =
        |regions: &[Region]| regions.iter().filter(|r| configured.contains(r)).cloned().collect::<Vec<_>>();
    let (in_class, requisite, preferred) =
        (known(class), known(&request.requisite), known(&request.preferred));
    for (asked, left) in [(class, &in_class), (&request.requisite, &requisite)] {
        if !asked.is_empty() && left.is_empty() {
            let allowed = format!("the cluster's regions: {}", list(configured));
            return Err(BadField::new("region", list(asked), allowed));
        }
    }
    let base = if requisite.is_empty() { configured } else { &requisite };
    let fits = |r: &&Region| class.is_empty() || class.contains(r);
    let mut allowed: Vec<Region> =
        preferred.iter().filter(|r| base.contains(r)).filter(fits).cloned().collect();
    // Without a preference the class's own order counts.
    let rest = if class.is_empty() { base } else { &in_class };
    for region in rest.iter().filter(|r| base.contains(r)).filter(fits) {
        if !allowed.contains(region) {
            allowed.push(region.clone());
        }
    }
    if allowed.is_empty() {
        let text = format!("a region of accessibility_requirements: {}", list(base));
        return Err(BadField::new("parameters.region", list(class), text));
    }
    Ok(allowed)
}

/// Of the disks of the name the one that is this cluster's.
fn ours<'a>(
    request: &CreateRequest,
    cluster: &ClusterIdentity,
    found: &'a [(Region, Disk)],
) -> Result<Option<&'a (Region, Disk)>, CreateError> {
    // Another cluster's disk of the same name, e.g. of a cluster that this one was restored from, is no volume of this one.
    let others = found.iter().find_map(|(_, disk)| Some((disk, other_cluster(disk, cluster)?)));
    if let Some((disk, other)) = others {
        let (name, disk) = (request.name.clone(), disk.disk_id.clone());
        return Err(CreateError::OtherCluster { name, disk, other });
    }
    let mut marked = found.iter().filter(|(_, disk)| is_marked(disk));
    match (found, marked.next(), marked.next()) {
        ([], _, _) => Ok(None),
        ([one], _, _) | (_, Some(one), None) => Ok(Some(one)),
        _ => Err(CreateError::ambiguous(&request.name, found.iter().map(|(_, disk)| disk))),
    }
}

fn decide(
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    cluster: &ClusterIdentity,
    found: &[(Region, Disk)],
) -> Result<CreateStep, CreateError> {
    let Some((region, disk)) = ours(request, cluster, found)? else {
        return Ok(CreateStep::Order(wanted.allowed.clone()));
    };
    let (name, id) = (request.name.clone(), disk.disk_id.clone());
    if disk.disk_status == DiskState::Deleting {
        return Err(CreateError::Deleting { name, disk: id });
    }
    // A class of attributes may have changed the type since.
    let changed = request.mutable.disk_type.as_deref();
    // What the cloud does not tell of a disk fits: only what it tells can differ.
    let fits = |wanted: &str| {
        disk.disk_type.is_empty()
            || disk.disk_type.eq_ignore_ascii_case(wanted)
            || changed == Some(disk.disk_type.as_str())
    };
    let (size, made) = (wanted.size, wanted.content.map_or_else(|| empty(disk), |source| source.made(disk)));
    let what = if !made {
        let source = disk.volume_source_id.as_deref().unwrap_or("nothing");
        let asked = request.source.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        format!("it was made from {source} and {asked} is asked for")
    } else if disk.disk_size > 0 && !size.holds(disk.disk_size) {
        format!("it has {} GiB and {} to {} are asked for", disk.disk_size, size.min_gib, size.max_gib)
    } else if let Some(wanted) = wanted.disk_type.filter(|wanted| !fits(wanted)) {
        format!("its type is {} and {wanted} is asked for", disk.disk_type)
    } else if !wanted.allowed.contains(region) {
        let regions: Vec<&str> = wanted.allowed.iter().map(Region::as_str).collect();
        format!("it is in {region} and only {} will do", regions.join(", "))
    } else {
        return Ok(CreateStep::Use(region.clone(), id));
    };
    Err(CreateError::Incompatible { name, disk: id, what })
}

/// Whether the disk began empty, as far as the cloud tells.
fn empty(disk: &Disk) -> bool {
    disk.volume_source_id.as_deref().unwrap_or_default().is_empty()
}

/// The disk type that the volume context shows.
fn display_type(request: &CreateRequest) -> String {
    request
        .mutable
        .disk_type
        .clone()
        .or_else(|| request.parameters.disk_type.clone())
        .unwrap_or_else(|| DISK_TYPE_DEFAULT.to_owned())
}

#[cfg(test)]
mod tests;
