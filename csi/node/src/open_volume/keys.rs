//! Which key opens an encrypted volume, and the change from one key to the next.

use crate::host::{Device, Encryption, HostError, LuksError};
use crate::key::Key;
use crate::stage::request::Keys;

/// What is to be done with the keys of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyStep {
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
fn step(current: bool, previous: bool, read_only: bool) -> KeyStep {
    match (current, previous, read_only) {
        (false, false, _) => KeyStep::Refuse,
        (true, false, _) | (true, true, true) => KeyStep::Nothing,
        (true, true, false) => KeyStep::Finish,
        (false, true, true) => KeyStep::Previous,
        (false, true, false) => KeyStep::Change,
    }
}

/// The key that opens the volume. A previous key is replaced by the current one: at no moment does none of them open it.
pub(super) fn unlock<'a>(
    host: &impl Encryption,
    disk: &Device,
    keys: &'a Keys,
    read_only: bool,
) -> Result<&'a Key, HostError> {
    let current = &keys.current;
    let wrong_key = || LuksError::WrongKey { device: disk.name.clone() }.into();
    let opens = host.opens(disk, current)?;
    let Some(previous) = &keys.previous else {
        return if opens { Ok(current) } else { Err(wrong_key()) };
    };
    let step = step(opens, host.opens(disk, previous)?, read_only);
    let unproven = |what: &str| {
        HostError::from(LuksError::Unproven { device: disk.name.clone(), what: what.to_owned() })
    };
    match step {
        KeyStep::Nothing => return Ok(current),
        KeyStep::Previous => return Ok(previous),
        KeyStep::Refuse => return Err(wrong_key()),
        KeyStep::Change => {
            host.add_key(disk, previous, current)?;
            if !host.opens(disk, current)? {
                return Err(unproven("is not opened by the key that was added"));
            }
        }
        KeyStep::Finish => {}
    }
    host.remove_key(disk, previous)?;
    if host.opens(disk, previous)? {
        return Err(unproven("is still opened by the key that was taken away"));
    }
    tracing::info!(device = %disk.name, "The volume's key was changed.");
    Ok(current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_key_is_finished_and_a_reader_changes_nothing() {
        assert_eq!(step(true, false, false), KeyStep::Nothing);
        assert_eq!(step(true, true, false), KeyStep::Finish);
        assert_eq!(step(true, true, true), KeyStep::Nothing);
        assert_eq!(step(false, true, false), KeyStep::Change);
        assert_eq!(step(false, true, true), KeyStep::Previous);
        assert_eq!(step(false, false, false), KeyStep::Refuse);
        assert_eq!(step(false, false, true), KeyStep::Refuse);
    }
}
