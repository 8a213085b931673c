//! Ids of the forms that the cloud uses (ecx/API.md §2.2).

use uuid::Uuid;

use super::state::World;

/// base32hex, lower case: the alphabet of an xid.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

impl World {
    /// Twelve bytes of time, machine and counter as 20 characters.
    pub(super) fn xid(&mut self) -> String {
        encode(self.unique())
    }

    /// 32 hex digits.
    pub(super) fn order_id(&mut self) -> String {
        self.uuid().simple().to_string()
    }

    /// A UUID.
    pub(super) fn job_id(&mut self) -> String {
        self.uuid().to_string()
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &self.unique())
    }

    /// The cloud's own time and counter and no chance: the same requests at the same times have the same ids.
    fn unique(&mut self) -> [u8; 12] {
        self.counter += 1;
        let seconds = u32::try_from(self.now / 1000).unwrap_or(u32::MAX);
        let mut bytes = [0u8; 12];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..9].copy_from_slice(b"ecsim");
        bytes[9..].copy_from_slice(&self.counter.to_be_bytes()[1..]);
        bytes
    }
}

fn encode(bytes: [u8; 12]) -> String {
    let (mut text, mut bits, mut value) = (String::with_capacity(20), 0u32, 0u32);
    for byte in bytes {
        value = value << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(value >> bits & 31) as usize]));
        }
        value &= (1 << bits) - 1;
    }
    text.push(char::from(ALPHABET[(value << (5 - bits) & 31) as usize]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_xid_has_twenty_characters_and_the_guides_time() {
        // cd-cfebko79upsq2iuo7lkg decodes to 2023-02-03T07:40:16Z (ecx/API.md §2.2).
        let time = 1_675_410_016u32;
        let mut bytes = [0u8; 12];
        bytes[..4].copy_from_slice(&time.to_be_bytes());
        let text = encode(bytes);
        assert_eq!((text.len(), &text[..6]), (20, "cfebko"));
        let mut world = World::default();
        assert_ne!(world.xid(), world.xid());
    }
}
