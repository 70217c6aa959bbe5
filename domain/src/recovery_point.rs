//! The facts of a recovery point, as AWS Backup and EC2 describe it: in the plan, in the claim and in every manifest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arn::RecoveryPointArn;
use crate::id::{AccountId, ImageId, Region, VaultName};

/// A recovery point and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryPoint {
    pub arn: RecoveryPointArn,
    /// The vault in which it lies.
    pub vault_name: VaultName,
    /// The ARN of the resource that was backed up. The resource itself may be gone.
    pub resource_arn: String,
    /// AWS Backup's name of the resource's type: `EBS`, `EC2`.
    pub resource_type: String,
    /// The resource's own name: a volume or instance id.
    pub resource_id: String,
    /// When the backup was made.
    pub created_at: Timestamp,
    /// The account of the resource, or of the vault where the resource's ARN has none.
    pub account_id: AccountId,
    /// The Region of the recovery point.
    pub region: Region,
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The recovery point's own tags, which need not be the resource's.
    pub tags: BTreeMap<String, String>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The size that AWS Backup reports.
    pub size_bytes: Option<u64>,
    /// What the AMI of an EC2 recovery point says of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// The machine of an EC2 recovery point: what is needed to build it again around its disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The AMI.
    pub image_id: ImageId,
    /// `x86_64`, `arm64`.
    pub architecture: Option<String>,
    /// `legacy-bios`, `uefi`, `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// Device name of the root volume.
    pub root_device_name: Option<String>,
    /// `windows`, or absent for anything else.
    pub platform: Option<String>,
    /// Whether enhanced networking (ENA) was on.
    pub ena_support: Option<bool>,
    /// `v2.0` when the image asks for a TPM.
    pub tpm_support: Option<String>,
    /// Block devices that have no snapshot (instance store), by device name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ephemeral_devices: Vec<String>,
}
