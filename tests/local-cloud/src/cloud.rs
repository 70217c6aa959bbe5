//! The services of the cloud, each of which is handed what it needs: the context, and the services that it calls
//! itself.
//!
//! No file imports a file that imports it back. What services say to each other goes one way: a service holds the ones
//! that it calls, and the gateway, which knows them all, routes requests to them.

use std::sync::Arc;

use crate::backup::Backup;
use crate::batch::Batch;
use crate::context::Context;
use crate::dead_letter::DeadLetters;
use crate::dynamodb::Dynamodb;
use crate::ec2::Ec2;
use crate::event::Events;
use crate::lambda::Lambda;
use crate::rds::Rds;
use crate::s3;
use crate::snapshot_export::SnapshotExports;
use crate::stand_in::StandIn;
use crate::states::States;
use crate::topic::Topics;

/// All services.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) context: Arc<Context>,
    pub(crate) s3: s3::Endpoint,
    pub(crate) ec2: Arc<Ec2>,
    pub(crate) rds: Arc<Rds>,
    pub(crate) snapshot_exports: Arc<SnapshotExports>,
    pub(crate) dynamodb: Arc<Dynamodb>,
    pub(crate) backup: Arc<Backup>,
    pub(crate) batch: Arc<Batch>,
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) events: Arc<Events>,
    pub(crate) states: Arc<States>,
    pub(crate) topics: Topics,
    pub(crate) dead_letters: Arc<DeadLetters>,
    /// In the place of moto, when that does not run.
    pub(crate) stand_in: StandIn,
}

impl Cloud {
    pub(crate) fn new(context: Context) -> Self {
        let context = Arc::new(context);
        let root = context.directory.join("s3");
        let s3 = s3::Endpoint::new(root, &context.names, context.options.strict_uploads);
        let store = &s3.store;
        let dead_letters = Arc::new(DeadLetters::default());
        let ec2 = Arc::new(Ec2::new(&context));
        let rds = Arc::new(Rds::new(&context));
        let snapshot_exports = Arc::new(SnapshotExports::new(&context, store, &rds));
        let dynamodb = Arc::new(Dynamodb::new(&context, store));
        let events = Arc::new(Events::new(&context, &dead_letters));
        Self {
            backup: Arc::new(Backup::new(&context, &ec2, &dynamodb, &rds)),
            batch: Arc::new(Batch::new(&context, &ec2, rds.certificate())),
            lambda: Arc::new(Lambda::new(&context, &dead_letters)),
            states: Arc::new(States::new(&context, &events)),
            topics: Topics::new(&context),
            stand_in: StandIn::default(),
            s3,
            ec2,
            rds,
            snapshot_exports,
            dynamodb,
            events,
            dead_letters,
            context,
        }
    }
}
