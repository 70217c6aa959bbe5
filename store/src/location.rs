//! Places of exports: `s3://bucket/prefix/` or `file:///directory/`, in the one form that every command takes and
//! prints.
//!
//! Neither is parsed as a URL. What stands after the bucket's name is the key and what stands after `file://` is the
//! path, as they are: both may hold what a URL would escape, and what one command prints another takes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use domain::id::BucketName;

/// A folder of a bucket or of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// Objects of a bucket.
    S3 {
        bucket: BucketName,
        /// What every key begins with: empty, or ending in `/`.
        prefix: String,
    },
    /// Files of a directory.
    Directory(PathBuf),
}

/// A text that names no place for exports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a place for an export: {why}")]
pub struct InvalidLocation {
    text: String,
    why: String,
}

impl Folder {
    /// What the keys of its objects begin with: nothing in a directory.
    pub fn prefix(&self) -> &str {
        match self {
            Self::S3 { prefix, .. } => prefix,
            Self::Directory(_) => "",
        }
    }

    /// Splits the URL of an object, such as a manifest's, into its folder and its name.
    pub fn of_object(text: &str) -> Result<(Self, String), InvalidLocation> {
        let invalid = |why: &str| InvalidLocation { text: text.to_owned(), why: why.to_owned() };
        let (folder, name) = text
            .rsplit_once('/')
            .filter(|(_, name)| !name.is_empty())
            .ok_or_else(|| invalid("it names a folder, and an object is needed"))?;
        let folder = format!("{folder}/").parse().map_err(|error: InvalidLocation| invalid(&error.why))?;
        Ok((folder, name.to_owned()))
    }
}

impl FromStr for Folder {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let invalid = |why: &str| InvalidLocation { text: text.to_owned(), why: why.to_owned() };
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let bucket = bucket.parse().map_err(|error: domain::id::InvalidId| invalid(&error.to_string()))?;
            if prefix.contains("//") || prefix.starts_with('/') {
                return Err(invalid("its prefix has an empty folder name (//)"));
            }
            let mut prefix = prefix.to_owned();
            if !prefix.is_empty() && !prefix.ends_with('/') {
                prefix.push('/');
            }
            return Ok(Self::S3 { bucket, prefix });
        }
        let Some(path) = text.strip_prefix("file://") else {
            return Err(invalid("expected s3://bucket/prefix/ or file:///directory/"));
        };
        if path.starts_with('/') {
            Ok(Self::Directory(path.into()))
        } else {
            Err(invalid("a file URL needs three slashes and an absolute path: file:///directory/"))
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Directory(path) => {
                let path = path.display().to_string();
                write!(f, "file://{}/", path.trim_end_matches('/'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_always_ends_in_a_slash() {
        for text in ["s3://backups/data/vol-1", "s3://backups/data/vol-1/"] {
            let folder: Folder = text.parse().unwrap();
            assert_eq!(folder.prefix(), "data/vol-1/");
            assert_eq!(folder.to_string(), "s3://backups/data/vol-1/");
        }
        assert_eq!("s3://backups".parse::<Folder>().unwrap().prefix(), "");
    }

    #[test]
    fn a_manifest_url_splits_into_folder_and_name() {
        let (folder, name) = Folder::of_object("s3://backups/data/vol-1/manifest.json").unwrap();
        assert_eq!(folder.prefix(), "data/vol-1/");
        assert_eq!(name, "manifest.json");
        let (folder, name) = Folder::of_object("file:///mnt/x/manifest.json").unwrap();
        assert_eq!(folder, Folder::Directory("/mnt/x/".into()));
        assert_eq!(name, "manifest.json");
    }

    #[test]
    fn what_is_printed_is_taken_again_as_it_is() {
        for text in ["file:///mnt/a b/100%/#1/?/", "file:///a%20b/", "s3://backups/a b/100%/#1/"] {
            let folder: Folder = text.parse().unwrap();
            assert_eq!(folder.to_string(), text);
        }
        assert_eq!("file:///a%20b".parse(), Ok(Folder::Directory("/a%20b".into())));
    }

    #[test]
    fn what_is_no_place_is_refused_with_the_forms_that_are() {
        for (text, why) in [
            ("/mnt/x", "expected s3://"),
            ("https://example.com/x", "expected s3://"),
            ("s3://UPPER/x", "S3 bucket name"),
            ("s3://backups//x", "empty folder"),
            ("file://host/x", "three slashes"),
        ] {
            let error = text.parse::<Folder>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(Folder::of_object("s3://backups/data/").is_err());
    }
}
