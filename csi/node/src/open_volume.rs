//! A volume whose content can be reached: in the clear the disk itself, encrypted the mapping of its opened disk.
//!
//! ```text
//! in the clear: the disk
//! encrypted:    what does the disk hold?  blank, or a header of this volume begun ─▶ make the header
//!                                         a LUKS2 header                          ─▶ whose is it? which key opens it?
//!                                         anything else                           ─▶ refused, untouched
//!               open ─▶ (never used ─▶ made blank) ─▶ file system ─▶ marked as used ─▶ mount
//! ```
//!
//! A header is made with the token `eck-fresh`, which stands until the file system is proven: what an interrupted staging left
//! behind meanwhile may be formatted, since nobody had the volume. Once the volume is marked as used, the header is copied into
//! the disk's own metadata.

use eck_csi::volume_options::Discard;

use crate::error::StageError;
use crate::fields::AccessType;
use crate::fsid::{self, Owner};
use crate::host::{
    Content, Depth, Device, Formatted, Header, Host, HostError, LuksError, Mapping, MappingOptions, NewHeader,
};
use crate::stage::request::{Keys, StageRequest};

mod keys;

/// A volume that is open for one staging.
pub(crate) struct OpenVolume<'a, H> {
    host: &'a H,
    request: &'a StageRequest,
    disk: Device,
    device: Device,
    /// The disk's header, if it is encrypted.
    header: Option<Header>,
}

impl<'a, H: Host> OpenVolume<'a, H> {
    /// The device that shows the content, if an earlier staging has opened the volume; `None` if it is encrypted and closed.
    pub(crate) fn opened_before(
        host: &H,
        disk: &Device,
        request: &StageRequest,
    ) -> Result<Option<Device>, HostError> {
        if request.keys.is_none() {
            return Ok(Some(disk.clone()));
        }
        Ok(host.mapping_on(&request.publish.disk, disk)?.map(|mapping| mapping.device))
    }

    /// Opens the volume; see the module's text. A block volume is marked as used before anybody can have it.
    pub(crate) fn open(host: &'a H, disk: Device, request: &'a StageRequest) -> Result<Self, StageError> {
        let Some(keys) = &request.keys else {
            return Ok(Self { host, request, device: disk.clone(), disk, header: None });
        };
        let kept = mapping_to_keep(host, &disk, request)?;
        let header = header(host, &disk, request, keys)?;
        let key = keys::unlock(host, &disk, keys, request.read_only)?;
        let own = fsid::header_uuid(&request.volume);
        if header.uuid != own && request.source.is_some() && !request.read_only {
            host.set_header_uuid(&disk, own)?;
        }
        let mut volume = Self { host, request, device: disk.clone(), disk, header: Some(header) };
        if request.access == AccessType::Block {
            volume.mark_used()?;
        }
        volume.device = match kept {
            Some(mapping) if request.read_only => mapping.device,
            Some(mapping) => host.resize(&mapping)?,
            None => {
                let discards = request.options.discard != Discard::None;
                let options = MappingOptions { read_only: request.read_only, discards };
                host.open(&volume.disk, &request.publish.disk, key, options)?
            }
        };
        Ok(volume)
    }

    /// The device that shows the content.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// How much of the content must read as zero before it counts as blank. Of an encrypted disk that nobody has used the whole was
    /// looked at before its header was made.
    pub(crate) fn depth(&self) -> Depth {
        if self.never_used() { Depth::Sampled } else { self.request.depth() }
    }

    /// What the volume holds. One that nobody ever used is made blank; a file system that is there all the same must be checked.
    pub(crate) fn content(&self) -> Result<Content, HostError> {
        let content = self.host.probe(&self.device, self.depth())?;
        if !self.never_used() {
            return Ok(content);
        }
        match content {
            Content::Formatted(found) => Ok(Content::Formatted(Formatted { clean: false, ..found })),
            Content::Blank => Ok(Content::Blank),
            Content::Foreign(_) | Content::Luks2 | Content::Begun(_) => {
                self.host.blank(&self.device)?;
                self.host.probe(&self.device, self.depth())
            }
        }
    }

    /// From now on the volume is somebody's: nothing in it is ever made blank again. Then the copy of its header is made what the
    /// header is.
    pub(crate) fn mark_used(&mut self) -> Result<(), HostError> {
        let Some(header) = &self.header else { return Ok(()) };
        if self.request.read_only {
            return Ok(());
        }
        let has_room = header.room;
        if !header.fresh.is_empty() {
            for token in &header.fresh {
                self.host.remove_token(&self.disk, *token)?;
            }
            let header = self.host.header(&self.disk)?;
            if !header.fresh.is_empty() {
                let what = "still says that nobody has used it".to_owned();
                return Err(LuksError::Unproven { device: self.disk.name.clone(), what }.into());
            }
            self.header = Some(header);
        }
        if has_room {
            self.host.copy_header(&self.disk)?;
        }
        Ok(())
    }

    /// Closes what was opened, after the staging failed. A mapping that is in use or cannot be closed is found by name at the next
    /// staging.
    pub(crate) fn close(self) {
        if self.header.is_none() {
            return;
        }
        let mapping = self.host.mapping(&self.request.publish.disk);
        let closed = mapping.and_then(|mapping| mapping.map_or(Ok(()), |mapping| self.host.close(&mapping)));
        if let Err(error) = closed {
            tracing::warn!(volume = %self.request.volume, error = %error, "The volume stays open after its staging failed.");
        }
    }

    /// Nobody has ever put anything into it.
    fn never_used(&self) -> bool {
        self.header.as_ref().is_some_and(|header| !header.fresh.is_empty())
    }
}

/// The mapping that an earlier staging left, if it serves this one. One whose disk is gone, or that only reads, is closed.
fn mapping_to_keep(
    host: &impl Host,
    disk: &Device,
    request: &StageRequest,
) -> Result<Option<Mapping>, HostError> {
    let Some(mapping) = host.mapping(&request.publish.disk)? else { return Ok(None) };
    if mapping.lies_on(disk) && (request.read_only || !mapping.device.read_only) {
        return Ok(Some(mapping));
    }
    host.close(&mapping)?;
    Ok(None)
}

/// The disk's header, made if the disk is blank.
fn header(
    host: &impl Host,
    disk: &Device,
    request: &StageRequest,
    keys: &Keys,
) -> Result<Header, StageError> {
    let depth = request.depth();
    if needs_header(&host.probe(disk, depth)?, disk, request)? {
        let new = NewHeader { uuid: fsid::header_uuid(&request.volume), key: &keys.current, depth };
        host.make_header(disk, &new)?;
    }
    let header = host.header(disk)?;
    check_header(&header, disk, request)?;
    Ok(header)
}

/// Whether the header is to be made.
fn needs_header(content: &Content, disk: &Device, request: &StageRequest) -> Result<bool, StageError> {
    match content {
        Content::Luks2 => Ok(false),
        Content::Formatted(found) => {
            Err(StageError::NotEncrypted { device: disk.name.clone(), has: found.fs })
        }
        Content::Begun(uuid) if *uuid != fsid::header_uuid(&request.volume) => Err(foreign(content, disk)),
        Content::Foreign(_) => Err(foreign(content, disk)),
        Content::Blank | Content::Begun(_) => check_unused(disk, request).map(|()| true),
    }
}

/// Takes a header that is this volume's, or may be: a copy has its source's, an adopted disk has somebody's.
fn check_header(header: &Header, disk: &Device, request: &StageRequest) -> Result<(), StageError> {
    let owner = fsid::owner(header.uuid, fsid::header_uuid(&request.volume));
    if request.source.is_none() && owner == Owner::OtherVolume {
        return Err(StageError::OtherVolume { device: disk.name.clone() });
    }
    if header.fresh.is_empty() { Ok(()) } else { check_unused(disk, request) }
}

/// A disk that nobody ever used can be neither a copy of data nor something to read.
pub(crate) fn check_unused(disk: &Device, request: &StageRequest) -> Result<(), StageError> {
    if let Some(from) = &request.source {
        return Err(StageError::BlankCopy { device: disk.name.clone(), from: from.clone() });
    }
    if request.read_only {
        return Err(StageError::BlankReadOnly { device: disk.name.clone() });
    }
    Ok(())
}

/// The refusal of what is nothing of this driver's.
pub(crate) fn foreign(content: &Content, disk: &Device) -> StageError {
    let found = content.refusal();
    StageError::Foreign { device: disk.name.clone(), what: found.what, at: found.at }
}

#[cfg(test)]
mod tests;
