//! What holds exports that are read: a bucket, or a directory. Read [`Store`] first.

mod download;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use archive::{Sha256, Sha256Stream};
use aws::bucket::Bucket;
use aws::config::Patience;
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};
use domain::id::AccountId;
use domain::manifest::Manifest;
use tokio_util::sync::CancellationToken;

pub use self::download::Breakage;
use self::download::Source;
use crate::location::Folder;
pub use aws::bucket::{Held, Listed};

const COPY_BYTES: usize = 256 << 10;

/// Something that holds objects by key.
#[derive(Debug, Clone)]
pub enum Store {
    Bucket(Bucket),
    /// A directory, in which a key is a path.
    Directory(PathBuf),
}

impl Store {
    /// What holds a folder: its bucket, which must belong to `owner` where that is given, or the directory itself.
    pub async fn open(folder: &Folder, owner: Option<&AccountId>, patience: Patience) -> Self {
        match folder {
            Folder::S3 { bucket, .. } => {
                let client = aws::config::s3(&aws::config::load(patience).await);
                Self::Bucket(Bucket::new(&client, bucket, owner))
            }
            Folder::Directory(root) => Self::Directory(root.clone()),
        }
    }

    /// The root of the copied bucket in which a manifest lies, and the manifest's prefix there: `None` in a bucket, and
    /// where its keys begin in its own folder.
    pub fn copied_bucket(&self, manifest: &[u8]) -> Option<(Self, String)> {
        let Self::Directory(root) = self else { return None };
        let manifest = Manifest::parse(manifest, "").ok()?;
        let (outer, prefix) = manifest.root_of(root);
        (!prefix.is_empty()).then(|| (Self::Directory(outer.to_owned()), prefix.to_owned()))
    }

    /// Whether the bucket is there and ours. A directory is only read, and says so itself.
    pub async fn preflight(&self) -> Result<()> {
        match self {
            Self::Bucket(bucket) => bucket.check().await,
            Self::Directory(_) => Ok(()),
        }
    }

    /// The full name of `key` as people write it.
    pub fn locate(&self, key: &str) -> String {
        match self {
            Self::Bucket(bucket) => bucket.uri(key),
            Self::Directory(root) => format!("file://{}", root.join(key).display()),
        }
    }

    /// The folder of `key`, with a slash at the end.
    pub fn folder_of(&self, key: &str) -> String {
        let location = self.locate(key);
        let end = location.rfind('/').map_or(location.len(), |slash| slash + 1);
        location[..end].to_owned()
    }

    /// A small object whole, or `None` when there is none.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Bucket(bucket) => Ok(bucket.get(key).await?.map(|object| object.bytes)),
            Self::Directory(root) => match tokio::fs::read(root.join(key)).await {
                Ok(content) => Ok(Some(content.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.unreadable(key, error)),
            },
        }
    }

    /// A small object that must be there.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        let missing = || Error::new(Kind::SourceNotFound, format!("{} does not exist", self.locate(key)));
        self.read(key).await?.ok_or_else(missing)
    }

    /// What the store says of an object without reading it.
    pub async fn look(&self, key: &str) -> Result<Option<Held>> {
        match self {
            Self::Bucket(bucket) => bucket.look(key).await,
            Self::Directory(root) => match std::fs::metadata(root.join(key)) {
                Ok(metadata) => Ok(Some(of_file(&metadata))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.unreadable(key, error)),
            },
        }
    }

    /// The objects whose keys begin with `prefix`, a folder or nothing, by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        match self {
            Self::Bucket(bucket) => bucket.list(prefix).await,
            Self::Directory(root) => {
                let mut listed = Vec::new();
                list_below(root, prefix, &mut listed).map_err(|error| self.unreadable(prefix, error))?;
                listed.sort_by(|a, b| a.key.cmp(&b.key));
                Ok(listed)
            }
        }
    }

    fn unreadable(&self, key: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => Kind::AccessDenied,
            io::ErrorKind::NotFound => Kind::SourceNotFound,
            _ => Kind::ReadFailed,
        };
        Error::caused_by(kind, format!("read {}", self.locate(key)), error)
    }

    /// The bytes of an object as a stream for a thread, and the place where a failure of it will be. An object that is
    /// replaced midway breaks the stream.
    pub fn stream(&self, key: &str, held: &Held, stop: CancellationToken) -> Result<(Box<dyn Read + Send>, Breakage)> {
        self.stream_range(key, 0..held.bytes, held.etag.clone(), stop)
    }

    /// The same of some of its bytes, exactly.
    pub fn stream_range(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<String>,
        stop: CancellationToken,
    ) -> Result<(Box<dyn Read + Send>, Breakage)> {
        let breakage = Breakage::default();
        match self {
            Self::Bucket(bucket) => {
                let source = Source { bucket: bucket.clone(), key: key.to_owned(), etag, range };
                Ok((Box::new(download::start(source, stop, breakage.clone())), breakage))
            }
            Self::Directory(root) => {
                let open = || {
                    let mut file = File::open(root.join(key))?;
                    file.seek(SeekFrom::Start(range.start))?;
                    Ok(file)
                };
                let file = open().map_err(|error| self.unreadable(key, error))?;
                let left = range.end.saturating_sub(range.start);
                Ok((Box::new(FileRange { file, left, stop, breakage: breakage.clone() }), breakage))
            }
        }
    }

    /// An object in an unnamed temporary file, and its hash.
    pub async fn fetch(&self, key: &str, held: &Held, stop: &CancellationToken) -> Result<(File, Sha256)> {
        let (mut stream, breakage) = self.stream(key, held, stop.clone())?;
        let copied = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile()?;
            let mut hash = Sha256Stream::default();
            let mut buffer = vec![0; COPY_BYTES];
            loop {
                let count = stream.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                hash.update(&buffer[..count]);
                file.write_all(&buffer[..count])?;
            }
            file.rewind()?;
            Ok::<_, io::Error>((file, hash.finish()))
        })
        .await
        .map_err(|panic| Error::internal(format!("fetch {}", self.locate(key)), panic))?;
        match (copied, breakage.take()) {
            (_, Some(error)) => Err(error),
            (Ok(copied), None) => Ok(copied),
            (Err(error), None) => Err(self.unreadable(key, error)),
        }
    }
}

fn of_file(metadata: &std::fs::Metadata) -> Held {
    Held { bytes: metadata.len(), crc64nvme: None, etag: None }
}

fn list_below(root: &Path, prefix: &str, listed: &mut Vec<Listed>) -> io::Result<()> {
    let mut folders = vec![root.join(prefix)];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let metadata = std::fs::metadata(&path)?;
            if metadata.is_dir() {
                folders.push(path);
            } else if let Ok(key) = path.strip_prefix(root) {
                listed.push(Listed { key: key.to_string_lossy().into_owned(), held: of_file(&metadata) });
            }
        }
    }
    Ok(())
}

/// Some bytes of a file, all of them; it ends when the reader is asked to stop.
struct FileRange {
    file: File,
    left: u64,
    stop: CancellationToken,
    breakage: Breakage,
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            self.breakage.set(Error::interrupted());
            return Err(io::Error::other("asked to stop"));
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            let what = format!("the file ends {} bytes before what is read of it", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        self.left -= count as u64;
        Ok(count)
    }
}
