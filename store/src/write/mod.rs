//! Where bytes go. [`ObjectSink`] is a place that holds objects; [`Upload`] is one object on its way there.
//!
//! An object appears only by [`Upload::complete`], which takes a [`Finished`]: the proof, made by
//! [`StreamWriter::finish`] alone, that the archive writer handed over everything, and how many bytes of which checksum
//! that was by its own count. A writer that fails never makes one, so what it left is aborted.

mod directory;
mod multipart;
mod part;
mod pipe;
mod s3;
mod sink;
mod stored;
mod transfer;
mod upload;

pub use directory::DirectorySink;
pub use part::{PARTS_MEMORY_BYTES, in_flight};
pub use pipe::{CHANNEL_BYTES, Finished, Members, StreamReader, StreamWriter, channel};
pub use s3::S3Sink;
pub use sink::{Existing, ObjectSink, Put};
pub use stored::Stored;
pub use transfer::transfer;
pub use upload::Upload;
