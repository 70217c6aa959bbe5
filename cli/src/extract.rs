//! Files of an export, each by its own range of the archive.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use archive::{ArchiveReader, Codec, EntryKind, EntryPath, IndexRow, RestoreMetadata, Restorer, RowKind};
use clap::Args;
use domain::manifest::{Artifact, DumpFormat, Manifest, Method};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::export::{Export, ManifestUrl};
use crate::files::{chosen, open_index};

/// Restore files or folders of an export into a directory.
///
/// Each file is read by its own range of the archive, a large one by several at once, and its hash is compared with the
/// index. Nothing that is there is overwritten.
#[derive(Debug, Args)]
pub(crate) struct Extract {
    /// The export's manifest: s3://bucket/data/…/manifest.json or file:///…/manifest.json.
    manifest: ManifestUrl,
    /// Paths within the filesystem, without a leading slash: etc/passwd, home/ada. A folder comes with all that is in
    /// it.
    #[arg(required = true)]
    paths: Vec<String>,
    /// The directory to restore into; made when it is not there.
    #[arg(long, value_name = "DIRECTORY")]
    to: PathBuf,
    /// Only from this artifact (partition-1.tar.gz).
    #[arg(long, value_name = "NAME")]
    artifact: Option<String>,
    /// Also owner, set-id bits, ACLs, extended attributes and flags. Needs root.
    #[arg(long)]
    full: bool,
}

impl Extract {
    pub(crate) async fn run(self) -> Result<()> {
        let Export { store, manifest } = Export::open(&self.manifest).await?;
        let mut wanted: Vec<Wanted> = self.paths.iter().map(|path| Wanted::new(path)).collect();
        let mut selections = Vec::new();
        for artifact in chosen(&manifest, self.artifact.as_deref())? {
            if artifact.method == Method::Tar {
                let rows = select(&store, artifact, &mut wanted).await?;
                selections.push((artifact, rows));
            }
        }
        if selections.is_empty()
            && let Some(way) = way_to_restore(&manifest)
        {
            bail!("{} holds no files, but {way}", self.manifest);
        }
        self.check(&wanted)?;

        std::fs::create_dir_all(&self.to).with_context(|| format!("create {}", self.to.display()))?;
        let metadata = if self.full { RestoreMetadata::Full } else { RestoreMetadata::Basic };
        for (artifact, rows) in selections {
            let mut restorer = Restorer::new(&self.to, metadata)?;
            for Selected { row, content } in rows {
                restore(&store, artifact, &row, &content, &mut restorer)?;
                println!("{}", row.path.escape_ascii());
            }
            restorer.finish().with_context(|| format!("restore into {}", self.to.display()))?;
        }
        Ok(())
    }

    /// Refuses before anything is written: a path that is nowhere, or in several filesystems, which would get in each
    /// other's way.
    fn check(&self, wanted: &[Wanted]) -> Result<()> {
        for path in wanted {
            match path.found_in.as_slice() {
                [] => bail!(
                    "the export has no {}: `backup-export files {}` lists what it has",
                    path.shown(),
                    self.manifest
                ),
                [_] => {}
                several => bail!("{} is in {}: choose one with --artifact", path.shown(), several.join(" and in ")),
            }
        }
        Ok(())
    }
}

/// How something that is no filesystem is restored.
fn way_to_restore(manifest: &Manifest) -> Option<String> {
    let dumped = manifest.artifacts.iter().find_map(|artifact| {
        let dump = artifact.dump.as_ref().filter(|dump| !dump.tables.is_empty() || dump.database.is_some())?;
        let decompress = if artifact.codec == "zstd" { "zstd -dc" } else { "gunzip -c" };
        let restore = match dump.format {
            DumpFormat::Custom => "pg_restore --exit-on-error --no-tablespaces --create --dbname=template1",
            DumpFormat::Sql => "mariadb",
        };
        Some(format!(
            "a dump of a database: restore it with the engine's own client, roles and users as docs/databases.md says: {decompress} {} | {restore}",
            artifact.name
        ))
    });
    let native = manifest.native.as_ref().map(|native| {
        format!(
            "{} that AWS wrote under {}: docs/databases.md says how it is queried and imported",
            native.format, native.prefix
        )
    });
    dumped.or(native)
}

/// A path that was asked for.
struct Wanted {
    path: Vec<u8>,
    /// Names of the artifacts that have it.
    found_in: Vec<String>,
}

impl Wanted {
    fn new(path: &str) -> Self {
        let path = path.trim_start_matches("./").trim_matches('/');
        let path = if path.is_empty() { b".".to_vec() } else { path.as_bytes().to_vec() };
        Self { path, found_in: Vec::new() }
    }

    fn matches(&self, path: &[u8]) -> bool {
        self.path == b"."
            || path.strip_prefix(self.path.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// A row to restore, and the row whose bytes it has: another one for a hard link whose file is not restored too.
struct Selected {
    row: IndexRow,
    content: IndexRow,
}

async fn select(store: &Store, artifact: &Artifact, wanted: &mut [Wanted]) -> Result<Vec<Selected>> {
    let index = open_index(store, artifact).await?;
    let mut rows = Vec::new();
    for row in index.rows() {
        let row = row.with_context(|| format!("read the index {}", artifact.index.key))?;
        let mut selected = false;
        for wanted in wanted.iter_mut().filter(|wanted| wanted.matches(&row.path)) {
            if wanted.found_in.last() != Some(&artifact.name) {
                wanted.found_in.push(artifact.name.clone());
            }
            selected = true;
        }
        if selected {
            rows.push(row);
        }
    }
    let restored: BTreeSet<Vec<u8>> = rows.iter().map(|row| row.path.clone()).collect();
    rows.into_iter()
        .map(|row| {
            let content = match &row.kind {
                RowKind::HardLink(target) if !restored.contains(target) => index
                    .find(target)?
                    .with_context(|| format!("the index lacks {}, which holds the content", target.escape_ascii()))?,
                _ => row.clone(),
            };
            Ok(Selected { row, content })
        })
        .collect()
}

fn restore(
    store: &Store,
    artifact: &Artifact,
    row: &IndexRow,
    content: &IndexRow,
    restorer: &mut Restorer,
) -> Result<()> {
    let what = || format!("restore {} from {}", row.path.escape_ascii(), artifact.key);
    let codec: Codec = artifact.codec.parse().with_context(what)?;
    let members = content.member_offset..content.member_end;
    let (range, breakage) = store.stream_range(&artifact.key, members, None, CancellationToken::new())?;
    // Reading blocks, and the stream behind it needs the runtime's other threads.
    let outcome = tokio::task::block_in_place(|| -> Result<()> {
        let (mut reader, mut entry) = ArchiveReader::open_entry(range, codec, content)?;
        entry.path = EntryPath::new(row.path.clone())?;
        let is_file = matches!(entry.kind, EntryKind::File(_));
        restorer.restore(&entry, &mut reader)?;
        if !is_file {
            return Ok(());
        }
        let read = reader.finish_entry()?;
        if (&read.sha256, &read.stored_sha256) != (&content.sha256, &content.stored_sha256) {
            bail!("its hash differs from the index: the archive is damaged, or is not the one that was indexed");
        }
        Ok(())
    });
    match breakage.take() {
        // A stream that broke breaks what reads it, and says why.
        Some(error) => Err(error).with_context(what),
        None => outcome.with_context(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_comes_with_what_is_in_it_and_nothing_else() {
        let etc = Wanted::new("/etc/");
        assert!(etc.matches(b"etc") && etc.matches(b"etc/passwd"));
        assert!(!etc.matches(b"etcetera") && !etc.matches(b"usr/etc"));
        assert!(Wanted::new("/").matches(b"anything"));
    }
}
