//! Reads: disks, orders, instances, types, stock.

use ecx::api::*;
use ecx::codes;

use super::state::{DiskRecord, Refusal, World};

impl World {
    /// Op 4.
    pub fn get(&mut self, request: &GetDisk) -> Result<Disk, Refusal> {
        self.disk(&request.region_id, &request.disk_id).map(|record| shown(record))
    }

    /// Op 5.
    pub fn find(&self, request: &FindDiskByName) -> Result<DiskList, Refusal> {
        self.region(&request.region_id)?;
        let named =
            |d: &&DiskRecord| d.disk.region_id == request.region_id && d.disk.disk_name == request.disk_name;
        let disk_list: Vec<Disk> = self.disks.values().filter(named).map(shown).collect();
        Ok(DiskList { total_count: Some(disk_list.len() as u64), disk_list, ..DiskList::default() })
    }

    /// Op 6. The token is the last id of the page before.
    pub fn list(&self, request: &ListDisks) -> Result<DiskList, Refusal> {
        self.region(&request.region_id)?;
        if !(1..=1000).contains(&request.max_results) {
            return Err(Refusal::parameter("maxResults", "1 to 1000"));
        }
        let after = request.next_token.as_deref().unwrap_or_default();
        if request.next_token.is_some() && !after.starts_with("cd-") {
            return Err(Refusal::parameter("nextToken", "a token of the page before"));
        }
        let here = |d: &&DiskRecord| d.disk.region_id == request.region_id;
        let total_count = Some(self.disks.values().filter(here).count() as u64);
        let mut rest = self.disks.values().filter(here).filter(|d| d.disk.disk_id.as_str() > after);
        let disk_list: Vec<Disk> = rest.by_ref().take(request.max_results as usize).map(shown).collect();
        let more = rest.next().is_some();
        let next_token = disk_list.last().filter(|_| more).map(|d| d.disk_id.clone());
        Ok(DiskList { disk_list, total_count, next_token, ..DiskList::default() })
    }

    /// Op 11.
    pub fn order(&self, request: &GetOrder) -> Result<Order, Refusal> {
        let handle = self.handles.get(&request.master_order_id);
        let handle = handle.ok_or_else(|| Refusal::parameter("masterOrderID", "no such order"))?;
        let order_status = ["14", "3", "5"][usize::from(handle.status.min(2))].to_owned();
        let ids = if handle.status == 1 && !handle.empty { vec![handle.disk.clone()] } else { vec![] };
        Ok(Order { order_status, instance_id_list: Some(ids) })
    }

    /// Op 15.
    pub fn types(&self, request: &ListDiskTypes) -> Result<DiskTypes, Refusal> {
        let region = self.region(&request.region_id)?;
        let shown = |(name, left): (&String, &u64)| DiskType {
            disk_type: name.clone(),
            resource_status: Some(if *left > 0 { "Available" } else { "SoldOut" }.to_owned()),
            min_disk_size: Some(20),
            max_disk_size: Some(32_768),
        };
        Ok(DiskTypes { disk_type_list: region.stock.iter().map(shown).collect() })
    }

    /// Op 16.
    pub fn stock(&self, request: &CheckStock) -> Result<Stock, Refusal> {
        let region = self.region(&request.region_id)?;
        let left = region.stock.get(&request.ebs_type);
        let left = *left.ok_or_else(|| Refusal::parameter("ebsType", "a disk type of the region"))?;
        let here = self.disks.values().filter(|d| d.disk.region_id == request.region_id);
        let used: u64 = here.map(|d| d.disk.disk_size).sum();
        let has_quota = used + request.ebs_size <= region.quota_gib;
        Ok(Stock {
            satisfied: Some(left >= request.ebs_size && has_quota),
            sellout: Some(left < request.ebs_size),
            has_quota: Some(has_quota),
            quota_info: Some(QuotaInfo { ebs_size_quota: Some(region.quota_gib) }),
            used_info: Some(UsedInfo { ebs_size: Some(used) }),
        })
    }

    /// Op 17. `keyword` is fuzzy over id, name and address, as the cloud's is.
    pub fn instances(&self, request: &ListInstances) -> Result<InstanceList, Refusal> {
        self.region(&request.region_id)?;
        let keyword = request.keyword.as_deref().unwrap_or_default();
        let ids: Vec<&str> =
            request.instance_id_list.as_deref().map(|l| l.split(',').collect()).unwrap_or_default();
        let mut found = Vec::new();
        for machine in self.machines.values().filter(|m| m.region == request.region_id) {
            let named = machine.id.contains(keyword) || machine.ip.contains(keyword);
            if !named || (!ids.is_empty() && !ids.contains(&machine.id.as_str())) {
                continue;
            }
            let holds = |d: &&DiskRecord| d.holder.as_deref() == Some(machine.id.as_str());
            found.push(Instance {
                instance_id: machine.id.clone(),
                instance_name: machine.id.clone(),
                instance_status: machine.status.clone(),
                private_ip: Some(machine.ip.clone()),
                attached_volume: self.disks.values().filter(holds).map(|d| d.disk.disk_id.clone()).collect(),
                ..Instance::default()
            });
        }
        let size = request.page_size.clamp(1, 50) as usize;
        let total = found.len() as u64;
        let results =
            found.into_iter().skip(size * (request.page_no.max(1) as usize - 1)).take(size).collect();
        let (total_count, total_page) = (Some(total), Some(total.div_ceil(size as u64)));
        Ok(InstanceList { results, total_count, total_page, ..InstanceList::default() })
    }

    /// A machine's state changes from outside: `running`, `stopped`, `deleted`, ….
    pub fn set_instance_status(&mut self, id: &str, status: &str) -> Result<(), Refusal> {
        let machine = self.machines.get_mut(id);
        let machine = machine.ok_or_else(|| Refusal::new(codes::INSTANCE_UNKNOWN, id))?;
        status.clone_into(&mut machine.status);
        Ok(())
    }
}

/// A disk as the API shows it: with its attachment only while one stands.
fn shown(record: &DiskRecord) -> Disk {
    let mut disk = record.disk.clone();
    let held = record.holder.clone().filter(|_| disk.disk_status != DiskState::Attaching);
    if let Some(instance_id) = held {
        let attachment = Attachment {
            instance_id: instance_id.clone(),
            attachment_id: Some(format!("at-{}", disk.disk_id)),
            // Clouds of this kind are often wrong here (ecx/API.md §4), so this one always is.
            device: Some("/dev/vda".to_owned()),
        };
        disk.instance_id = Some(instance_id);
        disk.attachments = vec![attachment];
    }
    disk
}
