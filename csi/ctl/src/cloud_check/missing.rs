//! What is said of a disk, a job and an order that do not exist.

use ecx::Error;
use ecx::api::{Disk, GetDisk, GetJob, GetOrder, Op};
use serde_json::Value;

use super::ask::Ask;
use super::line::{Line, brief};

const DISK: &str = "a disk that does not exist is refused as such (op 4)";
const JOB: &str = "a job that does not exist is refused (op 10)";
const ORDER: &str = "an order that does not exist is refused (op 11)";

/// An id in the guide's form, where no disk tells one.
const ID: &str = "cd-00000000000000000000";

/// Asks for three things that are not there.
pub(super) async fn check(ask: &Ask<'_>, disks: &[Disk]) -> Vec<Line> {
    let (region_id, disk_id) = (ask.region.clone(), nobody(disks));
    let disk = ask.client.told(Op::GetDisk, &GetDisk { region_id: region_id.clone(), disk_id }).await;
    let job_id = "00000000-0000-4000-8000-000000000000".to_owned();
    let job = ask.client.told(Op::GetJob, &GetJob { region_id, job_id }).await;
    let order = GetOrder { master_order_id: "0".repeat(32) };
    let order = ask.client.told(Op::GetOrder, &order).await;
    vec![
        no_disk(disk.map(|told| told.payload)),
        refused(JOB, job.map(|told| told.payload)),
        refused(ORDER, order.map(|told| told.payload)),
    ]
}

/// An id that no disk has, in the form of those that there are.
fn nobody(disks: &[Disk]) -> String {
    disks.first().map_or(ID.to_owned(), |disk| nobodys("cd-", &disk.disk_id))
}

/// An id that nobody has, of the form of `id`, which begins as long as `prefix` is with a prefix.
pub(super) fn nobodys(prefix: &str, id: &str) -> String {
    let zero = |(at, letter): (usize, char)| {
        if at >= prefix.len() && letter.is_ascii_alphanumeric() { '0' } else { letter }
    };
    id.char_indices().map(zero).collect()
}

fn no_disk(answer: Result<Value, Error>) -> Line {
    match answer {
        Ok(payload) => Line::differs(DISK, format!("a success: {}", brief(&payload.to_string()))),
        Err(error @ Error::DiskNotFound(_)) => Line::fits(DISK, brief(&error.to_string())),
        Err(error) => Line::unanswered(DISK, &error),
    }
}

/// Refused by whatever word but that of a server that has no such call.
fn refused(assumption: &'static str, answer: Result<Value, Error>) -> Line {
    match answer {
        Ok(payload) => Line::differs(assumption, format!("a success: {}", brief(&payload.to_string()))),
        Err(Error::Unknown(said)) if said.code.starts_with("http ") => {
            Line::differs(assumption, format!("no such call: {}", brief(&said.code)))
        }
        Err(
            error @ (Error::NoReply(_)
            | Error::Throttled { .. }
            | Error::Auth(_)
            | Error::Denied(_)
            | Error::Unreadable(_)),
        ) => Line::unanswered(assumption, &error),
        Err(error) => Line::fits(assumption, brief(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_check::line::Verdict::*;
    use ecx::error::ApiMessage;

    fn said(code: &str) -> ApiMessage {
        ApiMessage { code: code.into(), ..ApiMessage::default() }
    }

    #[test]
    fn only_a_refusal_as_no_such_disk_fits() {
        assert_eq!(no_disk(Err(Error::DiskNotFound(said("x")))).verdict, Fits);
        assert_eq!(no_disk(Ok(serde_json::json!({}))).verdict, Differs);
        assert_eq!(no_disk(Err(Error::Unreadable(said("800")))).verdict, Differs);
        assert_eq!(no_disk(Err(Error::Unknown(said("ebs.none")))).verdict, Differs);
        assert_eq!(no_disk(Err(Error::NoReply(said("timeout")))).verdict, Unknown);
    }

    #[test]
    fn a_call_that_is_not_there_is_no_refusal() {
        let refused = |error| refused(JOB, Err(error)).verdict;
        assert_eq!(refused(Error::Unknown(said("openapi.job.notFound"))), Fits);
        assert_eq!(refused(Error::Parameter(said("openapi.parameter.jobID"))), Fits);
        assert_eq!(refused(Error::Unknown(said("http 404"))), Differs);
        assert_eq!(refused(Error::NoReply(said("timeout"))), Unknown);
    }

    #[test]
    fn the_id_has_the_form_of_those_that_there_are() {
        let disk = |id: &str| [Disk { disk_id: id.into(), ..Disk::default() }];
        assert_eq!(nobody(&[]), ID);
        assert_eq!(nobody(&disk("cd-cfebko79upsq2iuo7lkg")), ID);
        assert_eq!(nobody(&disk("5a054301-cc")), "5a000000-00");
    }
}
