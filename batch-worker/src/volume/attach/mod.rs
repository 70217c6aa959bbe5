//! The volume on its way to this instance and away from it.
//!
//! [`attach`] leads a volume from whatever state it is in to a block device here, [`Attachment::detach`] leads it back.
//! What to do next is decided by [`step::next_step`], which calls nothing. Which device it is says its NVMe serial
//! number, never its name ([`device`]).

pub mod device;
pub mod identity;
pub mod step;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws::CallError;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use domain::failure::{Error, Kind, Result};
use domain::id::{ExecutionArn, ExportId, VolumeId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::device::DeviceTree;
use self::identity::Instance;
use self::step::{Step, VolumeView, next_step};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two looks.
    pub poll: Duration,
    /// From the first look to the block device. EC2 attaches in seconds; a dead host lets go after minutes.
    pub attach: Duration,
    /// After this a detachment is forced: whatever held the volume is gone.
    pub force_after: Duration,
    /// From the request to the end of the attachment.
    pub detach: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(500),
            attach: Duration::from_mins(10),
            force_after: Duration::from_secs(90),
            detach: Duration::from_mins(3),
        }
    }
}

/// What a volume must be tagged with: the export and the execution that it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The export.
    pub export_id: ExportId,
    pub execution: ExecutionArn,
}

/// What [`attach`] needs to know.
#[derive(Debug)]
pub struct Request<'a> {
    /// The client.
    pub ec2: &'a Client,
    pub volume: &'a VolumeId,
    /// Where this process runs.
    pub instance: &'a Instance,
    /// Whose the volume must be. Without it a volume that is attached elsewhere is left alone.
    pub ownership: Option<&'a Ownership>,
    /// Where devices are looked for.
    pub devices: &'a DeviceTree,
    /// How long things may take.
    pub timing: Timing,
}

/// A volume that is attached here. Detach it explicitly: dropping only warns.
#[derive(Debug)]
pub struct Attachment {
    ec2: Client,
    volume: VolumeId,
    instance: Instance,
    timing: Timing,
    path: PathBuf,
    view: VolumeView,
    detached: bool,
}

/// Attaches a volume to this instance and finds its block device.
///
/// When it fails or is asked to stop, the volume is detached again.
pub async fn attach(request: &Request<'_>, stop: &CancellationToken) -> Result<Attachment> {
    let is_ours = AtomicBool::new(false);
    let work = async {
        let view = lead_here(request, &is_ours).await?;
        let path = await_device(request).await?;
        Ok((view, path))
    };
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::interrupted()),
        result = tokio::time::timeout(request.timing.attach, work) => result.unwrap_or_else(|_| {
            Err(Error::new(
                Kind::Unavailable,
                format!(
                    "attach {} to {}: not done after {} s",
                    request.volume,
                    request.instance.id,
                    request.timing.attach.as_secs()
                ),
            ))
        }),
    };
    match result {
        Ok((view, path)) => {
            tracing::info!(volume = %request.volume, device = %path.display(), "attached");
            Ok(Attachment {
                ec2: request.ec2.clone(),
                volume: request.volume.clone(),
                instance: request.instance.clone(),
                timing: request.timing,
                path,
                view,
                detached: false,
            })
        }
        Err(error) => {
            // Nothing to undo unless it came so far that the volume is or will be ours: somebody else's is left as it
            // is.
            if is_ours.load(Ordering::Relaxed)
                && let Err(consequence) = release(request.ec2, request.volume, request.instance, request.timing).await
            {
                tracing::warn!(error = consequence.chain(), "the volume could not be detached after a failure");
            }
            Err(error)
        }
    }
}

impl Attachment {
    /// The block device.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The volume as it was when it was attached.
    pub fn volume(&self) -> &VolumeView {
        &self.view
    }

    /// Detaches the volume and waits until it is free.
    pub async fn detach(mut self) -> Result<()> {
        self.detached = true;
        release(&self.ec2, &self.volume, &self.instance, self.timing).await
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if !self.detached {
            tracing::warn!(volume = %self.volume, "the volume was left attached");
        }
    }
}

async fn lead_here(request: &Request<'_>, is_ours: &AtomicBool) -> Result<VolumeView> {
    let Request { ec2, volume, instance, timing, .. } = request;
    let mut names = device_names(volume);
    let mut detaching_since = None::<Instant>;
    let mut forced = false;
    loop {
        let view = describe(ec2, volume).await?.ok_or_else(|| missing(volume))?;
        check(&view, request)?;
        if request.ownership.is_some() {
            is_ours.store(true, Ordering::Relaxed);
        } else if !is_ours.load(Ordering::Relaxed) && view.is_attached_to(&instance.id) {
            return Err(Error::new(
                Kind::InvalidSettings,
                format!(
                    "{volume} is attached to this instance already, perhaps in use, and would be detached afterwards: export \
                     its device with `batch-worker device` instead"
                ),
            ));
        }
        let detaching_for = detaching_since.map(|since| since.elapsed());
        match next_step(&view, &instance.id, detaching_for, timing.force_after) {
            Step::Attached => return Ok(view),
            Step::Wait => {}
            Step::Refuse(error) => return Err(error),
            Step::Attach => {
                detaching_since = None;
                let Some(name) = names.next() else {
                    return Err(Error::new(
                        Kind::Unavailable,
                        format!("attach {volume} to {}: no device name is free there", instance.id),
                    ));
                };
                is_ours.store(true, Ordering::Relaxed);
                attach_as(ec2, volume, instance, &name).await?;
            }
            Step::Detach { from, force } => {
                if request.ownership.is_none() {
                    return Err(Error::new(
                        Kind::InvalidSettings,
                        format!("{volume} is attached to {from}: detach it there first"),
                    ));
                }
                detaching_since.get_or_insert_with(Instant::now);
                if !(force && forced) {
                    forced |= force;
                    tracing::info!(%volume, %from, force, "the volume is attached elsewhere: detaching it");
                    request_detachment(ec2, volume, from.as_str(), force).await?;
                }
            }
        }
        tokio::time::sleep(timing.poll).await;
    }
}

/// Refuses a volume of somebody else, and one that this instance cannot reach.
fn check(view: &VolumeView, request: &Request<'_>) -> Result<()> {
    let Request { volume, instance, .. } = request;
    if let Some(owner) = request.ownership {
        for (key, expected) in
            [(domain::tag::EXPORT_ID, owner.export_id.as_str()), (domain::tag::EXECUTION, owner.execution.as_str())]
        {
            match view.tags.get(key) {
                Some(value) if value == expected => {}
                Some(value) => {
                    return Err(refused(format!(
                        "{volume} is tagged {key}={value}, and this export is {expected}: it was made for another one"
                    )));
                }
                None => {
                    return Err(refused(format!("{volume} has no tag {key}: it was not made for this export")));
                }
            }
        }
    }
    if view.availability_zone != instance.availability_zone {
        return Err(refused(format!(
            "{volume} is in {} and this worker in {}: volumes can be attached only within their zone",
            view.availability_zone, instance.availability_zone
        )));
    }
    Ok(())
}

fn refused(what: String) -> Error {
    Error::new(Kind::InvalidSettings, what)
}

fn missing(volume: &VolumeId) -> Error {
    Error::new(Kind::SourceNotFound, format!("{volume} does not exist: it was deleted, or is in another region"))
}

async fn await_device(request: &Request<'_>) -> Result<PathBuf> {
    loop {
        if let Some(path) = request.devices.find(request.volume)? {
            return Ok(path);
        }
        tokio::time::sleep(request.timing.poll).await;
    }
}

async fn describe(ec2: &Client, volume: &VolumeId) -> Result<Option<VolumeView>> {
    let answer = ec2.describe_volumes().volume_ids(volume.as_str()).send().await;
    match answer {
        Ok(answer) => answer.volumes().first().map(VolumeView::try_from).transpose(),
        Err(error) if error.code() == Some("InvalidVolume.NotFound") => Ok(None),
        Err(error) => Err(CallError::of(&error).during(format!("describe {volume}"))),
    }
}

/// Asks for the attachment. A name in use and a state that changed meanwhile are left to the next look.
async fn attach_as(ec2: &Client, volume: &VolumeId, instance: &Instance, name: &str) -> Result<()> {
    let answer =
        ec2.attach_volume().volume_id(volume.as_str()).instance_id(instance.id.as_str()).device(name).send().await;
    let Err(error) = answer else { return Ok(()) };
    let name_in_use = error.code() == Some("InvalidParameterValue")
        && error.message().is_some_and(|message| message.contains("in use"));
    match error.code() {
        _ if name_in_use => {
            tracing::debug!(%volume, name, "the device name is in use: trying the next");
            Ok(())
        }
        // The first answer was lost, or the volume is not quite free yet.
        Some("VolumeInUse" | "IncorrectState") => Ok(()),
        Some("InvalidVolume.NotFound") => Err(missing(volume)),
        Some("AttachmentLimitExceeded") => Err(Error::new(
            Kind::Unavailable,
            format!(
                "attach {volume} to {}: the instance holds as many volumes as its type allows; another host may have room",
                instance.id
            ),
        )),
        _ => Err(CallError::of(&error).during(format!("attach {volume} to {} as {name}", instance.id))),
    }
}

async fn request_detachment(ec2: &Client, volume: &VolumeId, instance: &str, force: bool) -> Result<()> {
    let answer = ec2
        .detach_volume()
        .volume_id(volume.as_str())
        .instance_id(instance)
        .set_force(force.then_some(true))
        .send()
        .await;
    match answer {
        Ok(_) => Ok(()),
        // Detached meanwhile, or detaching already.
        Err(error)
            if matches!(
                error.code(),
                Some("IncorrectState" | "InvalidAttachment.NotFound" | "InvalidVolume.NotFound")
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(CallError::of(&error).during(format!("detach {volume} from {instance}"))),
    }
}

/// Detaches the volume from this instance, if it is attached, and waits until it is not.
async fn release(ec2: &Client, volume: &VolumeId, instance: &Instance, timing: Timing) -> Result<()> {
    let started = Instant::now();
    let mut asked = false;
    let mut forced = false;
    loop {
        let attached = describe(ec2, volume).await?.is_some_and(|view| view.is_attached_to(&instance.id));
        if !attached {
            return Ok(());
        }
        let force = started.elapsed() > timing.force_after;
        if !asked || (force && !forced) {
            request_detachment(ec2, volume, instance.id.as_str(), force).await?;
            asked = true;
            forced = force;
        }
        if started.elapsed() > timing.detach {
            return Err(Error::new(
                Kind::Unavailable,
                format!("detach {volume} from {}: still attached after {} s", instance.id, timing.detach.as_secs()),
            ));
        }
        tokio::time::sleep(timing.poll).await;
    }
}

/// The names that EC2 recommends for data volumes, from a place that depends on the volume, so that two workers of one
/// host rarely try the same. On Nitro the name means nothing else.
fn device_names(volume: &VolumeId) -> impl Iterator<Item = String> + use<> {
    let names: Vec<String> = ('f'..='p')
        .map(|letter| format!("/dev/sd{letter}"))
        .chain(('b'..='c').flat_map(|first| ('a'..='z').map(move |second| format!("/dev/xvd{first}{second}"))))
        .collect();
    let start = volume.as_str().bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
        % names.len();
    let count = names.len();
    names.into_iter().cycle().skip(start).take(count)
}
