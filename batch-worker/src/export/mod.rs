//! The frame of every export, whatever is exported: read `frame` first.
//!
//! Memory, of 512 MiB in all: parts of the upload 192 ([`PARTS_MEMORY_BYTES`](store::write::PARTS_MEMORY_BYTES)),
//! read-ahead 32 (at most 128, a setting), members that are compressed 64, the pipe between the two worlds 8 and one
//! member. What is left is for the walk's bookkeeping, row groups of the index, and the stacks of the threads.
//! Artifacts of a disk are written one after the other, so none of this is needed twice; those of a database that are
//! written at once share it.

mod artifact;
mod assignment;
mod frame;
mod manifest;
mod run;
mod word;

pub(crate) use artifact::{Output, Recipe, put_small};
pub use frame::Report;
pub(crate) use frame::export;
pub(crate) use run::{Harvest, Run, blocking, stoppable};
pub(crate) use word::leave_word;
