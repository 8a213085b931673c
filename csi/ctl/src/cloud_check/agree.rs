//! Whether the list of disks tells what each disk tells of itself, and what the machines tell of theirs.

use ecx::Error;
use ecx::api::{Disk, GetDisk, Instance};
use serde_json::Value;

use super::ask::{Ask, MOST};
use super::line::{Line, brief};
use super::page::{self, Walk};

pub(super) const SAME: &str = "the list and op 4 tell the same of a disk";
pub(super) const HELD: &str = "a disk that a machine holds is in the list (op 17 and 6)";
const MACHINE: &str = "the machine that holds a disk is in the list (op 6 and 17)";

/// Disks that are asked one by one.
const ASKED: usize = 5;

/// A disk, as the list has it and as it tells itself.
#[derive(Debug)]
struct Pair {
    listed: Disk,
    asked: Result<Disk, Error>,
}

/// The disks of a list, as far as the client can read them; the newest first.
pub(super) fn disks(walk: &Walk) -> Vec<Disk> {
    let read = |one: &&Value| serde_json::from_value::<Disk>((*one).clone()).ok();
    let mut disks: Vec<Disk> = walk.records().iter().filter_map(read).collect();
    disks.sort_by_key(|disk| std::cmp::Reverse(disk.create_time));
    disks
}

/// Asks some disks one by one.
pub(super) async fn same(ask: &Ask<'_>, walk: &Walk) -> Line {
    let mut pairs = Vec::new();
    for listed in disks(walk).into_iter().take(ASKED) {
        let asked = get(ask, &listed.disk_id).await;
        pairs.push(Pair { listed, asked });
    }
    if pairs.iter().any(|pair| difference(pair).is_some()) {
        again(ask, &mut pairs).await;
    }
    judge(&pairs)
}

/// What differs may have changed between the two questions: both once more.
async fn again(ask: &Ask<'_>, pairs: &mut [Pair]) {
    let Ok((first, _)) = page::disks(ask, MOST, None).await else { return };
    let listed = disks(&page::walk(ask, first).await);
    for pair in pairs.iter_mut().filter(|pair| difference(pair).is_some()) {
        // One that is no more in the list stays as it was in it.
        if let Some(now) = listed.iter().find(|disk| disk.disk_id == pair.listed.disk_id) {
            pair.listed = now.clone();
        }
        pair.asked = get(ask, &pair.listed.disk_id).await;
    }
}

async fn get(ask: &Ask<'_>, id: &str) -> Result<Disk, Error> {
    ask.client.get_disk(&GetDisk { region_id: ask.region.clone(), disk_id: id.to_owned() }).await
}

/// In what list and disk differ; an error that passes is no difference.
fn difference(pair: &Pair) -> Option<String> {
    let Pair { listed, asked } = pair;
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return Some(brief(&error.to_string())),
    };
    let words = |disk: &Disk| {
        let holders = disk.holders().join(" and ");
        let holders = if holders.is_empty() { "nobody".to_owned() } else { holders };
        let (name, state, size, kind) =
            (&disk.disk_name, disk.disk_status.as_str(), disk.disk_size, &disk.disk_type);
        format!("{name:?}, {state:?}, {size} GiB, {kind:?}, held by {holders}")
    };
    let (listed, asked) = (words(listed), words(asked));
    (listed != asked).then(|| format!("the list says {}, op 4 says {}", brief(&listed), brief(&asked)))
}

fn judge(pairs: &[Pair]) -> Line {
    if pairs.is_empty() {
        return Line::unknown(SAME, "no disk in the region");
    }
    let differs = pairs.iter().find_map(|pair| Some((pair, difference(pair)?)));
    match differs {
        None => Line::fits(SAME, format!("{} disks", pairs.len())),
        Some((Pair { asked: Err(error), .. }, _)) => Line::unanswered(SAME, error),
        Some((pair, seen)) => Line::differs(SAME, format!("{}: {seen}", pair.listed.disk_id)),
    }
}

/// Whether the disks that the machines hold are in the list. Only one that itself says that it exists counts.
pub(super) async fn held(ask: &Ask<'_>, walk: &Walk, machines: &[Instance]) -> Line {
    let listed: Vec<String> = disks(walk).into_iter().map(|disk| disk.disk_id).collect();
    let held: Vec<(&str, &str)> = machines
        .iter()
        .flat_map(|one| one.attached_volume.iter().map(|disk| (disk.as_str(), one.instance_id.as_str())))
        .collect();
    let absent = held.iter().filter(|(disk, _)| !listed.iter().any(|one| one == disk));
    for (disk, machine) in absent.take(ASKED) {
        if get(ask, disk).await.is_ok() {
            return Line::differs(HELD, format!("{disk} of {machine} exists (op 4) and is not in the list"));
        }
    }
    if held.is_empty() {
        return Line::unknown(HELD, "no machine in the region tells of a disk");
    }
    Line::fits(HELD, format!("{} disks", held.len()))
}

/// Whether the machines that hold disks are in the list of machines.
pub(super) fn machine(walk: &Walk, machines: &[Instance], all_seen: bool) -> Line {
    if !all_seen {
        return Line::unknown(MACHINE, "the list of machines is not whole");
    }
    let disks = disks(walk);
    let holders: Vec<(&str, &str)> = disks
        .iter()
        .flat_map(|disk| disk.holders().into_iter().map(|one| (one, disk.disk_id.as_str())))
        .collect();
    let unlisted = |(one, _): &&(&str, &str)| !machines.iter().any(|machine| machine.instance_id == *one);
    match holders.iter().find(unlisted) {
        None if holders.is_empty() => Line::unknown(MACHINE, "no disk in the region tells a machine"),
        None => Line::fits(MACHINE, format!("{} disks", holders.len())),
        Some((machine, disk)) => {
            Line::differs(MACHINE, format!("{} holds {disk} and is not in the list", brief(machine)))
        }
    }
}

/// What is said of machines and disks where one of both lists cannot be read.
pub(super) fn unread() -> [Line; 2] {
    [HELD, MACHINE].map(|assumption| Line::unknown(assumption, "one of both lists cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_check::line::Verdict;
    use ecx::api::{Attachment, DiskState};
    use ecx::error::ApiMessage;

    fn disk(holder: &str) -> Disk {
        Disk {
            disk_id: "cd-1".into(),
            disk_size: 20,
            disk_status: DiskState::InUse,
            attachments: vec![Attachment { instance_id: holder.into(), ..Attachment::default() }],
            ..Disk::default()
        }
    }

    #[test]
    fn another_holder_differs_and_both_are_named() {
        let pair = |asked| Pair { listed: disk("evm-1"), asked };
        assert_eq!(judge(&[pair(Ok(disk("evm-1")))]).verdict, Verdict::Fits);
        let line = judge(&[pair(Ok(disk("evm-2")))]);
        assert_eq!(line.verdict, Verdict::Differs);
        assert!(line.seen.contains("held by evm-1") && line.seen.contains("held by evm-2"), "{}", line.seen);
    }

    #[test]
    fn a_disk_of_the_list_that_does_not_exist_differs_and_no_reply_tells_nothing() {
        let pair = |error: fn(ApiMessage) -> Error| Pair {
            listed: disk("evm-1"),
            asked: Err(error(ApiMessage::default())),
        };
        assert_eq!(judge(&[pair(Error::DiskNotFound)]).verdict, Verdict::Differs);
        assert_eq!(judge(&[pair(Error::NoReply)]).verdict, Verdict::Unknown);
        assert_eq!(judge(&[]).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_holder_that_is_no_machine_of_the_list_differs() {
        let page = page::Page::of(&serde_json::json!({"diskList": [disk("evm-1")]}), "diskList");
        let walk = Walk { pages: vec![page], end: page::End::Last };
        let listed = |id: &str| [Instance { instance_id: id.into(), ..Instance::default() }];
        assert_eq!(machine(&walk, &listed("evm-1"), true).verdict, Verdict::Fits);
        assert_eq!(machine(&walk, &listed("evm-2"), true).seen, "evm-1 holds cd-1 and is not in the list");
        assert_eq!(machine(&walk, &listed("evm-2"), false).verdict, Verdict::Unknown);
    }
}
