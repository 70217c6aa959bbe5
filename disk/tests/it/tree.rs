//! A tree with everything in it goes through an archive and comes back by other people's tools.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use disk::{Access, Disk, Layout, Mounted, Opened, Options};
use support::compare::{assert_same_sparse_files, difference};
use support::disk::{Disk as DiskFile, format};
use support::loop_device::assert_released;
use support::process::peak_memory_bytes;
use support::tree::{self, BEYOND};
use support::{require_root, run, shell};

use crate::export::to_tar;

const DISK_BYTES: u64 = 6 << 30;

fn open(disk: &Disk) -> Result<Mounted> {
    let layout = Layout::read(disk)?;
    match layout.sections[0].open(disk)? {
        Opened::Filesystem(mounted) => Ok(mounted),
        other => anyhow::bail!("expected a filesystem, not {other:?}"),
    }
}

fn export(image: &Path, archive: &Path, options: &Options) -> Result<Vec<Vec<u8>>> {
    let disk = Disk::open(image, Access::Untouched, None)?;
    let mounted = open(&disk)?;
    let report = to_tar(&mounted, archive, options)??;
    mounted.unmount()?;
    Ok(report.sockets)
}

fn comes_back(kind: &str, many_files: usize) -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let at = |name: &str| work.path().join(name);
    let disk = DiskFile::filled(&at("disk"), kind, DISK_BYTES, |root| tree::build(root, many_files))?;
    let archive = at("disk.tar.gz");
    let sockets = export(disk.path(), &archive, &Options::for_access(Access::Untouched))?;
    assert_eq!(sockets, [format!("{BEYOND}/socket").into_bytes()]);

    // The same disk, other threads and budgets: the same bytes.
    for (readers, read_ahead_bytes) in [(64, 32 << 20), (1, 1), (3, 100_000)] {
        let again = at("again.tar.gz");
        export(disk.path(), &again, &Options { readers, read_ahead_bytes })?;
        run(Command::new("cmp").arg(&archive).arg(&again))?;
    }
    assert_released(work.path())?;

    let source = disk.mount("ro")?;
    let name = archive.display();
    shell(&format!("gzip -t {name}"))?;
    for tool in ["gnu", "bsd"] {
        let copy = DiskFile::new(&at(&format!("copy-{tool}")), DISK_BYTES)?;
        format(copy.path(), kind, "data")?;
        let target = copy.mount("rw")?;
        let root = target.path().display();
        if tool == "gnu" {
            // GNU tar can neither restore nor compare paths beyond 4,096 bytes.
            let options = format!(
                "--xattrs --xattrs-include='*' --acls --numeric-owner --exclude='./{BEYOND}' --exclude='{BEYOND}'"
            );
            shell(&format!("tar -xpzf {name} {options} -C {root}"))?;
            // Comparing, it reads holes byte by byte: a tebibyte takes it ten minutes.
            shell(&format!("tar --compare -zf {name} {options} --exclude=tebibyte -C {root}"))?;
        } else {
            // bsdtar creates such paths, but fails to set their owners, in archives of its own making, too.
            shell(&format!(
                "bsdtar -xpf {name} --xattrs --acls --fflags --numeric-owner --exclude='{BEYOND}/long/*' -C {root}"
            ))?;
        }
        // What rsync cannot look at is left out.
        let beyond = format!("/{BEYOND}");
        let mut excluded = vec![beyond.as_str()];
        if tool == "bsd" {
            // bsdtar reads fractions of a second before 1970 the wrong way round, and never sets the time of the root.
            excluded.extend(["/times/before-1970-nanoseconds", "/times/symlink"]);
            shell(&format!("touch --reference={} {root}", source.path().display()))?;
        }
        let changes = difference(source.path(), target.path(), &excluded)?;
        ensure!(changes.is_empty(), "{kind} through {tool} tar differs:\n{changes}");
        assert_same_sparse_files(&source.path().join("sparse"), &target.path().join("sparse"))?;
        if tool == "bsd" {
            let flags = |root: &Path| {
                shell(&format!(
                    "cd {}/attributes && lsattr -d immutable append-only no-dump no-atime | cut -c1-20",
                    root.display()
                ))
            };
            assert_eq!(flags(source.path())?, flags(target.path())?);
        }
        target.unmount()?;
    }
    // Contents, byte for byte, without reading a tebibyte of zeros.
    let python = r#"
import sys, tarfile
path, end = sys.argv[2].encode(), sys.argv[3].encode()
seen = set()
with tarfile.open(sys.argv[1], "r:gz", encoding="utf-8", errors="surrogateescape") as tar:
    for member in tar:
        seen.add(member.name)
        if member.name.encode("utf-8", "surrogateescape").removeprefix(b"./") == path:
            assert tar.extractfile(member).read() == end
            break
    else:
        sys.exit("the long path is not there")
"#;
    run(Command::new("python3")
        .args(["-c", python])
        .arg(&archive)
        .arg(std::str::from_utf8(&tree::long_path())?)
        .arg(std::str::from_utf8(tree::LONG_PATH_CONTENT)?))?;
    source.unmount()
}

#[test]
fn everything_on_ext4_comes_back() -> Result<()> {
    comes_back("ext4", 100_000)
}

#[test]
fn everything_on_xfs_comes_back() -> Result<()> {
    comes_back("xfs", 2_000)
}

#[test]
fn everything_on_btrfs_comes_back() -> Result<()> {
    comes_back("btrfs", 2_000)
}

#[test]
fn subvolumes_are_walked_and_hard_links_stay_within_them() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let disk = DiskFile::filled(&work.path().join("disk"), "btrfs", 512 << 20, |root| {
        let root = root.display();
        shell(&format!(
            "cd {root}; btrfs -q subvolume create home 2>/dev/null || btrfs subvolume create home; \
             echo a > home/a; ln home/a home/b; \
             btrfs subvolume snapshot -r home snapshot; echo top > top; \
             btrfs subvolume set-default $(btrfs subvolume list . | awk '/home/{{print $2}}') ."
        ))
        .map(drop)
    })?;
    let archive = work.path().join("disk.tar.gz");
    export(disk.path(), &archive, &Options::for_access(Access::Untouched))?;
    let listed = shell(&format!("tar -tvzf {} | awk '{{print $1, $6, $7, $8, $9}}'", archive.display()))?;
    let names: Vec<&str> = listed.lines().map(|line| line.split_whitespace().nth(1).unwrap_or("")).collect();
    let plain: Vec<&str> = names.iter().map(|name| name.trim_start_matches("./").trim_end_matches('/')).collect();
    assert_eq!(plain, ["", "home", "home/a", "home/b", "snapshot", "snapshot/a", "snapshot/b", "top"], "{listed}");
    assert_eq!(listed.lines().filter(|line| line.starts_with('h')).count(), 2, "{listed}");
    Ok(())
}

#[test]
fn a_hundred_thousand_files_take_less_than_512_mib() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let disk = DiskFile::filled(&work.path().join("disk"), "ext4", DISK_BYTES, |root| tree::build(root, 100_000))?;
    // Its own process under nextest: the peak is of this export alone.
    export(disk.path(), &work.path().join("disk.tar.gz"), &Options::for_access(Access::ThrowAway))?;
    let peak = peak_memory_bytes(std::process::id()).unwrap_or_default();
    println!("peak memory: {} MiB", peak >> 20);
    ensure!(peak > 0 && peak < 512 << 20, "peak memory was {peak} bytes");
    Ok(())
}
