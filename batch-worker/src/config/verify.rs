//! The verification of an export: which one, and how.

use domain::failure::Result;
use domain::id::AccountId;
use store::Folder;

use super::place::in_batch;
use super::problem::Problems;
use super::writing::{cpus, require_threads};
use crate::cli::{Mode, VerifyArgs};

/// How an export is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyConfig {
    /// Where the export is.
    pub folder: Folder,
    /// The manifest's name there.
    pub name: String,
    /// How it is verified.
    pub mode: Mode,
    /// The account that the bucket must belong to.
    pub bucket_owner: Option<AccountId>,
    /// Decompressor threads.
    pub threads: usize,
    /// Whether Batch runs this.
    pub in_batch: bool,
}

impl VerifyConfig {
    pub(super) fn new(arguments: VerifyArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let threads = arguments.threads.unwrap_or_else(cpus);
        require_threads(&mut problems, "--threads", threads);
        let place = problems.take(Folder::of_object(&arguments.manifest));
        if let (Mode::Checksum, Some((Folder::Directory(_), _))) = (arguments.mode, &place) {
            problems
                .add("--mode checksum asks S3 for its checksums: a directory has none, use --mode readback".to_owned());
        }
        let config = place.map(|(folder, name)| Self {
            folder,
            name,
            mode: arguments.mode,
            bucket_owner: arguments.bucket_owner,
            threads,
            in_batch: in_batch(variable),
        });
        problems.finish(config)
    }
}
