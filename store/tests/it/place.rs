//! The places that hold exports, empty, and what is in them to the eyes of somebody else.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use aws::Bucket;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use domain::failure::{Error, Result};
use local_cloud::WorkerCloud;
use store::Store;
use store::write::{DirectorySink, ObjectSink, S3Sink};
use tokio_util::sync::CancellationToken;

/// A place of its own.
pub(crate) enum Place {
    Directory(tempfile::TempDir),
    Bucket(Box<WorkerCloud>),
}

impl Place {
    pub(crate) fn directory() -> Self {
        Self::Directory(tempfile::tempdir().unwrap())
    }

    pub(crate) fn bucket() -> Self {
        Self::Bucket(Box::new(WorkerCloud::start().unwrap()))
    }

    pub(crate) fn sink(&self) -> Box<dyn ObjectSink> {
        match self {
            Self::Directory(directory) => Box::new(DirectorySink::new(directory.path())),
            Self::Bucket(cloud) => Box::new(S3Sink::new(bucket(cloud))),
        }
    }

    pub(crate) fn store(&self) -> Store {
        match self {
            Self::Directory(directory) => Store::Directory(directory.path().to_owned()),
            Self::Bucket(cloud) => Store::Bucket(bucket(cloud)),
        }
    }

    /// Puts an object there.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        match self {
            Self::Directory(directory) => {
                let path = directory.path().join(key);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            Self::Bucket(cloud) => drop(cloud.put_object(key, bytes).unwrap()),
        }
    }

    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            Self::Directory(directory) => std::fs::read(directory.path().join(key)).ok(),
            Self::Bucket(cloud) => cloud.object(key),
        }
    }

    /// Asserts that these objects are all there is, and nothing is unfinished.
    #[track_caller]
    pub(crate) fn assert_holds(&self, keys: &[&str]) {
        let held = match self {
            Self::Directory(directory) => files_below(directory.path()),
            Self::Bucket(cloud) => {
                assert_eq!(cloud.uploads(), [], "an upload was left");
                cloud.keys()
            }
        };
        assert_eq!(held, keys);
    }
}

fn files_below(root: &Path) -> Vec<String> {
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// The bucket of a cloud, as its owner's.
pub(crate) fn bucket(cloud: &WorkerCloud) -> Bucket {
    named_bucket(cloud, WorkerCloud::BUCKET, WorkerCloud::OWNER)
}

/// A bucket, which may be another one, by a client that retries at once.
pub(crate) fn named_bucket(cloud: &WorkerCloud, name: &str, owner: &str) -> Bucket {
    let retries = RetryConfig::standard().with_max_attempts(4);
    let retries = retries.with_initial_backoff(Duration::from_millis(1)).with_max_backoff(Duration::from_millis(5));
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(cloud.endpoint())
        .force_path_style(true)
        .region(Region::new(WorkerCloud::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retries);
    let client = aws_sdk_s3::Client::from_conf(config.build());
    Bucket::new(&client, &name.parse().unwrap(), Some(&owner.parse().unwrap()))
}

/// Reads some bytes of an object to their end.
pub(crate) async fn read(store: &Store, key: &str, range: Range<u64>, etag: Option<String>) -> Result<Vec<u8>> {
    let (mut stream, breakage) = store.stream_range(key, range, etag, CancellationToken::new())?;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    });
    match (read.await.unwrap(), breakage.take()) {
        (_, Some(error)) => Err(error),
        (Ok(bytes), None) => Ok(bytes),
        (Err(error), None) => Err(Error::internal("read", error)),
    }
}
