//! What stands in the place of the code and the images that a template names.

use std::path::PathBuf;

/// What stands in the place of the code and the images that a template names.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The directory of the functions' programs, each called as its construct.
    pub functions: PathBuf,
    /// The program of the jobs' image, with its first arguments.
    pub entrypoint: Vec<PathBuf>,
}
