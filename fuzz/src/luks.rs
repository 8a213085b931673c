//! A LUKS2 header as cryptsetup prints it: a UUID, a line's end, and the metadata, which a disk chooses.

use eck_csi_node::host::luks::Header;

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (uuid, json) = text.split_once('\n').unwrap_or((&text, ""));
    match Header::parse(uuid, json) {
        Ok(header) => {
            assert_eq!(Header::parse(&header.uuid.to_string(), json).as_ref(), Ok(&header));
            for token in &header.fresh {
                assert!(json.contains("eck-fresh"), "{token}");
            }
            // Where the data begins is told by 16 MiB only; anything else leaves no room for a copy.
            assert!(!header.room || json.contains("16777216"), "{header:?}");
        }
        Err(bad) => assert!(!bad.to_string().is_empty()),
    }
}
