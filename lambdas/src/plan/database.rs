//! What RDS says of a snapshot, and of the instances that it could become.

use std::collections::BTreeMap;

use aws::CallError;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbClusterSnapshot, DbSnapshot, Tag};
use domain::arn::{RecoveryPointArn, RecoveryPointKind};
use domain::facts::{DatabaseFacts, Facts, Orderable};
use domain::failure::Error;
use domain::planning::database::{Method, method};
use domain::settings::DatabaseSettings;

/// The documentation asks for the type of some snapshots even where they are named.
const KINDS: [Option<&str>; 2] = [None, Some("awsbackup")];
const NOT_FOUND: &[&str] =
    &["DBSnapshotNotFound", "DBSnapshotNotFoundFault", "DBClusterSnapshotNotFoundFault", "DBClusterSnapshotNotFound"];

/// A snapshot by its ARN, and if RDS does not know it so, as one of AWS Backup's.
async fn find<T>(
    arn: &RecoveryPointArn,
    describe: impl AsyncFn(Option<String>) -> Result<Vec<T>, CallError>,
) -> Result<Option<T>, Error> {
    for kind in KINDS {
        match describe(kind.map(str::to_owned)).await {
            Ok(found) => {
                if let Some(found) = found.into_iter().next() {
                    return Ok(Some(found));
                }
            }
            Err(failure) if failure.is(NOT_FOUND) => {}
            Err(failure) => return Err(failure.during(format!("describe the snapshot of {arn}"))),
        }
    }
    Ok(None)
}

/// Adds what RDS says of the snapshot; nothing where RDS does not know it.
pub(super) async fn describe(
    rds: &Client,
    settings: &DatabaseSettings,
    arn: &RecoveryPointArn,
    facts: &mut Facts,
) -> Result<(), Error> {
    let found = match arn.kind() {
        RecoveryPointKind::RdsClusterSnapshot(_) => {
            cluster_snapshot(rds, arn).await?.map(|snapshot| (of_cluster(&snapshot), tags(snapshot.tag_list())))
        }
        RecoveryPointKind::EbsSnapshot(_)
        | RecoveryPointKind::Ec2Image(_)
        | RecoveryPointKind::RdsSnapshot(_)
        | RecoveryPointKind::DynamoDbBackup { .. }
        | RecoveryPointKind::Vaulted(_)
        | RecoveryPointKind::Continuous(_)
        | RecoveryPointKind::Unknown { .. } => {
            snapshot(rds, arn).await?.map(|snapshot| (of_instance(&snapshot), tags(snapshot.tag_list())))
        }
    };
    let Some((database, tags)) = found else {
        return Ok(());
    };
    facts.tags = tags;
    facts.database = Some(database);
    // Only a dump needs an instance. What is refused here is refused by the plan, with the same words.
    if let (Ok(Method::Dump(_)), Some(database)) = (method(arn, facts, settings), &mut facts.database) {
        database.orderable = orderable(rds, settings, &database.engine, &database.engine_version).await?;
    }
    Ok(())
}

async fn snapshot(rds: &Client, arn: &RecoveryPointArn) -> Result<Option<DbSnapshot>, Error> {
    find(arn, async |kind| {
        let call = rds.describe_db_snapshots().db_snapshot_identifier(arn.as_str());
        let output = call.set_snapshot_type(kind).send().await.map_err(|error| CallError::of(&error))?;
        Ok(output.db_snapshots.unwrap_or_default())
    })
    .await
}

async fn cluster_snapshot(rds: &Client, arn: &RecoveryPointArn) -> Result<Option<DbClusterSnapshot>, Error> {
    find(arn, async |kind| {
        let call = rds.describe_db_cluster_snapshots().db_cluster_snapshot_identifier(arn.as_str());
        let output = call.set_snapshot_type(kind).send().await.map_err(|error| CallError::of(&error))?;
        Ok(output.db_cluster_snapshots.unwrap_or_default())
    })
    .await
}

/// The first class of the settings that can be ordered for this version.
async fn orderable(
    rds: &Client,
    settings: &DatabaseSettings,
    engine: &str,
    version: &str,
) -> Result<Vec<Orderable>, Error> {
    for class in &settings.instance_classes {
        let mut options = rds
            .describe_orderable_db_instance_options()
            .engine(engine)
            .engine_version(version)
            .db_instance_class(class)
            .vpc(true)
            .into_paginator()
            .items()
            .send();
        let mut storage_types = Vec::new();
        while let Some(option) = options.next().await {
            let option = option.map_err(|error| {
                CallError::of(&error).during(format!("ask whether {class} can be ordered for {engine} {version}"))
            })?;
            storage_types.push(option.storage_type().unwrap_or_default().to_owned());
        }
        if !storage_types.is_empty() {
            return Ok(vec![Orderable { class: class.clone(), storage_types }]);
        }
    }
    Ok(Vec::new())
}

fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

fn of_instance(snapshot: &DbSnapshot) -> DatabaseFacts {
    DatabaseFacts {
        status: snapshot.status().unwrap_or("unknown").to_owned(),
        is_cluster: false,
        engine: snapshot.engine().unwrap_or_default().to_owned(),
        engine_version: snapshot.engine_version().unwrap_or_default().to_owned(),
        size_gib: size(snapshot.allocated_storage()),
        master_user: snapshot.master_username().unwrap_or_default().to_owned(),
        kms_key_id: snapshot.kms_key_id().map(str::to_owned),
        storage_type: snapshot.storage_type().map(str::to_owned),
        orderable: Vec::new(),
    }
}

fn of_cluster(snapshot: &DbClusterSnapshot) -> DatabaseFacts {
    DatabaseFacts {
        status: snapshot.status().unwrap_or("unknown").to_owned(),
        is_cluster: true,
        engine: snapshot.engine().unwrap_or_default().to_owned(),
        engine_version: snapshot.engine_version().unwrap_or_default().to_owned(),
        size_gib: size(snapshot.allocated_storage()),
        master_user: snapshot.master_username().unwrap_or_default().to_owned(),
        kms_key_id: snapshot.kms_key_id().map(str::to_owned),
        storage_type: snapshot.storage_type().map(str::to_owned),
        orderable: Vec::new(),
    }
}

fn size(gib: Option<i32>) -> u32 {
    gib.and_then(|gib| u32::try_from(gib).ok()).unwrap_or_default()
}
