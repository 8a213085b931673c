//! What a container may use, written for the library inside it: a file that the container sees and cannot change.
//!
//! `<state>/containers/<pod uid>/<container>/limits.json` holds it. `<state>/slots/<slot>` is a link to the folder of the
//! container that has the slot: what is mounted is named by slot, so that a CDI spec never changes when a slot's holder does,
//! and a runtime that still has yesterday's spec in memory mounts today's limits. A running container keeps the file it was
//! created with, since files are replaced and not rewritten.

use std::path::Path;

use ideal_gpu::ask::Share;
use ideal_gpu::card::CardId;
use ideal_gpu::container_paths::ARBITER_SOCKET;
use ideal_gpu::limits::{CardLimit, Limits, VERSION};

use crate::file::{self, WriteError};
use crate::isolation::Isolation;
use crate::state_layout::{
    ARBITER_NAME, LIBRARY_NAME, LIMITS_NAME, REGION_NAME, pod_folder, slot_folder, slots_folder,
};

/// Who a container is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) uid: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) container: &'a str,
}

/// `cards` in the order in which the container numbers them; nothing to limit for whole cards.
pub(crate) fn of(who: Who<'_>, cards: &[CardId], share: Share, isolation: &Isolation) -> Option<Limits> {
    let Share::Slice { core, memory_mib } = share else { return None };
    let one = |(index, uuid): (u32, &CardId)| CardLimit {
        index,
        uuid: uuid.clone(),
        core_percent: core,
        memory_mib,
        context_mib: isolation.context_mib,
    };
    Some(Limits {
        version: VERSION,
        pod_uid: who.uid.to_owned(),
        pod_namespace: who.namespace.to_owned(),
        pod_name: who.pod.to_owned(),
        container: who.container.to_owned(),
        virtual_memory: isolation.virtual_memory,
        work_conserving: isolation.work_conserving,
        cards: (0..).zip(cards).map(one).collect(),
    })
}

/// Writes what a container is created with and lets the slots name it. Pod uids and container names are plain names: the API
/// server sees to the latter, and a record with another uid is not read.
pub(crate) fn write(
    state: &Path,
    limits: &Limits,
    slots: &[&str],
    isolation: &Isolation,
) -> Result<(), WriteError> {
    let folder = pod_folder(state, &limits.pod_uid).join(&limits.container);
    file::folder(&folder)?;
    // Plain strings and numbers: there is nothing that could fail.
    let text = serde_json::to_vec_pretty(limits).unwrap_or_default();
    file::put(&folder.join(LIMITS_NAME), &text, 0o444)?;
    isolation.prepare(&folder)?;
    file::folder(&slots_folder(state))?;
    for slot in slots {
        let target = Path::new("../containers").join(&limits.pod_uid).join(&limits.container);
        file::link(&slot_folder(state, slot), &target)?;
    }
    Ok(())
}

/// Removes what a pod's containers were created with, file by file: only what is ours is there.
pub(crate) fn remove(state: &Path, uid: &str) {
    let pod = pod_folder(state, uid);
    let Ok(containers) = std::fs::read_dir(&pod) else { return };
    for container in containers.flatten() {
        for name in [LIMITS_NAME, REGION_NAME, LIBRARY_NAME] {
            let _gone = file::remove(&container.path().join(name));
        }
        let arbiter = container.path().join(ARBITER_NAME);
        let _gone = file::remove(&arbiter.join(ARBITER_SOCKET));
        let _gone = std::fs::remove_dir(arbiter);
        let _gone = std::fs::remove_dir(container.path());
    }
    let _gone = std::fs::remove_dir(&pod);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_layout::{region, slot_limits};

    #[test]
    fn a_slot_shows_the_limits_of_its_holder_and_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        let cards = ["GPU-a", "GPU-b"].map(|id| CardId::parse(id).unwrap());
        let who = |container| Who { uid: "u1", namespace: "ns", pod: "p", container };
        let share = |core| Share::Slice { core, memory_mib: 200 };
        let slots = ["0-GPU-a", "3-GPU-b"];
        let library = dir.path().join("x.so");
        std::fs::write(&library, "").unwrap();
        let isolation =
            Isolation { library: Some(library), virtual_memory: true, context_mib: 7, ..Default::default() };
        for container in ["init", "app"] {
            let limits = of(who(container), &cards, share(80), &isolation).unwrap();
            write(dir.path(), &limits, &slots, &isolation).unwrap();
            let text = std::fs::read(slot_limits(dir.path(), slots[1])).unwrap();
            assert_eq!(Limits::parse(&text).unwrap(), limits, "the library reads what is written");
            let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(read["container"], container);
            assert_eq!(read["cards"][1]["uuid"], "GPU-b");
            assert_eq!(
                (&read["cards"][1]["core_percent"], &read["cards"][1]["memory_mib"]),
                (&80.into(), &200.into())
            );
            assert_eq!((limits.virtual_memory, limits.cards[0].context_mib), (true, 7));
            assert!(slot_folder(dir.path(), slots[0]).join("libvcuda.so").exists());
            assert!(region(dir.path(), "u1", container).exists());
        }
        assert!(of(who("c"), &cards, Share::Whole, &isolation).is_none());
        remove(dir.path(), "u1");
        assert!(!slot_limits(dir.path(), slots[0]).exists());
        assert!(!dir.path().join("containers/u1").exists());
    }
}
