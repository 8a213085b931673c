//! Orders: create, delete, resize; client tokens.

use ecx::api::*;
use ecx::codes;

use super::state::{DiskRecord, Handle, Pending, PendingKind, Refusal, Token, Twist, World};

/// How long a client token is remembered: 24 h, in milliseconds (ecx/API.md B.5).
const TOKEN_LIFE_MS: u64 = 24 * 3600 * 1000;

/// Largest disk, GiB; the group of types that ECX shows (ecx/API.md §3).
const MAX_GIB: u64 = 32_768;
/// Smallest disk, GiB; the guide's floor.
const MIN_GIB: u64 = 20;

impl World {
    /// Op 1 and 2. The disk exists at once, in state `creating`; the order is done when it is `available`.
    pub fn create(
        &mut self,
        request: &CreateDisk,
        now: u64,
        latency: u64,
        twist: &Twist,
    ) -> Result<OrderReply, Refusal> {
        let body = serde_json::to_string(request).unwrap_or_default();
        if let Some(order) = self.token(&request.client_token, &body, now)? {
            return self.created(&order);
        }
        let disk_type = self.checked(request)?;
        self.take(&request.region_id, &disk_type, request.disk_size)?;
        let id = format!("cd-{}", self.xid());
        let order = self.order_id();
        let due = if twist.stuck { u64::MAX } else { now + latency };
        let disk = Disk {
            disk_id: id.clone(),
            disk_name: request.disk_name.clone(),
            disk_size: request.disk_size,
            disk_type,
            disk_status: DiskState::Creating,
            region_id: request.region_id.clone(),
            // A disk from a snapshot takes none (ecx/API.md B.3, op 2).
            labels: if request.snapshot_id.is_some() { Vec::new() } else { request.labels.clone() },
            create_time: Some(now),
            volume_source_id: request.snapshot_id.clone(),
            ..Disk::default()
        };
        let kind = PendingKind::Create { from: request.snapshot_id.clone() };
        let pending = Some(Pending { kind, due, handle: order.clone(), fails: twist.fails });
        self.disks.insert(id.clone(), DiskRecord { disk, holder: None, pending, history: Vec::new() });
        self.bought += 1;
        *self.bought_of_name.entry(request.disk_name.clone()).or_default() += 1;
        self.handles.insert(order.clone(), Handle { disk: id, status: 0, empty: twist.empty_order });
        self.tokens
            .insert(request.client_token.clone(), Token { request: body, order: order.clone(), at: now });
        if latency == 0 && !twist.stuck {
            return Ok(OrderReply { master_order_id: Some(order), ..OrderReply::default() });
        }
        Err(in_progress(&order))
    }

    /// Op 3.
    pub fn delete(
        &mut self,
        request: &DeleteDisk,
        now: u64,
        latency: u64,
        twist: &Twist,
    ) -> Result<OrderReply, Refusal> {
        let body = serde_json::to_string(request).unwrap_or_default();
        if let Some(order) = self.token(&request.client_token, &body, now)? {
            return Ok(OrderReply { master_order_id: Some(order), ..OrderReply::default() });
        }
        let order = self.order_id();
        let live = self.snapshots.values().any(|s| s.snapshot.disk_id == request.disk_id);
        let record = self.disk(&request.region_id, &request.disk_id)?;
        let allowed = matches!(record.state().group(), Group::Settled) || *record.state() == DiskState::Error;
        if !allowed || live {
            return Err(record.refuse("be refunded"));
        }
        let due = if twist.stuck { u64::MAX } else { now + latency };
        record.disk.disk_status = DiskState::Deleting;
        record.pending =
            Some(Pending { kind: PendingKind::Delete, due, handle: order.clone(), fails: twist.fails });
        self.handles.insert(order.clone(), Handle { disk: request.disk_id.clone(), status: 0, empty: false });
        self.tokens
            .insert(request.client_token.clone(), Token { request: body, order: order.clone(), at: now });
        Ok(OrderReply { master_order_id: Some(order), ..OrderReply::default() })
    }

    /// Op 9.
    pub fn resize(
        &mut self,
        request: &ResizeDisk,
        now: u64,
        latency: u64,
        twist: &Twist,
    ) -> Result<OrderReply, Refusal> {
        let body = serde_json::to_string(request).unwrap_or_default();
        if let Some(order) = self.token(&request.client_token, &body, now)? {
            return Ok(OrderReply { master_order_id: Some(order), ..OrderReply::default() });
        }
        let order = self.order_id();
        let record = self.disk(&request.region_id, &request.disk_id)?;
        if !matches!(record.state().group(), Group::Settled | Group::Attached) {
            return Err(record.refuse("grow"));
        }
        if request.disk_size <= record.disk.disk_size {
            return Err(Refusal::new(
                codes::SHRINK,
                format!("the disk has {} GiB already", record.disk.disk_size),
            ));
        }
        if request.disk_size > MAX_GIB {
            return Err(Refusal::parameter("diskSize", format!("at most {MAX_GIB}")));
        }
        let (disk_type, growth) = (record.disk.disk_type.clone(), request.disk_size - record.disk.disk_size);
        self.within_quota(&request.region_id, growth)?;
        self.take(&request.region_id, &disk_type, growth)?;
        let due = if twist.stuck { u64::MAX } else { now + latency };
        let record = self.disk(&request.region_id, &request.disk_id)?;
        record.disk.disk_status = DiskState::Extending;
        let kind = PendingKind::Resize { gib: request.disk_size };
        record.pending = Some(Pending { kind, due, handle: order.clone(), fails: twist.fails });
        self.handles.insert(order.clone(), Handle { disk: request.disk_id.clone(), status: 0, empty: false });
        self.tokens
            .insert(request.client_token.clone(), Token { request: body, order: order.clone(), at: now });
        Ok(OrderReply { master_order_id: Some(order), ..OrderReply::default() })
    }

    /// A disk's description (ecx/API.md §3, update-attr-ebs).
    pub fn update(&mut self, request: &UpdateDisk) -> Result<Empty, Refusal> {
        let record = self.disk(&request.region_id, &request.disk_id)?;
        record.disk.volume_description = Some(request.volume_description.clone());
        Ok(Empty {})
    }

    /// Another type or speed, at once. Only the type's stock is asked.
    pub fn modify(&mut self, request: &ModifyDisk, now: u64) -> Result<OrderReply, Refusal> {
        let body = serde_json::to_string(request).unwrap_or_default();
        if let Some(order) = self.token(&request.client_token, &body, now)? {
            return Ok(OrderReply { master_order_id: Some(order), ..OrderReply::default() });
        }
        let record = self.disk(&request.region_id, &request.disk_id)?;
        if !matches!(record.state().group(), Group::Settled | Group::Attached) {
            return Err(record.refuse("be changed"));
        }
        let (old, gib) = (record.disk.disk_type.clone(), record.disk.disk_size);
        if let Some(new) = request.disk_type.as_ref().filter(|new| **new != old) {
            let region = self.region(&request.region_id)?;
            if !region.stock.contains_key(new) {
                let known: Vec<&str> = region.stock.keys().map(String::as_str).collect();
                return Err(Refusal::parameter("diskType", format!("one of {}", known.join(", "))));
            }
            self.take(&request.region_id, new, gib)?;
            self.put_back(&request.region_id, &old, gib);
        }
        let record = self.disk(&request.region_id, &request.disk_id)?;
        record.disk.disk_type = request.disk_type.clone().unwrap_or(old);
        record.disk.provisioned_iops = request.provisioned_iops.or(record.disk.provisioned_iops);
        let order = self.order_id();
        self.handles.insert(order.clone(), Handle { disk: request.disk_id.clone(), status: 1, empty: false });
        self.tokens
            .insert(request.client_token.clone(), Token { request: body, order: order.clone(), at: now });
        Ok(OrderReply { master_order_id: Some(order), ..OrderReply::default() })
    }

    /// The order that a token made; a token that made another request's order is refused.
    pub(super) fn token(&mut self, token: &str, request: &str, now: u64) -> Result<Option<String>, Refusal> {
        self.tokens.retain(|_, t| t.at + TOKEN_LIFE_MS > now);
        if token.is_empty() || token.len() > 64 {
            return Err(Refusal::parameter("clientToken", "1 to 64 characters"));
        }
        match self.tokens.get(token) {
            None => Ok(None),
            Some(t) if t.request == request => Ok(Some(t.order.clone())),
            Some(_) => Err(Refusal::new(codes::TOKEN_CONFLICT, "the token was used for another request")),
        }
    }

    fn created(&self, order: &str) -> Result<OrderReply, Refusal> {
        let handle = self.handles.get(order).cloned().unwrap_or_default();
        match handle.status {
            0 => Err(in_progress(order)),
            2 => Err(Refusal::new(codes::BILLING, "the order failed")),
            _ => {
                let name = self.disks.get(&handle.disk).map(|d| d.disk.disk_name.clone());
                let resource = Resource {
                    disk_id: Some(handle.disk),
                    disk_name: name,
                    resource_type: Some("EBS".to_owned()),
                    ..Resource::default()
                };
                Ok(OrderReply {
                    master_order_id: Some(order.to_owned()),
                    resources: Some(vec![resource]),
                    ..OrderReply::default()
                })
            }
        }
    }

    /// Checks a create's parameters; gives the disk type.
    fn checked(&self, request: &CreateDisk) -> Result<String, Refusal> {
        let region = self.region(&request.region_id)?;
        let plain = request.disk_name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !(2..=63).contains(&request.disk_name.len()) || !plain || request.disk_name.starts_with('-') {
            return Err(Refusal::parameter("diskName", "2 to 63 of letters, digits and '-'"));
        }
        if !(MIN_GIB..=MAX_GIB).contains(&request.disk_size) {
            return Err(Refusal::parameter("diskSize", format!("{MIN_GIB} to {MAX_GIB}")));
        }
        if request.labels.iter().any(|l| l.key.len() > 32 || l.value.len() > 32) {
            return Err(Refusal::parameter("labels", "at most 32 characters each"));
        }
        let source = match &request.snapshot_id {
            None => None,
            Some(id) => {
                let snapshot = self.snapshot(&request.region_id, id)?;
                if snapshot.volume_size > request.disk_size {
                    return Err(Refusal::parameter("diskSize", "not less than the snapshot's"));
                }
                snapshot.volume_type.clone()
            }
        };
        let disk_type = source.or_else(|| request.disk_type.clone()).unwrap_or_default();
        if !region.stock.contains_key(&disk_type) {
            let known: Vec<&str> = region.stock.keys().map(String::as_str).collect();
            return Err(Refusal::parameter("diskType", format!("one of {}", known.join(", "))));
        }
        self.within_quota(&request.region_id, request.disk_size)?;
        Ok(disk_type)
    }
}

fn in_progress(order: &str) -> Refusal {
    Refusal::new(codes::ORDER_IN_PROGRESS, order)
}
