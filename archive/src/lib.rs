//! The export format: seekable `tar.gz` archives and images, their file index, and how both are read back.
//!
//! No AWS, no tokio: bytes go to a [`MemberSink`] and come from a `Read`. Read [`mod@write`] first: it shows how entries become a tar stream, the
//! stream becomes members, and both become rows of the index. The format itself is described in `docs/archive-format.md`.

pub mod acl;
pub mod codec;
mod content;
pub mod digest;
pub mod entry;
pub mod error;
pub mod flag;
pub mod index;
pub mod member;
mod pax;
pub mod read;
pub mod write;

pub use acl::PosixAcl;
pub use codec::{Codec, Compression};
pub use content::HASHED_HOLE_BYTES;
pub use digest::{Crc64Nvme, Crc64NvmeStream, Sha256, Sha256Stream};
pub use entry::{DeviceNumber, Entry, EntryKind, EntryPath, Extent, FileLayout, Timestamp, Xattr};
pub use error::{BoxError, Error, Result};
pub use flag::FileFlags;
pub use index::reader::IndexReader;
pub use index::row::{ArtifactKind, IndexMetadata, IndexRow, RowKind};
pub use member::write::MemberWriter;
pub use member::{Member, MemberOptions, MemberSink, StreamSummary};
pub use read::archive::ArchiveReader;
pub use read::rebuild::rebuild_index;
pub use read::restore::{RestoreMetadata, Restorer};
pub use read::verify::{Expected, Mismatch, Verified, VerifyError, verify_artifact, verify_image_and};
pub use write::{ArchiveOptions, ArtifactSummary, ImageWriter, TarArchiveWriter};
