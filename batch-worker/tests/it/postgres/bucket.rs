//! Dumps into a bucket, by a plan.

use domain::manifest::Manifest;
use domain::plan::Restored;
use local_cloud::{FaultAction, PlainDatabase, When, WorkerCloud};
use support::plan::{CLAIM, PREFIX, claim, plan};
use support::program::{failure, report};

use super::{PASSWORD, World};
use crate::source::{PASSWORD_PARAMETER, database};
use crate::worker::{run, verify};

/// A bucket with the plan of a dump, and the password where the plan says; the worker's arguments.
fn planned(server: &PlainDatabase) -> (WorkerCloud, Vec<String>) {
    let cloud = WorkerCloud::start().unwrap();
    let plan = plan(database(), WorkerCloud::BUCKET, WorkerCloud::OWNER);
    cloud.set_parameter(PASSWORD_PARAMETER, PASSWORD);
    cloud.put_object(CLAIM, claim(plan.clone())).unwrap();
    let restored = Restored::Database { host: "localhost".to_owned(), port: server.port() };
    let command = plan.export_command(&plan.units[0], &restored);
    (cloud, command)
}

#[test]
fn the_plans_own_command_dumps_into_the_bucket_and_is_verified_there() {
    let world = World::new();
    let (cloud, command) = planned(&world.server);
    report(&run(&command, &cloud.environment()));
    let manifest = Manifest::parse(&cloud.object(&format!("{PREFIX}manifest.json")).unwrap(), PREFIX).unwrap();
    assert_eq!(manifest.artifacts.len(), 6);
    let cost = manifest.cost.unwrap();
    assert!(cost.instance_hours > 0.0 && cost.volume_gib_hours > cost.instance_hours);
    assert!(manifest.artifacts.iter().all(|artifact| artifact.index.key.starts_with("catalog/files/")));
    for mode in ["readback", "checksum"] {
        report(&verify(&cloud.environment(), PREFIX, mode));
    }
    assert_eq!(cloud.uploads(), []);
    for key in cloud.keys() {
        let content = cloud.object(&key).unwrap();
        assert!(!content.windows(6).any(|window| window == b"s3cret"), "{key}");
    }
    assert_eq!(report(&run(&command, &cloud.environment()))["alreadyDone"], true);
}

#[test]
fn an_upload_that_fails_ends_the_tools_and_leaves_no_object_and_the_reason() {
    let world = World::new();
    let (cloud, command) = planned(&world.server);
    cloud.fault("CompleteMultipartUpload", When::Always, FaultAction::error(500, "InternalError"));
    let (code, error) = failure(&run(&command, &cloud.environment()));
    assert_eq!(code, 75, "{error}");
    assert_eq!(cloud.uploads(), []);
    let names: Vec<String> = cloud.keys().into_iter().filter(|key| key.starts_with(PREFIX)).collect();
    assert_eq!(names, [format!("{PREFIX}error.json")]);
    world.assert_nothing_is_left();
}
