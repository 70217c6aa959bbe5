//! Hard links: the first name in the order of the archive carries the content, the others point to it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use archive::{Entry, EntryKind, EntryPath};

use crate::error::Error;
use crate::walk::describe::Links;

/// First names of things with several names. Their paths lie in a temporary file: a disk of hard-linked backups has
/// millions, and what is held in memory for each is a few dozen bytes.
#[derive(Debug, Default)]
pub(super) struct LinkTable {
    first: HashMap<(u64, u64), First>,
    paths: Option<File>,
    paths_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct First {
    offset: u64,
    length: u32,
    /// Names that did not come yet.
    left: u32,
}

impl LinkTable {
    /// Turns an entry into a hard link if another name of it came before; whether it did.
    pub(super) fn settle(&mut self, entry: &mut Entry, links: Links) -> Result<bool, Error> {
        let key = (links.device, links.inode);
        let failed = |error| Error::system("keep the paths of hard links in a temporary file", error);
        if let Some(first) = self.first.get_mut(&key) {
            let mut path = vec![0; first.length as usize];
            let file = self.paths.as_ref().expect("a first name was written");
            file.read_exact_at(&mut path, first.offset).map_err(failed)?;
            first.left -= 1;
            if first.left == 0 {
                self.first.remove(&key);
            }
            entry.kind = EntryKind::HardLink(EntryPath::new(path)?);
            return Ok(true);
        }
        let path = entry.path.as_bytes();
        let file = match &mut self.paths {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().map_err(failed)?),
        };
        file.write_all_at(path, self.paths_bytes).map_err(failed)?;
        let first = First {
            offset: self.paths_bytes,
            length: u32::try_from(path.len()).unwrap_or(u32::MAX),
            left: links.count - 1,
        };
        self.paths_bytes += path.len() as u64;
        self.first.insert(key, first);
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use archive::FileLayout;

    use super::*;

    #[test]
    fn the_first_name_carries_the_content_and_the_others_link_to_it() {
        let mut table = LinkTable::default();
        let links = Links { device: 1, inode: 2, count: 3 };
        let mut kinds = Vec::new();
        for name in ["a", "b/c", "d", "e"] {
            let path = EntryPath::new(name).unwrap();
            let mut entry = Entry::new(path, EntryKind::File(FileLayout::dense(0)));
            table.settle(&mut entry, links).unwrap();
            kinds.push(entry.kind);
        }
        let link = EntryKind::HardLink(EntryPath::new("a").unwrap());
        let file = EntryKind::File(FileLayout::dense(0));
        // After all its names came, the inode is forgotten.
        assert_eq!(kinds, [file.clone(), link.clone(), link, file]);
    }
}
