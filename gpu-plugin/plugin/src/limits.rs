//! What a container may use, written for the library inside it: a file that the container sees and cannot change.
//!
//! `<state>/containers/<pod uid>/<container>/limits.json` holds it. `<state>/slots/<slot>` is a link to the folder of the
//! container that has the slot: what is mounted is named by slot, so that a CDI spec never changes when a slot's holder does,
//! and a runtime that still has yesterday's spec in memory mounts today's limits. A running container keeps the file it was
//! created with, since files are replaced and not rewritten.

use std::path::{Path, PathBuf};

use ideal_gpu::ask::Share;
use ideal_gpu::card::CardId;
use serde::Serialize;

use crate::file::{self, WriteError};

/// Folder of the limits in the container.
pub(crate) const FOLDER: &str = "/etc/ideal-gpu";

/// The limits file in the container: what the isolation library reads.
pub(crate) const FILE: &str = "/etc/ideal-gpu/limits.json";

/// The file's name in its folder.
const NAME: &str = "limits.json";

/// Version of the form.
const VERSION: u32 = 1;

/// A container's limits.
#[derive(Debug, Serialize)]
pub(crate) struct Limits<'a> {
    version: u32,
    pod_uid: &'a str,
    pod_namespace: &'a str,
    pod_name: &'a str,
    container: &'a str,
    cards: Vec<CardLimit<'a>>,
}

#[derive(Debug, Serialize)]
struct CardLimit<'a> {
    /// The number under which the container sees the card.
    index: usize,
    uuid: &'a CardId,
    core_percent: u32,
    memory_mib: u64,
}

/// Who a container is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) uid: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) container: &'a str,
}

impl<'a> Limits<'a> {
    /// `cards` in the order in which the container numbers them; nothing to limit for whole cards.
    pub(crate) fn new(who: Who<'a>, cards: &'a [CardId], share: Share) -> Option<Self> {
        let Share::Slice { core, memory_mib } = share else { return None };
        let one = |(index, uuid)| CardLimit { index, uuid, core_percent: core, memory_mib };
        Some(Self {
            version: VERSION,
            pod_uid: who.uid,
            pod_namespace: who.namespace,
            pod_name: who.pod,
            container: who.container,
            cards: cards.iter().enumerate().map(one).collect(),
        })
    }
}

/// The folder that is mounted for a slot; it stands for the container that holds the slot.
pub(crate) fn slot_folder(state: &Path, slot: &str) -> PathBuf {
    state.join("slots").join(slot)
}

/// The file that is mounted for a slot.
pub(crate) fn slot_file(state: &Path, slot: &str) -> PathBuf {
    slot_folder(state, slot).join(NAME)
}

fn pod_folder(state: &Path, uid: &str) -> PathBuf {
    state.join("containers").join(uid)
}

/// Writes the limits and lets the slots name them. Pod uids and container names are plain names: the API server sees to the
/// latter, and a record with another uid is not read.
pub(crate) fn write(state: &Path, limits: &Limits<'_>, slots: &[&str]) -> Result<(), WriteError> {
    let folder = pod_folder(state, limits.pod_uid).join(limits.container);
    file::folder(&folder)?;
    // Plain strings and numbers: there is nothing that could fail.
    let text = serde_json::to_vec_pretty(limits).unwrap_or_default();
    file::put(&folder.join(NAME), &text, 0o444)?;
    file::folder(&state.join("slots"))?;
    for slot in slots {
        let target = Path::new("../containers").join(limits.pod_uid).join(limits.container);
        file::link(&slot_folder(state, slot), &target)?;
    }
    Ok(())
}

/// Removes a pod's limits, file by file: only what is ours is there.
pub(crate) fn remove(state: &Path, uid: &str) {
    let pod = pod_folder(state, uid);
    let Ok(containers) = std::fs::read_dir(&pod) else { return };
    for container in containers.flatten() {
        let _gone = file::remove(&container.path().join(NAME));
        let _gone = std::fs::remove_dir(container.path());
    }
    let _gone = std::fs::remove_dir(&pod);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_shows_the_limits_of_its_holder_and_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        let cards = ["GPU-a", "GPU-b"].map(|id| CardId::parse(id).unwrap());
        let who = |container| Who { uid: "u1", namespace: "ns", pod: "p", container };
        let share = |core| Share::Slice { core, memory_mib: 200 };
        let slots = ["0-GPU-a", "3-GPU-b"];
        for container in ["init", "app"] {
            let limits = Limits::new(who(container), &cards, share(80)).unwrap();
            write(dir.path(), &limits, &slots).unwrap();
            let text = std::fs::read_to_string(slot_file(dir.path(), slots[1])).unwrap();
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["container"], container);
            assert_eq!(read["cards"][1]["uuid"], "GPU-b");
            assert_eq!(
                (&read["cards"][1]["core_percent"], &read["cards"][1]["memory_mib"]),
                (&80.into(), &200.into())
            );
        }
        assert!(Limits::new(who("c"), &cards, Share::Whole).is_none());
        remove(dir.path(), "u1");
        assert!(!slot_file(dir.path(), slots[0]).exists());
        assert!(!dir.path().join("containers/u1").exists());
    }
}
