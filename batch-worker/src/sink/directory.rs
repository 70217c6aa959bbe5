//! A directory of this machine. An object is a file that appears under its name only when it is whole and on disk.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use domain::failure::Kind;
use domain::part::PartPlan;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use super::{Crc64Digest, Existing, Finished, ObjectSink, ObjectUpload, Put, Stored};
use domain::failure::{Error, Result};

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

    async fn begin(&self, key: &str, _plan: PartPlan) -> Result<Box<dyn ObjectUpload>> {
        let path = self.path(key);
        create_parent(&path).await?;
        let part = unfinished(&path);
        let file = File::create(&part).await.map_err(|error| failed("create", &part, error))?;
        Ok(Box::new(FileUpload { path, part, file, bytes: 0, crc: Crc64Digest::new(), ended: false }))
    }
}

#[derive(Debug)]
struct FileUpload {
    path: PathBuf,
    part: PathBuf,
    file: File,
    bytes: u64,
    crc: Crc64Digest,
    ended: bool,
}

impl FileUpload {
    async fn finish(&mut self, proof: &Finished) -> Result<Stored> {
        let stored = Stored { bytes: self.bytes, crc64nvme: self.crc.value() };
        if proof.bytes() != stored.bytes || proof.crc64nvme() != stored.crc64nvme {
            return Err(Error::new(
                Kind::Internal,
                format!(
                    "complete {}: the writer gave {} bytes, the file received {}",
                    self.path.display(),
                    proof.bytes(),
                    self.bytes
                ),
            ));
        }
        let written = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            fs::rename(&self.part, &self.path).await
        };
        written.await.map_err(|error| failed("complete", &self.path, error))?;
        sync_parent(&self.path).await?;
        Ok(stored)
    }

    async fn give_up(&mut self) {
        if let Err(error) = fs::remove_file(&self.part).await {
            tracing::warn!(file = %self.part.display(), %error, "an unfinished file could not be removed");
        }
    }
}

#[async_trait]
impl ObjectUpload for FileUpload {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.file.write_all(&chunk).await.map_err(|error| failed("write", &self.part, error))?;
        self.bytes += chunk.len() as u64;
        self.crc.update(&chunk);
        Ok(())
    }

    async fn complete(mut self: Box<Self>, proof: Finished) -> Result<Stored> {
        let result = self.finish(&proof).await;
        if result.is_err() {
            self.give_up().await;
        }
        self.ended = true;
        result
    }

    async fn abort(mut self: Box<Self>) {
        self.give_up().await;
        self.ended = true;
    }
}

impl Drop for FileUpload {
    fn drop(&mut self) {
        if !self.ended {
            tracing::warn!(file = %self.part.display(), "an unfinished file was left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::super::transfer;
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn send(sink: &DirectorySink, fail: bool, stop: &CancellationToken) -> Result<((), Stored)> {
        let plan = PartPlan::with_base(0);
        transfer(
            sink,
            "a/disk.img.gz",
            plan,
            stop,
            |_| {},
            move |mut writer| {
                writer.send(vec![7; 1_000_000].into()).unwrap();
                if fail {
                    return Err(Error::new(Kind::ReadFailed, "read the disk"));
                }
                Ok(((), writer.finish()))
            },
        )
        .await
    }

    #[tokio::test]
    async fn a_file_appears_whole_and_under_its_name_alone() {
        let directory = tempfile::tempdir().unwrap();
        let sink = DirectorySink::new(directory.path());
        let ((), stored) = send(&sink, false, &CancellationToken::new()).await.unwrap();
        assert_eq!(stored.bytes, 1_000_000);
        assert_eq!(names(&directory.path().join("a")), ["disk.img.gz"]);
        let content = sink.read("a/disk.img.gz").await.unwrap().unwrap();
        assert_eq!(archive::Crc64Nvme::of(&content), stored.crc64nvme);
    }

    #[tokio::test]
    async fn a_writer_that_fails_leaves_no_file_and_its_own_error() {
        let directory = tempfile::tempdir().unwrap();
        let sink = DirectorySink::new(directory.path());
        let error = send(&sink, true, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ReadFailed);
        assert!(names(&directory.path().join("a")).is_empty());
    }

    #[tokio::test]
    async fn a_stopped_transfer_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let sink = DirectorySink::new(directory.path());
        let stop = CancellationToken::new();
        let plan = PartPlan::with_base(0);
        let inner = stop.clone();
        let error = transfer(
            &sink,
            "disk.img.gz",
            plan,
            &stop,
            |_| {},
            move |mut writer| {
                // Writes until it is told that nobody listens.
                loop {
                    inner.cancel();
                    if let Err(error) = writer.send(vec![0; 65536].into()) {
                        return Err::<((), Finished), _>(Error::internal("write", error));
                    }
                }
            },
        )
        .await
        .unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted);
        assert!(names(directory.path()).is_empty());
    }

    #[tokio::test]
    async fn a_manifest_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let sink = DirectorySink::new(directory.path());
        let put = |text: &'static str| sink.put("manifest.json", text.into(), Existing::Keep);
        assert_eq!(put("one").await.unwrap(), Put::Written);
        assert_eq!(put("one").await.unwrap(), Put::Written);
        assert_eq!(put("two").await.unwrap(), Put::AlreadyThere);
        assert_eq!(sink.read("manifest.json").await.unwrap().unwrap(), "one");
        assert_eq!(names(directory.path()), ["manifest.json"]);
    }
}
