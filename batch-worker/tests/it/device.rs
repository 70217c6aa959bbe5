//! The real binary on real disks: a device to a directory and back.

use std::path::Path;
use std::process::{Command, Output};

use support::compare::assert_same_contents;
use support::disk::Disk;
use support::loop_device::assert_released;
use support::program::{failure, report};
use support::tree::noise;
use support::{run, shell};

use crate::worker::run_alone;

struct Export {
    directory: tempfile::TempDir,
    disk: Disk,
}

impl Export {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::with_two_partitions(directory.path()).unwrap();
        Self { directory, disk }
    }

    fn destination(&self) -> std::path::PathBuf {
        self.directory.path().join("export")
    }

    fn export(&self) -> Output {
        self.export_with(&[])
    }

    fn export_with(&self, more: &[&str]) -> Output {
        let destination = format!("file://{}/", self.destination().display());
        let arguments = ["device", self.disk.path().to_str().unwrap(), "--dest", &destination];
        run_alone(&[&arguments, more].concat())
    }

    fn verify(&self) -> Output {
        let manifest = format!("file://{}/manifest.json", self.destination().display());
        run_alone(&["verify", &manifest])
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.destination().join(name);
        let mut content = std::fs::read(&path).unwrap();
        change(&mut content);
        std::fs::write(path, content).unwrap();
    }

    fn manifest(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.destination().join("manifest.json")).unwrap()).unwrap()
    }

    fn change_manifest(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let mut manifest = self.manifest();
        change(&mut manifest);
        std::fs::write(self.destination().join("manifest.json"), manifest.to_string()).unwrap();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_disk_becomes_files_that_ordinary_tools_read() {
    let export = Export::new();
    let done = report(&export.export());
    assert_eq!(done["artifacts"], 2);
    assert_eq!(done["alreadyDone"], false);
    let folder = export.destination();
    assert_eq!(
        names(&folder),
        [
            "manifest.json",
            "partition-1.parquet",
            "partition-1.tar.gz",
            "partition-2.img.gz",
            "partition-2.parquet",
            "partition-table.json"
        ]
    );
    let archive = folder.join("partition-1.tar.gz");
    let listing = run(Command::new("tar").arg("tzf").arg(&archive)).unwrap();
    assert!(listing.contains("folder/noise"), "{listing}");
    let hello = run(Command::new("tar").arg("xzOf").arg(&archive).arg("hello")).unwrap();
    assert_eq!(hello, "hello, world\n");
    let image = folder.join("partition-2.img.gz");
    shell(&format!(
        "gunzip -c {} | cmp - <(dd if={} bs=512 skip=67584 count=8192 status=none)",
        image.display(),
        export.disk.path().display()
    ))
    .unwrap();
    assert_released(export.disk.path()).unwrap();
    let verified = report(&export.verify());
    assert_eq!(verified["verified"], true);
    assert_eq!(verified["artifacts"], 2);
    let manifest = export.manifest();
    assert_eq!(manifest["artifacts"][1]["uncompressedBytes"], 8192 * 512);
    assert!(manifest["cost"].is_null());
}

#[test]
fn the_same_disk_gives_the_same_bytes() {
    let export = Export::new();
    report(&export.export());
    let first = std::fs::read(export.destination().join("partition-1.tar.gz")).unwrap();
    std::fs::remove_dir_all(export.destination()).unwrap();
    report(&export.export());
    assert!(first == std::fs::read(export.destination().join("partition-1.tar.gz")).unwrap());
}

#[test]
fn what_zstd_wrote_at_its_largest_level_is_verified_and_read_by_ordinary_tools() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("hello"), "hello, world\n".repeat(200_000)).unwrap();
    std::fs::write(tree.join("noise"), noise(1, 3 << 20)).unwrap();
    let disk = Disk::of_tree(&directory.path().join("disk"), &tree, 16 << 20).unwrap();
    let export = Export { directory, disk };
    report(&export.export_with(&["--codec", "zstd", "--level", "22"]));
    assert_eq!(names(&export.destination()), ["disk.parquet", "disk.tar.zst", "manifest.json"]);
    assert_eq!(report(&export.verify())["verified"], true);
    let archive = export.destination().join("disk.tar.zst");
    let listed = shell(&format!("zstd -dc {} | tar t", archive.display())).unwrap();
    assert_eq!(listed, "./\nhello\nlost+found/\nnoise\n");
    let restored = tempfile::tempdir().unwrap();
    shell(&format!("zstd -dc {} | tar x -C {}", archive.display(), restored.path().display())).unwrap();
    assert_same_contents(&tree, restored.path()).unwrap();
}

#[test]
fn a_finished_export_is_never_replaced() {
    let export = Export::new();
    report(&export.export());
    let before = std::fs::read(export.destination().join("manifest.json")).unwrap();
    let (code, error) = failure(&export.export());
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("never replaced"), "{error}");
    assert_eq!(before, std::fs::read(export.destination().join("manifest.json")).unwrap());
}

#[test]
fn a_device_that_is_not_there_or_too_small_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let destination = format!("file://{}/", directory.path().join("export").display());
    let (code, error) = failure(&run_alone(&["device", "/dev/no-such-disk", "--dest", &destination]));
    assert_eq!(code, 66);
    assert!(error.starts_with("SourceNotFound") && error.contains("/dev/no-such-disk"), "{error}");
    let export = Export::new();
    let disk = export.disk.path().to_str().unwrap();
    let arguments = ["device", disk, "--dest", &destination, "--expect-bytes", "1073741824"];
    let (code, error) = failure(&run_alone(&arguments));
    assert_eq!(code, 66);
    assert!(error.contains("50331648") && error.contains("1073741824"), "{error}");
}

#[test]
fn wrong_options_are_reported_together_with_exit_code_2() {
    let (code, error) = failure(&run_alone(&["device", "x.img", "--dest", "ftp://x/", "--level", "99"]));
    assert_eq!(code, 2);
    assert!(error.contains("ftp") && error.contains("level 99"), "{error}");
    assert_eq!(run_alone(&["device"]).status.code(), Some(2));
    assert_eq!(run_alone(&["--help"]).status.code(), Some(0));
}

type Change<'a, T> = &'a dyn Fn(&T);
type Lie<'a> = &'a dyn Fn(&mut serde_json::Value);

#[test]
fn verification_says_what_differs_in_words() {
    let cases: [(&str, Change<'_, Export>, &[&str]); 8] = [
        (
            "a flipped byte",
            &|export| export.change("partition-1.tar.gz", |content| content[5_000_000] ^= 1),
            &["partition-1.tar.gz"],
        ),
        (
            "a truncated archive",
            &|export| export.change("partition-1.tar.gz", |content| content.truncate(1_234)),
            &["partition-1.tar.gz in file://", "is 1,234 bytes, the manifest says", "it was cut short"],
        ),
        (
            "an archive with something added",
            &|export| export.change("partition-2.img.gz", |content| content.push(0)),
            &["partition-2.img.gz", "replaced or added to"],
        ),
        (
            "a removed archive",
            &|export| std::fs::remove_file(export.destination().join("partition-2.img.gz")).unwrap(),
            &["partition-2.img.gz is missing from file://"],
        ),
        (
            "a removed index",
            &|export| std::fs::remove_file(export.destination().join("partition-1.parquet")).unwrap(),
            &["partition-1.parquet is missing"],
        ),
        (
            "a changed index",
            &|export| export.change("partition-2.parquet", |content| content[100] ^= 1),
            &["partition-2.parquet", "SHA-256", "its content was changed"],
        ),
        (
            "a changed partition table",
            &|export| export.change("partition-table.json", |content| content[10] = b'x'),
            &["partition-table.json", "its content was changed"],
        ),
        (
            "two differences at once",
            &|export| {
                std::fs::remove_file(export.destination().join("partition-1.tar.gz")).unwrap();
                std::fs::remove_file(export.destination().join("partition-2.img.gz")).unwrap();
            },
            &["partition-1.tar.gz is missing", "partition-2.img.gz is missing"],
        ),
    ];
    let original = Export::new();
    report(&original.export());
    for (what, change, parts) in cases {
        let export = Export { directory: tempfile::tempdir().unwrap(), disk: original.disk.clone() };
        run(Command::new("cp").arg("-a").arg(original.destination()).arg(export.destination())).unwrap();
        change(&export);
        let (code, error) = failure(&export.verify());
        assert_eq!(code, 65, "{what}: {error}");
        assert!(error.starts_with("VerificationFailed"), "{what}: {error}");
        for part in parts {
            assert!(error.contains(part), "{what}: {part}: {error}");
        }
    }
}

#[test]
fn a_manifest_that_lies_is_not_believed() {
    let cases: [(Lie<'_>, i32, &str); 7] = [
        (&|manifest| manifest["schemaVersion"] = 2.into(), 2, "schema version 2"),
        (&|manifest| manifest["artifacts"][0]["key"] = "../other.tar.gz".into(), 65, "outside"),
        (&|manifest| manifest["artifacts"][1] = manifest["artifacts"][0].clone(), 65, "twice"),
        (&|manifest| manifest["artifacts"][0]["entries"] = 1.into(), 65, "partition-1.tar.gz"),
        (&|manifest| manifest["artifacts"][0]["index"]["key"] = "/etc/passwd".into(), 65, "outside"),
        (
            &|manifest| {
                manifest.as_object_mut().unwrap().remove("artifacts");
            },
            65,
            "artifacts",
        ),
        (&|manifest| manifest["artifacts"][0]["uncompressedSha256"] = "0".repeat(64).into(), 65, "partition-1.tar.gz"),
    ];
    let export = Export::new();
    report(&export.export());
    let truth = export.manifest();
    for (lie, code, part) in cases {
        export.change_manifest(|manifest| *manifest = truth.clone());
        export.change_manifest(lie);
        let (actual, error) = failure(&export.verify());
        assert_eq!(actual, code, "{part}: {error}");
        assert!(error.contains(part), "{part}: {error}");
    }
    std::fs::remove_file(export.destination().join("manifest.json")).unwrap();
    let (code, error) = failure(&export.verify());
    assert_eq!(code, 66, "{error}");
    assert!(error.contains("no export was finished there"), "{error}");
}
