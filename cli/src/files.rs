//! The files or tables of an export, from its index or manifest alone: the archive is not touched, so this works while
//! it lies in Glacier.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use archive::{IndexReader, IndexRow, RowKind};
use clap::Args;
use domain::manifest::{Artifact, Dump, DumpContent, Manifest, Native, TableCount};
use jiff::Timestamp;
use store::Store;

use crate::export::{Export, ManifestUrl};

/// List the files of an export as `ls -l` would, or the tables of a database with their rows.
///
/// Only the index or manifest is read, not the archive: it works at once, even when the archive lies in Glacier.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The export's manifest: s3://bucket/data/…/manifest.json or file:///…/manifest.json.
    manifest: ManifestUrl,
    /// Only paths, or names of tables, that begin with this.
    #[arg(default_value = "")]
    prefix: String,
    /// Only this artifact (partition-1.tar.gz).
    #[arg(long, value_name = "NAME")]
    artifact: Option<String>,
}

impl Files {
    pub(crate) async fn run(self) -> Result<()> {
        let Export { store, manifest } = Export::open(&self.manifest).await?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for artifact in chosen(&manifest, self.artifact.as_deref())? {
            if let Some(dump) = &artifact.dump {
                write_dump(&mut out, artifact, dump, &self.prefix)?;
                continue;
            }
            let index = open_index(&store, artifact).await?;
            if manifest.artifacts.len() > 1 {
                writeln!(out, "{}:", artifact.name)?;
            }
            for row in index.rows() {
                let row = row.with_context(|| format!("read the index {}", artifact.index.key))?;
                if row.path.starts_with(self.prefix.as_bytes()) {
                    write_row(&mut out, &row)?;
                }
            }
        }
        if let (Some(native), None) = (&manifest.native, &self.artifact) {
            write_native(&mut out, native, &self.prefix)?;
        }
        out.flush().context("print the files")
    }
}

/// The artifacts that were asked for: all, or the one named.
pub(crate) fn chosen<'a>(manifest: &'a Manifest, name: Option<&str>) -> Result<Vec<&'a Artifact>> {
    let chosen: Vec<&Artifact> =
        manifest.artifacts.iter().filter(|artifact| name.is_none_or(|name| artifact.name == name)).collect();
    if let (Some(name), true) = (name, chosen.is_empty()) {
        let names: Vec<_> = manifest.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
        anyhow::bail!("the export has no artifact {name}; it has {}", names.join(", "));
    }
    Ok(chosen)
}

/// The index of an artifact.
pub(crate) async fn open_index(store: &Store, artifact: &Artifact) -> Result<IndexReader> {
    let bytes = store.get(&artifact.index.key).await?;
    IndexReader::new(bytes).with_context(|| format!("read the index {}", artifact.index.key))
}

fn write_dump(out: &mut impl std::io::Write, artifact: &Artifact, dump: &Dump, prefix: &str) -> std::io::Result<()> {
    let what = match (dump.content, dump.database.as_deref()) {
        (DumpContent::Globals, _) => "roles or users".to_owned(),
        (DumpContent::Databases, Some(database)) => format!("database {database}"),
        (DumpContent::Databases, None) => "all databases".to_owned(),
        (DumpContent::WithoutLargeTables, database) => {
            format!("database {}, its large tables apart", database.unwrap_or_default())
        }
        (DumpContent::LargeTable, database) => format!("a large table of database {}", database.unwrap_or_default()),
    };
    writeln!(out, "{}: {what}, {} objects", artifact.name, dump.objects)?;
    write_tables(out, &dump.tables, prefix)
}

fn write_native(out: &mut impl std::io::Write, native: &Native, prefix: &str) -> std::io::Result<()> {
    writeln!(out, "{}: {} objects of {}, {} bytes", native.prefix, native.objects, native.format, native.bytes)?;
    write_tables(out, &native.tables, prefix)
}

fn write_tables(out: &mut impl std::io::Write, tables: &[TableCount], prefix: &str) -> std::io::Result<()> {
    for table in tables.iter().filter(|table| table.name.starts_with(prefix)) {
        // A name may hold anything, a line break for one.
        writeln!(out, "{:>16} rows  {}", table.rows, table.name.escape_debug())?;
    }
    Ok(())
}

fn write_row(out: &mut impl std::io::Write, row: &IndexRow) -> std::io::Result<()> {
    if let RowKind::Block { offset, zero } = row.kind {
        return writeln!(out, "block at {offset:>16} {:>9} bytes{}", row.size, if zero { ", zeros" } else { "" });
    }
    let (letter, target) = match &row.kind {
        RowKind::File => ('-', None),
        RowKind::Directory => ('d', None),
        RowKind::Symlink(target) => ('l', Some((" -> ", target))),
        RowKind::HardLink(target) => ('h', Some((" link to ", target))),
        RowKind::Fifo => ('p', None),
        RowKind::CharacterDevice(_) => ('c', None),
        RowKind::BlockDevice(_) => ('b', None),
        RowKind::Block { .. } => ('?', None),
    };
    let time = Timestamp::from_second(row.mtime.seconds)
        .map_or_else(|_| format!("{}s", row.mtime.seconds), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    write!(out, "{letter}{} {:>6} {:>6} {:>14} {time} ", permissions(row.mode), row.uid, row.gid, row.size)?;
    write!(out, "{}", row.path.escape_ascii())?;
    if let Some((arrow, target)) = target {
        write!(out, "{arrow}{}", target.escape_ascii())?;
    }
    writeln!(out)
}

fn permissions(mode: u32) -> String {
    let special = [(0o4000, 2, 's', 'S'), (0o2000, 5, 's', 'S'), (0o1000, 8, 't', 'T')];
    let mut text: Vec<char> =
        "rwxrwxrwx".chars().enumerate().map(|(bit, c)| if mode & (0o400 >> bit) != 0 { c } else { '-' }).collect();
    for (bit, place, executable, plain) in special {
        if mode & bit != 0 {
            text[place] = if text[place] == 'x' { executable } else { plain };
        }
    }
    text.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_as_ls_writes_them() {
        assert_eq!(permissions(0o100_644), "rw-r--r--");
        assert_eq!(permissions(0o4755), "rwsr-xr-x");
        assert_eq!(permissions(0o2644), "rw-r-Sr--");
        assert_eq!(permissions(0o1777), "rwxrwxrwt");
    }
}
