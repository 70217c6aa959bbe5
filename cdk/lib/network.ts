import { Stack, Validations } from "aws-cdk-lib";
import {
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
  type IVpc,
} from "aws-cdk-lib/aws-ec2";
import { AnyPrincipal, Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { Installation } from "./installation.js";
import type { NetworkSettings } from "./settings/index.js";
import type { Storage } from "./storage.js";
import { temporaryTables } from "./tables.js";

/** A subnet that hosts of the worker are in, and its zone: EBS volumes are attached within one zone alone. */
export interface WorkerSubnet {
  readonly subnetId: string;
  readonly availabilityZone: string;
}

export interface NetworkProps {
  readonly installation: Installation;
  readonly storage: Storage;
  /** Makes the group of rejected connections, where there is a network of our own. */
  readonly flowLog: () => ILogGroup;
}

/** The services that a host and the worker on it call, beside S3; for passwords of databases Systems Manager too. */
const SERVICES = {
  Ecr: InterfaceVpcEndpointAwsService.ECR,
  EcrDocker: InterfaceVpcEndpointAwsService.ECR_DOCKER,
  Ecs: InterfaceVpcEndpointAwsService.ECS,
  EcsAgent: InterfaceVpcEndpointAwsService.ECS_AGENT,
  EcsTelemetry: InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
  Ec2: InterfaceVpcEndpointAwsService.EC2,
  Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
} as const;

/** Where the worker's hosts are. Nothing may connect to them, in any mode. */
export class Network extends Construct {
  readonly subnets: readonly WorkerSubnet[];
  readonly securityGroup: SecurityGroup;
  readonly vpc: IVpc;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    const { network: settings } = props.installation.settings;
    const vpc =
      settings.mode === "existing" ? this.imported(settings) : this.created(settings.mode, settings.cidr, props);
    this.subnets =
      settings.mode === "existing"
        ? settings.subnets
        : [...vpc.publicSubnets, ...vpc.privateSubnets, ...vpc.isolatedSubnets]
            .filter((subnet) => settings.mode !== "nat" || vpc.privateSubnets.includes(subnet))
            .map(({ subnetId, availabilityZone }) => ({ subnetId, availabilityZone }));
    this.vpc = vpc;
    this.securityGroup = new SecurityGroup(this, "Workers", {
      vpc,
      description: "Hosts of the export worker: HTTPS out, nothing in",
      allowAllOutbound: false,
    });
    this.securityGroup.connections.allowToAnyIpv4(Port.tcp(443), "AWS services");
  }

  /** Its subnets are known by their ids alone, and nothing but the security group asks for it. */
  private imported(settings: Extract<NetworkSettings, { mode: "existing" }>): IVpc {
    return Vpc.fromVpcAttributes(this, "Vpc", {
      vpcId: settings.vpcId,
      availabilityZones: settings.subnets.map((subnet) => subnet.availabilityZone),
    });
  }

  private created(mode: "endpoints" | "nat" | "public", cidr: string, props: NetworkProps): IVpc {
    const zones = Stack.of(this).availabilityZones.length;
    const isPublic = { name: "public", subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: mode === "public" };
    const subnets = {
      endpoints: [{ name: "isolated", subnetType: SubnetType.PRIVATE_ISOLATED }],
      nat: [isPublic, { name: "private", subnetType: SubnetType.PRIVATE_WITH_EGRESS }],
      public: [isPublic],
    }[mode];
    const vpc = new Vpc(this, "Vpc", {
      ipAddresses: IpAddresses.cidr(cidr),
      maxAzs: zones,
      natGateways: mode === "nat" ? 1 : 0,
      subnetConfiguration: subnets,
      // It would need a Lambda of its own; nothing is in the default group.
      restrictDefaultSecurityGroup: false,
    });
    for (const subnet of [...vpc.publicSubnets, ...vpc.privateSubnets, ...vpc.isolatedSubnets]) {
      Validations.of(subnet).acknowledge({
        id: "CloudFormation-Validate::W3010",
        reason: "Zones stand in the template only where the user named them",
      });
    }
    vpc.addFlowLog("Rejected", {
      destination: FlowLogDestination.toCloudWatchLogs(props.flowLog()),
      trafficType: FlowLogTrafficType.REJECT,
    });
    this.addS3(vpc, props.storage);
    if (props.installation.exportsTables) {
      this.addDynamoDb(vpc, props.installation);
    }
    if (mode === "endpoints") {
      this.addServices(vpc, props.installation);
    }
    return vpc;
  }

  /** Free, and the only way to S3 where there is no other. Leaves through it: our bucket, and layers of images. */
  private addS3(vpc: Vpc, storage: Storage): void {
    const { partition, region, account } = Stack.of(this);
    const endpoint = vpc.addGatewayEndpoint("S3", { service: GatewayVpcEndpointAwsService.S3 });
    endpoint.addToPolicy(
      new PolicyStatement({
        sid: "Exports",
        effect: Effect.ALLOW,
        // An account named as principal of a gateway endpoint means its root user alone.
        principals: [new AnyPrincipal()],
        actions: ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
        resources: [storage.bucket.bucketArn, storage.bucket.arnForObjects("*")],
        conditions: { StringEquals: { "aws:PrincipalAccount": account } },
      }),
    );
    endpoint.addToPolicy(
      new PolicyStatement({
        sid: "ImageLayers",
        effect: Effect.ALLOW,
        // ECR hands out signed links in its own name.
        principals: [new AnyPrincipal()],
        actions: ["s3:GetObject"],
        resources: [`arn:${partition}:s3:::prod-${region}-starport-layer-bucket/*`],
      }),
    );
  }

  /** Free as well. The worker counts what is in the tables that exports make. */
  private addDynamoDb(vpc: Vpc, installation: Installation): void {
    const endpoint = vpc.addGatewayEndpoint("DynamoDb", { service: GatewayVpcEndpointAwsService.DYNAMODB });
    endpoint.addToPolicy(
      new PolicyStatement({
        sid: "TemporaryTables",
        effect: Effect.ALLOW,
        principals: [new AnyPrincipal()],
        actions: ["dynamodb:DescribeTable", "dynamodb:Scan"],
        resources: [temporaryTables(installation)],
        conditions: { StringEquals: { "aws:PrincipalAccount": installation.stack.account } },
      }),
    );
  }

  private addServices(vpc: Vpc, installation: Installation): void {
    const group = new SecurityGroup(this, "Endpoints", {
      vpc,
      description: "Endpoints of AWS services: HTTPS from the network",
      allowAllOutbound: false,
    });
    group.addIngressRule(Peer.ipv4(vpc.vpcCidrBlock), Port.tcp(443), "Hosts of the worker");
    Validations.of(group).acknowledge({
      id: "AwsSolutions-EC23",
      reason: "The rule cannot read the range, which is that of the network itself",
    });
    const services = { ...SERVICES, ...(installation.exportsDatabases && { Ssm: InterfaceVpcEndpointAwsService.SSM }) };
    for (const [name, service] of Object.entries(services)) {
      vpc.addInterfaceEndpoint(name, { service, securityGroups: [group], open: false });
    }
  }
}
