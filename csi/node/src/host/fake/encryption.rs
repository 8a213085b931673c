//! Its encrypted disks.

use eck_csi::volume::DiskId;
use uuid::Uuid;

use super::{Call, Disk, FakeMachine, State};
use crate::host::machine::Encryption;
use crate::host::sysfs::MAPPING_PREFIX;
use crate::host::{
    Content, Device, Foreign, Header, HostError, LuksError, Mapping, MappingOptions, NewHeader,
};
use crate::key::Key;

/// Bytes before the data.
const HEADER: u64 = 16 << 20;

/// An encrypted disk.
pub(crate) struct Vault {
    pub(crate) header: Header,
    pub(crate) keys: Vec<Key>,
    /// What it holds, in the clear.
    pub(crate) content: Content,
    pub(crate) mapping: Option<Mapping>,
}

impl Vault {
    /// Opened as `dm-0`, which is as large as the disk now leaves room for.
    pub(crate) fn map(&mut self, disk: &Device, id: &DiskId, read_only: bool) -> Device {
        let device = Device {
            name: "dm-0".into(),
            path: "/dev/dm-0".into(),
            major: 252,
            minor: 0,
            diskseq: Some(9),
            serial: format!("CRYPT-LUKS2-{id}"),
            size_bytes: disk.size_bytes - HEADER,
            read_only,
        };
        let (name, disks) = (format!("{MAPPING_PREFIX}{id}"), vec![disk.name.clone()]);
        self.mapping = Some(Mapping { name, device: device.clone(), disks });
        device
    }
}

impl Disk {
    pub(super) fn mapping(&self) -> Option<&Mapping> {
        self.vault.as_ref()?.mapping.as_ref()
    }

    /// What the device shows, if it is this disk or its mapping.
    pub(super) fn content_of(&mut self, device: &Device) -> Option<&mut Content> {
        if self.device.name == device.name {
            return Some(&mut self.content);
        }
        let vault = self.vault.as_mut()?;
        vault.mapping.as_ref().filter(|mapping| mapping.device.name == device.name)?;
        Some(&mut vault.content)
    }
}

impl State {
    fn vault(&mut self, disk: &Device) -> Result<&mut Vault, HostError> {
        self.now(disk)?;
        let (device, what) = (disk.name.clone(), "has no header".to_owned());
        let mut disks = self.disks.iter_mut().filter(|other| other.device.name == disk.name);
        let vault = disks.find_map(|disk| disk.vault.as_mut());
        Ok(vault.ok_or(LuksError::Unproven { device, what })?)
    }

    fn mapped(&mut self, mapping: &Mapping) -> Option<(&Device, &mut Vault)> {
        let mut disks = self.disks.iter_mut().filter(|disk| disk.mapping() == Some(mapping));
        disks.find_map(|disk| Some((&disk.device, disk.vault.as_mut()?)))
    }
}

impl Encryption for FakeMachine {
    fn mapping(&self, disk: &DiskId) -> Result<Option<Mapping>, HostError> {
        let (state, name) = (self.state(), format!("{MAPPING_PREFIX}{disk}"));
        Ok(state.disks.iter().filter_map(Disk::mapping).find(|mapping| mapping.name == name).cloned())
    }

    fn header(&self, disk: &Device) -> Result<Header, HostError> {
        Ok(self.state().vault(disk)?.header.clone())
    }

    fn make_header(&self, disk: &Device, new: &NewHeader<'_>) -> Result<(), HostError> {
        let mut state = self.state();
        let found = state.look(disk, new.depth)?;
        if found != Content::Blank && found != Content::Begun(new.uuid) {
            return Err(LuksError::NotBlank { device: disk.name.clone(), found: found.refusal().what }.into());
        }
        let noise = Foreign { what: "what zeros decrypt to".into(), at: 0 };
        for disk in state.disks.iter_mut().filter(|other| other.device == *disk) {
            let header = Header { uuid: new.uuid, fresh: vec![0], room: true };
            let (keys, content) = (vec![new.key.clone()], Content::Foreign(noise.clone()));
            disk.vault = Some(Vault { header, keys, content, mapping: None });
            disk.content = Content::Luks2;
        }
        state.act(format!("encrypt {}", disk.name));
        Ok(())
    }

    fn set_header_uuid(&self, disk: &Device, uuid: Uuid) -> Result<(), HostError> {
        self.state().vault(disk)?.header.uuid = uuid;
        Ok(())
    }

    fn remove_token(&self, disk: &Device, id: u32) -> Result<(), HostError> {
        let mut state = self.state();
        state.vault(disk)?.header.fresh.retain(|token| *token != id);
        state.act(format!("mark {} as used", disk.name));
        Ok(())
    }

    fn copy_header(&self, disk: &Device) -> Result<(), HostError> {
        let mut state = self.state();
        state.vault(disk)?;
        state.act(format!("copy the header of {}", disk.name));
        Ok(())
    }

    fn opens(&self, disk: &Device, key: &Key) -> Result<bool, HostError> {
        Ok(self.state().vault(disk)?.keys.contains(key))
    }

    fn add_key(&self, disk: &Device, known: &Key, new: &Key) -> Result<(), HostError> {
        let mut state = self.state();
        let vault = state.vault(disk)?;
        if !vault.keys.contains(known) {
            return Err(LuksError::WrongKey { device: disk.name.clone() }.into());
        }
        vault.keys.push(new.clone());
        Ok(())
    }

    fn remove_key(&self, disk: &Device, key: &Key) -> Result<(), HostError> {
        self.state().vault(disk)?.keys.retain(|other| other != key);
        Ok(())
    }

    fn open(
        &self,
        disk: &Device,
        id: &DiskId,
        key: &Key,
        options: MappingOptions,
    ) -> Result<Device, HostError> {
        let mut state = self.state();
        let vault = state.vault(disk)?;
        if !vault.keys.contains(key) {
            return Err(LuksError::WrongKey { device: disk.name.clone() }.into());
        }
        let device = vault.map(disk, id, options.read_only);
        state.act(format!("open {}", disk.name));
        Ok(device)
    }

    fn resize(&self, mapping: &Mapping) -> Result<Device, HostError> {
        let mut state = self.call(Call::Resize)?;
        let (device, what) = (mapping.name.clone(), "is not open".to_owned());
        let (disk, vault) = state.mapped(mapping).ok_or(LuksError::Unproven { device, what })?;
        let mut resized = mapping.clone();
        resized.device.size_bytes = disk.size_bytes - HEADER;
        vault.mapping = Some(resized.clone());
        state.act(format!("resize {}", mapping.device.name));
        Ok(resized.device)
    }

    fn close(&self, mapping: &Mapping) -> Result<(), HostError> {
        let mut state = self.state();
        if state.in_use(&mapping.device) {
            return Err(LuksError::InUse { device: mapping.name.clone() }.into());
        }
        if let Some((_, vault)) = state.mapped(mapping) {
            vault.mapping = None;
        }
        state.act(format!("close {}", mapping.device.name));
        Ok(())
    }

    fn blank(&self, mapping: &Device) -> Result<(), HostError> {
        let mut state = self.state();
        *state.content(mapping)? = Content::Blank;
        state.act(format!("blank {}", mapping.name));
        Ok(())
    }
}
