//! What `nvidia-smi`, NVIDIA's own tool, reports of the same driver.

use std::path::Path;
use std::process::Command;

use sanity_tests::rig::{Error, io};

/// The queried fields, in this order.
const FIELDS: &str =
    "index,uuid,name,memory.total,memory.reserved,driver_version,pci.bus_id,mig.mode.current";

/// A card.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) index: u32,
    pub(crate) uuid: String,
    pub(crate) name: String,
    /// MiB.
    pub(crate) total: u64,
    /// MiB of it that the driver reserves.
    pub(crate) reserved: u64,
    pub(crate) driver: String,
    pub(crate) pci: String,
    pub(crate) mig: bool,
}

/// Every card.
pub(crate) fn cards(program: &Path) -> Result<Vec<Card>, Error> {
    let query = format!("--query-gpu={FIELDS}");
    let output = Command::new(program).args([query.as_str(), "--format=csv,noheader,nounits"]).output();
    let output = output.map_err(io("nvidia-smi does not start"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(Error::Check(format!("nvidia-smi: {}: {text}", output.status)));
    }
    let cards = text
        .lines()
        .map(|line| card(line).ok_or_else(|| Error::Check(format!("nvidia-smi: not understood: {line}"))));
    cards.collect()
}

fn card(line: &str) -> Option<Card> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [index, uuid, name, total, reserved, driver, pci, mig] = fields.as_slice() else { return None };
    Some(Card {
        index: index.parse().ok()?,
        uuid: (*uuid).to_owned(),
        name: (*name).to_owned(),
        total: total.parse().ok()?,
        reserved: reserved.parse().ok()?,
        driver: (*driver).to_owned(),
        pci: (*pci).to_owned(),
        mig: *mig == "Enabled",
    })
}
