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
    xml.text("DBInstanceIdentifier", &instance.resource.id)
        .text("DBInstanceArn", &instance.resource.arn)
        .text("DbiResourceId", &instance.resource.resource_id)
        .text("DBInstanceClass", &instance.class)
        .text("Engine", instance.resource.engine)
        .text("EngineVersion", &instance.resource.engine_version)
        .text("LicenseModel", instance.resource.engine.license())
        .text("DBInstanceStatus", &instance.resource.status)
        .text("MasterUsername", &instance.resource.master_user)
        .text("AvailabilityZone", &instance.zone)
        .text("InstanceCreateTime", &instance.resource.created)
        .text("AllocatedStorage", instance.resource.allocated_storage_gib)
        .text("StorageType", &instance.resource.storage_type)
        .text("StorageEncrypted", instance.resource.kms_key_arn.is_some())
        .optional("KmsKeyId", instance.resource.kms_key_arn.as_ref())
        .optional("DBClusterIdentifier", instance.cluster.as_ref())
        .text("BackupRetentionPeriod", instance.resource.backup_retention_days)
        .text("DeletionProtection", instance.resource.deletion_protection)
        .text("PubliclyAccessible", instance.publicly_accessible)
        .text("MultiAZ", instance.multi_az)
        .text("DbInstancePort", 0)
        .text("CACertificateIdentifier", "rds-ca-rsa2048-g1")
        .text("IAMDatabaseAuthenticationEnabled", false);
    // RDS tells the endpoint only when there is one.
    if let Some(port) = instance.resource.port {
        xml.element("Endpoint", |xml| {
            xml.text("Address", HOST).text("Port", port).text("HostedZoneId", "Z2R2ITUGPM61AM");
        });
    }
    if let Some(name) = &instance.resource.subnet_group {
        xml.element("DBSubnetGroup", |xml| {
            xml.text("DBSubnetGroupName", name).text("SubnetGroupStatus", "Complete");
        });
    }
    if let Some(name) = &instance.resource.parameter_group {
        xml.list("DBParameterGroups", "DBParameterGroup", [name], |xml, name| {
            xml.text("DBParameterGroupName", name).text("ParameterApplyStatus", "in-sync");
        });
    }
    security_groups(xml, &instance.resource.security_groups);
    pending_password(xml, instance.resource.pending_passwords);
    xml.tag_list(&instance.resource.tags);
}

/// The fields of a `DBCluster`.
pub(super) fn cluster(xml: &mut Xml, cluster: &Cluster, members: &[&Instance]) {
    xml.text("DBClusterIdentifier", &cluster.resource.id)
        .text("DBClusterArn", &cluster.resource.arn)
        .text("DbClusterResourceId", &cluster.resource.resource_id)
        .text("Engine", cluster.resource.engine)
        .text("EngineVersion", &cluster.resource.engine_version)
        .text("EngineMode", "provisioned")
        .text("Status", &cluster.resource.status)
        .text("MasterUsername", &cluster.resource.master_user)
        .text("ClusterCreateTime", &cluster.resource.created)
        .text("AllocatedStorage", 1)
        .text("StorageType", &cluster.resource.storage_type)
        .text("StorageEncrypted", cluster.resource.kms_key_arn.is_some())
        .optional("KmsKeyId", cluster.resource.kms_key_arn.as_ref())
        .text("BackupRetentionPeriod", cluster.resource.backup_retention_days)
        .text("DeletionProtection", cluster.resource.deletion_protection)
        .text("MultiAZ", false)
        // A cluster has an endpoint from the start, at which nobody answers before a member does.
        .text("Endpoint", HOST)
        .text("ReaderEndpoint", HOST)
        .text("Port", cluster.resource.port.unwrap_or(cluster.resource.engine.usual_port()))
        .text("HostedZoneId", "Z2R2ITUGPM61AM")
        .optional("DBSubnetGroup", cluster.resource.subnet_group.as_ref())
        .optional("DBClusterParameterGroup", cluster.resource.parameter_group.as_ref());
    if let Some((least, most)) = &cluster.serverless {
        xml.element("ServerlessV2ScalingConfiguration", |xml| {
            xml.text("MinCapacity", least).text("MaxCapacity", most);
        });
    }
    xml.texts("AvailabilityZones", "AvailabilityZone", &cluster.zones);
    xml.list("DBClusterMembers", "DBClusterMember", members.iter().enumerate(), |xml, (number, member)| {
        xml.text("DBInstanceIdentifier", &member.resource.id)
            .text("IsClusterWriter", number == 0)
            .text("DBClusterParameterGroupStatus", "in-sync")
            .text("PromotionTier", 1);
    });
    security_groups(xml, &cluster.resource.security_groups);
    pending_password(xml, cluster.resource.pending_passwords);
    xml.tag_list(&cluster.resource.tags);
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
        id: instance.resource.id.clone(),
        arn: instance.resource.arn.clone(),
        engine: instance.resource.engine,
        status: instance.resource.status.clone(),
        tags: instance.resource.tags.clone(),
        zone: instance.zone.clone(),
        class: instance.class.clone(),
        cluster: instance.cluster.clone(),
        port: instance.resource.port,
        password_pending: instance.resource.pending_passwords > 0,
        publicly_accessible: instance.publicly_accessible,
        subnet_group: instance.resource.subnet_group.clone(),
        security_groups: instance.resource.security_groups.clone(),
        storage_type: instance.resource.storage_type.clone(),
        backup_retention_days: instance.resource.backup_retention_days,
        deletion_protection: instance.resource.deletion_protection,
    }
}

pub(super) fn cluster_view(cluster: &Cluster, members: &[&Instance]) -> DatabaseClusterView {
    DatabaseClusterView {
        id: cluster.resource.id.clone(),
        arn: cluster.resource.arn.clone(),
        engine: cluster.resource.engine,
        status: cluster.resource.status.clone(),
        tags: cluster.resource.tags.clone(),
        members: members.iter().map(|member| member.resource.id.clone()).collect(),
        port: cluster.resource.port,
        password_pending: cluster.resource.pending_passwords > 0,
        subnet_group: cluster.resource.subnet_group.clone(),
        security_groups: cluster.resource.security_groups.clone(),
        storage_type: cluster.resource.storage_type.clone(),
        backup_retention_days: cluster.resource.backup_retention_days,
        deletion_protection: cluster.resource.deletion_protection,
    }
}
