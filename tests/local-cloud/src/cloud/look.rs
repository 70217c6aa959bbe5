//! What tests see of a running cloud, and what they break in it: volumes, objects, messages, and what is left.

use std::path::Path;

use super::LocalCloud;
use crate::ec2;
use crate::error::{Error, Result};
use crate::observe::{DeadLetter, JobView, Leftovers, Message, StoredObject, Upload, VolumeView};

impl LocalCloud {
    /// All volumes that are not deleted.
    pub fn volumes(&self) -> Vec<VolumeView> {
        self.shared.ec2.views()
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
        self.shared.s3.store.truncate(bucket, key, size)
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
        })
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
