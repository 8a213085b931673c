//! Where listed disks are attached. A list may leave the machine of a disk out, and every reply may: what one record does not say
//! another is asked for, and of a disk that nobody tells the machine of nothing is said, least of all that it is on none.

use std::collections::{BTreeMap, HashMap};

use eck_csi::volume::Region;
use ecx::api::{Disk, Group};

use crate::driver::Driver;
use crate::error::ReadError;

/// So many disks at most are asked for one by one in a listing: each is a call, and the attacher lists every minute.
const ASKED_ALONE: usize = 50;

/// A disk, and the machines that it is attached to.
pub(super) struct Placed {
    pub(super) region: Region,
    pub(super) disk: Disk,
    /// Ids of the cloud's.
    pub(super) instances: Vec<String>,
}

/// Each disk's machines. Left out are disks that are attached, and nobody says where: the attacher then asks for each by itself.
pub(super) async fn placed(driver: &Driver, found: Vec<(Region, Disk)>) -> Result<Vec<Placed>, ReadError> {
    let mut untold: BTreeMap<&Region, Vec<&Disk>> = BTreeMap::new();
    for (region, disk) in found.iter().filter(|(_, disk)| is_untold(disk)) {
        untold.entry(region).or_default().push(disk);
    }
    let mut told = HashMap::new();
    for (region, disks) in untold {
        told.extend(by_others_word(driver, region, &disks).await?);
    }
    let place = |(region, disk): (Region, Disk)| {
        let instances = if is_untold(&disk) { told.remove(&disk.disk_id)? } else { own_word(&disk) };
        Some(Placed { region, disk, instances })
    };
    Ok(found.into_iter().filter_map(place).collect())
}

/// Attached, and its record does not say to which machine.
fn is_untold(disk: &Disk) -> bool {
    disk.disk_status.group() == Group::Attached && disk.holders().is_empty()
}

fn own_word(disk: &Disk) -> Vec<String> {
    if disk.disk_status.group() == Group::Settled {
        return Vec::new();
    }
    disk.holders().into_iter().map(str::to_owned).collect()
}

/// The machines of disks of one region whose records do not tell them: the machines are asked, and then each disk that none of them
/// knows of.
async fn by_others_word(
    driver: &Driver,
    region: &Region,
    disks: &[&Disk],
) -> Result<HashMap<String, Vec<String>>, ReadError> {
    let machines = driver.machines.list(&driver.client, region).await?.machines;
    let mut attached: HashMap<&str, Vec<String>> = HashMap::new();
    for machine in machines.iter() {
        for disk in &machine.attached_volume {
            attached.entry(disk).or_default().push(machine.instance_id.clone());
        }
    }
    let (mut told, mut alone) = (HashMap::new(), 0);
    for disk in disks {
        let id = disk.disk_id.clone();
        if let Some(instances) = attached.get(id.as_str()) {
            told.insert(id, instances.clone());
            continue;
        }
        alone += 1;
        if alone > ASKED_ALONE {
            return Err(ReadError::HoldersNotTold(region.clone()));
        }
        let now = driver.reader.proven(region, &id).await?;
        if let Some(now) = now.filter(|now| !is_untold(now)) {
            told.insert(id, own_word(&now));
        }
    }
    Ok(told)
}
