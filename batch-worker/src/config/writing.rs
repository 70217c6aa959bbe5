//! How artifacts are written, and by how many threads.

use archive::{Codec, Compression};
use domain::part::{MAX_PART_BYTES, MIN_PART_BYTES};

use super::problem::Problems;
use crate::cli::WritingArgs;

/// More of them only cost memory.
const MAX_THREADS: usize = 256;

/// How artifacts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing {
    /// How members are made.
    pub compression: Compression,
    /// Compressor threads.
    pub compress_threads: usize,
    /// Size of the first parts of an upload, where it is not planned here.
    pub part_bytes: Option<u64>,
}

impl Writing {
    pub(super) fn new(arguments: &WritingArgs, problems: &mut Problems) -> Option<Self> {
        let compression = compression(arguments, problems);
        let compress_threads = arguments.compress_threads.unwrap_or_else(cpus);
        require_threads(problems, "--compress-threads", compress_threads);
        if let Some(bytes) = arguments.part_bytes {
            problems.require((MIN_PART_BYTES..=MAX_PART_BYTES).contains(&bytes), || {
                format!("--part-bytes {bytes}: S3 takes {MIN_PART_BYTES} to {MAX_PART_BYTES}")
            });
        }
        Some(Self { compression: compression?, compress_threads, part_bytes: arguments.part_bytes })
    }
}

fn compression(arguments: &WritingArgs, problems: &mut Problems) -> Option<Compression> {
    let codec = match &arguments.codec {
        Some(name) => problems.take(name.parse::<Codec>())?,
        None => Codec::Gzip,
    };
    let level = arguments.level.unwrap_or_else(|| codec.default_level());
    let member_bytes = arguments.member_bytes.unwrap_or(archive::codec::DEFAULT_MEMBER_BYTES);
    problems.take(Compression::new(codec, level, member_bytes))
}

pub(super) fn require_threads(problems: &mut Problems, option: &str, threads: usize) {
    problems.require((1..=MAX_THREADS).contains(&threads), || format!("{option} {threads}: use 1 to {MAX_THREADS}"));
}

pub(super) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
