//! What people have: GNU tar, bsdtar, Python. Each restores the tree of everything, and the tree is compared with what
//! was written.

use std::fmt::Write as _;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::{Codec, IndexReader, RowKind, Sha256};

use crate::support::{everything, options, run, save, write_tar};

/// Archive on disk, and a directory in which a tool may extract. Immutable files are freed again.
struct Tree {
    directory: tempfile::TempDir,
    archive: PathBuf,
    index: Vec<u8>,
}

impl Tree {
    fn new(deep: bool, codec: Codec) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let written = write_tar(&everything(deep), options(codec, 64 << 10, 2));
        let archive = save(directory.path(), &format!("disk.tar{}", codec.extension()), &written.object);
        std::fs::create_dir(directory.path().join("out")).unwrap();
        Self { directory, archive, index: written.index }
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(self.out().join("flagged")).output();
        // Deeper than a path may be long: only programs that walk can remove it.
        let _ = Command::new("rm").arg("-rf").arg(self.out()).output();
    }
}

fn compare_with_gnu_tar(tree: &Tree) {
    // It would read a terabyte of zeros; `check_by_hand` looks at that file.
    let keep =
        ["--compare", "--exclude=terabyte", "--xattrs", "--acls", "--numeric-owner", "--warning=no-unknown-keyword"];
    run(Command::new("tar").args(keep).arg("-f").arg(&tree.archive).arg("-C").arg(tree.out()));
}

/// What `tar --compare` does not look at.
fn check_by_hand(out: &Path) {
    let getfattr = run(Command::new("getfattr").args(["-d", "-m", "-", "-e", "hex"]).arg(out.join("attributed")));
    let shown = String::from_utf8_lossy(&getfattr.stdout).into_owned();
    for expected in [
        "security.capability=0x0100000200040000000000000000000000000000",
        "trusted.secret=0x00010a3dff",
        "user.empty",
        "user.nom",
    ] {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    let terabyte = std::fs::File::open(out.join("terabyte")).unwrap();
    let stored = terabyte.metadata().unwrap();
    assert!(stored.len() == 1 << 40 && stored.blocks() < 100, "{stored:?}");
    let mut middle = [0; 8];
    terabyte.read_exact_at(&mut middle, (1 << 39) - 1).unwrap();
    assert_eq!(&middle, b"\0middle\0");
    let acl = run(Command::new("getfacl").args(["-n", "-c", "-p"]).arg(out.join("attributed")));
    let shown = String::from_utf8_lossy(&acl.stdout).into_owned();
    assert!(shown.contains("user:1234:r--") && shown.contains("user:3000000:rw-"), "{shown}");
    let acl = run(Command::new("getfacl").args(["-n", "-c", "-p", "-d"]).arg(out.join("dir")));
    assert!(String::from_utf8_lossy(&acl.stdout).contains("group:3000000:r--"));
}

#[test]
fn gnu_tar_restores_everything() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let tree = Tree::new(false, codec);
        let keep =
            ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-p", "--warning=no-unknown-keyword"];
        run(Command::new("tar").args(keep).arg("-xf").arg(&tree.archive).arg("-C").arg(tree.out()));
        compare_with_gnu_tar(&tree);
        check_by_hand(&tree.out());
    }
}

#[test]
fn bsdtar_restores_everything() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        for locale in ["C", "C.UTF-8"] {
            let tree = Tree::new(false, codec);
            let extract = ["--numeric-owner", "-S", "-xpf"];
            run(Command::new("bsdtar")
                .args(extract)
                .arg(&tree.archive)
                .arg("-C")
                .arg(tree.out())
                .env("LC_ALL", locale));
            // libarchive reads the fraction of times before 1970 as if it counted forward: half a second before is
            // taken for half a second after.
            run(Command::new("touch").args(["-d", "1969-12-31T23:59:59.5Z"]).arg(tree.out().join("just before 1970")));
            compare_with_gnu_tar(&tree);
            check_by_hand(&tree.out());
            let flags = run(Command::new("lsattr").arg(tree.out().join("flagged")));
            assert!(String::from_utf8_lossy(&flags.stdout).starts_with("----i-dA"), "{flags:?}");
        }
    }
}

#[test]
fn python_reads_every_name_and_byte() {
    let tree = Tree::new(true, Codec::Gzip);
    let script = "
import hashlib, os, sys, tarfile
archive = tarfile.open(sys.argv[1])
for m in archive:
    small = m.isreg() and m.size < 1 << 30
    digest = hashlib.sha256(archive.extractfile(m).read()).hexdigest() if small else '-'
    print(os.fsencode(m.name).hex(), m.size, m.uid, m.gid, m.mode, os.fsencode(m.linkname).hex() or '-', digest)
";
    let found = run(Command::new("python3").args(["-c", script]).arg(&tree.archive));
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let index = IndexReader::new(bytes::Bytes::from(tree.index.clone())).unwrap();
    let lines: Vec<String> = index
        .rows()
        .map(|row| {
            let row = row.unwrap();
            let target = match &row.kind {
                RowKind::Symlink(target) | RowKind::HardLink(target) => hex(target),
                _ => "-".into(),
            };
            let digest = row.sha256.map_or("-".into(), |hash| hash.to_string());
            let path = hex(&row.path);
            format!("{path} {} {} {} {} {target} {digest}", row.size, row.uid, row.gid, row.mode)
        })
        .collect();
    assert_eq!(String::from_utf8(found.stdout).unwrap().lines().collect::<Vec<_>>(), lines);
}

#[test]
fn every_tool_reads_a_deep_archive() {
    let tree = Tree::new(true, Codec::Gzip);
    run(Command::new("gunzip").arg("-t").arg(&tree.archive));
    let count = everything(true).len();
    for (program, arguments) in [("tar", "-tzf"), ("bsdtar", "-tf")] {
        let listed = run(Command::new(program).arg(arguments).arg(&tree.archive).env("LC_ALL", "C"));
        assert_eq!(listed.stdout.split(|byte| *byte == b'\n').count() - 1, count, "{program}");
    }
    let tree = Tree::new(true, Codec::Zstd);
    run(Command::new("zstd").args(["-q", "-t"]).arg(&tree.archive));
}

/// The recipe of docs/archive-format.md.
#[test]
fn one_file_comes_back_from_one_range_without_us() {
    let tree = Tree::new(true, Codec::Gzip);
    let index = IndexReader::new(bytes::Bytes::from(tree.index.clone())).unwrap();
    let object = std::fs::read(&tree.archive).unwrap();
    for path in ["big", "dir/plain", "owned", "sparse"] {
        let row = index.find(path.as_bytes()).unwrap().unwrap();
        let range = usize::try_from(row.member_offset).unwrap()..usize::try_from(row.member_end).unwrap();
        let piece = save(tree.directory.path(), "piece.gz", &object[range]);
        let script = "gunzip -c \"$0\" | tail -c +$(($1 + 1)) | head -c $2 | tar -xf - -C \"$3\"";
        run(Command::new("sh")
            .args(["-c", script])
            .arg(piece)
            .args([row.skip_bytes.to_string(), row.entry_bytes.to_string()])
            .arg(tree.out()));
        let content = std::fs::read(tree.out().join(path)).unwrap();
        assert_eq!(Some(Sha256::of(&content)), row.sha256, "{path}");
    }
}
