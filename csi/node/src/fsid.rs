//! The UUIDs that a volume's file system and its LUKS2 header get when they are made: made from the volume id, and recognisable
//! as made by this driver.
//!
//! So a disk that stands under our serial but carries another volume's file system is caught before it is mounted, while an
//! adopted disk, whose UUID somebody else made, is not mistaken for one.

use eck_csi::volume::VolumeId;
use uuid::Uuid;

/// Namespace of the first half: a UUID v4 drawn once. Changing it would make the driver refuse its own disks.
const VOLUME: Uuid = Uuid::from_u128(0x93d1_0c1b_7f0e_4b0a_9a4e_21c6_8e55_7d02);
/// The same for LUKS2 headers: what is inside of a mapping must not have the UUID of what it lies in.
const HEADER: Uuid = Uuid::from_u128(0x1f6e_83b4_5c2d_4d17_b0a9_73e1_0d48_c95f);
/// Namespace of the second half, which marks a UUID as ours; as [`VOLUME`].
const MARK: Uuid = Uuid::from_u128(0x5c0a_7a9e_1d47_4e6f_8b7c_f2de_0b93_46a1);

/// Who made a file system's UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This driver, for this volume.
    ThisVolume,
    /// This driver, for another volume.
    OtherVolume,
    /// Somebody else.
    Unknown,
}

/// The UUID for a volume's file system: version 8, the first half from the volume id, the second from the first.
pub fn filesystem_uuid(volume: &VolumeId) -> Uuid {
    derive(&VOLUME, volume)
}

/// The UUID for a volume's LUKS2 header, made in the same way.
pub fn header_uuid(volume: &VolumeId) -> Uuid {
    derive(&HEADER, volume)
}

fn derive(space: &Uuid, volume: &VolumeId) -> Uuid {
    let hash = Uuid::new_v5(space, volume.as_str().as_bytes()).into_bytes();
    let mut half = [0; 8];
    half.copy_from_slice(&hash[..8]);
    marked(half)
}

/// Who made `uuid`, asked for the volume whose file system or header has `own`.
pub fn owner(uuid: Uuid, own: Uuid) -> Owner {
    let mut half = [0; 8];
    half.copy_from_slice(&uuid.into_bytes()[..8]);
    if uuid == own {
        Owner::ThisVolume
    } else if uuid == marked(half) {
        Owner::OtherVolume
    } else {
        Owner::Unknown
    }
}

/// The serial number for a volume's FAT file system, which has no room for a UUID.
pub fn fat_serial(volume: &VolumeId) -> u32 {
    let bytes = filesystem_uuid(volume).into_bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// `half`, as a version 8 UUID keeps it, and its mark.
fn marked(mut half: [u8; 8]) -> Uuid {
    half[6] = 0x80 | (half[6] & 0x0f);
    let mark = Uuid::new_v5(&MARK, &half).into_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half);
    bytes[8..].copy_from_slice(&mark[..8]);
    Uuid::new_v8(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(id: &str) -> VolumeId {
        VolumeId::parse(id.to_owned()).unwrap()
    }

    #[test]
    fn a_uuid_tells_its_volume_and_its_maker() {
        let (a, b) = (volume("cd-cfebko79upsq2iuo7lkg"), volume("cd-cl8fu00cho6gvo4defs0"));
        assert_eq!(owner(filesystem_uuid(&a), filesystem_uuid(&a)), Owner::ThisVolume);
        assert_eq!(owner(filesystem_uuid(&a), filesystem_uuid(&b)), Owner::OtherVolume);
        assert_eq!(owner(Uuid::new_v4(), filesystem_uuid(&a)), Owner::Unknown);
        assert_eq!(owner(Uuid::new_v8(*b"0123456789abcdef"), filesystem_uuid(&a)), Owner::Unknown);
        assert_eq!(owner(header_uuid(&a), header_uuid(&b)), Owner::OtherVolume);
        // Known value: it must never change, or an upgrade would refuse every disk that an older version formatted.
        assert_eq!(filesystem_uuid(&a).to_string(), "beae35d6-b83d-8856-a20d-29afa4e35c5c");
        assert_eq!(header_uuid(&a).to_string(), "426b3a89-bc2b-8919-b38c-fdcfb53c50c6");
    }
}
