//! Reading exports, wherever they are: a bucket, or a directory laid out like one.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use domain::id::BucketName;
use domain::manifest::Manifest;
use tokio_util::io::SyncIoBridge;

use crate::location::Location;

/// Something that holds objects by key.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// A bucket.
    Bucket {
        /// The client.
        client: Client,
        /// Its name.
        name: BucketName,
    },
    /// A directory, in which a key is a path.
    Directory(PathBuf),
}

/// A manifest and the store in which its keys have a meaning.
#[derive(Debug)]
pub(crate) struct Export {
    /// The store.
    pub(crate) store: Store,
    /// The manifest.
    pub(crate) manifest: Manifest,
}

impl Store {
    /// The bucket or directory at a location; what comes after the bucket's name is ignored.
    pub(crate) async fn of(location: &Location) -> Self {
        match location {
            Location::S3 { bucket, .. } => Self::Bucket { client: crate::client::s3().await, name: bucket.clone() },
            Location::File(path) => Self::Directory(path.clone()),
        }
    }

    /// A whole object.
    pub(crate) async fn get(&self, key: &str) -> Result<Vec<u8>> {
        match self {
            Self::Bucket { client, name } => {
                let object = client.get_object().bucket(name.as_str()).key(key).send().await;
                let object = object.map_err(|error| describe(&error, name, key))?;
                Ok(object.body.collect().await.with_context(|| format!("read s3://{name}/{key}"))?.to_vec())
            }
            Self::Directory(root) => {
                let path = root.join(key);
                std::fs::read(&path).with_context(|| format!("read {}", path.display()))
            }
        }
    }

    /// `length` bytes of an object from `offset`, by one ranged read, as a stream that blocks.
    pub(crate) async fn open_range(&self, key: &str, offset: u64, length: u64) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::Bucket { client, name } => {
                let range = format!("bytes={offset}-{}", offset + length.saturating_sub(1));
                let object = client.get_object().bucket(name.as_str()).key(key).range(range).send().await;
                let object = object.map_err(|error| describe(&error, name, key))?;
                Ok(Box::new(SyncIoBridge::new(object.body.into_async_read())))
            }
            Self::Directory(root) => {
                let path = root.join(key);
                let opened = File::open(&path).and_then(|mut file| {
                    file.seek(SeekFrom::Start(offset))?;
                    Ok(file)
                });
                Ok(Box::new(opened.with_context(|| format!("read {}", path.display()))?.take(length)))
            }
        }
    }

    /// The keys that begin with `prefix`, in order.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        match self {
            Self::Bucket { client, name } => {
                let mut pages = client.list_objects_v2().bucket(name.as_str()).prefix(prefix).into_paginator().send();
                let mut keys = Vec::new();
                while let Some(page) = pages.next().await {
                    let page = page.map_err(|error| describe(&error, name, prefix))?;
                    keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
                }
                Ok(keys)
            }
            Self::Directory(root) => {
                let mut keys = Vec::new();
                collect_keys(root, &root.join(prefix), &mut keys)?;
                keys.sort();
                Ok(keys)
            }
        }
    }
}

impl Export {
    /// Opens the export whose manifest is at `location`.
    pub(crate) async fn open(location: &Location) -> Result<Self> {
        match location {
            Location::S3 { bucket, key } => {
                let Some(prefix) = key.strip_suffix(domain::key::MANIFEST) else {
                    bail!("s3://{bucket}/{key} is not a manifest: its key ends in {}", domain::key::MANIFEST);
                };
                let store = Store::of(location).await;
                let manifest = Manifest::parse(&store.get(key).await?, prefix)
                    .with_context(|| format!("read the manifest s3://{bucket}/{key}"))?;
                Ok(Self { store, manifest })
            }
            Location::File(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("read the manifest {}", path.display()))?;
                let manifest =
                    Manifest::parse(&bytes, "").with_context(|| format!("read the manifest {}", path.display()))?;
                let directory = path.parent().context("the manifest lies in no directory")?;
                let store = Store::Directory(manifest.root_of(directory).0.to_owned());
                Ok(Self { store, manifest })
            }
        }
    }
}

fn collect_keys(root: &Path, at: &Path, keys: &mut Vec<String>) -> Result<()> {
    let entries = match std::fs::read_dir(at) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("list {}", at.display())),
    };
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", at.display()))?.path();
        if path.is_dir() {
            collect_keys(root, &path, keys)?;
        } else if let Ok(key) = path.strip_prefix(root) {
            keys.push(key.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn describe<E, R>(error: &aws_sdk_s3::error::SdkError<E, R>, bucket: &BucketName, key: &str) -> anyhow::Error
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    anyhow::anyhow!("read s3://{bucket}/{key}: {}", DisplayErrorContext(error))
}
