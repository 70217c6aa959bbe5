//! Instances, clusters and snapshots as RDS describes them.

use super::cluster::Cluster;
use super::instance::Instance;
use super::snapshot::Snapshot;
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
    xml.text("DBInstanceIdentifier", &instance.id)
        .text("DBInstanceArn", &instance.arn)
        .text("DbiResourceId", &instance.resource_id)
        .text("DBInstanceClass", &instance.class)
        .text("Engine", instance.engine)
        .text("EngineVersion", &instance.engine_version)
        .text("LicenseModel", instance.engine.license())
        .text("DBInstanceStatus", &instance.status)
        .text("MasterUsername", &instance.master_user)
        .text("AvailabilityZone", &instance.zone)
        .text("InstanceCreateTime", &instance.created)
        .text("AllocatedStorage", instance.allocated_storage_gib)
        .text("StorageType", &instance.storage_type)
        .text("StorageEncrypted", instance.kms_key_arn.is_some())
        .optional("KmsKeyId", instance.kms_key_arn.as_ref())
        .optional("DBClusterIdentifier", instance.cluster.as_ref())
        .text("BackupRetentionPeriod", instance.backup_retention_days)
        .text("DeletionProtection", instance.deletion_protection)
        .text("PubliclyAccessible", instance.publicly_accessible)
        .text("MultiAZ", instance.multi_az)
        .text("DbInstancePort", 0)
        .text("CACertificateIdentifier", "rds-ca-rsa2048-g1")
        .text("IAMDatabaseAuthenticationEnabled", false);
    // RDS tells the endpoint only when there is one.
    if let Some(port) = instance.port {
        xml.element("Endpoint", |xml| {
            xml.text("Address", HOST).text("Port", port).text("HostedZoneId", "Z2R2ITUGPM61AM");
        });
    }
    if let Some(name) = &instance.subnet_group {
        xml.element("DBSubnetGroup", |xml| {
            xml.text("DBSubnetGroupName", name).text("SubnetGroupStatus", "Complete");
        });
    }
    if let Some(name) = &instance.parameter_group {
        xml.list("DBParameterGroups", "DBParameterGroup", [name], |xml, name| {
            xml.text("DBParameterGroupName", name).text("ParameterApplyStatus", "in-sync");
        });
    }
    security_groups(xml, &instance.security_groups);
    pending_password(xml, instance.pending_passwords);
    xml.tag_list(&instance.tags);
}

/// The fields of a `DBCluster`.
pub(super) fn cluster(xml: &mut Xml, cluster: &Cluster, members: &[&Instance]) {
    xml.text("DBClusterIdentifier", &cluster.id)
        .text("DBClusterArn", &cluster.arn)
        .text("DbClusterResourceId", &cluster.resource_id)
        .text("Engine", cluster.engine)
        .text("EngineVersion", &cluster.engine_version)
        .text("EngineMode", "provisioned")
        .text("Status", &cluster.status)
        .text("MasterUsername", &cluster.master_user)
        .text("ClusterCreateTime", &cluster.created)
        .text("AllocatedStorage", 1)
        .text("StorageType", &cluster.storage_type)
        .text("StorageEncrypted", cluster.kms_key_arn.is_some())
        .optional("KmsKeyId", cluster.kms_key_arn.as_ref())
        .text("BackupRetentionPeriod", cluster.backup_retention_days)
        .text("DeletionProtection", cluster.deletion_protection)
        .text("MultiAZ", false)
        // A cluster has an endpoint from the start, at which nobody answers before a member does.
        .text("Endpoint", HOST)
        .text("ReaderEndpoint", HOST)
        .text("Port", cluster.port.unwrap_or(cluster.engine.usual_port()))
        .text("HostedZoneId", "Z2R2ITUGPM61AM")
        .optional("DBSubnetGroup", cluster.subnet_group.as_ref())
        .optional("DBClusterParameterGroup", cluster.parameter_group.as_ref());
    if let Some((least, most)) = &cluster.serverless {
        xml.element("ServerlessV2ScalingConfiguration", |xml| {
            xml.text("MinCapacity", least).text("MaxCapacity", most);
        });
    }
    xml.texts("AvailabilityZones", "AvailabilityZone", &cluster.zones);
    xml.list("DBClusterMembers", "DBClusterMember", members.iter().enumerate(), |xml, (number, member)| {
        xml.text("DBInstanceIdentifier", &member.id)
            .text("IsClusterWriter", number == 0)
            .text("DBClusterParameterGroupStatus", "in-sync")
            .text("PromotionTier", 1);
    });
    security_groups(xml, &cluster.security_groups);
    pending_password(xml, cluster.pending_passwords);
    xml.tag_list(&cluster.tags);
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
        id: instance.id.clone(),
        arn: instance.arn.clone(),
        engine: instance.engine,
        status: instance.status.clone(),
        tags: instance.tags.clone(),
        zone: instance.zone.clone(),
        class: instance.class.clone(),
        cluster: instance.cluster.clone(),
        port: instance.port,
        password_pending: instance.pending_passwords > 0,
        publicly_accessible: instance.publicly_accessible,
        subnet_group: instance.subnet_group.clone(),
        security_groups: instance.security_groups.clone(),
        storage_type: instance.storage_type.clone(),
        backup_retention_days: instance.backup_retention_days,
        deletion_protection: instance.deletion_protection,
    }
}

pub(super) fn cluster_view(cluster: &Cluster, members: &[&Instance]) -> DatabaseClusterView {
    DatabaseClusterView {
        id: cluster.id.clone(),
        arn: cluster.arn.clone(),
        engine: cluster.engine,
        status: cluster.status.clone(),
        tags: cluster.tags.clone(),
        members: members.iter().map(|member| member.id.clone()).collect(),
        port: cluster.port,
        password_pending: cluster.pending_passwords > 0,
        subnet_group: cluster.subnet_group.clone(),
        security_groups: cluster.security_groups.clone(),
        storage_type: cluster.storage_type.clone(),
        backup_retention_days: cluster.backup_retention_days,
        deletion_protection: cluster.deletion_protection,
    }
}
