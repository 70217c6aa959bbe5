import { Duration, Stack } from "aws-cdk-lib";
import { CfnComputeEnvironment, CfnJobDefinition, CfnJobQueue } from "aws-cdk-lib/aws-batch";
import {
  BlockDeviceVolume,
  CfnLaunchTemplate,
  EbsDeviceVolumeType,
  LaunchTemplate,
  LaunchTemplateHttpTokens,
} from "aws-cdk-lib/aws-ec2";
import { DockerImageAsset, Platform } from "aws-cdk-lib/aws-ecr-assets";
import { CfnInstanceProfile, ServicePrincipal, type Role } from "aws-cdk-lib/aws-iam";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { INSTALLATION_TAG, type Installation } from "./installation.js";
import type { Network, WorkerSubnet } from "./network.js";
import { all, type Grants } from "./grants/index.js";
import { role, type Permission } from "./permission.js";
import { ecrAddress } from "./settings/index.js";
import { projectRoot } from "./source.js";
import type { Storage } from "./storage.js";

export interface ComputeProps {
  readonly installation: Installation;
  readonly storage: Storage;
  readonly network: Network;
  readonly grants: readonly Grants[];
  readonly log: ILogGroup;
}

/** A queue whose hosts are all in one zone. */
export interface ZoneQueue {
  readonly availabilityZone: string;
  readonly arn: string;
}

/**
 * A job definition by its name. An execution that a deployment overtakes finds the newest revision; the one it began
 * with is gone by then.
 */
export interface NamedJobDefinition {
  readonly name: string;
  /** Of all its revisions, for permissions. */
  readonly arns: readonly string[];
}

/** Where the worker runs: for each zone a queue, hosts that come and go with its jobs, and what a job is. */
export class Compute extends Construct {
  readonly queues: readonly ZoneQueue[];
  readonly exportJobDefinition: NamedJobDefinition;
  readonly verifyJobDefinition: NamedJobDefinition;

  private readonly props: ComputeProps;

  constructor(scope: Construct, id: string, props: ComputeProps) {
    super(scope, id);
    this.props = props;
    const image = this.image();
    const hosts = new Hosts(this, "Hosts", props, image.pull);
    this.queues = props.network.subnets.map((subnet, index) => this.queue(hosts, subnet, index));
    const { exporter, verifier } = this.roles();
    this.exportJobDefinition = this.jobDefinition("export", image.uri, exporter, true);
    this.verifyJobDefinition = this.jobDefinition("verify", image.uri, verifier, false);
  }

  /** Built at deploy from the worker's Dockerfile, unless an image is named. */
  private image(): { readonly uri: string; readonly pull: readonly string[] } {
    const { compute } = this.props.installation.settings;
    if (compute.workerImage !== undefined) {
      // Other registries than ECR ask for no permission of ours.
      const at = ecrAddress(compute.workerImage);
      const pull = at
        ? [
            Stack.of(this).formatArn({
              service: "ecr",
              account: at.account,
              region: at.region,
              resource: "repository",
              resourceName: at.repository,
            }),
          ]
        : [];
      return { uri: compute.workerImage, pull };
    }
    const asset = new DockerImageAsset(this, "Image", {
      directory: projectRoot,
      file: "batch-worker/Dockerfile",
      platform: compute.architecture === "arm64" ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64,
    });
    return { uri: asset.imageUri, pull: [asset.repository.repositoryArn] };
  }

  private queue(hosts: Hosts, subnet: WorkerSubnet, index: number): ZoneQueue {
    const { spot } = this.props.installation.settings.compute;
    const onDemand = hosts.environment(this, `OnDemand${index}`, subnet, "EC2");
    const environments = spot ? [hosts.environment(this, `Spot${index}`, subnet, "SPOT"), onDemand] : [onDemand];
    const queue = new CfnJobQueue(this, `Queue${index}`, {
      priority: 1,
      state: "ENABLED",
      computeEnvironmentOrder: environments.map((environment, order) => ({
        order: order + 1,
        computeEnvironment: environment.attrComputeEnvironmentArn,
      })),
      // A job that no host can ever hold would wait for the state machine's timeout, which is days.
      jobStateTimeLimitActions: [
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
      ].map((reason) => ({
        action: "CANCEL",
        maxTimeSeconds: Duration.minutes(30).toSeconds(),
        reason,
        state: "RUNNABLE",
      })),
    });
    return { availabilityZone: subnet.availabilityZone, arn: queue.attrJobQueueArn };
  }

  private roles(): { readonly exporter: Role; readonly verifier: Role } {
    const { storage, grants } = this.props;
    const principal = new ServicePrincipal("ecs-tasks.amazonaws.com");
    const exporter = role(this, "ExportRole", principal, "The worker that exports", [
      storage.listing,
      { actions: ["s3:GetObject"], resources: storage.objects("claims/*", "data/*", "catalog/files/*") },
      { actions: ["s3:PutObject", "s3:AbortMultipartUpload"], resources: storage.objects("data/*", "catalog/files/*") },
      storage.encryption,
      ...all(grants, "exporter"),
    ]);
    const verifier = role(this, "VerifyRole", principal, "The worker that reads an export back", [
      storage.listing,
      { actions: ["s3:GetObject"], resources: storage.objects("data/*", "catalog/files/*") },
      { actions: ["s3:PutObject"], resources: storage.objects("data/*/error.json") },
      storage.encryption,
      ...all(grants, "verifier"),
    ]);
    return { exporter, verifier };
  }

  private jobDefinition(name: string, image: string, jobRole: Role, attaches: boolean): NamedJobDefinition {
    const { installation, log } = this.props;
    const { compute } = installation.settings;
    const stack = Stack.of(this);
    const jobDefinitionName = `${installation.name}-${name}`;
    new CfnJobDefinition(this, name, {
      jobDefinitionName,
      type: "container",
      platformCapabilities: ["EC2"],
      propagateTags: true,
      containerProperties: {
        image,
        command: ["--help"],
        jobRoleArn: jobRole.roleArn,
        // Mounting needs it. The one that only reads S3 does not get it.
        privileged: attaches,
        readonlyRootFilesystem: true,
        resourceRequirements: [
          { type: "VCPU", value: String(compute.jobVcpus) },
          { type: "MEMORY", value: String(compute.jobMemoryMib) },
        ],
        linuxParameters: { initProcessEnabled: true },
        environment: [
          { name: "AWS_REGION", value: stack.region },
          { name: "TMPDIR", value: "/scratch" },
        ],
        // A volume without a host path is Docker's own and goes with the container.
        volumes: [{ name: "scratch", host: {} }, ...(attaches ? [{ name: "dev", host: { sourcePath: "/dev" } }] : [])],
        mountPoints: [
          { sourceVolume: "scratch", containerPath: "/scratch", readOnly: false },
          ...(attaches ? [{ sourceVolume: "dev", containerPath: "/dev", readOnly: false }] : []),
        ],
        logConfiguration: {
          logDriver: "awslogs",
          options: { "awslogs-group": log.logGroupName, "awslogs-region": stack.region, "awslogs-stream-prefix": name },
        },
      },
      retryStrategy: retryStrategy(compute.spot),
      timeout: { attemptDurationSeconds: Duration.hours(compute.exportTimeoutHours).toSeconds() },
    });
    const arn = installation.arn("batch", "job-definition", jobDefinitionName);
    return { name: jobDefinitionName, arns: [arn, `${arn}:*`] };
  }
}

/**
 * Another try helps when the host was taken away, the worker was killed, or S3 or EC2 were out of order (75), and only
 * then.
 */
function retryStrategy(spot: boolean): CfnJobDefinition.RetryStrategyProperty {
  return {
    attempts: spot ? 5 : 3,
    evaluateOnExit: [
      { onStatusReason: "Host EC2*", action: "RETRY" },
      ...["75", "137", "143"].map((onExitCode) => ({ onExitCode, action: "RETRY" })),
      // What no rule matches is retried: end the list, which Batch limits to five.
      { onReason: "*", action: "EXIT" },
    ],
  };
}

/** EC2 instances that Batch starts for jobs and ends after them. */
class Hosts extends Construct {
  private readonly props: ComputeProps;
  private readonly launchTemplate: LaunchTemplate;
  private readonly profile: CfnInstanceProfile;

  constructor(scope: Construct, id: string, props: ComputeProps, pull: readonly string[]) {
    super(scope, id);
    this.props = props;
    const { compute } = props.installation.settings;
    this.launchTemplate = new LaunchTemplate(this, "LaunchTemplate", {
      // The container's network is one hop behind the host's.
      httpTokens: LaunchTemplateHttpTokens.REQUIRED,
      httpPutResponseHopLimit: 2,
      blockDevices: [
        {
          deviceName: "/dev/xvda",
          volume: BlockDeviceVolume.ebs(compute.rootDiskGib, {
            encrypted: true,
            volumeType: EbsDeviceVolumeType.GP3,
            deleteOnTermination: true,
          }),
        },
      ],
    });
    const hostRole = role(
      this,
      "Role",
      new ServicePrincipal("ec2.amazonaws.com"),
      "Hosts of the worker: the ECS agent, and images and logs of containers",
      hostPermissions(props, pull),
    );
    this.profile = new CfnInstanceProfile(this, "Profile", { roles: [hostRole.roleName] });
  }

  environment(scope: Construct, name: string, subnet: WorkerSubnet, type: "EC2" | "SPOT"): CfnComputeEnvironment {
    const { installation, network } = this.props;
    const { compute } = installation.settings;
    const template = this.launchTemplate.node.defaultChild as CfnLaunchTemplate;
    return new CfnComputeEnvironment(scope, name, {
      type: "MANAGED",
      state: "ENABLED",
      // Batch's own service-linked role; with it hosts can be replaced without replacing the environment.
      replaceComputeEnvironment: false,
      updatePolicy: { terminateJobsOnUpdate: false, jobExecutionTimeoutMinutes: 360 },
      computeResources: {
        type,
        allocationStrategy: type === "SPOT" ? "SPOT_PRICE_CAPACITY_OPTIMIZED" : "BEST_FIT_PROGRESSIVE",
        minvCpus: 0,
        maxvCpus: Math.max(compute.jobVcpus, Math.floor(compute.maxVcpus / network.subnets.length)),
        instanceTypes: [...compute.instanceTypes],
        subnets: [subnet.subnetId],
        securityGroupIds: [network.securityGroup.securityGroupId],
        instanceRole: this.profile.attrArn,
        ec2Configuration: [{ imageType: "ECS_AL2023" }],
        launchTemplate: { launchTemplateId: template.ref, version: template.attrLatestVersionNumber },
        updateToLatestImageVersion: true,
        tags: {
          ...installation.settings.tags,
          Name: `${installation.name}-worker`,
          [INSTALLATION_TAG]: installation.name,
        },
      },
    });
  }
}

function hostPermissions(props: ComputeProps, pull: readonly string[]): Permission[] {
  const { installation, log } = props;
  const cluster = {
    actions: [
      "ecs:RegisterContainerInstance",
      "ecs:DeregisterContainerInstance",
      "ecs:SubmitAttachmentStateChanges",
      "ecs:SubmitContainerStateChange",
      "ecs:SubmitTaskStateChange",
    ],
  };
  const why = "Batch names its ECS clusters itself: the environment's name, Batch, and something random";
  return [
    { ...cluster, resources: [installation.arn("ecs", "cluster", "*Batch*")], why },
    {
      actions: ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"],
      resources: [installation.arn("ecs", "container-instance", "*Batch*/*")],
      why,
    },
    {
      actions: ["ecs:DiscoverPollEndpoint", "ecr:GetAuthorizationToken"],
      resources: ["*"],
      why: "the service has no resource-level permission for it",
    },
    ...(pull.length > 0
      ? [
          {
            actions: ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            resources: pull,
          },
        ]
      : []),
    {
      // The agent may tag itself in the call by which it joins its cluster.
      actions: ["ecs:TagResource"],
      resources: [
        installation.arn("ecs", "cluster", "*Batch*"),
        installation.arn("ecs", "container-instance", "*Batch*/*"),
      ],
      conditions: { StringEquals: { "ecs:CreateAction": "RegisterContainerInstance" } },
    },
    { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [log.logGroupArn] },
  ];
}
