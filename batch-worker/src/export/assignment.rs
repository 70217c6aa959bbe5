//! What the claim says of the export that this worker works for.

use domain::claim::Claim;
use domain::failure::{Error, Kind, Result};
use domain::plan::{Plan, Unit};
use store::Folder;
use store::write::ObjectSink;

use crate::config::Place;

/// A plan, and the unit of it that is this worker's.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) plan: Plan,
    pub(crate) unit: Unit,
}

impl Assignment {
    /// Reads the claim that `place` names. It lies in the bucket of `sink`.
    pub(crate) async fn read(place: &Place, sink: &dyn ObjectSink) -> Result<Option<Self>> {
        let Some((folder, name)) = &place.plan else {
            return Ok(None);
        };
        let key = format!("{}{name}", folder.prefix());
        let claim = sink.read(&key).await?.ok_or_else(|| {
            Error::new(Kind::SourceNotFound, format!("{} does not exist: its execution has ended", sink.locate(&key)))
        })?;
        let claim = Claim::parse(&claim)
            .map_err(|error| Error::caused_by(Kind::InvalidSettings, format!("read {}", sink.locate(&key)), error))?;
        Self::choose(claim.plan, place.unit_key.as_deref(), &place.destination).map(Some)
    }

    fn choose(plan: Plan, key: Option<&str>, destination: &Folder) -> Result<Self> {
        let refuse =
            |why: String| Err(Error::new(Kind::InvalidSettings, format!("the plan of {}: {why}", plan.export_id)));
        let unit = match (key, plan.units.as_slice()) {
            (Some(key), _) => plan.unit(key),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let Some(unit) = unit.cloned() else {
            let keys: Vec<&str> = plan.units.iter().map(|unit| unit.key.as_str()).collect();
            return refuse(format!("--unit-key must be one of {}", keys.join(", ")));
        };
        if destination.prefix() != unit.prefix.as_str() {
            return refuse(format!("{} belongs under {}, and --dest is {destination}", unit.key, unit.prefix));
        }
        Ok(Self { plan, unit })
    }
}
