//! What tests see of a running cloud, and what they break in it: volumes, objects, messages, and what is left.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::LocalCloud;
use crate::error::{Error, Result};
use crate::moto::MotoClient;
use crate::observe::{
    DatabaseClusterView, DatabaseView, DeadLetter, JobView, Leftovers, Message, StoredObject, TableView, Upload,
    VolumeView,
};
use crate::wire::ApiError;
use crate::{dynamodb, ec2, rds};

impl LocalCloud {
    /// All volumes that are not deleted.
    pub fn volumes(&self) -> Vec<VolumeView> {
        self.shared.ec2.views()
    }

    /// All database instances that are not gone.
    pub fn databases(&self) -> Vec<DatabaseView> {
        self.shared.rds.views()
    }

    /// All database clusters that are not gone.
    pub fn database_clusters(&self) -> Vec<DatabaseClusterView> {
        self.shared.rds.cluster_views()
    }

    /// The states that a database instance or cluster has been in, oldest first, also of one that is gone.
    pub fn database_history(&self, id: &str) -> Vec<String> {
        self.shared.rds.history(id)
    }

    /// The certificate that clients of restored databases trust, in PEM. It is there once a database was added.
    pub fn database_certificate(&self) -> PathBuf {
        rds::certificate(&self.shared.directory)
    }

    /// Makes reads of a volume fail with EIO from this byte on: at once if it is attached, else when it will be.
    pub fn break_volume(&self, volume_id: &str, from_byte: u64) -> Result<()> {
        let found = self.shared.ec2.break_volume(volume_id, from_byte);
        found.then_some(()).ok_or_else(|| Error::Missing { kind: "volume", name: volume_id.to_owned() })
    }

    /// Makes reads of every volume that will be made of this snapshot fail with EIO from this byte on.
    pub fn break_snapshot(&self, snapshot_id: &str, from_byte: u64) -> Result<()> {
        let found = self.shared.ec2.break_snapshot(snapshot_id, from_byte);
        found.then_some(()).ok_or_else(|| Error::Missing { kind: "snapshot", name: snapshot_id.to_owned() })
    }

    /// The objects of a bucket whose keys start with a prefix, by key.
    pub fn objects(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>> {
        self.shared.s3.store.list(bucket, prefix)
    }

    /// The bytes of a (small) object.
    pub fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        self.shared.s3.store.bytes(bucket, key)
    }

    /// Flips a bit of a stored object's byte and tells nobody: the recorded checksums stay.
    pub fn flip_byte(&self, bucket: &str, key: &str, offset: u64) -> Result<()> {
        self.shared.s3.store.flip_byte(bucket, key, offset)
    }

    /// Cuts a stored (small) object short; its recorded checksums stay.
    pub fn truncate_object(&self, bucket: &str, key: &str, size: u64) -> Result<()> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.shared.s3.store.spoil(bucket, key, |bytes| bytes.truncate(size))
    }

    /// Changes the bytes of a stored (small) object; its entity tag and its recorded checksums stay.
    pub fn spoil_object(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.shared.s3.store.spoil(bucket, key, change)
    }

    /// Gives a stored object another entity tag; its bytes and its recorded checksums stay.
    pub fn set_object_etag(&self, bucket: &str, key: &str, etag: &str) -> Result<()> {
        self.shared.s3.store.set_etag(bucket, key, etag)
    }

    /// Puts an object, replacing what is there, as a service of AWS does; gives its entity tag, without quotes.
    pub fn put_object(&self, bucket: &str, key: &str, bytes: &[u8]) -> Result<String> {
        self.shared.s3.store.write(bucket, key, bytes)
    }

    /// Removes an object.
    pub fn remove_object(&self, bucket: &str, key: &str) -> Result<()> {
        self.shared.s3.store.remove(bucket, key)
    }

    /// Unfinished uploads of all buckets.
    pub fn uploads(&self) -> Vec<Upload> {
        self.shared.s3.store.uploads()
    }

    /// What exists that an export should not leave behind.
    pub fn leftovers(&self) -> Result<Leftovers> {
        let volumes = self.volumes();
        let loops = ec2::loops_below(&self.shared.directory);
        let mountinfo = Path::new("/proc/self/mountinfo");
        let mounts = std::fs::read_to_string(mountinfo).map_err(Error::file("read", mountinfo))?;
        let ours = |line: &&str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let below = fields.get(4).is_some_and(|path| Path::new(path).starts_with(&self.shared.directory));
            let of_loop = loops.iter().any(|device| {
                let device = device.display().to_string();
                fields.iter().any(|field| {
                    *field == device || field.strip_prefix(&device).is_some_and(|rest| rest.starts_with('p'))
                })
            });
            below || of_loop
        };
        let unfinished = |job: &JobView| !["SUCCEEDED", "FAILED"].contains(&job.status.as_str());
        Ok(Leftovers {
            attachments: volumes
                .iter()
                .filter_map(|volume| Some(format!("{}@{}", volume.id, volume.attachment.as_ref()?.0)))
                .collect(),
            volumes: volumes.into_iter().map(|volume| volume.id).collect(),
            mounts: mounts.lines().filter(ours).map(str::to_owned).collect(),
            loop_devices: loops.into_iter().map(|device| device.display().to_string()).collect(),
            uploads: self.uploads().into_iter().map(|upload| format!("{}/{}", upload.bucket, upload.key)).collect(),
            jobs: self
                .jobs()
                .into_iter()
                .filter(unfinished)
                .map(|job| format!("{} ({})", job.name, job.status))
                .collect(),
            executions: self.shared.states.running(),
            tables: self.shared.dynamodb.restored(),
            table_exports: self.shared.dynamodb.unfinished_exports(),
            export_tasks: self.shared.snapshot_exports.running(),
            databases: self.databases().iter().map(|each| format!("{} ({})", each.id, each.status)).collect(),
            database_clusters: self
                .database_clusters()
                .iter()
                .map(|each| format!("{} ({})", each.id, each.status))
                .collect(),
            parameter_groups: self.shared.rds.parameter_groups(),
            database_backups: self.shared.rds.own_backups(),
            parameters: if self.shared.options.moto { self.parameters()? } else { Vec::new() },
        })
    }

    /// All tables of DynamoDB, with their tags.
    pub async fn tables(&self) -> Result<Vec<TableView>> {
        let failed = |error: ApiError| Error::Call {
            operation: "a list of the tables".to_owned(),
            message: format!("{}: {}", error.code, error.message),
        };
        dynamodb::views(&self.shared).await.map_err(failed)
    }

    /// What a parameter of Systems Manager holds.
    pub async fn parameter_value(&self, name: &str) -> Result<String> {
        let request = json!({"Name": name, "WithDecryption": true});
        let (moto, names) = (&self.shared.moto, &self.shared.names);
        let answer = moto.call_json(names, "local", "ssm", "AmazonSSM.GetParameter", &request).await?;
        Ok(answer["Parameter"]["Value"].as_str().unwrap_or_default().to_owned())
    }

    /// The names of all parameters of Systems Manager, which moto keeps.
    fn parameters(&self) -> Result<Vec<String>> {
        let failed = |message: String| Error::Call { operation: "DescribeParameters".to_owned(), message };
        let (url, names) = (self.shared.moto.url().to_owned(), self.shared.names.clone());
        // A thread and a client of its own, because the caller need not be asynchronous and its runtime may have one thread.
        let ask = move || -> Result<Vec<String>> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| failed(error.to_string()))?;
            runtime.block_on(async {
                let client = MotoClient::new(&url);
                let mut found = Vec::new();
                let mut request = json!({"MaxResults": 50});
                loop {
                    let page =
                        client.call_json(&names, "local", "ssm", "AmazonSSM.DescribeParameters", &request).await?;
                    let list = page["Parameters"].as_array().cloned().unwrap_or_default();
                    found.extend(list.iter().filter_map(|each| Some(each["Name"].as_str()?.to_owned())));
                    match page["NextToken"].as_str() {
                        Some(token) => request["NextToken"] = json!(token),
                        None => return Ok(found),
                    }
                }
            })
        };
        let asked = std::thread::spawn(ask).join();
        asked.map_err(|_| Error::Call {
            operation: "DescribeParameters".to_owned(),
            message: "it panicked".to_owned(),
        })?
    }

    /// What was published to topics, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.topics.messages()
    }

    /// What could not be delivered, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.shared.dead_letters.all()
    }
}
