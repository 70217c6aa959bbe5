//! Where exports are: an S3 URL, or a directory that holds what a bucket would.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use domain::id::{BucketName, InvalidId};

/// `s3://bucket/key` or `file:///path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// An object, or a prefix when the key is empty or ends in `/`.
    S3 {
        /// The bucket.
        bucket: BucketName,
        /// The key within it.
        key: String,
    },
    /// A file or directory of this machine.
    File(PathBuf),
}

/// A location of no known form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidLocation {
    /// Neither scheme.
    #[error("{0:?} is neither s3://bucket/key nor file:///path")]
    Scheme(String),
    /// Not a bucket's name.
    #[error("{url:?} names no bucket")]
    Bucket {
        /// What was given.
        url: String,
        /// Why it is none.
        source: InvalidId,
    },
    /// A relative file URL.
    #[error("{0:?} is not absolute: a file URL begins with file:///")]
    Relative(String),
}

impl Location {
    /// The location of a key under this one.
    pub(crate) fn join(&self, key: &str) -> Self {
        match self {
            Self::S3 { bucket, key: prefix } => Self::S3 { bucket: bucket.clone(), key: format!("{prefix}{key}") },
            Self::File(path) => Self::File(path.join(key)),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(url: &str) -> Result<Self, InvalidLocation> {
        if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            let bucket = bucket.parse().map_err(|source| InvalidLocation::Bucket { url: url.to_owned(), source })?;
            return Ok(Self::S3 { bucket, key: key.to_owned() });
        }
        let Some(path) = url.strip_prefix("file://") else {
            return Err(InvalidLocation::Scheme(url.to_owned()));
        };
        if path.starts_with('/') {
            Ok(Self::File(PathBuf::from(path)))
        } else {
            Err(InvalidLocation::Relative(url.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_understood() {
        assert_eq!(
            "s3://exports/data/a/manifest.json".parse::<Location>().unwrap(),
            Location::S3 { bucket: "exports".parse().unwrap(), key: "data/a/manifest.json".into() }
        );
        assert_eq!(
            "s3://exports".parse::<Location>().unwrap(),
            Location::S3 { bucket: "exports".parse().unwrap(), key: String::new() }
        );
        assert_eq!("file:///tmp/x".parse::<Location>().unwrap(), Location::File("/tmp/x".into()));
    }

    #[test]
    fn anything_else_is_named() {
        for (url, why) in [("exports/data", "neither"), ("s3://", "no bucket"), ("file://tmp", "not absolute")] {
            let error = url.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
