//! CreateVolume: exactly one disk, however often it is asked for.
//!
//! Look: the disks of this name in every region where an earlier attempt can have ordered one: those of the class, which
//! never changes, or all, since a retry without a class's region may come with another one than the first attempt. Decide: one fits → it; one does not → ALREADY_EXISTS; none → order. Act: order with a client token made from the name, so
//! that even a lost reply orders nothing twice; then wait by name. Nothing is ever deleted here.

use std::sync::Arc;

use eck_csi::context::VolumeContext;
use eck_csi::driver::{DISK_LABEL, DISK_TYPE_DEFAULT};
use eck_csi::field::BadField;
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{Region, SizeRange};
use ecx::api::{CreateDisk, Disk, DiskState, Group, Label};
use ecx::token;

use crate::disk_reader::{Query, Verdict};
use crate::driver::Driver;
use crate::error::CreateError;
use crate::modify::{self, Mutable};
use crate::name::disk_name;
mod content;
mod request;

use content::Content;
pub use request::CreateRequest;
pub(crate) use request::Source;

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

    fn key(&self) -> String {
        self.name.clone()
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
    let allowed = allowed(request, driver.disk_locator.all())?;
    let name = disk_name(&request.name);
    let class = &request.parameters.regions;
    let scope = if class.is_empty() || request.source.is_some() { driver.disk_locator.all() } else { class };
    let found = look(driver, request, scope, &name).await?;
    let content = content::look(driver, request, &found).await?;
    modify::possible(driver, &later(request))?;
    let made =
        make(driver, request, &DiskSpec::new(driver, request, allowed, content.as_ref())?, found).await;
    if let Some(content) = &content {
        // A clone's snapshot is needed no more when the disk is there, or will not be.
        let over = made.as_ref().map_or_else(CreateError::is_final, |_| true);
        let finished = if over { content.finish(driver, request).await } else { Ok(()) };
        if made.is_ok() {
            finished?;
        }
    }
    let (region, disk) = made?;
    driver.disk_locator.learn(&disk.disk_id, &region);
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

/// What the disk must be like.
#[derive(Debug)]
struct DiskSpec<'a> {
    /// Its name in the cloud.
    name: String,
    /// Regions in which it may be, the best first.
    allowed: Vec<Region>,
    /// `None` if the cloud chooses it and does not tell beforehand.
    disk_type: Option<&'a str>,
    size: SizeRange,
    content: Option<&'a Content>,
}

impl<'a> DiskSpec<'a> {
    fn new(
        driver: &'a Driver,
        request: &'a CreateRequest,
        allowed: Vec<Region>,
        content: Option<&'a Content>,
    ) -> Result<Self, CreateError> {
        let (name, class) = (disk_name(&request.name), request.parameters.disk_type.as_deref());
        let Some(source) = content else {
            let disk_type = Some(driver.disk_type(request.mutable.disk_type.as_deref().or(class)));
            return Ok(Self { name, allowed, disk_type, size: request.size, content });
        };
        let (size, disk_type) = (source.size(request.size)?, source.disk_type(class)?);
        Ok(Self { name, allowed: source.region(request, &allowed)?, disk_type, size, content })
    }
}

/// Finds or orders the disk, and waits until it is there.
async fn make(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    found: Vec<(Region, Disk)>,
) -> Result<(Region, Disk), CreateError> {
    let name = &wanted.name;
    let (region, query, seen) = match decide(request, wanted, &driver.cluster, &found)? {
        CreateStep::Use(region, id) => (region, Query::Id(id), found),
        CreateStep::Order(regions) => match order(driver, request, wanted, &regions).await {
            Ok(Ordered { region, done }) => {
                // An order that is done at once shows its disk at once: no tick needs to be waited for.
                let seen = if done {
                    look(driver, request, std::slice::from_ref(&region), name).await?
                } else {
                    vec![]
                };
                (region, Query::Name(name.clone()), seen)
            }
            // The name was ordered with other arguments: the disk is somewhere, and it decides.
            Err(error @ CreateError::Cloud { source: ecx::Error::TokenConflict(_), .. }) => {
                let found = look(driver, request, driver.disk_locator.all(), name).await?;
                match decide(request, wanted, &driver.cluster, &found)? {
                    CreateStep::Use(region, id) => (region, Query::Id(id), found),
                    CreateStep::Order(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        },
    };
    settle(driver, request, region, query, &seen).await
}

/// The disks of this name in the regions.
async fn look(
    driver: &Driver,
    request: &CreateRequest,
    regions: &[Region],
    name: &str,
) -> Result<Vec<(Region, Disk)>, CreateError> {
    let found = driver.disk_locator.among(regions, &driver.reader, &Query::Name(name.to_owned())).await;
    found.map_err(|source| CreateError::Cloud { name: request.name.clone(), source })
}

/// The regions in which the volume may be, the best first.
fn allowed(request: &CreateRequest, configured: &[Region]) -> Result<Vec<Region>, BadField> {
    let class = &request.parameters.regions;
    let list = |regions: &[Region]| regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
    let wanted = [class, &request.requisite, &request.preferred];
    if let Some(unknown) = wanted.into_iter().flatten().find(|r| !configured.contains(r)) {
        return Err(BadField::new("region", unknown, format!("the cluster's regions: {}", list(configured))));
    }
    let base = if request.requisite.is_empty() { configured } else { &request.requisite };
    let fits = |r: &&Region| class.is_empty() || class.contains(r);
    let mut allowed: Vec<Region> =
        request.preferred.iter().filter(|r| base.contains(r)).filter(fits).cloned().collect();
    // Without a preference the class's own order counts.
    let rest = if class.is_empty() { base } else { class };
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

fn decide(
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    cluster: &str,
    found: &[(Region, Disk)],
) -> Result<CreateStep, CreateError> {
    let ours = |disk: &Disk| disk.labels.iter().any(|l| l.key == DISK_LABEL && l.value == cluster);
    let (region, disk) = match found {
        [] => return Ok(CreateStep::Order(wanted.allowed.clone())),
        [one] => one,
        many => {
            let mut labelled = many.iter().filter(|(_, disk)| ours(disk));
            match (labelled.next(), labelled.next()) {
                (Some(one), None) => one,
                _ => {
                    let disks: Vec<&str> = many.iter().map(|(_, disk)| disk.disk_id.as_str()).collect();
                    let (name, disks) = (request.name.clone(), disks.join(", "));
                    return Err(CreateError::Ambiguous { name, count: many.len(), disks });
                }
            }
        }
    };
    let (name, id) = (request.name.clone(), disk.disk_id.clone());
    if disk.disk_status == DiskState::Deleting {
        return Err(CreateError::Deleting { name, disk: id });
    }
    // A class of attributes may have changed the type since.
    let changed = request.mutable.disk_type.as_deref();
    let fits = |wanted: &str| disk.disk_type == wanted || changed == Some(disk.disk_type.as_str());
    let (size, made) = (wanted.size, wanted.content.map_or_else(|| empty(disk), |source| source.made(disk)));
    let what = if !made {
        let source = disk.volume_source_id.as_deref().unwrap_or("nothing");
        let asked = request.source.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        format!("it was made from {source} and {asked} is asked for")
    } else if !size.holds(disk.disk_size) {
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

/// An order that the cloud took.
struct Ordered {
    region: Region,
    /// It was carried out at once.
    done: bool,
}

/// OrderAttempts the disk in the first region that has one.
async fn order(
    driver: &Driver,
    request: &CreateRequest,
    wanted: &DiskSpec<'_>,
    regions: &[Region],
) -> Result<Ordered, CreateError> {
    let snapshot_id = match wanted.content {
        None => None,
        Some(content) => Some(content.ready(driver, request).await?),
    };
    // A disk from a snapshot takes neither type nor labels (ECX-API B.3, op 2).
    let (disk_type, labels) = match snapshot_id {
        Some(_) => (None, Vec::new()),
        None => {
            let label = Label { key: DISK_LABEL.to_owned(), value: driver.cluster.clone() };
            (wanted.disk_type.map(str::to_owned), vec![label])
        }
    };
    let mut tried = Vec::new();
    for region in regions {
        let body = CreateDisk {
            // The name's alone, whatever the region: an order that an earlier attempt sent elsewhere and that the cloud
            // carries out only now meets this one's token and is a conflict, not a second disk. A region that refuses
            // for want of stock has made no order, so it leaves the token free for the next.
            client_token: token::create(&driver.cluster, &request.name),
            region_id: region.to_string(),
            disk_name: wanted.name.clone(),
            disk_mode: driver.client.profile().disk_mode.clone(),
            disk_type: disk_type.clone(),
            disk_size: wanted.size.min_gib,
            on_demand: true,
            labels: labels.clone(),
            snapshot_id: snapshot_id.clone(),
        };
        match driver.client.create_disk(&body).await {
            Ok(_) => return Ok(Ordered { region: region.clone(), done: true }),
            Err(ecx::Error::InProgress(_)) => return Ok(Ordered { region: region.clone(), done: false }),
            Err(error @ (ecx::Error::SoldOut(_) | ecx::Error::Quota(_))) => {
                tried.push(format!("{region}: {error}"))
            }
            Err(source) => return Err(CreateError::Cloud { name: request.name.clone(), source }),
        }
    }
    Err(CreateError::Exhausted { name: request.name.clone(), tried: tried.join("; ") })
}

/// Waits until the disk is there to be used; `seen` is what was read just now. An attached one is: the volume was created
/// long ago.
async fn settle(
    driver: &Driver,
    request: &CreateRequest,
    region: Region,
    query: Query,
    seen: &[(Region, Disk)],
) -> Result<(Region, Disk), CreateError> {
    // Of several disks of one name only the chosen one counts.
    let chosen = |disk: &&Disk| !matches!(&query, Query::Id(id) if disk.disk_id != *id);
    let seen: Vec<Disk> = seen.iter().map(|(_, disk)| disk).filter(chosen).cloned().collect();
    let judge = |disks: &[Disk]| {
        let Some(disk) = disks.first() else { return Verdict::Wait("the order, no disk yet".to_owned()) };
        match disk.disk_status.group() {
            Group::Settled | Group::Attached => Verdict::Done(Ok(disk.clone())),
            Group::Busy => Verdict::Wait(disk.disk_status.as_str().to_owned()),
            Group::Dead => Verdict::Done(Err(disk.clone())),
        }
    };
    let ended = match judge(&seen) {
        Verdict::Done(ended) => Ok(ended),
        Verdict::Wait(_) => driver.reader.wait(&region, query, judge).await,
    };
    match ended.map_err(|source| CreateError::Wait { name: request.name.clone(), source })? {
        Ok(disk) => Ok((region, disk)),
        Err(dead) => {
            Err(CreateError::Dead { disk: dead.disk_id, state: dead.disk_status.as_str().to_owned() })
        }
    }
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
