//! Disks and a database with content that people know: documentation, programs, links, a sparse database file.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use support::disk::{Disk, format};
use support::mount::Mounted;
use support::run;

const MIB: u64 = 1 << 20;

/// A role and the database that is its own.
pub(crate) const ROLES_AND_DATABASE: &str =
    "CREATE ROLE shopkeeper LOGIN CONNECTION LIMIT 5;\nCREATE DATABASE shop OWNER shopkeeper;\n";
/// What is in that database: an extension, keys, a generated column, a view, a large object.
pub(crate) const SHOP: &str = "CREATE EXTENSION pg_trgm;
    SET ROLE shopkeeper;
    CREATE SCHEMA sales;
    CREATE TABLE sales.customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
    INSERT INTO sales.customers (name) SELECT 'customer ' || n FROM generate_series(1, 1000) n;
    CREATE TABLE sales.orders (
        id bigint PRIMARY KEY, customer int REFERENCES sales.customers, cents int, vat int GENERATED ALWAYS AS (cents / 5) STORED
    );
    INSERT INTO sales.orders SELECT n, 1 + n % 1000, n % 100000 FROM generate_series(1, 200000) n;
    CREATE VIEW sales.large AS SELECT * FROM sales.orders WHERE cents > 90000;
    SELECT lo_from_bytea(0, 'a large object');
";

/// The sample disks.
pub(crate) struct Disks {
    /// An ext4 filesystem on the whole disk.
    pub(crate) whole: Disk,
    /// A GPT with ext4, xfs, swap and a partition that nothing can mount.
    pub(crate) partitioned: Disk,
    /// A byte of `whole` that lies in the middle of its files.
    pub(crate) breaks_at: u64,
}

/// Makes the disks in a new directory. Without root no filesystem can be mounted to fill it, so `mkfs.ext4 -d` does.
pub(crate) fn make(directory: &Path, root: bool) -> Result<Disks> {
    fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    let content = directory.join("content");
    fs::create_dir(&content).with_context(|| format!("create {}", content.display()))?;
    fill(&content, 96 * MIB)?;

    let whole = Disk::new(&directory.join("whole.img"), 512 * MIB)?;
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-L", "documents", "-d"]).arg(&content).arg(whole.path()))?;

    let partitioned = Disk::new(&directory.join("partitioned.img"), 1024 * MIB)?;
    partitioned.partition(
        "label: gpt\n\
         size=256MiB, name=system, type=linux\n\
         size=384MiB, name=data, type=linux\n\
         size=32MiB, name=swap, type=swap\n\
         size=64MiB, name=journal, type=linux\n",
    )?;
    if root {
        for (number, filesystem, name, bytes) in [(1, "ext4", "system", 48 * MIB), (2, "xfs", "data", 64 * MIB)] {
            let partition = partitioned.attach_partition(number)?;
            format(partition.path(), filesystem, name)?;
            let mounted = Mounted::new(partition.path(), "rw")?;
            fill(mounted.path(), bytes)?;
            mounted.unmount()?;
            partition.detach()?;
        }
        let swap = partitioned.attach_partition(3)?;
        format(swap.path(), "swap", "swap")?;
        swap.detach()?;
    } else {
        let partition = ["-q", "-F", "-L", "system", "-E", "offset=1048576", "-d"];
        run(Command::new("mkfs.ext4").args(partition).arg(&content).arg(partitioned.path()).arg("256M"))?;
    }
    // An application's own journal: no filesystem, a pattern that does not compress to nothing, and zeros.
    let journal: Vec<u8> = (0..8 * MIB).map(|n| u8::try_from((n * n / 7) % 251).unwrap_or(0)).collect();
    let file = fs::File::options().write(true).open(partitioned.path())?;
    file.write_all_at(&journal, (1 + 256 + 384 + 32) * MIB)?;
    fs::remove_dir_all(&content).with_context(|| format!("remove {}", content.display()))?;
    Ok(Disks { whole, partitioned, breaks_at: 64 * MIB })
}

/// Fills a directory with up to `limit_bytes` of this machine's own files, and some that only an archiver notices.
fn fill(directory: &Path, limit_bytes: u64) -> Result<()> {
    fs::write(directory.join("README.md"), "This file was on a volume that AWS Backup backed up.\n")?;
    let mut left = limit_bytes;
    for source in ["/usr/share/doc", "/usr/share/perl", "/usr/share/perl5", "/usr/lib/python3", "/usr/bin", "/usr/lib"]
    {
        copy_some(Path::new(source), &directory.join(source.trim_start_matches('/')), &mut left)?;
    }
    fs::hard_link(directory.join("README.md"), directory.join("README-linked.md"))?;
    symlink("README.md", directory.join("LATEST"))?;
    let sparse = fs::File::create(directory.join("database.sparse"))?;
    sparse.set_len(64 << 30)?;
    sparse.write_all_at(b"a 64 GiB file with two small pieces of data", 32 << 30)?;
    sparse.write_all_at(b"and a hole between them", (64 << 30) - 4096)?;
    Ok(())
}

fn copy_some(from: &Path, to: &Path, left: &mut u64) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    fs::create_dir_all(to)?;
    for path in paths {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let target = to.join(path.file_name().unwrap_or_default());
        if metadata.is_symlink() {
            symlink(fs::read_link(&path)?, &target)?;
        } else if metadata.is_dir() {
            copy_some(&path, &target, left)?;
        } else if metadata.is_file() && metadata.len() <= *left && fs::copy(&path, &target).is_ok() {
            *left -= metadata.len();
        }
        if *left < 4096 {
            break;
        }
    }
    Ok(())
}
