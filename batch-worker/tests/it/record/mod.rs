//! Exports that AWS itself wrote: checked, listed, verified, and every lie in them found.

mod snapshot;
mod table;

use std::process::Output;

use domain::manifest::Manifest;
use domain::plan::{Plan, Restored};
use domain::source::Source;
use local_cloud::WorkerCloud;
use support::plan::{CLAIM, PREFIX, claim, plan};
use support::program::failure;

use crate::source::restored;
use crate::worker::{run, verify};

/// A bucket with an export, and the plan by which it was asked for.
struct World {
    cloud: WorkerCloud,
    plan: Plan,
    /// What the keys begin with that AWS wrote.
    objects: String,
}

/// What is done to an export that was right.
type Lie = Box<dyn Fn(&World)>;

impl World {
    fn new(source: Source) -> Self {
        let Restored::Objects { prefix } = restored(&source) else { panic!("AWS does not export {source:?}") };
        let plan = plan(source, WorkerCloud::BUCKET, WorkerCloud::OWNER);
        let world = Self { cloud: WorkerCloud::start().unwrap(), plan, objects: prefix };
        world.claim();
        world
    }

    /// Puts the claim of the plan into the bucket.
    fn claim(&self) {
        self.cloud.put_object(CLAIM, claim(self.plan.clone())).unwrap();
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.objects)
    }

    /// Puts an object of the export; gives its entity tag.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        self.cloud.put_object(&self.key(name), content).unwrap()
    }

    fn remove(&self, name: &str) {
        self.cloud.remove_object(&self.key(name)).unwrap();
    }

    fn record(&self) -> Output {
        let restored = Restored::Objects { prefix: self.objects.clone() };
        run(&self.plan.export_command(&self.plan.units[0], &restored), &self.cloud.environment())
    }

    fn verify(&self, mode: &str) -> Output {
        verify(&self.cloud.environment(), PREFIX, mode)
    }

    fn manifest(&self) -> Manifest {
        Manifest::parse(&self.cloud.object(&format!("{PREFIX}manifest.json")).unwrap(), PREFIX).unwrap()
    }

    /// The error of a record that must fail, and leave no manifest.
    fn refused(&self) -> (i32, String) {
        let failure = failure(&self.record());
        assert_eq!(self.cloud.object(&format!("{PREFIX}manifest.json")), None, "a manifest was written");
        failure
    }
}
