//! What a worker sees of AWS, and no more: a bucket, an instance with volumes and metadata, tables that can be counted,
//! parameters that can be read.
//!
//! All of it runs in this process, without moto and without Python, on threads of its own: a test starts it in
//! milliseconds, with or without a runtime, and looks at it without waiting.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::background::Background;
use crate::ec2::VolumeSpec;
use crate::error::{Error, Result};
use crate::fault::{FaultAction, FaultRule, Faults, When};
use crate::local_cloud::LocalCloud;
use crate::observe::{Upload, VolumeView};
use crate::options::{Devices, Options};
use crate::request_log::RequestLog;
use crate::stack::{BucketSpec, Stack};

/// A small cloud. Dropped, it is gone.
///
/// S3 refuses what an export is not to send, see [`Options::strict_uploads`]. Attached volumes are files, not loop
/// devices.
#[derive(Debug)]
pub struct WorkerCloud {
    /// Taken when it goes.
    cloud: Option<LocalCloud>,
    instance_id: String,
    /// Where it runs.
    _background: Background,
}

impl WorkerCloud {
    /// The account, which owns the bucket.
    pub const OWNER: &'static str = "123456789012";
    pub const BUCKET: &'static str = "backups";
    pub const REGION: &'static str = "us-east-1";
    /// The zone of the instance.
    pub const ZONE: &'static str = "us-east-1a";

    /// Starts it.
    pub fn start() -> Result<Self> {
        let options = Options {
            account_id: Self::OWNER.to_owned(),
            region: Self::REGION.to_owned(),
            zones: vec!['a'],
            moto: false,
            strict_uploads: true,
            devices: Devices::Files,
            attachment: Duration::from_millis(4),
            ..Options::default()
        };
        let background = Background::start()?;
        let cloud = background.run(async move {
            let cloud = LocalCloud::start(options).await?;
            let buckets = vec![BucketSpec { name: Self::BUCKET.to_owned(), owner: None }];
            cloud.deploy(&Stack { buckets, ..Stack::default() }).await?;
            Ok(cloud)
        })?;
        let missing = || Error::Missing { kind: "host in", name: Self::ZONE.to_owned() };
        let (instance_id, _) = cloud.host_of(Self::ZONE).ok_or_else(missing)?;
        Ok(Self { cloud: Some(cloud), instance_id, _background: background })
    }

    fn cloud(&self) -> &LocalCloud {
        self.cloud.as_ref().expect("it goes only when it is dropped")
    }

    /// `http://127.0.0.1:PORT`: the endpoint of every service.
    pub fn endpoint(&self) -> &str {
        self.cloud().endpoint()
    }

    /// The instance that a worker runs on.
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// What a worker's process needs in its environment: endpoints, region, credentials, and where volumes appear. It
    /// tries a call three times.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.cloud().environment();
        // No database is here whose certificate it could be.
        environment.remove("BACKUP_EXPORT_RDS_CA_BUNDLE");
        environment.insert("AWS_MAX_ATTEMPTS".to_owned(), "3".to_owned());
        environment
    }

    /// In the place of `/dev/disk/by-id`.
    pub fn by_id_directory(&self) -> PathBuf {
        self.cloud().directory().join("dev/disk/by-id")
    }

    /// In the place of `/sys`.
    pub fn sysfs_directory(&self) -> PathBuf {
        self.cloud().directory().join("sys")
    }

    /// The fault rules in force.
    pub fn faults(&self) -> &Faults {
        self.cloud().faults()
    }

    /// Makes calls of an operation, of whatever service, fail.
    pub fn fault(&self, operation: &str, when: When, action: FaultAction) {
        self.faults().add(FaultRule::new("*", operation, action).when(when));
    }

    /// The requests that were answered.
    pub fn requests(&self) -> &RequestLog {
        self.cloud().requests()
    }

    /// How often an operation was called so far, also by requests that are not answered yet.
    pub fn calls(&self, operation: &str) -> usize {
        self.requests().begun("*", operation)
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        let objects = self.cloud().objects(Self::BUCKET, "").unwrap_or_default();
        objects.into_iter().map(|object| object.key).collect()
    }

    /// The bytes of a (small) object, if it is there.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.cloud().object(Self::BUCKET, key).ok()
    }

    /// Puts an object without a request, replacing what is there; gives its entity tag, without quotes.
    pub fn put_object(&self, key: &str, bytes: impl AsRef<[u8]>) -> Result<String> {
        self.cloud().put_object(Self::BUCKET, key, bytes.as_ref())
    }

    /// Removes an object.
    pub fn remove_object(&self, key: &str) -> Result<()> {
        self.cloud().remove_object(Self::BUCKET, key)
    }

    /// Changes the bytes of a (small) object; its entity tag and its recorded checksums stay.
    pub fn spoil_object(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.cloud().spoil_object(Self::BUCKET, key, change)
    }

    /// Gives an object another entity tag; its bytes stay.
    pub fn set_object_etag(&self, key: &str, etag: &str) -> Result<()> {
        self.cloud().set_object_etag(Self::BUCKET, key, etag)
    }

    /// Uploads that were neither completed nor aborted.
    pub fn uploads(&self) -> Vec<Upload> {
        self.cloud().uploads()
    }

    /// Adds a volume, or replaces the one of this id.
    pub fn add_volume(&self, spec: VolumeSpec) {
        self.cloud().add_volume(spec);
    }

    /// A volume as it is now, if it is there.
    pub fn volume(&self, id: &str) -> Option<VolumeView> {
        self.cloud().volumes().into_iter().find(|volume| volume.id == id)
    }

    /// Makes a volume vanish; its file stays. `false` when it is not there.
    pub fn remove_volume(&self, id: &str) -> bool {
        self.cloud().remove_volume(id)
    }

    /// Makes device names (`/dev/sdf`) be in use on the instance.
    pub fn occupy_device_names(&self, names: impl IntoIterator<Item = String>) {
        self.cloud().occupy_device_names(names);
    }

    /// Makes a table of DynamoDB that holds so many items.
    pub fn set_table(&self, name: &str, items: u64) {
        self.cloud().stand_in().set_table(name, items);
    }

    /// Removes a table; `false` when it is not there.
    pub fn remove_table(&self, name: &str) -> bool {
        self.cloud().stand_in().remove_table(name)
    }

    /// Makes a SecureString of Systems Manager.
    pub fn set_parameter(&self, name: &str, value: &str) {
        self.cloud().stand_in().set_parameter(name, value);
    }
}

impl Drop for WorkerCloud {
    fn drop(&mut self) {
        if let Some(cloud) = self.cloud.take() {
            cloud.end();
        }
    }
}
