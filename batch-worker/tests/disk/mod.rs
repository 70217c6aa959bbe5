//! Small disks with real filesystems, and the real binary.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs a tool of the system that must succeed.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn tree(directory: &Path) -> PathBuf {
    let tree = directory.join("tree");
    std::fs::create_dir_all(tree.join("folder")).unwrap();
    std::fs::write(tree.join("hello"), "hello, world\n").unwrap();
    // Does not compress, so that an upload of it takes more than one part.
    let noise: Vec<u8> = (0_u64..12 << 20)
        .scan(1_u64, |state, _| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((*state >> 56) as u8)
        })
        .collect();
    std::fs::write(tree.join("folder/noise"), noise).unwrap();
    tree
}

/// A GPT disk: an ext4 filesystem, and a partition of no known content.
pub(crate) fn partitioned(directory: &Path) -> PathBuf {
    let disk = directory.join("nvme9n1");
    let tree = tree(directory);
    std::fs::File::create(&disk).unwrap().set_len(48 << 20).unwrap();
    let script = directory.join("script");
    std::fs::write(&script, "label: gpt\nstart=2048,size=65536\nstart=67584,size=8192\n").unwrap();
    tool("sh", &["-c", &format!("sfdisk -q {} < {}", text(&disk), text(&script))]);
    tool("mkfs.ext4", &["-q", "-d", text(&tree), "-E", "offset=1048576", text(&disk), "32M"]);
    let mut content = std::fs::read(&disk).unwrap();
    let start = 67584 * 512;
    content[start..start + (1 << 20)].fill(0x5a);
    std::fs::write(&disk, content).unwrap();
    disk
}

/// The worker, not yet started.
pub(crate) fn worker(arguments: &[&str], environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_batch-worker"));
    command
        .args(arguments)
        .env_remove("AWS_PROFILE")
        .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the worker to its end.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, String)]) -> Output {
    worker(arguments, environment).output().unwrap()
}

pub(crate) fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report on standard output.
pub(crate) fn report(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", log(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The error and exit code of a run that must fail.
pub(crate) fn failure(output: &Output) -> (i32, String) {
    let code = output.status.code().expect("not killed");
    let log = log(output);
    let last = log.lines().last().unwrap_or_default();
    let line: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{log}"));
    assert_eq!(line["level"], "ERROR", "{log}");
    (code, format!("{}: {}", line["kind"].as_str().unwrap(), line["message"].as_str().unwrap()))
}

/// Asserts that neither a loop device nor a mount of `disk` is left.
pub(crate) fn assert_released(disk: &Path) {
    let loops = tool("losetup", &["--list", "--noheadings", "--output", "BACK-FILE"]);
    assert!(!loops.contains(text(disk)), "{loops}");
}

/// A disk without partitions or filesystem that does not compress.
pub(crate) fn noise(directory: &Path, bytes: usize) -> PathBuf {
    let disk = directory.join("noise");
    let source = std::fs::File::open("/dev/urandom").unwrap();
    let mut target = std::fs::File::create(&disk).unwrap();
    std::io::copy(&mut source.take(bytes as u64), &mut target).unwrap();
    disk
}

/// The most memory that a running process has used so far.
pub(crate) fn peak_memory_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}
