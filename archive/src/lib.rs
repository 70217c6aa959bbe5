//! The export format: seekable `tar.gz` archives and images, their file index, and how both are read back.
//!
//! No AWS, no tokio: bytes go to a [`MemberSink`] and come from a `Read`. Read [`mod@write`] first: it shows how
//! entries become a tar stream, the stream becomes members, and both become rows of the index. The format itself is
//! described in `docs/archive-format.md`.
//!
//! ```
//! use std::fs::File;
//! use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
//!
//! use archive::{
//!     ArchiveOptions, ArchiveReader, Codec, Compression, Entry, EntryKind, EntryPath, FileLayout, IndexReader, Member,
//!     RestoreMetadata, Restorer, TarArchiveWriter,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut object, mut index) = (tempfile::tempfile()?, tempfile::tempfile()?);
//! let options = ArchiveOptions {
//!     artifact: "disk.tar.gz".to_owned(),
//!     export_id: None,
//!     compression: Compression::default_for(Codec::Gzip),
//!     threads: 2,
//!     budget_bytes: 32 << 20,
//! };
//! let mut members = object.try_clone()?;
//! let sink = move |member: Member| members.write_all(&member.data).map_err(Into::into);
//! let mut writer = TarArchiveWriter::new(options, sink, index.try_clone()?)?;
//! let hosts = b"127.0.0.1 localhost\n";
//! let layout = FileLayout::dense(hosts.len() as u64);
//! writer.append(&Entry::new(EntryPath::new("etc/hosts")?, EntryKind::File(layout)), &mut &hosts[..])?;
//! let summary = writer.finish()?;
//! assert_eq!(summary.entries, 1);
//!
//! // Years later: the index says where the file lies, and one range of the archive is read.
//! index.rewind()?;
//! let mut rows = Vec::new();
//! index.read_to_end(&mut rows)?;
//! let row = IndexReader::new(bytes::Bytes::from(rows))?.find(b"etc/hosts")?.ok_or("not in the index")?;
//! object.seek(SeekFrom::Start(row.member_offset))?;
//! let range = object.take(row.member_end - row.member_offset);
//! let (mut reader, entry) = ArchiveReader::open_entry(range, Codec::Gzip, &row)?;
//! let directory = tempfile::tempdir()?;
//! let mut restorer = Restorer::new(directory.path(), RestoreMetadata::Basic)?;
//! restorer.restore(&entry, &mut reader)?;
//! assert_eq!(reader.finish_entry()?.sha256, row.sha256);
//! restorer.finish()?;
//! assert_eq!(std::fs::read(directory.path().join("etc/hosts"))?, hosts);
//! # Ok(())
//! # }
//! ```

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
mod summary;
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
pub use summary::ArtifactSummary;
pub use write::{ArchiveOptions, ImageWriter, TarArchiveWriter};
