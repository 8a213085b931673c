//! Takes an input apart: numbers first, then what is left.

/// An input that is taken from the front. Past its end there are zeros, so that every input is a whole one.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.number::<1>() as u8
    }

    pub(crate) fn two(&mut self) -> u16 {
        self.number::<2>() as u16
    }

    pub(crate) fn four(&mut self) -> u32 {
        self.number::<4>() as u32
    }

    pub(crate) fn eight(&mut self) -> u64 {
        self.number::<8>()
    }

    /// The next bytes, fewer at the end.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(self.0.len().min(count));
        self.0 = left;
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    fn number<const N: usize>(&mut self) -> u64 {
        let bytes = self.bytes(N);
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
