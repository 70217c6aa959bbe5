//! Which instance classes can be had for which engine, version and zone.

use super::instance::invalid_combination;
use crate::engine::DatabaseEngine;
use crate::gateway::Shared;
use crate::options::OrderableClass;
use crate::wire::ApiError;

/// The storage types of an engine's instances.
pub(super) fn storage_types(engine: DatabaseEngine) -> &'static [&'static str] {
    if engine.is_aurora() { &["aurora", "aurora-iopt1"] } else { &["gp2", "gp3", "io1"] }
}

impl OrderableClass {
    fn covers(&self, engine: DatabaseEngine, version: &str) -> bool {
        let of_major = |major: &String| {
            version.strip_prefix(major.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        (self.engines.is_empty() || self.engines.contains(&engine))
            && (self.major_versions.is_empty() || self.major_versions.iter().any(of_major))
    }

    fn is_in(&self, zone: &str) -> bool {
        self.zones.is_empty() || self.zones.iter().any(|each| each == zone)
    }
}

/// The classes of an engine and version, each with its zones.
pub(super) fn options<'a>(
    shared: &'a Shared,
    engine: DatabaseEngine,
    version: &str,
    class: Option<&str>,
) -> Vec<(&'a OrderableClass, Vec<String>)> {
    let zones = shared.options.availability_zones();
    let classes = shared.options.databases.classes.iter();
    classes
        .filter(|each| class.is_none_or(|class| each.name == class) && each.covers(engine, version))
        .map(|each| (each, zones.iter().filter(|zone| each.is_in(zone)).cloned().collect()))
        .collect()
}

/// Refuses a class that cannot be ordered.
pub(super) fn check(
    shared: &Shared,
    class: &str,
    engine: DatabaseEngine,
    version: &str,
    zone: &str,
) -> Result<(), ApiError> {
    if options(shared, engine, version, Some(class)).iter().any(|(_, zones)| zones.iter().any(|each| each == zone)) {
        return Ok(());
    }
    Err(invalid_combination(format!(
        "RDS does not support creating a DB instance with the following combination: DBInstanceClass={class}, Engine={engine}, EngineVersion={version}, AvailabilityZone={zone}."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_covers_the_versions_of_its_major_versions() {
        let class = OrderableClass {
            major_versions: vec!["15".to_owned()],
            ..OrderableClass::new("db.t4g.micro", &[DatabaseEngine::Postgres])
        };
        assert!(class.covers(DatabaseEngine::Postgres, "15.8"));
        assert!(!class.covers(DatabaseEngine::Postgres, "150.1"));
        assert!(!class.covers(DatabaseEngine::Postgres, "11.22"));
        assert!(!class.covers(DatabaseEngine::Mariadb, "15.8"));
    }
}
