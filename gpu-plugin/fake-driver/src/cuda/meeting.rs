//! Where kernels of several processes wait for each other on their cards, as those of a collective do.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::abi::CudaError;

/// One meeting of this process with others.
#[derive(Debug)]
pub(crate) struct Meeting {
    /// A number for each place: that of the last meeting to which it has come.
    file: File,
    place: u64,
    places: u64,
    number: u64,
}

impl Meeting {
    /// The `number`-th meeting of this name, of so many places, of which one is this process's.
    pub(crate) fn open(
        state: &Path,
        name: u64,
        place: u64,
        places: u64,
        number: u64,
    ) -> Result<Self, CudaError> {
        if place >= places {
            return Err(CudaError::INVALID_VALUE);
        }
        let path = state.join(format!("meeting-{name}"));
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Self { file: file.map_err(|_| CudaError::UNKNOWN)?, place, places, number })
    }

    /// Comes to it; whether all others have come.
    pub(crate) fn come(&self) -> bool {
        let said = self.file.write_all_at(&self.number.to_ne_bytes(), self.place * 8);
        said.is_ok() && (0..self.places).all(|place| self.has_come(place))
    }

    fn has_come(&self, place: u64) -> bool {
        let mut number = [0; 8];
        self.file.read_exact_at(&mut number, place * 8).is_ok() && u64::from_ne_bytes(number) >= self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_is_over_when_all_have_come_to_it_or_to_a_later_one() {
        let state = tempfile::tempdir().unwrap();
        let meeting = |place, number| Meeting::open(state.path(), 7, place, 2, number).unwrap();
        assert!(!meeting(0, 1).come());
        assert!(!meeting(0, 1).come(), "twice is once");
        assert!(meeting(1, 1).come() && meeting(0, 1).come());
        assert!(!meeting(1, 2).come() && meeting(0, 2).come());
        assert!(Meeting::open(state.path(), 7, 2, 2, 1).is_err());
    }
}
