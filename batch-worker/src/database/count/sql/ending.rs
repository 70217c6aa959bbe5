//! How a complete dump ends.

use crate::database::count::contents::Unreadable;

/// The last line of a complete dump.
pub(crate) const END: &str = "-- Dump completed";

/// The end of what was written, to look for [`END`].
#[derive(Debug, Default)]
pub(super) struct Ending(Vec<u8>);

impl Ending {
    pub(super) fn write(&mut self, data: &[u8]) {
        const KEPT: usize = 256;
        self.0.extend_from_slice(&data[data.len().saturating_sub(KEPT)..]);
        self.0.drain(..self.0.len().saturating_sub(KEPT));
    }

    pub(super) fn check(&self) -> Result<(), Unreadable> {
        let text = String::from_utf8_lossy(&self.0);
        let last = text.trim_end().lines().last().unwrap_or_default();
        // With a date behind it, where somebody else wrote the dump.
        if last.starts_with(END) {
            return Ok(());
        }
        Err(Unreadable(format!("it does not end with {END:?}: it is cut short")))
    }
}
