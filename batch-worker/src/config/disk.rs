//! The export of a disk: which one, and how it is read.

use std::path::PathBuf;

use domain::failure::Result;
use domain::id::VolumeId;

use super::place::Place;
use super::problem::Problems;
use super::writing::Writing;
use crate::cli::DiskArgs;
use crate::volume::attach::device::DeviceTree;

/// More would leave too little of the 512 MiB for the upload.
const MAX_READ_AHEAD_BYTES: usize = 128 << 20;
/// More threads than this only cost memory.
const MAX_READERS: usize = 1024;

/// The disk that is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskSource {
    /// A volume that is to be attached.
    Volume(VolumeId),
    /// A device or image file that is here.
    Device(PathBuf),
}

/// How an export of a disk is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskConfig {
    /// The disk.
    pub source: DiskSource,
    /// Where it goes.
    pub place: Place,
    /// How artifacts are written.
    pub writing: Writing,
    /// How much is read ahead.
    pub reading: disk::Options,
    /// The least size of the disk.
    pub expect_bytes: Option<u64>,
    /// Where devices are looked for.
    pub devices: DeviceTree,
}

impl DiskConfig {
    pub(super) fn new(
        source: DiskSource,
        arguments: DiskArgs,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut problems = Problems::default();
        let place = Place::new(arguments.place, variable, &mut problems);
        let writing = Writing::new(&arguments.writing, &mut problems);
        let access = match source {
            DiskSource::Volume(_) => disk::Access::ThrowAway,
            DiskSource::Device(_) => disk::Access::Untouched,
        };
        let mut reading = disk::Options::for_access(access);
        reading.readers = arguments.readers.unwrap_or(reading.readers);
        reading.read_ahead_bytes = arguments.read_ahead_bytes.unwrap_or(reading.read_ahead_bytes);
        problems.require((1..=MAX_READERS).contains(&reading.readers), || {
            format!("--readers {}: use 1 to {MAX_READERS}", reading.readers)
        });
        problems.require(reading.read_ahead_bytes <= MAX_READ_AHEAD_BYTES, || {
            format!("--read-ahead-bytes {}: use at most {MAX_READ_AHEAD_BYTES}", reading.read_ahead_bytes)
        });
        let config = place.zip(writing).map(|(place, writing)| Self {
            source,
            place,
            writing,
            reading,
            expect_bytes: arguments.expect_bytes,
            devices: devices(variable),
        });
        problems.finish(config)
    }
}

fn devices(variable: &dyn Fn(&str) -> Option<String>) -> DeviceTree {
    let mut tree = DeviceTree::default();
    if let Some(directory) = variable("BACKUP_EXPORT_DEV_BY_ID_DIR") {
        tree.by_id = directory.into();
    }
    if let Some(directory) = variable("BACKUP_EXPORT_SYSFS_DIR") {
        tree.sysfs = directory.into();
    }
    tree
}
