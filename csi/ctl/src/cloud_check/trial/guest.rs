//! The serial that the machine sees of an attached disk, where this program runs on that machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eck_csi::volume::DiskId;
use tokio::time::{Instant, sleep};

use super::super::line::{Line, brief};
use super::terms::PAUSE;

const SERIAL: &str = "an attached disk's serial in the guest is made of its id";

/// How long a disk that the cloud calls attached is waited for in the guest.
const SHOWN: Duration = Duration::from_secs(60);

/// Of a SCSI disk the serial is behind so many bytes of this page (SPC, "Unit Serial Number VPD page").
const SCSI_PAGE: &str = "device/vpd_pg80";
const SCSI_HEAD: usize = 4;

/// The machine, as it was before the disk came.
pub(super) struct Guest {
    /// Its `/sys/block`.
    root: PathBuf,
    before: BTreeMap<String, String>,
}

impl Guest {
    pub(super) fn before(root: &Path) -> Self {
        Self { root: root.to_owned(), before: serials(root) }
    }

    /// What is seen of the disk that was attached.
    pub(super) async fn sees(&self, disk: &str) -> Line {
        let wanted = DiskId::parse(disk).map(|id| id.serials()).unwrap_or_default();
        let began = Instant::now();
        loop {
            let mut new = serials(&self.root);
            new.retain(|device, _| !self.before.contains_key(device));
            if let Some((device, serial)) = new.iter().find(|(_, serial)| wanted.contains(serial)) {
                return Line::fits(SERIAL, format!("{device}: {serial:?} of {disk}"));
            }
            if began.elapsed() >= SHOWN {
                let told: Vec<String> =
                    new.iter().map(|(device, serial)| format!("{device}: {serial:?}")).collect();
                return if told.is_empty() {
                    Line::unknown(
                        SERIAL,
                        format!("nothing new in {}: is this the machine?", self.root.display()),
                    )
                } else {
                    Line::differs(
                        SERIAL,
                        brief(&format!("{}, and one of {} was awaited", told.join(", "), wanted.join(", "))),
                    )
                };
            }
            sleep(PAUSE).await;
        }
    }
}

/// Of a trial that does not run on the machine.
pub(super) fn elsewhere() -> Line {
    Line::unknown(SERIAL, "run it on that machine with --sys-block /sys/block")
}

/// Each block device with its serial, empty where it tells none.
fn serials(root: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let plain = ["serial", "device/serial"]
                .iter()
                .find_map(|name| fs::read_to_string(entry.path().join(name)).ok());
            let page = || fs::read(entry.path().join(SCSI_PAGE)).ok();
            let scsi = || Some(String::from_utf8_lossy(page()?.get(SCSI_HEAD..)?).into_owned());
            let serial = plain.or_else(scsi).unwrap_or_default();
            Some((entry.file_name().into_string().ok()?, serial.trim().to_owned()))
        })
        .collect()
}
