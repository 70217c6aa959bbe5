/** The parts of an ARN that settings must agree on. */
export interface Arn {
  readonly partition: string;
  readonly region: string;
  readonly account: string;
  readonly resource: string;
}

/** The parts of `text`, if it is an ARN of `service` in a Region of an account. */
export function parseArn(text: string, service: string): Arn | undefined {
  const [arn, partition = "", ofService, region = "", account = "", ...resource] = text.split(":");
  const isOne =
    arn === "arn" &&
    /^aws[a-z-]*$/.test(partition) &&
    ofService === service &&
    REGION.test(region) &&
    ACCOUNT.test(account);
  return isOne ? { partition, region, account, resource: resource.join(":") } : undefined;
}

export const ACCOUNT = /^\d{12}$/;
export const REGION = /^[a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2}$/;

/** Regions say in which partition they are. */
export function partitionOf(region: string): string {
  const begins: readonly (readonly [string, string])[] = [
    ["cn-", "aws-cn"],
    ["us-gov-", "aws-us-gov"],
    ["us-iso-", "aws-iso"],
    ["us-isob-", "aws-iso-b"],
    ["us-isof-", "aws-iso-f"],
    ["eu-isoe-", "aws-iso-e"],
    ["eusc-", "aws-eusc"],
  ];
  return begins.find(([start]) => region.startsWith(start))?.[1] ?? "aws";
}
