//! What the claim says of the export that this worker works for.

use domain::claim::Claim;
use domain::failure::Kind;
use domain::plan::{Plan, PlannedVolume};

use crate::config::ExportConfig;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::sink::ObjectSink;

/// A plan, and the volume of it that is this worker's.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) plan: Plan,
    pub(super) volume: PlannedVolume,
}

impl Assignment {
    /// Reads the claim that `config` names. It lies in the bucket of `sink`.
    pub(super) async fn read(config: &ExportConfig, sink: &dyn ObjectSink) -> Result<Option<Self>> {
        let Some((folder, name)) = &config.plan else {
            return Ok(None);
        };
        let key = format!("{}{name}", folder.prefix());
        let claim = sink.read(&key).await?.ok_or_else(|| {
            Error::new(Kind::SourceNotFound, format!("{} does not exist: its execution has ended", sink.locate(&key)))
        })?;
        let claim = Claim::parse(&claim)
            .map_err(|error| Error::caused_by(Kind::InvalidSettings, format!("read {}", sink.locate(&key)), error))?;
        Self::choose(claim.plan, config.volume_key.as_deref(), &config.destination).map(Some)
    }

    fn choose(plan: Plan, key: Option<&str>, destination: &Destination) -> Result<Self> {
        let refuse =
            |why: String| Err(Error::new(Kind::InvalidSettings, format!("the plan of {}: {why}", plan.export_id)));
        let volume = match (key, plan.volumes.as_slice()) {
            (Some(key), volumes) => volumes.iter().find(|volume| volume.key == key),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let Some(volume) = volume.cloned() else {
            let keys: Vec<&str> = plan.volumes.iter().map(|volume| volume.key.as_str()).collect();
            return refuse(format!("--volume-key must be one of {}", keys.join(", ")));
        };
        if destination.prefix() != volume.prefix.as_str() {
            return refuse(format!("{} belongs under {}, and --dest is {destination}", volume.key, volume.prefix));
        }
        Ok(Self { plan, volume })
    }
}
