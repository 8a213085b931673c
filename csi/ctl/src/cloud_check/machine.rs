//! The machines of a region (op 17): their list, its pages, and who has which address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ecx::Error;
use ecx::api::{Instance, ListInstances, Op};
use serde_json::Value;

use super::ask::Ask;
use super::line::{Line, brief};
use super::page::{Page, text};

const KEY: &str = "machines are listed under `results` (op 17)";
const PAGES: &str = "pages of machines are counted from 1, and each is another (op 17)";
const TOTAL: &str = "`totalCount` is as many machines as the list shows (op 17)";
const ADDRESS: &str = "each machine tells its address (`privateIP`)";
pub(super) const TWINS: &str = "no two machines have one address";
const VPC: &str = "a machine tells its VPC (`vpcID` or `addresses[].vpcName`)";
const KEYWORD: &str = "`keyword` narrows the list to an address (op 17)";

const ALL: [&str; 7] = [KEY, PAGES, TOTAL, ADDRESS, TWINS, VPC, KEYWORD];

/// Machines of a page: more are refused in some pools.
const PAGE_SIZE: u32 = 50;

/// Pages after which nobody goes on.
const MOST_PAGES: u32 = 100;

/// What is read of a region's machines.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Page 1 to the last that tells something new.
    pub(super) pages: Vec<Page>,
    /// Pages 1 and 2 of half the size, where there is more than one machine.
    halves: Option<Result<[Page; 2], Error>>,
    /// The keyword that was asked for, and what it gave.
    keyword: Option<(String, Result<Page, Error>)>,
}

impl Reading {
    /// All records.
    pub(super) fn records(&self) -> Vec<&Value> {
        self.pages.iter().flat_map(|page| &page.records).collect()
    }

    /// The machines, as far as the client can read them.
    pub(super) fn machines(&self) -> Vec<Instance> {
        self.records().into_iter().filter_map(|one| serde_json::from_value(one.clone()).ok()).collect()
    }

    /// Whether all that there are were seen, by what the cloud tells: only then one that is not among them is not listed.
    pub(super) fn is_whole(&self) -> bool {
        let listed = |page: &Page| matches!(page.list, Some(Value::Array(_)));
        let total = self.pages.first().filter(|page| listed(page)).and_then(|page| page.total);
        total.and_then(|total| usize::try_from(total).ok()) == Some(self.records().len())
    }
}

/// Reads a region's machines.
pub(super) async fn read(ask: &Ask<'_>) -> Result<Reading, Error> {
    let mut reading = Reading::default();
    for number in 1..=MOST_PAGES {
        let page = page(ask, number, PAGE_SIZE, None).await?;
        let full = page.records.len() >= PAGE_SIZE as usize;
        let more = page.total.is_some_and(|total| total > u64::from(number * PAGE_SIZE));
        // Where the number is ignored it would be the same for ever.
        let again = reading.pages.last().is_some_and(|last: &Page| last.records == page.records);
        if again || (number > 1 && page.records.is_empty()) {
            break;
        }
        reading.pages.push(page);
        if !full && !more {
            break;
        }
    }
    let size = u32::try_from(reading.records().len() / 2).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
    if size > 0 {
        reading.halves = Some(halves(ask, size).await);
    }
    let address = reading.machines().iter().find_map(|one| one.private_addresses().first().copied());
    if let Some(address) = address {
        let keyword = address.to_string();
        let found = page(ask, 1, PAGE_SIZE, Some(keyword.clone())).await;
        reading.keyword = Some((keyword, found));
    }
    Ok(reading)
}

async fn halves(ask: &Ask<'_>, size: u32) -> Result<[Page; 2], Error> {
    Ok([page(ask, 1, size, None).await?, page(ask, 2, size, None).await?])
}

async fn page(ask: &Ask<'_>, page_no: u32, page_size: u32, keyword: Option<String>) -> Result<Page, Error> {
    let region_id = ask.region.clone();
    let body = ListInstances { region_id, page_no, page_size, keyword, instance_id_list: None };
    let told = ask.client.told(Op::ListInstances, &body).await?;
    Ok(Page::of(&told.payload, "results"))
}

/// What is said where the list cannot be read at all.
pub(super) fn unread(error: &Error) -> Vec<Line> {
    let mut lines = vec![Line::unanswered(KEY, error)];
    lines.extend(ALL[1..].iter().map(|assumption| Line::unknown(assumption, "the list cannot be read")));
    lines
}

/// What the machines are like.
pub(super) fn judge(reading: &Reading) -> Vec<Line> {
    if let Some(page) = reading.pages.iter().find(|page| !matches!(page.list, Some(Value::Array(_)))) {
        let seen = match &page.list {
            None => format!("no such key in the reply; there is: {}", brief(&page.keys)),
            Some(other) => format!("`results` is {}", brief(&other.to_string())),
        };
        let mut lines = vec![Line::differs(KEY, seen)];
        lines.extend(
            ALL[1..].iter().map(|assumption| Line::unknown(assumption, "no list of machines is seen")),
        );
        return lines;
    }
    let key = Line::fits(KEY, format!("{} machines", reading.records().len()));
    let machines = reading.machines();
    let twins = twins(&machines);
    vec![
        key,
        pages(reading),
        total(reading),
        address(reading),
        same(&twins, reading),
        vpc(reading),
        keyword(reading),
    ]
}

fn pages(reading: &Reading) -> Line {
    let shown = reading.records().len();
    let total = reading.pages.first().and_then(|page| page.total).unwrap_or(0);
    match &reading.halves {
        Some(Err(error)) => Line::unanswered(PAGES, error),
        Some(Ok([one, two])) if !one.records.is_empty() && one.records == two.records => {
            Line::differs(PAGES, "page 2 is page 1 once more")
        }
        // Of a list that is counted from 0 the first half of the last page, or nothing, is page 1.
        Some(Ok([one, two])) if shown >= 2 && (one.records.is_empty() || two.records.is_empty()) => {
            Line::differs(PAGES, format!("of {shown} machines page 1 or 2 shows none"))
        }
        Some(Ok(_)) if u64::try_from(shown).is_ok_and(|shown| shown < total) => {
            let seen = format!("{shown} of {total} on pages 1 and later: counted from 0, perhaps");
            Line::differs(PAGES, seen)
        }
        Some(Ok([one, _])) => Line::fits(PAGES, format!("page 2 goes on after {}", one.records.len())),
        None if total > 0 && shown == 0 => {
            Line::differs(PAGES, format!("none of {total} on page 1: counted from 0, perhaps"))
        }
        None => Line::unknown(PAGES, format!("{shown} machines in the region; two are needed")),
    }
}

fn total(reading: &Reading) -> Line {
    let shown = reading.records().len();
    match reading.pages.first().and_then(|page| page.total) {
        None => Line::differs(TOTAL, format!("no totalCount; {shown} machines are shown")),
        Some(total) => Line::of(TOTAL, reading.is_whole(), format!("totalCount {total}, {shown} shown")),
    }
}

fn address(reading: &Reading) -> Line {
    let records = reading.records();
    let told = |one: &&&Value| one["privateIP"].as_str().is_none_or(|ip| ip.parse::<Ipv4Addr>().is_err());
    match records.iter().find(told) {
        _ if records.is_empty() => Line::unknown(ADDRESS, "no machine in the region"),
        None => Line::fits(ADDRESS, format!("{} machines", records.len())),
        Some(odd) => {
            let name = text(&odd["instanceID"]).unwrap_or_else(|| "a machine without id".to_owned());
            Line::differs(ADDRESS, format!("privateIP {}, of {name}", brief(&odd["privateIP"].to_string())))
        }
    }
}

/// The first address that more than one machine has, and those.
fn twins(machines: &[Instance]) -> Option<(Ipv4Addr, Vec<&Instance>)> {
    let mut by_address: BTreeMap<Ipv4Addr, Vec<&Instance>> = BTreeMap::new();
    for machine in machines.iter().filter(|machine| machine.exists()) {
        let mut own = machine.private_addresses();
        own.sort_unstable();
        own.dedup();
        own.into_iter().for_each(|address| by_address.entry(address).or_default().push(machine));
    }
    by_address.into_iter().find(|(_, machines)| machines.len() > 1)
}

fn same(twins: &Option<(Ipv4Addr, Vec<&Instance>)>, reading: &Reading) -> Line {
    match twins {
        Some((address, machines)) => {
            let names: Vec<&str> = machines.iter().map(|one| one.instance_id.as_str()).collect();
            Line::differs(TWINS, format!("{address} is of {}", brief(&names.join(" and "))))
        }
        None if reading.machines().len() < 2 => Line::unknown(TWINS, "less than two machines in the region"),
        None => Line::fits(TWINS, format!("{} machines", reading.machines().len())),
    }
}

/// The VPC that a machine tells.
pub(super) fn vpc_of(machine: &Instance) -> Option<&str> {
    let names = machine.addresses.iter().map(|network| network.vpc_name.as_str());
    machine.vpc_id.as_deref().into_iter().chain(names).find(|told| !told.is_empty())
}

fn vpc(reading: &Reading) -> Line {
    let machines = reading.machines();
    let untold = machines.iter().filter(|one| vpc_of(one).is_none()).count();
    match machines.iter().find_map(vpc_of) {
        Some(vpc) if untold == 0 => Line::fits(VPC, brief(vpc)),
        None if twins(&machines).is_none() => {
            Line::unknown(VPC, "none tells it; no two have one address, so that nothing hangs on it here")
        }
        Some(_) | None => Line::differs(VPC, format!("{untold} of {} do not tell it", machines.len())),
    }
}

fn keyword(reading: &Reading) -> Line {
    let all = reading.records().len();
    let Some((keyword, found)) = &reading.keyword else {
        return Line::unknown(KEYWORD, "no address to ask for");
    };
    let page = match found {
        Ok(page) => page,
        Err(error) => return Line::unanswered(KEYWORD, error),
    };
    let fits = |one: &&Value| one.to_string().contains(keyword);
    let (right, shown) = (page.records.iter().filter(fits).count(), page.records.len());
    let seen = format!("{keyword}: {shown} of {all} machines, {right} of them with the address");
    match () {
        () if right == 0 => Line::differs(KEYWORD, seen),
        () if reading.records().iter().all(fits) => Line::unknown(KEYWORD, format!("{seen}; all have it")),
        () => Line::of(KEYWORD, right == shown, seen),
    }
}

#[cfg(test)]
mod tests;
