//! An encrypted volume, from its disk to what it carries.
//!
//! ```text
//! what does the disk hold?  blank, or a header of this volume begun ─▶ make the header
//!                           a LUKS2 header                          ─▶ whose is it? which key opens it?
//!                           anything else                           ─▶ refused, untouched
//! open ─▶ (nobody ever used it ─▶ make it blank) ─▶ file system ─▶ settled: it is in use from now on ─▶ mount
//! ```
//!
//! A header is made with the token `eck-fresh`, which stands until the file system is proven; so long what an interrupted
//! staging left behind may be formatted, since nobody had the volume. Once the volume is settled, the header is copied into
//! the disk's own metadata.

use eck_csi::care::Discard;

use crate::error::StageError;
use crate::fields::AccessType;
use crate::fsid::{self, Whose};
use crate::host::luks::{Header, How, Luks, New};
use crate::host::{Content, Depth, Device, Formatted, Host, LuksError, Mapping};
use crate::key::Key;
use crate::stage::{Keys, StageRequest};

/// A disk and what carries its content: its mapping, or, in the clear, the disk itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carrier {
    pub(crate) disk: Device,
    pub(crate) device: Device,
    /// The header, if the disk is encrypted.
    header: Option<Header>,
}

impl Carrier {
    /// Nobody has ever put anything into it.
    pub(crate) fn fresh(&self) -> bool {
        self.header.as_ref().is_some_and(|header| !header.fresh.is_empty())
    }
}

/// What carries the volume if it was opened before; `None` if it is encrypted and closed.
pub(crate) fn opened(
    host: &impl Host,
    disk: &Device,
    request: &StageRequest,
) -> Result<Option<Device>, StageError> {
    if request.keys.is_none() {
        return Ok(Some(disk.clone()));
    }
    Ok(host.luks().on(&request.publish.disk, disk)?.map(|mapping| mapping.device))
}

/// Opens the volume; see the module's text. A block volume is settled before anybody can have it.
pub(crate) fn open(host: &impl Host, disk: &Device, request: &StageRequest) -> Result<Carrier, StageError> {
    let Some(keys) = &request.keys else {
        return Ok(Carrier { disk: disk.clone(), device: disk.clone(), header: None });
    };
    let luks = host.luks();
    let kept = keep(luks, disk, request)?;
    let mut header = header(host, disk, request, keys)?;
    let key = unlock(luks, disk, keys, request.read_only)?;
    if header.uuid != fsid::header(&request.volume) && request.source.is_some() && !request.read_only {
        luks.set_uuid(disk, fsid::header(&request.volume))?;
    }
    if request.access == AccessType::Block {
        header = settled(luks, disk, header, request.read_only)?;
    }
    let how = How { read_only: request.read_only, discards: request.care.discard != Discard::None };
    let device = match kept {
        Some(mapping) if request.read_only => mapping.device,
        Some(mapping) => luks.stretch(&mapping)?,
        None => luks.open(disk, &request.publish.disk, key, how)?,
    };
    Ok(Carrier { disk: disk.clone(), device, header: Some(header) })
}

/// The mapping that an earlier staging left, if it serves this one. One whose disk is gone, or that only reads, is closed.
fn keep(luks: &Luks, disk: &Device, request: &StageRequest) -> Result<Option<Mapping>, StageError> {
    let Some(mapping) = luks.mapping(&request.publish.disk)? else { return Ok(None) };
    if mapping.lies_on(disk) && (request.read_only || !mapping.device.read_only) {
        return Ok(Some(mapping));
    }
    luks.close(&mapping)?;
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
    if decide(&host.probe(disk, depth)?, disk, request)? {
        let new = New { uuid: fsid::header(&request.volume), key: &keys.current, depth };
        host.luks().make(disk, &new)?;
    }
    let header = host.luks().header(disk)?;
    judge(&header, disk, request)?;
    Ok(header)
}

/// Whether the header is to be made.
fn decide(content: &Content, disk: &Device, request: &StageRequest) -> Result<bool, StageError> {
    match content {
        Content::Luks2 => Ok(false),
        Content::Formatted(found) => Err(StageError::Plain { device: disk.name.clone(), has: found.fs }),
        Content::Begun(uuid) if *uuid != fsid::header(&request.volume) => Err(foreign(content, disk)),
        Content::Foreign(_) => Err(foreign(content, disk)),
        Content::Blank | Content::Begun(_) => unused(disk, request).map(|()| true),
    }
}

/// What the disk holds is nothing of this driver's.
pub(crate) fn foreign(content: &Content, disk: &Device) -> StageError {
    let found = content.refusal();
    StageError::Foreign { device: disk.name.clone(), what: found.what, at: found.at }
}

/// A header that is this volume's, or may be: what a copy has its source's, what was adopted has somebody's.
fn judge(header: &Header, disk: &Device, request: &StageRequest) -> Result<(), StageError> {
    if request.source.is_none()
        && fsid::whose(header.uuid, fsid::header(&request.volume)) == Whose::AnotherVolumes
    {
        return Err(StageError::AnotherVolumes { device: disk.name.clone() });
    }
    if header.fresh.is_empty() { Ok(()) } else { unused(disk, request) }
}

/// A disk that nobody ever used can be neither a copy of data nor something to read.
pub(crate) fn unused(disk: &Device, request: &StageRequest) -> Result<(), StageError> {
    if let Some(from) = &request.source {
        return Err(StageError::BlankCopy { device: disk.name.clone(), from: from.clone() });
    }
    if request.read_only {
        return Err(StageError::BlankReadOnly { device: disk.name.clone() });
    }
    Ok(())
}

/// What is to be done with the keys of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing: the current key opens it.
    Nothing,
    /// The current key is to be added, and the previous one to be taken away.
    Change,
    /// Of a change that was interrupted, the previous key is to be taken away.
    Finish,
    /// Nothing may be written: the previous key opens it.
    Previous,
    /// No key opens it.
    Refuse,
}

/// From what opens the volume.
fn step(current: bool, previous: bool, read_only: bool) -> Step {
    match (current, previous, read_only) {
        (false, false, _) => Step::Refuse,
        (true, false, _) | (true, true, true) => Step::Nothing,
        (true, true, false) => Step::Finish,
        (false, true, true) => Step::Previous,
        (false, true, false) => Step::Change,
    }
}

/// The key that opens the volume. A previous key is replaced by the current one: at no moment does none of them open it.
fn unlock<'a>(luks: &Luks, disk: &Device, keys: &'a Keys, read_only: bool) -> Result<&'a Key, LuksError> {
    let current = &keys.current;
    let opens = luks.opens(disk, current)?;
    let Some(previous) = &keys.previous else {
        return if opens { Ok(current) } else { Err(LuksError::WrongKey { device: disk.name.clone() }) };
    };
    let step = step(opens, luks.opens(disk, previous)?, read_only);
    let unproven = |what: &str| LuksError::Unproven { device: disk.name.clone(), what: what.to_owned() };
    match step {
        Step::Nothing => return Ok(current),
        Step::Previous => return Ok(previous),
        Step::Refuse => return Err(LuksError::WrongKey { device: disk.name.clone() }),
        Step::Change => {
            luks.add_key(disk, previous, current)?;
            if !luks.opens(disk, current)? {
                return Err(unproven("is not opened by the key that was added"));
            }
        }
        Step::Finish => {}
    }
    luks.remove_key(disk, previous)?;
    if luks.opens(disk, previous)? {
        return Err(unproven("is still opened by the key that was taken away"));
    }
    tracing::info!(device = %disk.name, "The volume's key was changed.");
    Ok(current)
}

/// What the volume holds. One that nobody ever used is made blank; a file system that is there then is proven by a check.
pub(crate) fn content(host: &impl Host, carrier: &Carrier, depth: Depth) -> Result<Content, StageError> {
    let content = host.probe(&carrier.device, depth)?;
    if !carrier.fresh() {
        return Ok(content);
    }
    match content {
        Content::Formatted(found) => Ok(Content::Formatted(Formatted { clean: false, ..found })),
        Content::Blank => Ok(Content::Blank),
        Content::Foreign(_) | Content::Luks2 | Content::Begun(_) => {
            host.luks().blank(&carrier.device)?;
            Ok(host.probe(&carrier.device, depth)?)
        }
    }
}

/// From now on the volume is somebody's: nothing in it is ever made blank again. Then the copy of its header is made what the
/// header is.
pub(crate) fn settle(host: &impl Host, carrier: &Carrier, request: &StageRequest) -> Result<(), StageError> {
    let Some(header) = carrier.header.clone() else { return Ok(()) };
    Ok(settled(host.luks(), &carrier.disk, header, request.read_only).map(drop)?)
}

/// The header of a settled volume.
fn settled(luks: &Luks, disk: &Device, mut header: Header, read_only: bool) -> Result<Header, LuksError> {
    if read_only {
        return Ok(header);
    }
    for token in &header.fresh {
        luks.remove_token(disk, *token)?;
    }
    if !header.fresh.is_empty() {
        header = luks.header(disk)?;
        if !header.fresh.is_empty() {
            let what = "still says that nobody has used it".to_owned();
            return Err(LuksError::Unproven { device: disk.name.clone(), what });
        }
    }
    if header.room {
        luks.copy(disk)?;
    }
    Ok(header)
}

/// Closes what a staging that failed had opened. That nobody uses it is made sure of; what cannot be closed is found by name
/// at the next staging.
pub(crate) fn close(host: &impl Host, request: &StageRequest) {
    if request.keys.is_none() {
        return;
    }
    let closed =
        host.luks().mapping(&request.publish.disk).map_err(LuksError::from).and_then(
            |mapping| match mapping {
                Some(mapping) => host.luks().close(&mapping),
                None => Ok(()),
            },
        );
    if let Err(error) = closed {
        tracing::warn!(volume = %request.volume, error = %error, "The volume stays open after its staging failed.");
    }
}

#[cfg(test)]
mod tests;
