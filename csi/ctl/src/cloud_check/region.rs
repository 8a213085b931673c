//! One region: whether it answers, and all that is looked at in it.

use ecx::Error;
use ecx::api::{FindDiskByName, Op};
use ecx::decode::Told;
use serde_json::Value;

use super::ask::{Ask, MOST};
use super::line::{Line, brief};
use super::page::{self, Page};
use super::{agree, by_name, disk, disk_list, machine, missing, offer};

const ANSWERS: &str = "the keys and the clock are accepted, and the region answers";
const ENVELOPE: &str = "a success is statusCode 800, a number, with `returnObj`";

/// What was seen of a region.
pub(super) struct Seen {
    /// Whether it answers.
    pub(super) answers: Line,
    /// The assumptions; none if it does not answer.
    pub(super) lines: Vec<Line>,
    /// The types of its disks.
    pub(super) types: Vec<String>,
    /// The VPCs of its machines.
    pub(super) vpcs: Vec<String>,
}

/// Looks at a region. One that answers neither the list of disks nor a look-up by name is asked no more: each question more
/// would wait as long.
pub(super) async fn look(ask: &Ask<'_>) -> Seen {
    let first = page::disks(ask, MOST, None).await;
    let answers = match &first {
        Ok((_, told)) => answers(ask, Ok(told)),
        Err(error) if error.is_answer() => answers(ask, Err(error)),
        Err(_) => {
            let query =
                FindDiskByName { region_id: ask.region.clone(), disk_name: "eck-cloud-check".to_owned() };
            answers(ask, ask.client.told(Op::FindDiskByName, &query).await.as_ref())
        }
    };
    let mut seen = Seen { answers, lines: Vec::new(), types: Vec::new(), vpcs: Vec::new() };
    if seen.answers.verdict == super::Verdict::Fits {
        assumptions(ask, first, &mut seen).await;
    }
    seen
}

fn answers(ask: &Ask<'_>, answer: Result<&Told, &Error>) -> Line {
    let region = &ask.region;
    match answer {
        Ok(_) => Line::fits(ANSWERS, format!("{region}: answers")),
        Err(error) => {
            Line::of(ANSWERS, error.is_answer(), format!("{region}: {}", brief(&error.to_string())))
        }
    }
}

async fn assumptions(ask: &Ask<'_>, first: Result<(Page, Told), Error>, seen: &mut Seen) {
    let machines = machine::read(ask).await;
    let read = machines.as_ref().map(machine::Reading::machines).unwrap_or_default();
    let all_seen = machines.as_ref().is_ok_and(machine::Reading::is_whole);
    let mut disks = Vec::new();
    match first {
        Err(error) => {
            seen.lines.push(Line::unknown(ENVELOPE, "the list cannot be read"));
            seen.lines.extend(disk_list::unread(&error));
            seen.lines.extend(disk::judge(&[]));
            seen.lines.extend(agree::unread());
        }
        Ok((first, told)) => {
            let few = page::disks(ask, disk_list::FEW, None).await.map(|(page, _)| page);
            let walk = page::walk(ask, first).await;
            disks = agree::disks(&walk);
            seen.lines.push(envelope(&told));
            seen.lines.extend(disk_list::judge(&walk, &few));
            seen.lines.extend(disk::judge(&walk.records()));
            seen.lines.push(agree::same(ask, &walk).await);
            if machines.is_ok() && disk_list::has_its_key(&walk) {
                seen.lines.push(agree::held(ask, &walk, &read).await);
                seen.lines.push(agree::machine(&walk, &read, all_seen));
            } else {
                seen.lines.extend(agree::unread());
            }
        }
    }
    seen.lines.extend(by_name::check(ask, &disks).await);
    seen.lines.extend(match &machines {
        Ok(reading) => machine::judge(reading),
        Err(error) => machine::unread(error),
    });
    seen.vpcs = read.iter().filter_map(machine::vpc_of).map(str::to_owned).collect();
    seen.lines.extend(missing::check(ask, &disks).await);
    let (lines, types) = offer::check(ask).await;
    seen.lines.extend(lines);
    seen.types = types;
}

fn envelope(told: &Told) -> Line {
    let fits = told.status == 800 && told.key == "returnObj";
    let status = match &told.status {
        Value::Number(number) => format!("{number}, a number"),
        other @ (Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            format!("{}, which the client takes too", brief(&other.to_string()))
        }
    };
    Line::of(ENVELOPE, fits, format!("{status}, with `{}`", told.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_check::Verdict;

    #[test]
    fn every_other_envelope_is_named() {
        let told = |status: Value, key| Told { status, key, payload: Value::Null };
        assert_eq!(envelope(&told(800.into(), "returnObj")).verdict, Verdict::Fits);
        for other in
            [told("800".into(), "returnObj"), told("core.ok".into(), "data"), told(200.into(), "returnObj")]
        {
            assert_eq!(envelope(&other).verdict, Verdict::Differs, "{other:?}");
        }
    }
}
