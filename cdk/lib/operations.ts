import type { Topic } from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import { alarms } from "./alarms.js";
import { dashboard } from "./dashboard.js";
import { notify, topics } from "./messages.js";
import type { Watched } from "./metric.js";

/** What people hear of it: messages, alarms, a dashboard. */
export class Operations extends Construct {
  /** Failures and alarms. */
  readonly failures: Topic;

  constructor(scope: Construct, id: string, watched: Watched) {
    super(scope, id);
    const { installation, deadLetters } = watched;
    const made = topics(this, installation);
    this.failures = made.failures;
    notify(this, installation, made, deadLetters);
    alarms(this, watched, made.failures);
    dashboard(this, watched);
  }
}
