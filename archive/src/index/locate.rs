//! Joins entries with the members that they came to lie in.
//!
//! An entry is described when it was written, its members are done some time later, on another thread, in order. Rows
//! wait here in between. What waits is bounded by the members under way: each holds at most as many rows as it has
//! blocks.

use std::collections::VecDeque;

use super::row::IndexRow;

/// Rows that wait for the offsets of their members.
#[derive(Debug)]
pub(crate) struct Locator {
    member_bytes: u64,
    waiting: VecDeque<Waiting>,
    /// The newest member that is done: number and end. An entry can be described after its last member was done, but
    /// never after the one behind.
    done: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Waiting {
    begin: u64,
    member_offset: Option<u64>,
    /// The row, and the number of the member in which it ends.
    described: Option<(IndexRow, u64)>,
    member_end: Option<u64>,
}

impl Locator {
    pub(crate) fn new(member_bytes: u32) -> Self {
        Self { member_bytes: u64::from(member_bytes), waiting: VecDeque::new(), done: None }
    }

    /// An entry begins at this place of the uncompressed stream. To be called before its first byte is written.
    pub(crate) fn begin(&mut self, begin: u64) {
        self.waiting.push_back(Waiting { begin, member_offset: None, described: None, member_end: None });
    }

    /// The entry that began last has ended; its row lacks only its place.
    pub(crate) fn describe(&mut self, row: IndexRow) {
        let member_bytes = self.member_bytes;
        if let Some(waiting) = self.waiting.back_mut() {
            let last = (waiting.begin + row.entry_bytes.max(1) - 1) / member_bytes;
            waiting.member_end = self.done.filter(|(number, _)| *number == last).map(|(_, end)| end);
            waiting.described = Some((row, last));
        }
    }

    /// A member is done. Gives the rows that are complete with it.
    pub(crate) fn member_done(&mut self, number: u64, compressed_offset: u64, compressed_end: u64) -> Vec<IndexRow> {
        self.done = Some((number, compressed_end));
        for waiting in &mut self.waiting {
            let first = waiting.begin / self.member_bytes;
            if first > number {
                break;
            }
            if first == number {
                waiting.member_offset = Some(compressed_offset);
            }
            if waiting.described.as_ref().is_some_and(|(_, last)| *last == number) {
                waiting.member_end = Some(compressed_end);
            }
        }
        self.complete()
    }

    /// Rows whose members are all done.
    pub(crate) fn complete(&mut self) -> Vec<IndexRow> {
        let mut complete = Vec::new();
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting {
                Waiting { begin, member_offset: Some(start), described: Some((row, _)), member_end: Some(end) } => {
                    let skip_bytes = begin % self.member_bytes;
                    complete.push(IndexRow { member_offset: start, member_end: end, skip_bytes, ..row });
                }
                waiting => {
                    self.waiting.push_front(waiting);
                    break;
                }
            }
        }
        complete
    }
}
