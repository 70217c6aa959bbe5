//! A directory tree with everything that a backup of a filesystem must bring back.
//!
//! Made with system calls where the shell has no words for it (names of any bytes, paths beyond 4,096 bytes, sockets), and
//! with the tools of the system where they exist (`setfacl`, `setcap`, `chattr`). Needs root.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};

use crate::command::run;

/// The directory with what GNU tar and rsync cannot restore or compare: sockets and paths beyond 4,096 bytes.
pub const BEYOND: &str = "beyond";

/// What the file at the end of the long path holds.
pub const LONG_PATH_CONTENT: &[u8] = b"at the end of a long path\n";

/// Levels of the long path; each has a name of 255 bytes.
pub const LONG_PATH_LEVELS: usize = 20;

/// Size of the file that is one hole but for three pieces.
pub const HOLE_BYTES: u64 = 1 << 40;

/// Fills an empty directory, which is the root of a filesystem or any directory on one that has ACLs and attributes.
pub fn build(root: &Path, many_files: usize) -> Result<()> {
    crate::require_root()?;
    contents(root)?;
    links(root)?;
    sparse(root)?;
    special(root)?;
    names(root)?;
    attributes(root)?;
    owners_and_modes(root)?;
    many(root, many_files)?;
    beyond(root)?;
    times(root)?;
    Ok(())
}

/// The path, from the root, of the file at the end of the long path.
pub fn long_path() -> Vec<u8> {
    let mut path = format!("{BEYOND}/long").into_bytes();
    for level in 0..LONG_PATH_LEVELS {
        path.push(b'/');
        path.extend_from_slice(long_name(level).as_bytes());
    }
    path.extend_from_slice(b"/file");
    path
}

/// Bytes that do not compress away, the same each time.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn contents(root: &Path) -> Result<()> {
    let directory = root.join("contents");
    std::fs::create_dir(&directory)?;
    for (seed, length) in [0, 1, 511, 512, 513, 4096, 65_536, 1 << 20, (1 << 20) + 1, 5_000_001].into_iter().enumerate()
    {
        write(&directory.join(format!("{length}-bytes")), &noise(seed as u64, length))?;
    }
    write(&directory.join("large"), &noise(99, 24 << 20))?;
    write(&directory.join("zeros-written"), &vec![0; 3 << 20])?;
    Ok(())
}

fn links(root: &Path) -> Result<()> {
    let directory = root.join("links");
    std::fs::create_dir_all(directory.join("elsewhere/deeper"))?;
    write(&directory.join("hard-b"), b"one file, three names\n")?;
    std::fs::hard_link(directory.join("hard-b"), directory.join("hard-a"))?;
    std::fs::hard_link(directory.join("hard-b"), directory.join("elsewhere/deeper/hard-c"))?;
    write(&directory.join("elsewhere/large-1"), &noise(7, 3 << 20))?;
    std::fs::hard_link(directory.join("elsewhere/large-1"), directory.join("large-2"))?;
    symlink("hard-a", directory.join("relative"))?;
    symlink("nothing/here", directory.join("dangling"))?;
    symlink("/etc/hostname", directory.join("absolute"))?;
    symlink("loop-b", directory.join("loop-a"))?;
    symlink("loop-a", directory.join("loop-b"))?;
    symlink("../../../..", directory.join("upwards"))?;
    symlink("elsewhere", directory.join("to-directory"))?;
    // As long as ext4, xfs and btrfs all allow is 1,023 bytes.
    symlink(OsString::from_vec(vec![b't'; 1000]), directory.join("long-target"))?;
    symlink(OsStr::from_bytes(b"bad \xff\xfe utf-8\nand newline"), directory.join("target-of-any-bytes"))?;
    Ok(())
}

fn sparse(root: &Path) -> Result<()> {
    let directory = root.join("sparse");
    std::fs::create_dir(&directory)?;
    let file = File::create_new(directory.join("tebibyte"))?;
    file.set_len(HOLE_BYTES)?;
    file.write_all_at(b"beginning", 0)?;
    file.write_all_at(&noise(3, 10_000), (HOLE_BYTES / 2) + 5)?;
    file.write_all_at(b"end", HOLE_BYTES - 3)?;
    File::create_new(directory.join("only-hole"))?.set_len(1 << 30)?;
    let file = File::create_new(directory.join("hole-at-end"))?;
    file.write_all_at(&noise(4, 8192), 0)?;
    file.set_len(10 << 20)?;
    let file = File::create_new(directory.join("above-8-gib"))?;
    file.set_len((9 << 30) + 17)?;
    file.write_all_at(&noise(5, 2 << 20), 8 << 30)?;
    let file = File::create_new(directory.join("many-holes"))?;
    for piece in 0..200_u64 {
        file.write_all_at(&noise(piece, 4096), piece * 3 * 65_536)?;
    }
    file.set_len(200 * 3 * 65_536)?;
    Ok(())
}

fn special(root: &Path) -> Result<()> {
    let directory = root.join("special");
    std::fs::create_dir_all(directory.join("empty-directory"))?;
    std::fs::create_dir_all(directory.join("empty/in/empty"))?;
    let open = open_directory(&directory)?;
    let node = |name: &str, kind, device| {
        rustix::fs::mknodat(&open, name, kind, Mode::from_raw_mode(0o640), device)
            .with_context(|| format!("make {name}"))
    };
    node("fifo", FileType::Fifo, 0)?;
    node("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3))?;
    node("disk", FileType::BlockDevice, rustix::fs::makedev(259, 70_000))?;
    std::fs::hard_link(directory.join("fifo"), directory.join("fifo-again"))?;
    Ok(())
}

fn names(root: &Path) -> Result<()> {
    let directory = root.join("names");
    std::fs::create_dir(&directory)?;
    let names: [&[u8]; 16] = [
        b"new\nline",
        b"\xff\xfe\x80 not utf-8",
        b" leading and trailing ",
        b"-rf",
        b"--help",
        b"'quotes\" and \\ backslash",
        b"*?[glob]",
        b"tab\tand\x01control\x7f",
        "Ünïcödé 漢字 🦀".as_bytes(),
        "e\u{301} decomposed".as_bytes(),
        b"...",
        b"a=b,c:d;e",
        b"%41%2f",
        b"A",
        b"a",
        b"a.",
    ];
    for name in names {
        write(&directory.join(OsStr::from_bytes(name)), name)?;
    }
    write(&directory.join(OsString::from_vec(vec![b'n'; 255])), b"255")?;
    let multibyte = "é".repeat(127);
    write(&directory.join(&multibyte), b"254")?;
    // Around the lengths at which tar headers change their form.
    for length in [98, 99, 100, 101, 154, 155, 156] {
        let nested = directory.join("d".repeat(length)).join("e".repeat(length));
        std::fs::create_dir_all(&nested)?;
        write(&nested.join("f".repeat(length)), b"nested")?;
        symlink("f".repeat(length), nested.join("link"))?;
    }
    let bytes = directory.join(OsStr::from_bytes(b"dir \xc3\x28\n"));
    std::fs::create_dir(&bytes)?;
    write(&bytes.join("inside"), b"inside")?;
    Ok(())
}

fn attributes(root: &Path) -> Result<()> {
    let directory = root.join("attributes");
    std::fs::create_dir(&directory)?;
    let file = directory.join("xattrs");
    write(&file, b"with attributes\n")?;
    set(&file, "user.comment", b"plain text")?;
    set(&file, "user.empty", b"")?;
    set(&file, "user.binary", b"\x00\x01\xff\n=\x00")?;
    set(&file, "user.large", &noise(11, 2000))?;
    set(&file, "trusted.secret", b"for root only")?;
    set(&file, "security.selinux", b"system_u:object_r:etc_t:s0\0")?;
    set(&directory, "user.on-directory", b"yes")?;
    symlink("xattrs", directory.join("symlink"))?;
    set(&directory.join("symlink"), "trusted.on-symlink", b"yes")?;

    let acl = directory.join("acl");
    write(&acl, b"with an ACL\n")?;
    run(Command::new("setfacl").args(["-m", "u:1234:rw,g:3000000:r,m::rw"]).arg(&acl))?;
    let inherited = directory.join("default-acl");
    std::fs::create_dir(&inherited)?;
    run(Command::new("setfacl").args(["-m", "d:u:1234:rwx,d:g:4321:rx,u:77:x"]).arg(&inherited))?;
    write(&inherited.join("inherits"), b"made under a default ACL\n")?;

    let capable = directory.join("capable");
    write(&capable, b"#!/bin/true\n")?;
    run(Command::new("chmod").arg("755").arg(&capable))?;
    run(Command::new("setcap").arg("cap_net_bind_service,cap_net_raw+ep").arg(&capable))?;
    for (name, flag) in [("immutable", "+i"), ("append-only", "+a"), ("no-dump", "+d"), ("no-atime", "+A")] {
        let file = directory.join(name);
        write(&file, name.as_bytes())?;
        run(Command::new("chattr").arg(flag).arg(&file))?;
    }
    Ok(())
}

fn owners_and_modes(root: &Path) -> Result<()> {
    let directory = root.join("owners");
    std::fs::create_dir(&directory)?;
    let owners = [(1, 2), (2_097_151, 2_097_151), (2_097_152, 2_097_153), (3_000_000_000, 4_000_000_000)];
    for (uid, gid) in owners {
        let file = directory.join(format!("{uid}-{gid}"));
        write(&file, b"owned\n")?;
        std::os::unix::fs::chown(&file, Some(uid), Some(gid))?;
    }
    for mode in ["0000", "0400", "0777", "1777", "2755", "4755", "6711"] {
        let file = directory.join(format!("mode-{mode}"));
        write(&file, b"mode\n")?;
        run(Command::new("chmod").arg(mode).arg(&file))?;
    }
    let sticky = directory.join("sticky");
    std::fs::create_dir(&sticky)?;
    run(Command::new("chmod").arg("3777").arg(&sticky))?;
    Ok(())
}

fn many(root: &Path, count: usize) -> Result<()> {
    let directory = root.join("many");
    std::fs::create_dir(&directory)?;
    let open = open_directory(&directory)?;
    for number in 0..count {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&open, format!("file-{number}"), flags, Mode::from_raw_mode(0o644))?;
        if number % 10 == 0 {
            File::from(file).write_all(number.to_string().as_bytes())?;
        }
    }
    Ok(())
}

fn beyond(root: &Path) -> Result<()> {
    let directory = root.join(BEYOND);
    std::fs::create_dir_all(directory.join("long"))?;
    let mut open = open_directory(&directory.join("long"))?;
    for level in 0..LONG_PATH_LEVELS {
        let name = long_name(level);
        rustix::fs::mkdirat(&open, name.as_c_str(), Mode::from_raw_mode(0o755))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open = rustix::fs::openat(&open, name.as_c_str(), flags, Mode::empty())?;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    File::from(rustix::fs::openat(&open, "file", flags, Mode::from_raw_mode(0o600))?).write_all(LONG_PATH_CONTENT)?;
    rustix::fs::symlinkat("file", &open, "link")?;
    let sockets = open_directory(&directory)?;
    rustix::fs::mknodat(&sockets, "socket", FileType::Socket, Mode::from_raw_mode(0o777), 0)?;
    Ok(())
}

/// Last, as everything else changes times.
fn times(root: &Path) -> Result<()> {
    let directory = root.join("times");
    std::fs::create_dir(&directory)?;
    let times = [
        ("nanoseconds", 1_600_000_000, 123_456_789),
        ("one-nanosecond", 1_600_000_000, 1),
        ("before-1970", -1_000_000_000, 0),
        ("before-1970-nanoseconds", -1, 999_999_999),
        ("epoch", 0, 0),
        ("after-2038", 4_000_000_000, 500_000_000),
    ];
    for (name, seconds, nanoseconds) in times {
        write(&directory.join(name), name.as_bytes())?;
        touch(&directory.join(name), seconds, nanoseconds)?;
    }
    symlink("epoch", directory.join("symlink"))?;
    touch(&directory.join("symlink"), -86_400, 7)?;
    std::fs::create_dir(directory.join("directory"))?;
    touch(&directory.join("directory"), 1_000_000_000, 42)?;
    touch(&root.join("special/fifo"), 999, 999)?;
    touch(root, 1_500_000_000, 987_654_321)
}

fn touch(path: &Path, seconds: i64, nanoseconds: i64) -> Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .with_context(|| format!("set the time of {}", path.display()))
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result<()> {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
        .with_context(|| format!("set {name} of {}", path.display()))
}

fn long_name(level: usize) -> CString {
    let name = format!("{level:03}-{}", "l".repeat(251));
    CString::new(name).expect("no NUL in it")
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_the_same_each_time_and_another_for_each_seed() {
        assert_eq!(noise(7, 100), noise(7, 100));
        assert_ne!(noise(7, 100), noise(8, 100));
        assert_eq!(noise(7, 3), noise(7, 100)[..3]);
    }
}
