//! Whether two trees are the same, in the eyes of tools that nobody here wrote.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command::run;

/// What rsync would change to make `target` what `source` is, a line each: contents, links, times to the nanosecond, owners,
/// modes, ACLs and extended attributes. Paths of `excluded` (from the root, `/lost+found`) are left out.
pub fn difference(source: &Path, target: &Path, excluded: &[&str]) -> Result<String> {
    let slashed = |path: &Path| format!("{}/", path.display());
    run(Command::new("rsync")
        .args(["-aHAXSn", "--delete", "--itemize-changes", "--numeric-ids", "--modify-window=-1"])
        .args(excluded.iter().map(|path| format!("--exclude={path}")))
        .args([slashed(source), slashed(target)]))
}

/// Asserts that two directories hold the same files of the same contents, but for `lost+found`.
pub fn assert_same_contents(source: &Path, target: &Path) -> Result<()> {
    run(Command::new("diff").args(["--recursive", "--exclude=lost+found"]).arg(source).arg(target)).map(drop)
}

/// Compares the files of two directories block by block where they hold anything but zeros, and what they take on disk.
const SPARSE: &str = r#"
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

/// Asserts that the sparse files of two directories have the same pieces, without reading their holes, and that the second
/// take no more space (some is preallocated).
pub fn assert_same_sparse_files(source: &Path, target: &Path) -> Result<()> {
    ensure!(source.is_dir() && target.is_dir(), "{} and {} are directories", source.display(), target.display());
    run(Command::new("python3").args(["-c", SPARSE]).arg(source).arg(target)).map(drop)
}

/// Asserts that two texts are the same; the error tells the first line that is not.
pub fn assert_same_lines(what: &str, old: &str, new: &str) -> Result<()> {
    let differing = old.lines().zip(new.lines()).find(|(before, after)| before != after);
    if let Some((before, after)) = differing {
        anyhow::bail!("{what} differ: {before:?} became {after:?}");
    }
    let (before, after) = (old.lines().count(), new.lines().count());
    ensure!(before == after, "{what} differ: {before} lines became {after}");
    ensure!(old == new, "{what} differ in their line ends");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn differences_are_found_and_named() -> Result<()> {
        let work = tempfile::tempdir()?;
        let (one, two) = (work.path().join("one"), work.path().join("two"));
        for root in [&one, &two] {
            std::fs::create_dir(root)?;
            std::fs::write(root.join("file"), "same")?;
        }
        crate::shell(&format!("touch -r {0}/file {1}/file; touch -r {0} {1}", one.display(), two.display()))?;
        assert_eq!(difference(&one, &two, &[])?, "");
        assert_same_contents(&one, &two)?;
        std::fs::write(two.join("more"), "")?;
        assert!(difference(&one, &two, &[])?.contains("*deleting   more"));
        assert!(!difference(&one, &two, &["/more"])?.contains("more"));
        assert!(assert_same_contents(&one, &two).is_err());
        assert!(assert_same_lines("x", "a\nb", "a\nb").is_ok());
        let error = assert_same_lines("x", "a\nb\n", "a\nc\n").unwrap_err().to_string();
        assert_eq!(error, "x differ: \"b\" became \"c\"");
        assert!(assert_same_lines("x", "a\n", "a\nb\n").is_err() && assert_same_lines("x", "a\n", "a").is_err());
        Ok(())
    }

    #[test]
    fn sparse_files_are_compared_by_their_pieces() -> Result<()> {
        let work = tempfile::tempdir_in("/var/tmp")?;
        let make = |name: &str, content: &[u8]| -> Result<std::path::PathBuf> {
            let root = work.path().join(name);
            std::fs::create_dir(&root)?;
            let file = File::create(root.join("file"))?;
            file.set_len(1 << 40)?;
            file.write_all_at(content, 1 << 39)?;
            Ok(root)
        };
        let (one, same, other) = (make("one", b"x")?, make("same", b"x")?, make("other", b"y")?);
        assert_same_sparse_files(&one, &same)?;
        let error = assert_same_sparse_files(&one, &other).unwrap_err().to_string();
        assert!(error.contains("file has other content"), "{error}");
        Ok(())
    }
}
