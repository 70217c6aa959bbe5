//! Instances, clusters and snapshots as RDS describes them.

use super::state::{Cluster, Instance, Snapshot};
use crate::engine::DatabaseEngine;
use crate::observe::{DatabaseClusterView, DatabaseView};
use crate::wire::Xml;

const HOST: &str = "127.0.0.1";

fn security_groups(xml: &mut Xml, groups: &[String]) {
    xml.list("VpcSecurityGroups", "VpcSecurityGroupMembership", groups, |xml, group| {
        xml.text("VpcSecurityGroupId", group).text("Status", "active");
    });
}

fn pending_password(xml: &mut Xml, pending: u32) {
    xml.element("PendingModifiedValues", |xml| {
        xml.optional("MasterUserPassword", (pending > 0).then_some("****"));
    });
}

/// The fields of a `DBInstance`.
pub(super) fn instance(xml: &mut Xml, instance: &Instance) {
    xml.text("DBInstanceIdentifier", &instance.database.id)
        .text("DBInstanceArn", &instance.database.arn)
        .text("DbiResourceId", &instance.database.resource_id)
        .text("DBInstanceClass", &instance.class)
        .text("Engine", instance.database.engine)
        .text("EngineVersion", &instance.database.engine_version)
        .text("LicenseModel", instance.database.engine.license())
        .text("DBInstanceStatus", &instance.database.status)
        .text("MasterUsername", &instance.database.master_user)
        .text("AvailabilityZone", &instance.zone)
        .text("InstanceCreateTime", &instance.database.created)
        .text("AllocatedStorage", instance.database.allocated_storage_gib)
        .text("StorageType", &instance.database.storage_type)
        .text("StorageEncrypted", instance.database.kms_key_arn.is_some())
        .optional("KmsKeyId", instance.database.kms_key_arn.as_ref())
        .optional("DBClusterIdentifier", instance.cluster.as_ref())
        .text("BackupRetentionPeriod", instance.database.backup_retention_days)
        .text("DeletionProtection", instance.database.deletion_protection)
        .text("PubliclyAccessible", instance.publicly_accessible)
        .text("MultiAZ", instance.multi_az)
        .text("DbInstancePort", 0)
        .text("CACertificateIdentifier", "rds-ca-rsa2048-g1")
        .text("IAMDatabaseAuthenticationEnabled", false);
    // RDS tells the endpoint only when there is one.
    if let Some(port) = instance.database.port {
        xml.element("Endpoint", |xml| {
            xml.text("Address", HOST).text("Port", port).text("HostedZoneId", "Z2R2ITUGPM61AM");
        });
    }
    if let Some(name) = &instance.database.subnet_group {
        xml.element("DBSubnetGroup", |xml| {
            xml.text("DBSubnetGroupName", name).text("SubnetGroupStatus", "Complete");
        });
    }
    if let Some(name) = &instance.database.parameter_group {
        xml.list("DBParameterGroups", "DBParameterGroup", [name], |xml, name| {
            xml.text("DBParameterGroupName", name).text("ParameterApplyStatus", "in-sync");
        });
    }
    security_groups(xml, &instance.database.security_groups);
    pending_password(xml, instance.database.pending_passwords);
    xml.tag_list(&instance.database.tags);
}

/// The fields of a `DBCluster`.
pub(super) fn cluster(xml: &mut Xml, cluster: &Cluster, members: &[&Instance]) {
    xml.text("DBClusterIdentifier", &cluster.database.id)
        .text("DBClusterArn", &cluster.database.arn)
        .text("DbClusterResourceId", &cluster.database.resource_id)
        .text("Engine", cluster.database.engine)
        .text("EngineVersion", &cluster.database.engine_version)
        .text("EngineMode", "provisioned")
        .text("Status", &cluster.database.status)
        .text("MasterUsername", &cluster.database.master_user)
        .text("ClusterCreateTime", &cluster.database.created)
        .text("AllocatedStorage", 1)
        .text("StorageType", &cluster.database.storage_type)
        .text("StorageEncrypted", cluster.database.kms_key_arn.is_some())
        .optional("KmsKeyId", cluster.database.kms_key_arn.as_ref())
        .text("BackupRetentionPeriod", cluster.database.backup_retention_days)
        .text("DeletionProtection", cluster.database.deletion_protection)
        .text("MultiAZ", false)
        // A cluster has an endpoint from the start, at which nobody answers before a member does.
        .text("Endpoint", HOST)
        .text("ReaderEndpoint", HOST)
        .text("Port", cluster.database.port.unwrap_or(cluster.database.engine.usual_port()))
        .text("HostedZoneId", "Z2R2ITUGPM61AM")
        .optional("DBSubnetGroup", cluster.database.subnet_group.as_ref())
        .optional("DBClusterParameterGroup", cluster.database.parameter_group.as_ref());
    if let Some((least, most)) = &cluster.serverless {
        xml.element("ServerlessV2ScalingConfiguration", |xml| {
            xml.text("MinCapacity", least).text("MaxCapacity", most);
        });
    }
    xml.texts("AvailabilityZones", "AvailabilityZone", &cluster.zones);
    xml.list("DBClusterMembers", "DBClusterMember", members.iter().enumerate(), |xml, (number, member)| {
        xml.text("DBInstanceIdentifier", &member.database.id)
            .text("IsClusterWriter", number == 0)
            .text("DBClusterParameterGroupStatus", "in-sync")
            .text("PromotionTier", 1);
    });
    security_groups(xml, &cluster.database.security_groups);
    pending_password(xml, cluster.database.pending_passwords);
    xml.tag_list(&cluster.database.tags);
}

/// What a `DBSnapshot` and a `DBClusterSnapshot` have in common.
fn common(xml: &mut Xml, snapshot: &Snapshot) {
    xml.text("SnapshotType", snapshot.kind)
        .text("SnapshotCreateTime", &snapshot.created)
        .text("Engine", snapshot.engine)
        .text("EngineVersion", &snapshot.engine_version)
        .text("LicenseModel", snapshot.engine.license())
        .text("Status", "available")
        .text("AllocatedStorage", snapshot.allocated_storage_gib)
        .text("MasterUsername", &snapshot.master_user)
        .text("Port", snapshot.engine.usual_port())
        .text("StorageType", &snapshot.storage_type)
        .optional("KmsKeyId", snapshot.kms_key_arn.as_ref())
        .text("PercentProgress", 100)
        .text("VpcId", "vpc-00000000000000000")
        .text("IAMDatabaseAuthenticationEnabled", false);
    xml.tag_list(&snapshot.tags);
}

/// The fields of a `DBSnapshot`.
pub(super) fn snapshot(xml: &mut Xml, snapshot: &Snapshot, zone: &str) {
    xml.text("DBSnapshotIdentifier", &snapshot.id)
        .text("DBSnapshotArn", &snapshot.arn)
        .text("DBInstanceIdentifier", &snapshot.source)
        .text("InstanceCreateTime", &snapshot.created)
        .text("AvailabilityZone", zone)
        .text("Encrypted", snapshot.kms_key_arn.is_some());
    common(xml, snapshot);
}

/// The fields of a `DBClusterSnapshot`.
pub(super) fn cluster_snapshot(xml: &mut Xml, snapshot: &Snapshot, zones: &[String]) {
    xml.text("DBClusterSnapshotIdentifier", &snapshot.id)
        .text("DBClusterSnapshotArn", &snapshot.arn)
        .text("DBClusterIdentifier", &snapshot.source)
        .text("ClusterCreateTime", &snapshot.created)
        .text("EngineMode", "provisioned")
        .text("StorageEncrypted", snapshot.kms_key_arn.is_some());
    xml.texts("AvailabilityZones", "AvailabilityZone", zones);
    common(xml, snapshot);
}

/// The fields of an `OrderableDBInstanceOption`.
pub(super) fn orderable(
    xml: &mut Xml,
    engine: DatabaseEngine,
    version: &str,
    class: &str,
    storage_type: &str,
    zones: &[String],
) {
    xml.text("Engine", engine)
        .text("EngineVersion", version)
        .text("DBInstanceClass", class)
        .text("LicenseModel", engine.license())
        .text("StorageType", storage_type)
        .text("Vpc", true)
        .text("MultiAZCapable", !engine.is_aurora())
        .text("SupportsStorageEncryption", true);
    xml.list("AvailabilityZones", "AvailabilityZone", zones, |xml, zone| {
        xml.text("Name", zone);
    });
}

pub(super) fn instance_view(instance: &Instance) -> DatabaseView {
    DatabaseView {
        id: instance.database.id.clone(),
        arn: instance.database.arn.clone(),
        engine: instance.database.engine,
        status: instance.database.status.clone(),
        tags: instance.database.tags.clone(),
        zone: instance.zone.clone(),
        class: instance.class.clone(),
        cluster: instance.cluster.clone(),
        port: instance.database.port,
        password_pending: instance.database.pending_passwords > 0,
        publicly_accessible: instance.publicly_accessible,
        subnet_group: instance.database.subnet_group.clone(),
        security_groups: instance.database.security_groups.clone(),
        storage_type: instance.database.storage_type.clone(),
        backup_retention_days: instance.database.backup_retention_days,
        deletion_protection: instance.database.deletion_protection,
    }
}

pub(super) fn cluster_view(cluster: &Cluster, members: &[&Instance]) -> DatabaseClusterView {
    DatabaseClusterView {
        id: cluster.database.id.clone(),
        arn: cluster.database.arn.clone(),
        engine: cluster.database.engine,
        status: cluster.database.status.clone(),
        tags: cluster.database.tags.clone(),
        members: members.iter().map(|member| member.database.id.clone()).collect(),
        port: cluster.database.port,
        password_pending: cluster.database.pending_passwords > 0,
        subnet_group: cluster.database.subnet_group.clone(),
        security_groups: cluster.database.security_groups.clone(),
        storage_type: cluster.database.storage_type.clone(),
        backup_retention_days: cluster.database.backup_retention_days,
        deletion_protection: cluster.database.deletion_protection,
    }
}
