//! With what words a write is refused that is done already or that cannot be done. To the client they are hints (docs/adr/0015), and one
//! that it does not know costs it another look.

use ecx::api::{AttachDisk, DeleteDisk};
use ecx::{Error, token};

use super::super::ask::Ask;
use super::super::line::{Line, brief};
use super::super::missing::nobodys;

const ATTACHED: &str = "an attach of a disk that is attached is refused as such (op 7)";
const DETACHED: &str = "a detach of a disk that is not attached is refused as such (op 8)";
const NO_MACHINE: &str = "an attach to a machine that does not exist is refused as such (op 7)";
const IN_USE: &str = "a refund of a disk that is attached is refused as such (op 3)";

/// What the token of a refund that must be refused is made for: the real one is another order.
const WHOM: &str = "eck-cloud-check-in-use";

/// Attaches to a machine with an id of the same form that nobody has.
pub(super) async fn no_machine(ask: &Ask<'_>, body: &AttachDisk) -> Line {
    let nobody = body.instance_id.as_ref().map(|id| nobodys("evm-", id));
    let body = AttachDisk { instance_id: nobody, ..body.clone() };
    let answer = ask.client.attach_disk(&body).await.map(drop);
    judged(NO_MACHINE, answer, |error| matches!(error, Error::InstanceNotFound(_)))
}

/// Attaches the disk once more to the machine that has it.
pub(super) async fn attached(ask: &Ask<'_>, body: &AttachDisk) -> Line {
    let answer = ask.client.attach_disk(body).await.map(drop);
    judged(ATTACHED, answer, |error| matches!(error, Error::AttachedElsewhere(_) | Error::DiskState(_)))
}

/// Refunds the disk while a machine has it. A cloud that does so deletes disks that are in use.
pub(super) async fn in_use(ask: &Ask<'_>, disk: &str) -> Line {
    let body = DeleteDisk {
        client_token: token::delete(WHOM, disk),
        region_id: ask.region.clone(),
        disk_id: disk.to_owned(),
    };
    let answer = ask.client.delete_disk(&body).await.map(drop);
    judged(IN_USE, answer, |error| matches!(error, Error::AttachedElsewhere(_) | Error::DiskState(_)))
}

/// Detaches the disk once more.
pub(super) async fn detached(ask: &Ask<'_>, body: &AttachDisk) -> Line {
    let answer = ask.client.detach_disk(body).await.map(drop);
    judged(DETACHED, answer, |error| matches!(error, Error::DiskState(_)))
}

fn judged(assumption: &'static str, answer: Result<(), Error>, fits: fn(&Error) -> bool) -> Line {
    match answer {
        Ok(()) => Line::differs(assumption, "a success"),
        Err(error) if fits(&error) => Line::fits(assumption, brief(&error.to_string())),
        Err(error) => Line::unanswered(assumption, &error),
    }
}
