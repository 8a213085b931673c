//! What a new disk's content is made from: a snapshot, or a volume. The cloud has no call that clones, so a clone is made
//! through a snapshot that lives only until the clone is there.

use eck_csi::driver::GIB;
use eck_csi::field::BadField;
use eck_csi::volume::{DiskId, Region, SizeRange, VolumeId};
use ecx::api::{Disk, Snapshot};

use super::request::{CreateRequest, Source};
use crate::driver::Driver;
use crate::error::{CreateError, SnapshotError};
use crate::name::{clone_name, is_marked};
use crate::snapshot::{self, create::SnapshotRequest};

/// A source that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// Where it is: a disk can only be made there.
    pub(super) region: Region,
    /// The disk type that the disk will have, if the cloud tells it: that of the source.
    pub(super) disk_type: Option<String>,
    /// GiB of the source.
    gib: u64,
    kind: SourceKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SourceKind {
    Snapshot(Snapshot),
    Volume(DiskId),
}

/// The source, or `None` if the disk is to be empty. A source that is gone matters no more when a disk of the name,
/// `made`, has been made of it.
pub(super) async fn look(
    driver: &Driver,
    request: &CreateRequest,
    made: &[(Region, Disk)],
) -> Result<Option<Content>, CreateError> {
    let Some(source) = &request.source else { return Ok(None) };
    let cloud = |source| CreateError::Cloud { name: request.name.clone(), source };
    let found = match source {
        Source::Snapshot(id) => {
            let found = snapshot::one(driver, id).await.map_err(cloud)?;
            found.map(|(region, snapshot)| of_snapshot(region, snapshot))
        }
        Source::Volume(volume) => match volume.disk() {
            None => None,
            Some(disk) => {
                let found = driver
                    .disk_locator
                    .locate(&driver.reader, &disk)
                    .await
                    .map_err(|error| error.or(cloud))?;
                found.map(|(region, found)| of_volume(region, &found, disk))
            }
        },
    };
    match (found, made.first()) {
        (Some(content), _) => Ok(Some(content)),
        (None, Some((region, _))) => Ok(gone(source, region)),
        (None, None) => Err(no_source(request, source)),
    }
}

fn of_snapshot(region: Region, snapshot: Snapshot) -> Content {
    let (disk_type, gib) = (snapshot.volume_type.clone(), snapshot.volume_size);
    Content { region, disk_type, gib, kind: SourceKind::Snapshot(snapshot) }
}

fn of_volume(region: Region, found: &Disk, disk: DiskId) -> Content {
    let disk_type = Some(found.disk_type.clone()).filter(|name| !name.is_empty());
    Content { region, disk_type, gib: found.disk_size, kind: SourceKind::Volume(disk) }
}

/// A source of which only the handle is known.
fn gone(source: &Source, region: &Region) -> Option<Content> {
    let kind = match source {
        Source::Snapshot(id) => {
            let snapshot_id = id.known()?.1.to_owned();
            SourceKind::Snapshot(Snapshot { snapshot_id, ..Snapshot::default() })
        }
        Source::Volume(volume) => SourceKind::Volume(volume.disk()?),
    };
    Some(Content { region: region.clone(), disk_type: None, gib: 0, kind })
}

fn no_source(request: &CreateRequest, source: &Source) -> CreateError {
    CreateError::NoSource { name: request.name.clone(), kind: source.kind_name(), id: source.to_string() }
}

fn cloning(request: &CreateRequest, error: SnapshotError) -> CreateError {
    CreateError::Snapshot { name: request.name.clone(), source: Box::new(error) }
}

impl Content {
    /// The region in which the disk must be made, which must be an allowed one.
    pub(super) fn region(
        &self,
        request: &CreateRequest,
        allowed: &[Region],
    ) -> Result<Vec<Region>, CreateError> {
        if allowed.contains(&self.region) {
            return Ok(vec![self.region.clone()]);
        }
        let allowed = allowed.iter().map(Region::as_str).collect::<Vec<_>>().join(", ");
        Err(CreateError::SourceElsewhere {
            name: request.name.clone(),
            region: self.region.to_string(),
            allowed,
        })
    }

    /// The size that is asked for and not below the source's.
    pub(super) fn size(&self, asked: SizeRange) -> Result<SizeRange, CreateError> {
        if self.gib > asked.max_gib {
            let allowed = format!("0 or at least the source's {} bytes", self.gib * GIB);
            let limit = asked.max_gib * GIB;
            return Err(CreateError::OutOfRange(BadField::new("capacity_range.limit_bytes", limit, allowed)));
        }
        Ok(SizeRange { min_gib: asked.min_gib.max(self.gib), ..asked })
    }

    /// The disk type, which cannot be chosen: one that the class names must be the source's.
    pub(super) fn disk_type<'a>(&'a self, class: Option<&'a str>) -> Result<Option<&'a str>, BadField> {
        match (class, self.disk_type.as_deref()) {
            (Some(class), Some(source)) if class != source => {
                let allowed = format!("cloud, or the source's type {source}: the cloud keeps it");
                Err(BadField::new("parameters.diskType", class, allowed))
            }
            (class, source) => Ok(source.or(class)),
        }
    }

    /// Whether it is made through a snapshot that goes with the order's end.
    pub(super) fn is_clone(&self) -> bool {
        matches!(self.kind, SourceKind::Volume(_))
    }

    /// Whether the disk may have been made from this. Of a clone's snapshot, which is gone by then, nothing is known.
    pub(super) fn made(&self, disk: &Disk) -> bool {
        let source = disk.volume_source_id.as_deref().filter(|id| !id.is_empty());
        match &self.kind {
            // Not told fits, unless the mark tells: a disk that is ordered from a snapshot cannot have one.
            _ if source.is_none() => !is_marked(disk),
            SourceKind::Snapshot(snapshot) => source == Some(snapshot.snapshot_id.as_str()),
            SourceKind::Volume(_) => true,
        }
    }

    /// The cloud's id of a snapshot from which the disk can be ordered now. A clone's is taken here.
    pub(super) async fn ready(
        &self,
        driver: &Driver,
        request: &CreateRequest,
    ) -> Result<String, CreateError> {
        let snapshot = match &self.kind {
            SourceKind::Snapshot(snapshot) => snapshot.clone(),
            SourceKind::Volume(disk) => {
                let volume = VolumeId::parse(disk.to_string())?;
                let take = SnapshotRequest { name: clone_name(&request.name), volume, requisite: Vec::new() };
                snapshot::create::create(driver, &take).await.map_err(|error| cloning(request, error))?.1
            }
        };
        let waited = snapshot::ready(driver, &self.region, snapshot).await;
        let now = waited.map_err(|source| CreateError::Wait { name: request.name.clone(), source })?;
        let gone = || CreateError::NoSource {
            name: request.name.clone(),
            kind: "snapshot",
            id: request.source.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        let now = now.ok_or_else(gone)?;
        if snapshot::dead(&now) {
            let (id, state) = (now.snapshot_id, now.snapshot_status);
            return Err(CreateError::DeadSource { kind: "snapshot", id, state });
        }
        Ok(now.snapshot_id)
    }

    /// Takes away a clone's snapshot, if there is one.
    pub(super) async fn finish(&self, driver: &Driver, request: &CreateRequest) -> Result<(), CreateError> {
        let SourceKind::Volume(disk) = &self.kind else { return Ok(()) };
        let name = clone_name(&request.name);
        let here = std::slice::from_ref(&self.region);
        let found = snapshot::named(driver, here, &name).await;
        let found = found.map_err(|source| CreateError::Cloud { name: request.name.clone(), source })?;
        for (region, left) in found.iter().filter(|(_, left)| left.disk_id == disk.as_str()) {
            snapshot::delete::remove(driver, region, left).await.map_err(|error| cloning(request, error))?;
            // Another one of this name is another order.
            let purpose = snapshot::create::purpose(&name);
            driver.order_attempts.failed(&purpose, driver.order_attempts.next(&purpose));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eck_csi::driver::DISK_LABEL;
    use ecx::api::Label;

    fn content(kind: SourceKind) -> Content {
        let region = Region::parse("region", "a-1").unwrap();
        Content { region, disk_type: Some("SSD".into()), gib: 30, kind }
    }

    fn snapshot() -> Content {
        content(SourceKind::Snapshot(Snapshot { snapshot_id: "cs-1".into(), ..Snapshot::default() }))
    }

    #[test]
    fn a_disk_is_only_taken_for_one_that_was_made_from_the_source() {
        let of = |id: Option<&str>| Disk { volume_source_id: id.map(str::to_owned), ..Disk::default() };
        let clone = content(SourceKind::Volume(DiskId::parse("cd-1").unwrap()));
        assert!(snapshot().made(&of(Some("cs-1"))) && !snapshot().made(&of(Some("cs-2"))));
        assert!(clone.made(&of(Some("cs-9"))));
        assert!(clone.is_clone() && !snapshot().is_clone());
        for content in [snapshot(), clone] {
            assert!(content.made(&of(None)) && content.made(&of(Some(""))), "not told");
            let labels = vec![Label { key: DISK_LABEL.into(), value: "c1".into() }];
            assert!(!content.made(&Disk { labels, ..of(None) }), "ordered empty");
        }
    }

    #[test]
    fn size_and_type_are_the_sources_or_refused() {
        let asked = |min_gib, max_gib| SizeRange { min_gib, max_gib };
        assert_eq!(snapshot().size(asked(20, 40)).unwrap(), asked(30, 40));
        assert_eq!(snapshot().size(asked(35, 40)).unwrap(), asked(35, 40));
        assert_eq!(snapshot().size(asked(20, 30)).unwrap(), asked(30, 30));
        assert!(matches!(snapshot().size(asked(20, 29)), Err(CreateError::OutOfRange(_))));
        let source = snapshot();
        assert_eq!(source.disk_type(None).unwrap(), Some("SSD"));
        assert_eq!(source.disk_type(Some("SSD")).unwrap(), Some("SSD"));
        assert!(source.disk_type(Some("SAS")).unwrap_err().allowed.contains("SSD"));
    }

    #[test]
    fn a_source_without_a_type_leaves_the_type_to_the_class() {
        let id = DiskId::parse("cd-1").unwrap();
        let source = of_volume(snapshot().region, &Disk::default(), id);
        assert_eq!(source.disk_type(Some("SAS")).unwrap(), Some("SAS"));
    }
}
