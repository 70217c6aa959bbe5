import type { Installation } from "../installation.js";
import { describing, type Conditions, type Permission } from "../permission.js";
import type { Grants } from "./grants.js";

/** Volumes, of EBS snapshots and AMIs. */
export function volumeGrants(installation: Installation): Grants {
  const { created, creating } = installation;
  const volumes = [installation.arn("ec2", "volume", "*")];
  const hosts: Permission = {
    actions: ["ec2:DetachVolume"],
    resources: [installation.arn("ec2", "instance", "*")],
    conditions: installation.hosts,
  };
  const snapshots = installation.sharedArn("snapshot");
  const images = installation.sharedArn("image");
  return {
    recoveryPoints: [snapshots, images],
    plan: [describing("ec2:DescribeSnapshots", "ec2:DescribeImages")],
    startRestore: [
      { actions: ["ec2:CreateVolume"], resources: volumes, conditions: creating },
      {
        actions: ["ec2:CreateVolume"],
        resources: [snapshots],
        why: "a snapshot that is only read: which one, the recovery point says",
      },
      {
        actions: ["ec2:CreateTags"],
        resources: volumes,
        conditions: { StringEquals: { "ec2:CreateAction": "CreateVolume" } },
      },
      ...installation.sourceKeys("ec2", [
        "kms:DescribeKey",
        "kms:Decrypt",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:CreateGrant",
      ]),
    ],
    checkRestore: [describing("ec2:DescribeVolumes")],
    exporter: [
      describing("ec2:DescribeVolumes"),
      { actions: ["ec2:AttachVolume", "ec2:DetachVolume"], resources: volumes, conditions: created },
      { ...hosts, actions: ["ec2:AttachVolume", "ec2:DetachVolume"] },
      ...installation.sourceKeys("ec2", ["kms:CreateGrant"]),
    ],
    verifier: [],
    cleanup: [
      describing("ec2:DescribeVolumes"),
      { actions: ["ec2:DetachVolume", "ec2:DeleteVolume"], resources: volumes, conditions: created },
      hosts,
    ],
    reaper: [],
    deletion: deletion(installation, snapshots, images),
  };
}

function deletion({ settings }: Installation, snapshots: string, images: string): Permission[] {
  const tag = settings.deletion.onlyTagged;
  // AWS Backup puts this tag on every snapshot and image that it makes, and nobody else can.
  const conditions: Conditions =
    tag === undefined
      ? { Null: { "aws:ResourceTag/aws:backup:source-resource": "false" } }
      : { StringEquals: { [`aws:ResourceTag/${tag}`]: "true" } };
  return [
    { actions: ["ec2:DeleteSnapshot"], resources: [snapshots], conditions },
    { actions: ["ec2:DeregisterImage"], resources: [images], conditions },
  ];
}
