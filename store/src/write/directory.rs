//! A directory of this machine. An object is a file that appears under its name only when it is whole and on disk.

use std::io;
use std::path::{Path, PathBuf};

use archive::Crc64NvmeStream;
use async_trait::async_trait;
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};
use domain::part::PartPlan;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use super::sink::{Existing, ObjectSink, Put};
use super::stored::Stored;
use super::upload::{Pending, Upload};

/// A directory that is made if need be.
#[derive(Debug, Clone)]
pub struct DirectorySink {
    root: PathBuf,
}

impl DirectorySink {
    /// A sink that writes below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::AccessDenied,
        io::ErrorKind::NotFound => Kind::SourceNotFound,
        io::ErrorKind::NotADirectory => Kind::InvalidSettings,
        _ => Kind::Unavailable,
    };
    Error::caused_by(kind, format!("{what} {}", path.display()), error)
}

/// The name under which an unfinished file is written.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

async fn create_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).await.map_err(|error| failed("create the directory", parent, error))
}

/// Makes the new name itself durable.
async fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    let sync = async { File::open(parent).await?.sync_all().await };
    sync.await.map_err(|error| failed("sync the directory", parent, error))
}

#[async_trait]
impl ObjectSink for DirectorySink {
    fn locate(&self, key: &str) -> String {
        format!("file://{}", self.path(key).display())
    }

    async fn preflight(&self) -> Result<()> {
        fs::create_dir_all(&self.root).await.map_err(|error| failed("create the directory", &self.root, error))?;
        tempfile::tempfile_in(&self.root).map(drop).map_err(|error| failed("write to the directory", &self.root, error))
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        let path = self.path(key);
        match fs::read(&path).await {
            Ok(content) => Ok(Some(content.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    async fn put(&self, key: &str, content: Bytes, existing: Existing) -> Result<Put> {
        let path = self.path(key);
        create_parent(&path).await?;
        let part = unfinished(&path);
        let write = async {
            let mut file = File::create(&part).await?;
            file.write_all(&content).await?;
            file.sync_all().await?;
            match existing {
                Existing::Replace => fs::rename(&part, &path).await.map(|()| Put::Written),
                // A hard link, unlike a rename, refuses to replace.
                Existing::Keep => {
                    let linked = fs::hard_link(&part, &path).await;
                    fs::remove_file(&part).await?;
                    match linked {
                        Ok(()) => Ok(Put::Written),
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                            Ok(if fs::read(&path).await? == content { Put::Written } else { Put::AlreadyThere })
                        }
                        Err(error) => Err(error),
                    }
                }
            }
        };
        let put = write.await.map_err(|error| failed("write", &path, error))?;
        sync_parent(&path).await?;
        Ok(put)
    }

    async fn begin(&self, key: &str, _plan: PartPlan) -> Result<Upload> {
        let path = self.path(key);
        create_parent(&path).await?;
        let part = unfinished(&path);
        let file = File::create(&part).await.map_err(|error| failed("create", &part, error))?;
        Ok(Upload::new(FileUpload { path, part, file, bytes: 0, crc: Crc64NvmeStream::default() }))
    }
}

#[derive(Debug)]
struct FileUpload {
    path: PathBuf,
    part: PathBuf,
    file: File,
    bytes: u64,
    crc: Crc64NvmeStream,
}

#[async_trait]
impl Pending for FileUpload {
    fn location(&self) -> String {
        format!("file://{}", self.path.display())
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.file.write_all(&chunk).await.map_err(|error| failed("write", &self.part, error))?;
        self.bytes += chunk.len() as u64;
        self.crc.update(&chunk);
        Ok(())
    }

    async fn seal(&mut self) -> Result<Stored> {
        let written = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        written.await.map_err(|error| failed("write", &self.part, error))?;
        Ok(Stored { bytes: self.bytes, crc64nvme: self.crc.value() })
    }

    async fn publish(&mut self, _sealed: Stored) -> Result<()> {
        fs::rename(&self.part, &self.path).await.map_err(|error| failed("complete", &self.path, error))?;
        sync_parent(&self.path).await
    }

    async fn discard(&mut self) {
        match fs::remove_file(&self.part).await {
            Ok(()) => {}
            // It was published, and what failed came after.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(file = %self.part.display(), %error, "an unfinished file could not be removed");
            }
        }
    }
}
