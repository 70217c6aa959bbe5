//! Reading an archive entry by entry, from its beginning or from the member in which one entry begins.

use std::io::Read;

use crate::codec::Codec;
use crate::content::ContentHasher;
use crate::digest::Sha256Stream;
use crate::entry::{Entry, EntryKind};
use crate::error::{Error, Result};
use crate::index::row::{IndexRow, Location};
use crate::member::StreamSummary;
use crate::member::read::{DecodedMember, MemberReader};
use crate::pax::{BLOCK_BYTES, decode, padding};
use crate::summary::ArtifactSummary;

/// Reads an archive forward. Needs no index.
pub struct ArchiveReader {
    members: MemberReader,
    current: Option<DecodedMember>,
    /// Bytes of the current member that were taken.
    taken: usize,
    /// The same in the whole uncompressed stream.
    offset: u64,
    full_member_bytes: usize,
    member_count: u64,
    zero_members: u64,
    entries: u64,
    uncompressed: Sha256Stream,
    open: Option<Open>,
}

/// The entry whose content is being read.
struct Open {
    entry: Entry,
    begin: u64,
    location: Location,
    left: u64,
    hasher: Option<ContentHasher>,
}

impl ArchiveReader {
    /// Reads an archive from its beginning. `threads` decompress.
    pub fn new(source: impl Read + Send + 'static, codec: Codec, threads: usize) -> Result<Self> {
        Ok(Self {
            members: MemberReader::new(source, codec, threads, false)?,
            current: None,
            taken: 0,
            offset: 0,
            full_member_bytes: 0,
            member_count: 0,
            zero_members: 0,
            entries: 0,
            uncompressed: Sha256Stream::default(),
            open: None,
        })
    }

    /// Reads the one entry of an index row. `range` gives the archive's bytes from [`IndexRow::member_offset`] to
    /// [`IndexRow::member_end`].
    pub fn open_entry(range: impl Read + Send + 'static, codec: Codec, row: &IndexRow) -> Result<(Self, Entry)> {
        let mut reader = Self::new(range, codec, 1)?;
        let mut skip = row.skip_bytes;
        while skip > 0 {
            let skipped = reader.take(skip)?.map(<[u8]>::len);
            skip -= skipped.ok_or_else(|| Error::Ended { offset: row.skip_bytes - skip })? as u64;
        }
        match reader.next_entry()? {
            Some(entry) if entry.path.as_bytes() == row.path => Ok((reader, entry)),
            Some(other) => Err(Error::UnknownIndex(format!(
                "it says that {:?} is where {:?} is: it belongs to another archive",
                row.name(),
                other.path.to_lossy()
            ))),
            None => Err(Error::UnknownIndex(format!("it says that {:?} is where the archive ends", row.name()))),
        }
    }

    /// The next entry, or `None` at the end. What was not read of the last one is skipped.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.open.is_some() {
            self.finish_entry()?;
        }
        if !self.fill()? {
            return Err(Error::Ended { offset: self.offset });
        }
        let begin = self.offset;
        let location = Location {
            member_offset: self.current.as_ref().map_or(0, |member| member.compressed_offset),
            skip_bytes: self.taken as u64,
            ..Location::default()
        };
        let refuse = |reason: String| Error::tar(begin, reason);
        let mut block = self.block()?;
        if block == [0; BLOCK_BYTES] {
            return self.end();
        }
        let mut header = decode::header(&block).map_err(refuse)?;
        let mut extended = Vec::new();
        if header.entry_type().is_pax_local_extensions() {
            let size = header.entry_size().ok().filter(|size| *size <= decode::MAX_EXTENDED_BYTES);
            let size = size.ok_or_else(|| refuse("has an extended header of impossible size".into()))?;
            self.append(size, &mut extended)?;
            self.append(padding(size) as u64, &mut Vec::new())?;
            block = self.block()?;
            header = decode::header(&block).map_err(refuse)?;
        }
        let mut decoded = decode::entry(&header, &extended).map_err(refuse)?;
        let mut left = decoded.size;
        if let (EntryKind::File(layout), Some(logical)) = (&mut decoded.entry.kind, decoded.sparse) {
            let (sparse, map_bytes) =
                decode::sparse_map(logical, || self.block().map_err(MapError::Read)).map_err(|error| match error {
                    MapError::Read(error) => error,
                    MapError::Damaged(reason) => refuse(reason),
                })?;
            *layout = sparse;
            left = decoded
                .size
                .checked_sub(map_bytes)
                .filter(|left| *left == layout.stored_bytes())
                .ok_or_else(|| refuse("has a map that does not match its size".into()))?;
        }
        let hasher = match &decoded.entry.kind {
            EntryKind::File(layout) => Some(ContentHasher::new(layout)),
            EntryKind::Directory
            | EntryKind::Symlink(_)
            | EntryKind::HardLink(_)
            | EntryKind::Fifo
            | EntryKind::CharacterDevice(_)
            | EntryKind::BlockDevice(_) => None,
        };
        let entry = decoded.entry.clone();
        self.open = Some(Open { entry: decoded.entry, begin, location, left, hasher });
        Ok(Some(entry))
    }

    /// The next piece of the entry's content, `None` after the last. The pieces of a sparse file are its extents, one
    /// after the other.
    pub fn read_content(&mut self) -> Result<Option<&[u8]>> {
        let offset = self.offset;
        if self.open.as_ref().is_none_or(|open| open.left == 0) {
            return Ok(None);
        }
        if !self.fill()? {
            return Err(Error::Ended { offset });
        }
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let piece = take(&mut self.taken, &mut self.offset, self.current.as_ref(), open.left);
        if let Some(piece) = piece {
            open.left -= piece.len() as u64;
            if let Some(hasher) = &mut open.hasher {
                hasher.update(piece);
            }
        }
        Ok(piece)
    }

    /// Reads what is left of the entry and gives its row, with the hashes of what was read. (Offsets count from where
    /// the reader began.)
    pub fn finish_entry(&mut self) -> Result<IndexRow> {
        while self.read_content()?.is_some() {}
        let Some(open) = self.open.take() else {
            return Err(Error::Setting("no entry was begun".into()));
        };
        self.append(padding(open.entry.stored_bytes()) as u64, &mut Vec::new())?;
        self.entries += 1;
        let location =
            Location { member_end: self.compressed_position(), entry_bytes: self.offset - open.begin, ..open.location };
        Ok(IndexRow::of_entry(&open.entry, open.hasher.map(ContentHasher::finish), location))
    }

    /// Compressed bytes of the members that were begun.
    pub fn compressed_position(&self) -> u64 {
        self.current.as_ref().map_or(0, |member| member.compressed_end)
    }

    /// What the whole archive was; to be called after [`Self::next_entry`] gave `None`.
    pub fn finish(self) -> Result<ArtifactSummary> {
        let object = self.members.finish()?;
        let stream = StreamSummary {
            compressed_bytes: object.compressed_bytes,
            uncompressed_bytes: self.offset,
            members: self.member_count,
            zero_members: self.zero_members,
            sha256: object.sha256,
            crc64nvme: object.crc64nvme,
            uncompressed_sha256: self.uncompressed.finish(),
        };
        Ok(ArtifactSummary::of_stream(&stream, self.entries))
    }

    /// After the first closing block.
    fn end(&mut self) -> Result<Option<Entry>> {
        if self.block()? != [0; BLOCK_BYTES] {
            return Err(Error::tar(self.offset, "has one block of zeros where two close it"));
        }
        if self.fill()? {
            return Err(Error::tar(self.offset, "goes on after its end"));
        }
        Ok(None)
    }

    /// Makes sure that the current member has bytes left; `false` at the end of the stream.
    fn fill(&mut self) -> Result<bool> {
        while self.current.as_ref().is_none_or(|member| self.taken == member.content.len()) {
            let Some(member) = self.members.next_member()? else {
                return Ok(false);
            };
            self.uncompressed.update(&member.content);
            if member.number == 0 {
                self.full_member_bytes = member.content.len();
            } else if member.zero && member.content.len() == self.full_member_bytes {
                // Never the first: it begins with a header.
                self.zero_members += 1;
            }
            self.member_count += 1;
            self.taken = 0;
            self.current = Some(member);
        }
        Ok(true)
    }

    /// Up to `most` bytes of the current member; `None` at the end of the stream.
    fn take(&mut self, most: u64) -> Result<Option<&[u8]>> {
        self.fill()?;
        Ok(take(&mut self.taken, &mut self.offset, self.current.as_ref(), most))
    }

    fn append(&mut self, bytes: u64, out: &mut Vec<u8>) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let offset = self.offset;
            let piece = self.take(left)?.ok_or_else(|| Error::Ended { offset })?;
            out.extend_from_slice(piece);
            left -= piece.len() as u64;
        }
        Ok(())
    }

    fn block(&mut self) -> Result<[u8; BLOCK_BYTES]> {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        self.append(BLOCK_BYTES as u64, &mut bytes)?;
        let offset = self.offset;
        bytes.try_into().map_err(|_| Error::tar(offset, "ends within a block"))
    }
}

fn take<'a>(taken: &mut usize, offset: &mut u64, current: Option<&'a DecodedMember>, most: u64) -> Option<&'a [u8]> {
    let rest = current?.content.get(*taken..).filter(|rest| !rest.is_empty())?;
    let piece = &rest[..rest.len().min(usize::try_from(most).unwrap_or(usize::MAX))];
    *taken += piece.len();
    *offset += piece.len() as u64;
    Some(piece)
}

enum MapError {
    Read(Error),
    Damaged(String),
}

impl From<String> for MapError {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}
