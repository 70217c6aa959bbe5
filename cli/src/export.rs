//! An export that is looked into: its manifest, and where its keys have a meaning.

use anyhow::{Context as _, Result, bail};
use aws::config::Patience;
use domain::manifest::Manifest;
use store::{Folder, Store};

/// A manifest and the store in which its keys have a meaning.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) store: Store,
    pub(crate) manifest: Manifest,
}

/// The URL of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestUrl {
    folder: Folder,
    name: String,
    text: String,
}

impl std::fmt::Display for ManifestUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for ManifestUrl {
    type Err = store::location::InvalidLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (folder, name) = Folder::of_object(text)?;
        Ok(Self { folder, name, text: text.to_owned() })
    }
}

impl Export {
    /// Opens the export whose manifest is at `url`.
    pub(crate) async fn open(url: &ManifestUrl) -> Result<Self> {
        if matches!(url.folder, Folder::S3 { .. }) && url.name != domain::key::MANIFEST {
            bail!("{url} is not a manifest: its key ends in {}", domain::key::MANIFEST);
        }
        let store = Store::open(&url.folder, None, Patience::Person).await;
        let content = store.get(&format!("{}{}", url.folder.prefix(), url.name)).await?;
        let (store, prefix) = store.copied_bucket(&content).unwrap_or_else(|| (store, url.folder.prefix().to_owned()));
        let manifest = Manifest::parse(&content, &prefix).with_context(|| format!("read the manifest {url}"))?;
        Ok(Self { store, manifest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_manifest_is_named() {
        for (url, why) in [("exports/data", "expected s3://"), ("s3://", "not"), ("file://tmp/x", "three slashes")] {
            let error = url.parse::<ManifestUrl>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!("s3://exports/a/manifest.json".parse::<ManifestUrl>().unwrap().name, "manifest.json");
    }
}
