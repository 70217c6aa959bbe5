//! Where artifacts go and manifests are: `s3://bucket/prefix/` or `file:///dir/`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use domain::id::BucketName;
use url::Url;

/// A folder of a bucket or of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Objects of a bucket.
    S3 {
        /// The bucket.
        bucket: BucketName,
        /// What every key begins with: empty, or ending in `/`.
        prefix: String,
    },
    /// Files of a directory, which is made if need be.
    Directory(PathBuf),
}

/// A URL that is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a place for an export: {why}")]
pub struct InvalidDestination {
    text: String,
    why: String,
}

impl Destination {
    /// What the keys of its objects begin with: nothing in a directory.
    pub fn prefix(&self) -> &str {
        match self {
            Self::S3 { prefix, .. } => prefix,
            Self::Directory(_) => "",
        }
    }

    /// Splits the URL of an object, such as a manifest's, into its folder and its name.
    pub fn of_object(text: &str) -> Result<(Self, String), InvalidDestination> {
        let invalid = |why: &str| InvalidDestination { text: text.to_owned(), why: why.to_owned() };
        let (folder, name) = text
            .rsplit_once('/')
            .filter(|(_, name)| !name.is_empty())
            .ok_or_else(|| invalid("it names a folder, and an object is needed"))?;
        Ok((format!("{folder}/").parse()?, name.to_owned()))
    }
}

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        let invalid = |why: String| InvalidDestination { text: text.to_owned(), why };
        if let Some(rest) = text.strip_prefix("s3://") {
            // Not parsed as a URL: a key may hold what a URL would escape.
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let bucket = bucket.parse().map_err(|error: domain::id::InvalidId| invalid(error.to_string()))?;
            if prefix.contains("//") || prefix.starts_with('/') {
                return Err(invalid("its prefix has an empty folder name (//)".into()));
            }
            let mut prefix = prefix.to_owned();
            if !prefix.is_empty() && !prefix.ends_with('/') {
                prefix.push('/');
            }
            return Ok(Self::S3 { bucket, prefix });
        }
        let url = Url::parse(text)
            .map_err(|error| invalid(format!("expected s3://bucket/prefix/ or file:///directory/ ({error})")))?;
        if url.scheme() != "file" {
            return Err(invalid(format!("expected s3://bucket/prefix/ or file:///directory/, not {}:", url.scheme())));
        }
        url.to_file_path()
            .map(Self::Directory)
            .map_err(|()| invalid("a file URL needs three slashes and an absolute path: file:///directory/".into()))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Directory(path) => write!(f, "file://{}/", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_always_ends_in_a_slash() {
        for text in ["s3://backups/data/vol-1", "s3://backups/data/vol-1/"] {
            let destination: Destination = text.parse().unwrap();
            assert_eq!(destination.prefix(), "data/vol-1/");
            assert_eq!(destination.to_string(), "s3://backups/data/vol-1/");
        }
        assert_eq!("s3://backups".parse::<Destination>().unwrap().prefix(), "");
    }

    #[test]
    fn a_manifest_url_splits_into_folder_and_name() {
        let (folder, name) = Destination::of_object("s3://backups/data/vol-1/manifest.json").unwrap();
        assert_eq!(folder.prefix(), "data/vol-1/");
        assert_eq!(name, "manifest.json");
        let (folder, name) = Destination::of_object("file:///mnt/x/manifest.json").unwrap();
        assert_eq!(folder, Destination::Directory("/mnt/x/".into()));
        assert_eq!(name, "manifest.json");
    }

    #[test]
    fn what_is_no_destination_is_refused_with_the_forms_that_are() {
        for (text, why) in [
            ("/mnt/x", "expected s3://"),
            ("https://example.com/x", "not https:"),
            ("s3://UPPER/x", "S3 bucket name"),
            ("s3://backups//x", "empty folder"),
            ("file://host/x", "three slashes"),
        ] {
            let error = text.parse::<Destination>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(Destination::of_object("s3://backups/data/").is_err());
    }
}
