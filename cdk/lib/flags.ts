import { CURRENTLY_RECOMMENDED_FLAGS } from "aws-cdk-lib/cx-api";

/**
 * How the CDK behaves: as recommended for its pinned version, whatever flags an old `cdk.json` carries.
 * So the template follows from the settings and the lockfile alone.
 */
export const FLAGS: Readonly<Record<string, unknown>> = {
  ...CURRENTLY_RECOMMENDED_FLAGS,
  "@aws-cdk/core:target-partitions": ["aws", "aws-cn", "aws-us-gov"],
};
