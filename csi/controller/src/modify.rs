//! ControllerModifyVolume: what a volume attributes class can change of a disk that is there.

use std::collections::HashMap;
use std::sync::Arc;

use eck_csi::field::{BadField, map, unknown};
use eck_csi::operations::{OnConflict, Operation};
use eck_csi::volume::{Region, VolumeId};
use ecx::api::{Disk, Group, ModifyDisk, Op, UpdateDisk};
use ecx::token;
use proto::csi::v1 as pb;

use crate::driver::Driver;
use crate::error::ModifyError;
use crate::name::other_cluster;
use crate::parameters::disk_type;

/// Keys that a class of attributes may use.
const KNOWN: [&str; 3] = ["description", "diskType", "iops"];

/// Bytes of a description at most: the cloud's limit is not known, and this is what it allows for names with room to spare.
const MAX_DESCRIPTION: usize = 128;

/// Parsed mutable parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mutable {
    /// For people, in the cloud's console.
    pub(crate) description: Option<String>,
    /// The disk's type.
    pub(crate) disk_type: Option<String>,
    /// Operations per second.
    pub(crate) iops: Option<u64>,
}

/// What to do about a disk.
#[derive(Debug, PartialEq, Eq)]
enum ModifyStep {
    Done,
    Wait,
    Describe,
    Change,
}

impl Mutable {
    /// Takes the field `mutable_parameters`. An unknown key is refused by name, with the nearest known one.
    pub(crate) fn parse(values: &HashMap<String, String>) -> Result<Self, BadField> {
        map("mutable_parameters", values)?;
        let mut parsed = Self::default();
        let mut sorted: Vec<_> = values.iter().collect();
        sorted.sort();
        for (key, value) in sorted {
            match key.as_str() {
                "description" => parsed.description = Some(description(value)?),
                "diskType" => parsed.disk_type = disk_type("mutable_parameters.diskType", value)?,
                "iops" => parsed.iops = Some(iops(value)?),
                other => return Err(unknown("mutable_parameters", other, value, &KNOWN)),
            }
        }
        Ok(parsed)
    }

    fn changes(&self) -> bool {
        self.disk_type.is_some() || self.iops.is_some()
    }
}

fn description(value: &str) -> Result<String, BadField> {
    if value.len() <= MAX_DESCRIPTION && !value.chars().any(char::is_control) {
        return Ok(value.to_owned());
    }
    let allowed = format!("at most {MAX_DESCRIPTION} bytes without control characters");
    Err(BadField::new("mutable_parameters.description", value, allowed))
}

fn iops(value: &str) -> Result<u64, BadField> {
    let parsed = value.parse().ok().filter(|iops| *iops > 0);
    parsed.ok_or_else(|| BadField::new("mutable_parameters.iops", value, "a positive whole number"))
}

/// ControllerModifyVolume.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ModifyRequest {
    volume: VolumeId,
    mutable: Mutable,
}

impl TryFrom<pb::ControllerModifyVolumeRequest> for ModifyRequest {
    type Error = BadField;

    fn try_from(request: pb::ControllerModifyVolumeRequest) -> Result<Self, BadField> {
        let volume = VolumeId::parse(request.volume_id)?;
        Ok(Self { volume, mutable: Mutable::parse(&request.mutable_parameters)? })
    }
}

impl Operation<Driver> for ModifyRequest {
    type Output = ();
    type Error = ModifyError;
    const NAME: &'static str = "ControllerModifyVolume";

    fn key(&self) -> String {
        self.volume.to_string()
    }

    fn on_conflict(_: bool) -> OnConflict {
        // As an attach does.
        OnConflict::Wait
    }

    async fn run(self: Arc<Self>, driver: Arc<Driver>) -> Result<(), ModifyError> {
        modify(&driver, &self.volume, &self.mutable).await
    }
}

async fn modify(driver: &Driver, volume: &VolumeId, mutable: &Mutable) -> Result<(), ModifyError> {
    let no_volume = || ModifyError::NoVolume(volume.to_string());
    let id = volume.disk().ok_or_else(no_volume)?;
    let found = driver.disk_locator.locate(&driver.reader, &id).await;
    let cloud = |source| ModifyError::Cloud { disk: id.to_string(), source };
    let found = found.map_err(|error| error.or(cloud))?;
    let (region, disk) = found.ok_or_else(no_volume)?;
    if let Some(other) = other_cluster(&disk, &driver.cluster) {
        return Err(ModifyError::OtherCluster { disk: id.to_string(), other });
    }
    possible(driver, mutable)?;
    apply(driver, &region, disk, mutable).await.map(drop)
}

/// Refuses what this cloud cannot do, before anything is done.
pub(crate) fn possible(driver: &Driver, mutable: &Mutable) -> Result<(), BadField> {
    if driver.client.profile().has(Op::ModifyDisk) || !mutable.changes() {
        return Ok(());
    }
    let (key, value) = match (&mutable.disk_type, mutable.iops) {
        (Some(name), _) => ("diskType", name.clone()),
        (None, iops) => ("iops", iops.unwrap_or_default().to_string()),
    };
    let allowed =
        "nothing: this cloud changes no disk; a profile that names a path for ModifyDisk says otherwise";
    Err(BadField::new(format!("mutable_parameters.{key}"), value, allowed))
}

/// Gives the disk what it lacks of `mutable`; gives it as it is then.
pub(crate) async fn apply(
    driver: &Driver,
    region: &Region,
    mut disk: Disk,
    mutable: &Mutable,
) -> Result<Disk, ModifyError> {
    let id = disk.disk_id.clone();
    let cloud = |source| ModifyError::Cloud { disk: id.clone(), source };
    let (mut described, mut changed) = (false, false);
    loop {
        match decide(&disk, mutable)? {
            ModifyStep::Done => return Ok(disk),
            // A cloud that shows no descriptions is not asked twice.
            ModifyStep::Describe if described => return Ok(disk),
            ModifyStep::Change if changed => {
                let shown = format!("type {}, iops {:?}", disk.disk_type, disk.provisioned_iops);
                return Err(ModifyError::NotChanged { disk: id, shown });
            }
            ModifyStep::Wait => {}
            ModifyStep::Describe => {
                driver.client.update_disk(&describe(region, &disk, mutable)).await.map_err(cloud)?;
                described = true;
            }
            ModifyStep::Change => {
                let body = change(driver, region, &disk, mutable);
                match driver.client.modify_disk(&body).await {
                    Ok(_) | Err(ecx::Error::InProgress(_)) => changed = true,
                    // The state is not what we saw: look again.
                    Err(ecx::Error::DiskState(_)) => {}
                    Err(source) => return Err(cloud(source)),
                }
            }
        }
        let waited = driver.reader.settled(region, &id).await;
        let now = waited.map_err(|source| ModifyError::Wait { disk: id.clone(), source })?;
        disk = now.ok_or_else(|| ModifyError::NoVolume(id.clone()))?;
    }
}

fn describe(region: &Region, disk: &Disk, mutable: &Mutable) -> UpdateDisk {
    UpdateDisk {
        region_id: region.to_string(),
        disk_id: disk.disk_id.clone(),
        volume_description: mutable.description.clone().unwrap_or_default(),
    }
}

fn change(driver: &Driver, region: &Region, disk: &Disk, mutable: &Mutable) -> ModifyDisk {
    // From what to what: the way back and forth again is another order.
    let to =
        format!("{}:{:?}->{:?}:{:?}", disk.disk_type, disk.provisioned_iops, mutable.disk_type, mutable.iops);
    ModifyDisk {
        client_token: token::modify(&driver.cluster.id, &disk.disk_id, &to),
        region_id: region.to_string(),
        disk_id: disk.disk_id.clone(),
        disk_type: mutable.disk_type.clone(),
        provisioned_iops: mutable.iops,
    }
}

fn decide(disk: &Disk, mutable: &Mutable) -> Result<ModifyStep, ModifyError> {
    let other_type = mutable.disk_type.as_ref().is_some_and(|wanted| *wanted != disk.disk_type);
    let other_iops = mutable.iops.is_some() && mutable.iops != disk.provisioned_iops;
    let described = disk.volume_description.as_deref().unwrap_or_default();
    let other_text = mutable.description.as_deref().is_some_and(|wanted| wanted != described);
    match disk.disk_status.group() {
        _ if !(other_type || other_iops || other_text) => Ok(ModifyStep::Done),
        Group::Busy => Ok(ModifyStep::Wait),
        Group::Dead => {
            let (disk, state) = (disk.disk_id.clone(), disk.disk_status.as_str().to_owned());
            Err(ModifyError::Dead { disk, state })
        }
        Group::Settled | Group::Attached if other_type || other_iops => Ok(ModifyStep::Change),
        Group::Settled | Group::Attached => Ok(ModifyStep::Describe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecx::api::DiskState;

    fn parse(pairs: &[(&str, &str)]) -> Result<Mutable, BadField> {
        Mutable::parse(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn a_bad_parameter_is_refused_by_name() {
        let long = "x".repeat(MAX_DESCRIPTION + 1);
        for (key, value) in [("disktype", "SSD"), ("iops", "0"), ("iops", "fast"), ("description", &long)] {
            let error = parse(&[(key, value)]).unwrap_err();
            assert_eq!(error.field, format!("mutable_parameters.{key}"));
        }
        assert!(parse(&[("disktype", "SSD")]).unwrap_err().allowed.ends_with("did you mean diskType?"));
        let taken = parse(&[("description", "盘"), ("diskType", "SSD"), ("iops", "3000")]).unwrap();
        assert_eq!((taken.disk_type.as_deref(), taken.iops), (Some("SSD"), Some(3000)));
    }

    #[test]
    fn only_what_is_missing_is_done() {
        let disk = |state: &str| Disk {
            disk_type: "SAS".into(),
            disk_status: DiskState::parse(state),
            volume_description: Some("a".into()),
            ..Disk::default()
        };
        let want = |pairs: &[(&str, &str)]| parse(pairs).unwrap();
        let same = want(&[("description", "a"), ("diskType", "SAS")]);
        assert_eq!(decide(&disk("expired"), &same).unwrap(), ModifyStep::Done);
        assert_eq!(decide(&disk("in-use"), &want(&[("description", "b")])).unwrap(), ModifyStep::Describe);
        assert_eq!(decide(&disk("available"), &want(&[("iops", "9")])).unwrap(), ModifyStep::Change);
        assert_eq!(decide(&disk("resizing"), &want(&[("diskType", "SSD")])).unwrap(), ModifyStep::Wait);
        let dead = decide(&disk("expired"), &want(&[("diskType", "SSD")]));
        assert!(matches!(dead, Err(ModifyError::Dead { .. })));
    }
}
