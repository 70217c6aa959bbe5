//! Volumes and their attachments. An attached volume shows as a link and a serial number, as EBS volumes do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Response;
use http_body_util::Full;

use super::{Answer, Call, INSTANCE, State, ZONE, error, form};

#[derive(Debug, Clone)]
pub(crate) struct FakeVolume {
    pub(crate) state: String,
    pub(crate) zone: String,
    pub(crate) size_gib: u32,
    pub(crate) tags: BTreeMap<String, String>,
    /// Instance, attachment state, and how many looks until it changes.
    pub(crate) attachment: Option<(String, String, u32)>,
    /// Whether only force ends its attachment.
    pub(crate) stuck: bool,
    /// The disk.
    pub(crate) image: PathBuf,
}

impl FakeVolume {
    pub(crate) fn new(image: impl Into<PathBuf>) -> Self {
        Self {
            state: "available".to_owned(),
            zone: ZONE.to_owned(),
            size_gib: 1,
            tags: BTreeMap::new(),
            attachment: None,
            stuck: false,
            image: image.into(),
        }
    }

    pub(crate) fn attached_to(mut self, instance: &str) -> Self {
        "in-use".clone_into(&mut self.state);
        self.attachment = Some((instance.to_owned(), "attached".to_owned(), 0));
        self
    }

    pub(crate) fn tagged(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }
}

impl State {
    pub(super) fn ec2(&mut self, operation: &str, call: &Call) -> Answer {
        let form = form(&call.body);
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let id = match operation {
            "DescribeVolumes" => field("VolumeId.1"),
            _ => field("VolumeId"),
        };
        let Some(mut volume) = self.volumes.get(&id).cloned() else {
            return error(operation, 400, "InvalidVolume.NotFound", "the volume does not exist");
        };
        let answer = match operation {
            "DescribeVolumes" => {
                self.age(&id, &mut volume);
                describe(&id, &volume)
            }
            "AttachVolume" if volume.state != "available" => {
                error(operation, 400, "VolumeInUse", "the volume is in use")
            }
            "AttachVolume" if self.names_in_use.contains(&field("Device")) => error(
                operation,
                400,
                "InvalidParameterValue",
                "Invalid value for unixDevice. Attachment point is already in use",
            ),
            "AttachVolume" => {
                "in-use".clone_into(&mut volume.state);
                volume.attachment = Some((field("InstanceId"), "attaching".to_owned(), 1));
                answer("AttachVolumeResponse", "<status>attaching</status>")
            }
            _ => {
                let force = field("Force") == "true";
                match &mut volume.attachment {
                    Some((instance, state, looks)) if *instance == field("InstanceId") => {
                        "detaching".clone_into(state);
                        *looks = if volume.stuck && !force { u32::MAX } else { 1 };
                        answer("DetachVolumeResponse", "<status>detaching</status>")
                    }
                    _ => error(operation, 400, "IncorrectState", "the volume is not attached"),
                }
            }
        };
        self.volumes.insert(id, volume);
        answer
    }

    /// Attachments come and go while they are looked at.
    fn age(&self, id: &str, volume: &mut FakeVolume) {
        let Some((instance, state, looks)) = &mut volume.attachment else {
            return;
        };
        if *looks > 0 {
            *looks -= u32::from(*looks != u32::MAX);
            return;
        }
        match state.as_str() {
            "attaching" => {
                "attached".clone_into(state);
                if instance == INSTANCE {
                    self.plug_in(id, &volume.image);
                }
            }
            "detaching" => {
                if instance == INSTANCE {
                    self.pull_out(id);
                }
                "available".clone_into(&mut volume.state);
                volume.attachment = None;
            }
            _ => {}
        }
    }

    fn link(&self, id: &str) -> PathBuf {
        let serial = id.replacen('-', "", 1);
        self.dev_by_id.join(format!("nvme-Amazon_Elastic_Block_Store_{serial}"))
    }

    fn plug_in(&self, id: &str, image: &PathBuf) {
        let name = image.file_name().unwrap();
        let directory = self.sysfs.join("class/block").join(name).join("device");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("serial"), id.replacen('-', "", 1)).unwrap();
        std::os::unix::fs::symlink(image, self.link(id)).unwrap();
    }

    fn pull_out(&self, id: &str) {
        let _ = std::fs::remove_file(self.link(id));
    }
}

fn answer(root: &str, content: &str) -> Answer {
    let body = format!(
        "<{root} xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>{content}</{root}>"
    );
    Response::new(Full::new(body.into()))
}

fn describe(id: &str, volume: &FakeVolume) -> Answer {
    let attachment = volume.attachment.as_ref().map_or(String::new(), |(instance, state, _)| {
        format!("<item><volumeId>{id}</volumeId><instanceId>{instance}</instanceId><status>{state}</status></item>")
    });
    let tags: String = volume
        .tags
        .iter()
        .fold(String::new(), |text, (key, value)| format!("{text}<item><key>{key}</key><value>{value}</value></item>"));
    answer(
        "DescribeVolumesResponse",
        &format!(
            "<volumeSet><item><volumeId>{id}</volumeId><size>{}</size><status>{}</status>\
             <availabilityZone>{}</availabilityZone><createTime>2026-11-21T00:00:00Z</createTime>\
             <attachmentSet>{attachment}</attachmentSet><tagSet>{tags}</tagSet></item></volumeSet>",
            volume.size_gib, volume.state, volume.zone
        ),
    )
}
