//! What sysfs shows of a disk: a hypervisor chooses the serial, the kernel the numbers.

use eck_csi_node::host::sysfs::{SERIAL_FILES, numbers, serial_in};

use crate::input::Input;

/// Bytes of one unit of `size`.
const SECTOR: u64 = 512;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let file = SERIAL_FILES[usize::from(input.byte()) % SERIAL_FILES.len()];
    let length = usize::from(input.byte());
    let content = input.bytes(length);
    if let Some(serial) = serial_in(file, content) {
        let inside = |c: char| !matches!(c, '\0' | ' ' | '\n' | '\t');
        assert!(serial.starts_with(inside) && serial.ends_with(inside), "{serial:?}");
        assert_eq!(serial_in("serial", serial.as_bytes()).as_ref(), Some(&serial), "once is enough");
        // A disk is found by the whole of its serial.
        let part = format!("{serial}x");
        assert_ne!(serial_in("serial", part.as_bytes()), Some(serial));
    }
    let text = String::from_utf8_lossy(input.rest());
    let mut lines = text.split('\n');
    let (dev, size) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Some((major, minor, bytes)) = numbers(dev, size) {
        assert_eq!(bytes % SECTOR, 0);
        assert_eq!(
            numbers(&format!("{major}:{minor}"), &(bytes / SECTOR).to_string()),
            Some((major, minor, bytes))
        );
    }
}
