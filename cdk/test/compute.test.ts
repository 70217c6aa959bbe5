import { Match } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { environmentOf, template } from "./template.js";
import { VARIANTS } from "./variants.js";

/** Where the worker runs, and what it reaches from there. */

describe("network", () => {
  test("has endpoints and no way to the Internet unless asked for", () => {
    const made = template();
    made.resourceCountIs("AWS::EC2::InternetGateway", 0);
    made.resourceCountIs("AWS::EC2::NatGateway", 0);
    made.resourceCountIs("AWS::EC2::VPCEndpoint", 8);
    made.resourceCountIs("AWS::EC2::Subnet", 2);
  });

  test("with a NAT gateway has one, and workers in private subnets", () => {
    const made = template({ network: { mode: "nat" } });
    made.resourceCountIs("AWS::EC2::NatGateway", 1);
    made.resourceCountIs("AWS::EC2::VPCEndpoint", 1);
    made.resourceCountIs("AWS::Batch::JobQueue", 2);
    made.hasResourceProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: { Subnets: [{ Ref: Match.stringLikeRegexp("private") }] },
    });
  });

  test("in public subnets costs nothing and lets nothing in", () => {
    const made = template(VARIANTS.public);
    made.resourceCountIs("AWS::EC2::NatGateway", 0);
    made.resourceCountIs("AWS::Batch::JobQueue", 3);
    made.resourceCountIs("AWS::EC2::SecurityGroupIngress", 0);
    made.allResourcesProperties("AWS::EC2::SecurityGroup", { SecurityGroupIngress: Match.absent() });
    made.hasResourceProperties("AWS::EC2::Subnet", { MapPublicIpOnLaunch: true, AvailabilityZone: "eu-central-1c" });
  });

  test("of somebody else is used as it is", () => {
    const made = template(VARIANTS.existing);
    made.resourceCountIs("AWS::EC2::VPC", 0);
    made.resourceCountIs("AWS::EC2::VPCEndpoint", 0);
    made.hasResourceProperties("AWS::EC2::SecurityGroup", { VpcId: "vpc-0123456789abcdef0" });
    made.hasResourceProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: { Subnets: ["subnet-0123456789abcdef1"] },
    });
    expect(JSON.stringify(environmentOf({ ...VARIANTS.existing }, "plan").JOB_QUEUES)).toContain("eu-central-1b");
  });
});

describe("compute", () => {
  test("has hosts with encrypted disks, version 2 of the metadata service, and no standing capacity", () => {
    const made = template();
    made.hasResourceProperties("AWS::EC2::LaunchTemplate", {
      LaunchTemplateData: {
        MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 2 },
        BlockDeviceMappings: [
          { DeviceName: "/dev/xvda", Ebs: { Encrypted: true, VolumeSize: 40, DeleteOnTermination: true } },
        ],
      },
    });
    made.allResourcesProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: { MinvCpus: 0, MaxvCpus: 32, Type: "EC2" },
    });
  });

  test("tries Spot first and falls back where that is wanted", () => {
    const made = template({ compute: { spot: true } });
    made.resourceCountIs("AWS::Batch::ComputeEnvironment", 4);
    made.hasResourceProperties("AWS::Batch::JobQueue", {
      ComputeEnvironmentOrder: [
        { Order: 1, ComputeEnvironment: { "Fn::GetAtt": [Match.stringLikeRegexp("Spot0"), Match.anyValue()] } },
        { Order: 2, ComputeEnvironment: { "Fn::GetAtt": [Match.stringLikeRegexp("OnDemand0"), Match.anyValue()] } },
      ],
    });
  });

  test("gives the exporter the host's devices, and the verifier nothing of them", () => {
    const made = template();
    made.hasResourceProperties("AWS::Batch::JobDefinition", {
      ContainerProperties: {
        Privileged: true,
        ReadonlyRootFilesystem: true,
        Volumes: Match.arrayWith([{ Name: "dev", Host: { SourcePath: "/dev" } }]),
      },
    });
    made.hasResourceProperties("AWS::Batch::JobDefinition", {
      ContainerProperties: {
        Privileged: false,
        ReadonlyRootFilesystem: true,
        Volumes: [{ Name: "scratch", Host: {} }],
      },
    });
  });

  test("retries what another try may mend and ends the list", () => {
    template().allResourcesProperties("AWS::Batch::JobDefinition", {
      RetryStrategy: {
        Attempts: 3,
        EvaluateOnExit: [
          { OnStatusReason: "Host EC2*", Action: "RETRY" },
          { OnExitCode: "75", Action: "RETRY" },
          { OnExitCode: "137", Action: "RETRY" },
          { OnExitCode: "143", Action: "RETRY" },
          { OnReason: "*", Action: "EXIT" },
        ],
      },
    });
  });

  test("is of one architecture throughout", () => {
    const made = template(VARIANTS.spot);
    made.allResourcesProperties("AWS::Lambda::Function", { Architectures: ["x86_64"], Runtime: "provided.al2023" });
    template().allResourcesProperties("AWS::Lambda::Function", { Architectures: ["arm64"] });
  });

  test("takes an image that is named", () => {
    template(VARIANTS.spot).allResourcesProperties("AWS::Batch::JobDefinition", {
      ContainerProperties: { Image: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/worker:1" },
    });
  });

  test.each([
    ["maxVcpus", 8, { MaxvCpus: 4 }],
    ["instanceTypes", ["m7g"], { InstanceTypes: ["m7g"] }],
  ])("follows compute.%s", (key, value, expected) => {
    template({ compute: { [key]: value } }).hasResourceProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: expected,
    });
  });

  test.each([
    [
      { jobVcpus: 2 },
      { ContainerProperties: { ResourceRequirements: Match.arrayWith([{ Type: "VCPU", Value: "2" }]) } },
    ],
    [
      { jobMemoryMib: 2048 },
      { ContainerProperties: { ResourceRequirements: Match.arrayWith([{ Type: "MEMORY", Value: "2048" }]) } },
    ],
    [{ exportTimeoutHours: 10 }, { Timeout: { AttemptDurationSeconds: 36_000 } }],
  ])("follows %j", (compute, expected) => {
    template({ compute }).allResourcesProperties("AWS::Batch::JobDefinition", expected);
  });
});
