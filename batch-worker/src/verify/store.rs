//! What holds an export that is read back: a bucket, or a directory.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use archive::Sha256;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use domain::failure::Kind;
use domain::id::AccountId;
use domain::manifest::Manifest;
use sha2::Digest as _;
use tokio_util::sync::CancellationToken;

use super::download::{self, Object};
use crate::aws::{Aws, sdk_error, status};
use crate::destination::Destination;
use crate::sink::{DirectorySink, ObjectSink, S3Sink};
use domain::failure::{Error, Result};

/// An object as the store describes it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) bytes: u64,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) etag: Option<String>,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) held: Held,
}

/// Where a download leaves the reason why its stream broke.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    pub(crate) fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Debug)]
pub(crate) enum Store {
    S3 { client: aws_sdk_s3::Client, sink: S3Sink, owner: Option<String>, bucket: String },
    Directory { sink: DirectorySink, root: PathBuf, stop: CancellationToken },
}

impl Store {
    pub(crate) async fn open(folder: &Destination, owner: Option<&AccountId>, stop: &CancellationToken) -> Self {
        match folder {
            Destination::S3 { bucket, .. } => {
                let client = Aws::load().await.s3();
                Self::S3 {
                    sink: S3Sink::new(client.clone(), bucket.clone(), owner.cloned()),
                    client,
                    owner: owner.map(ToString::to_string),
                    bucket: bucket.to_string(),
                }
            }
            Destination::Directory(root) => {
                Self::Directory { sink: DirectorySink::new(root), root: root.clone(), stop: stop.clone() }
            }
        }
    }

    /// The root of the copied bucket in which a manifest lies, and the manifest's prefix there: `None` where its keys begin in its own folder.
    pub(crate) fn copied_bucket(&self, manifest: &[u8]) -> Option<(Self, String)> {
        let Self::Directory { root, stop, .. } = self else { return None };
        let manifest = Manifest::parse(manifest, "").ok()?;
        let (outer, prefix) = manifest.root_of(root);
        let outer = outer.to_owned();
        (!prefix.is_empty()).then(|| {
            (Self::Directory { sink: DirectorySink::new(&outer), root: outer, stop: stop.clone() }, prefix.to_owned())
        })
    }

    /// The bucket, for the last word of a failure.
    pub(crate) fn sink(&self) -> Option<S3Sink> {
        match self {
            Self::S3 { sink, .. } => Some(sink.clone()),
            Self::Directory { .. } => None,
        }
    }

    /// Whether the bucket is there and ours. A directory is only read, and says so itself.
    pub(crate) async fn preflight(&self) -> Result<()> {
        match self {
            Self::S3 { sink, .. } => sink.preflight().await,
            Self::Directory { .. } => Ok(()),
        }
    }

    pub(crate) fn locate(&self, key: &str) -> String {
        match self {
            Self::S3 { sink, .. } => sink.locate(key),
            Self::Directory { sink, .. } => sink.locate(key),
        }
    }

    /// The folder of `key`, with a slash at the end.
    pub(crate) fn folder_of(&self, key: &str) -> String {
        let location = self.locate(key);
        let end = location.rfind('/').map_or(location.len(), |slash| slash + 1);
        location[..end].to_owned()
    }

    pub(crate) async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        match self {
            Self::S3 { sink, .. } => sink.read(key).await,
            Self::Directory { sink, .. } => sink.read(key).await,
        }
    }

    /// What the store says of an object without reading it.
    pub(crate) async fn look(&self, key: &str) -> Result<Option<Held>> {
        match self {
            Self::S3 { client, owner, bucket, .. } => {
                let answer = client
                    .head_object()
                    .bucket(bucket)
                    .key(key)
                    .checksum_mode(ChecksumMode::Enabled)
                    .set_expected_bucket_owner(owner.clone())
                    .send()
                    .await;
                match answer {
                    Ok(head) => Ok(Some(Held {
                        bytes: head.content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
                        crc64nvme: head.checksum_crc64_nvme,
                        etag: head.e_tag,
                    })),
                    Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(None),
                    Err(error) => Err(sdk_error(format!("look at {}", self.locate(key)), &error)),
                }
            }
            Self::Directory { root, .. } => match std::fs::metadata(root.join(key)) {
                Ok(metadata) => Ok(Some(Held { bytes: metadata.len(), crc64nvme: None, etag: None })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.unreadable(key, error)),
            },
        }
    }

    /// The objects whose keys begin with `prefix`, by key.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        match self {
            Self::S3 { client, owner, bucket, .. } => {
                let request = client.list_objects_v2().bucket(bucket).prefix(prefix);
                let mut pages = request.set_expected_bucket_owner(owner.clone()).into_paginator().send();
                while let Some(page) = pages.next().await {
                    let page = page.map_err(|error| sdk_error(format!("list {}", self.locate(prefix)), &error))?;
                    listed.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                        let bytes = object.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
                        Some(Listed { key: object.key?, held: Held { bytes, crc64nvme: None, etag: object.e_tag } })
                    }));
                }
            }
            Self::Directory { root, .. } => {
                let mut folders = vec![root.join(prefix)];
                while let Some(folder) = folders.pop() {
                    let entries = match std::fs::read_dir(&folder) {
                        Ok(entries) => entries,
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(self.unreadable(prefix, error)),
                    };
                    for entry in entries {
                        let entry = entry.map_err(|error| self.unreadable(prefix, error))?;
                        let metadata = entry.metadata().map_err(|error| self.unreadable(prefix, error))?;
                        let path = entry.path();
                        if metadata.is_dir() {
                            folders.push(path);
                        } else if let Ok(key) = path.strip_prefix(root) {
                            let held = Held { bytes: metadata.len(), crc64nvme: None, etag: None };
                            listed.push(Listed { key: key.to_string_lossy().into_owned(), held });
                        }
                    }
                }
            }
        }
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    fn unreadable(&self, key: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => Kind::AccessDenied,
            _ => Kind::ReadFailed,
        };
        Error::caused_by(kind, format!("read {}", self.locate(key)), error)
    }

    /// The bytes of an object as a stream for a thread, and the place where a failure of it will be.
    pub(crate) fn stream(
        &self,
        key: &str,
        held: &Held,
        stop: CancellationToken,
    ) -> Result<(Box<dyn Read + Send>, Failure)> {
        let failure = Failure::default();
        match self {
            Self::S3 { client, owner, bucket, .. } => {
                let object = Object {
                    client: client.clone(),
                    bucket: bucket.clone(),
                    key: key.to_owned(),
                    owner: owner.clone(),
                    etag: held.etag.clone(),
                    bytes: held.bytes,
                };
                Ok((Box::new(download::start(object, stop, failure.clone())), failure))
            }
            Self::Directory { root, stop, .. } => {
                let file = File::open(root.join(key)).map_err(|error| self.unreadable(key, error))?;
                let reader = Stoppable { file, stop: stop.clone(), failure: failure.clone() };
                Ok((Box::new(reader), failure))
            }
        }
    }

    /// An object in an unnamed temporary file, and its hash.
    pub(crate) async fn fetch(&self, key: &str, held: &Held) -> Result<(File, Sha256)> {
        let (mut stream, failure) = self.stream(key, held, CancellationToken::new())?;
        let copied = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile()?;
            let mut hash = sha2::Sha256::new();
            let mut buffer = vec![0; 256 << 10];
            loop {
                let count = stream.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                hash.update(&buffer[..count]);
                file.write_all(&buffer[..count])?;
            }
            file.rewind()?;
            Ok::<_, io::Error>((file, Sha256(hash.finalize().into())))
        })
        .await
        .map_err(|panic| Error::internal(format!("fetch {}", self.locate(key)), panic))?;
        match (copied, failure.take()) {
            (_, Some(error)) => Err(error),
            (Ok(copied), None) => Ok(copied),
            (Err(error), None) => Err(self.unreadable(key, error)),
        }
    }
}

/// A file that ends when the worker is asked to stop.
struct Stoppable {
    file: File,
    stop: CancellationToken,
    failure: Failure,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            self.failure.set(Error::interrupted());
            return Err(io::Error::other("asked to stop"));
        }
        self.file.read(buffer)
    }
}
