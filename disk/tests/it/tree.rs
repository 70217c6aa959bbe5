//! A tree with everything in it goes through an archive and comes back by other people's tools.

use std::path::Path;
use std::process::Command;

use crate::support::tree::{self, BEYOND};
use crate::support::{MountedImage, filesystem, format, image, loops_below, require_root, run, sh, to_tar};
use anyhow::{Result, ensure};
use disk::{Access, Disk, Layout, Mounted, Opened, Options};

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

/// What of `source` is not in `target`; what rsync cannot look at is left out.
fn difference(source: &Path, target: &Path, more: &[&str]) -> Result<String> {
    run(Command::new("rsync")
        .args(["-aHAXSn", "--delete", "--itemize-changes", "--numeric-ids", "--modify-window=-1"])
        .arg(format!("--exclude=/{BEYOND}"))
        .args(more)
        .arg(format!("{}/", source.display()))
        .arg(format!("{}/", target.display())))
}

/// Compares sparse files block by block where they hold anything but zeros, and what they take on disk (some is preallocated).
fn same_pieces(source: &Path, target: &Path) -> Result<()> {
    let python = r#"
import hashlib, os, sys
def blocks(path):
    found, end = [], os.path.getsize(path)
    file, at = os.open(path, os.O_RDONLY), 0
    while at < end:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError:
            break
        stop = os.lseek(file, at, os.SEEK_HOLE)
        for start in range(at // 4096 * 4096, stop, 4096):
            block = os.pread(file, 4096, start)
            if any(block):
                found.append((start, hashlib.sha256(block).digest()))
        at = stop
    return end, found
for name in sorted(os.listdir(sys.argv[1])):
    one, two = (os.path.join(root, name) for root in sys.argv[1:])
    if blocks(one) != blocks(two):
        sys.exit(f"{name} has other content")
    sizes = [os.stat(path).st_blocks * 512 for path in (one, two)]
    if sizes[1] > sizes[0] + (16 << 20):
        sys.exit(f"{name} took {sizes[0]} bytes on disk, and now takes {sizes[1]}")
"#;
    run(Command::new("python3").args(["-c", python]).arg(source.join("sparse")).arg(target.join("sparse"))).map(drop)
}

fn comes_back(kind: &str, many_files: usize) -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let at = |name: &str| work.path().join(name);
    let disk = filesystem(&at("disk"), kind, DISK_BYTES, |root| tree::build(root, many_files))?;
    let archive = at("disk.tar.gz");
    let sockets = export(&disk, &archive, &Options::for_access(Access::Untouched))?;
    assert_eq!(sockets, [format!("{BEYOND}/socket").into_bytes()]);

    // The same disk, other threads and budgets: the same bytes.
    for (readers, read_ahead_bytes) in [(64, 32 << 20), (1, 1), (3, 100_000)] {
        let again = at("again.tar.gz");
        export(&disk, &again, &Options { readers, read_ahead_bytes })?;
        run(Command::new("cmp").arg(&archive).arg(&again))?;
    }
    ensure!(loops_below(work.path())?.is_empty(), "a loop device was left");

    let source = MountedImage::new(&disk, "ro")?;
    let name = archive.display();
    sh(&format!("gzip -t {name}"))?;
    for tool in ["gnu", "bsd"] {
        let copy = image(&at(&format!("copy-{tool}")), DISK_BYTES)?;
        format(&copy, kind)?;
        let target = MountedImage::new(&copy, "rw")?;
        let root = target.path().display();
        if tool == "gnu" {
            // GNU tar can neither restore nor compare paths beyond 4,096 bytes.
            let options = format!(
                "--xattrs --xattrs-include='*' --acls --numeric-owner --exclude='./{BEYOND}' --exclude='{BEYOND}'"
            );
            sh(&format!("tar -xpzf {name} {options} -C {root}"))?;
            // Comparing, it reads holes byte by byte: a tebibyte takes it ten minutes.
            sh(&format!("tar --compare -zf {name} {options} --exclude=tebibyte -C {root}"))?;
        } else {
            // bsdtar creates such paths, but fails to set their owners, in archives of its own making, too.
            sh(&format!(
                "bsdtar -xpf {name} --xattrs --acls --fflags --numeric-owner --exclude='{BEYOND}/long/*' -C {root}"
            ))?;
        }
        let mut unequal = Vec::new();
        if tool == "bsd" {
            // bsdtar reads fractions of a second before 1970 the wrong way round, and never sets the time of the root.
            unequal = vec!["--exclude=/times/before-1970-nanoseconds", "--exclude=/times/symlink"];
            sh(&format!("touch --reference={} {root}", source.path().display()))?;
        }
        let changes = difference(source.path(), target.path(), &unequal)?;
        ensure!(changes.is_empty(), "{kind} through {tool} tar differs:\n{changes}");
        same_pieces(source.path(), target.path())?;
        if tool == "bsd" {
            let flags = |root: &Path| {
                sh(&format!(
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
    let disk = filesystem(&work.path().join("disk"), "btrfs", 512 << 20, |root| {
        let root = root.display();
        sh(&format!(
            "cd {root}; btrfs -q subvolume create home 2>/dev/null || btrfs subvolume create home; echo a > home/a; ln home/a home/b; \
             btrfs subvolume snapshot -r home snapshot; echo top > top; \
             btrfs subvolume set-default $(btrfs subvolume list . | awk '/home/{{print $2}}') ."
        ))
        .map(drop)
    })?;
    let archive = work.path().join("disk.tar.gz");
    export(&disk, &archive, &Options::for_access(Access::Untouched))?;
    let listed = sh(&format!("tar -tvzf {} | awk '{{print $1, $6, $7, $8, $9}}'", archive.display()))?;
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
    let disk = filesystem(&work.path().join("disk"), "ext4", DISK_BYTES, |root| tree::build(root, 100_000))?;
    // Its own process under nextest: the peak is of this export alone.
    export(&disk, &work.path().join("disk.tar.gz"), &Options::for_access(Access::ThrowAway))?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("peak memory: {} MiB", kib / 1024);
    ensure!(kib > 0 && kib < 512 * 1024, "peak memory was {kib} KiB");
    Ok(())
}
