//! Recovery points that are kept although their exports are verified: without the tag, or among the last of their
//! resource.

use aws::CallError;
use aws::bucket::Bucket;
use domain::arn::RecoveryPointArn;
use domain::facts::is_usable;
use domain::failure::Error;
use domain::key::CLAIMS;
use domain::plan::Plan;

use crate::claim;

/// The value of the tag that lets a recovery point go.
const YES: &str = "true";

/// Why the recovery point stays, if it does.
pub(super) async fn reason(
    backup: &aws_sdk_backup::Client,
    bucket: &Bucket,
    plan: &Plan,
) -> Result<Option<String>, Error> {
    if let Some(reason) = untagged(plan) {
        return Ok(Some(reason));
    }
    let minimum = plan.retention.minimum_recovery_points;
    let others = match minimum {
        0 => return Ok(None),
        minimum => others(backup, bucket, plan, minimum).await?,
    };
    Ok((others < minimum).then(|| {
        let point = &plan.recovery_point;
        format!(
            "{} is kept: the vault {} would hold {others} other recovery points of {}, and MINIMUM_RECOVERY_POINTS is \
             {minimum}; those that are being exported do not count",
            point.arn, point.vault_name, point.resource_arn
        )
    }))
}

fn untagged(plan: &Plan) -> Option<String> {
    let key = plan.retention.only_tagged.as_deref()?;
    let point = &plan.recovery_point;
    if point.tags.get(key).is_some_and(|value| value == YES) {
        return None;
    }
    Some(format!("{} is kept: it does not carry the tag {key} = {YES}, which DELETE_ONLY_TAGGED asks for", point.arn))
}

/// How many other usable recovery points of the resource the vault holds; counted no further than `enough`.
///
/// One that has a claim, of whatever generation, may be about to go as well: two exports that end together would each
/// count the other. The claims are read first, because a claim is released only after its recovery point is gone or
/// kept.
async fn others(backup: &aws_sdk_backup::Client, bucket: &Bucket, plan: &Plan, enough: u32) -> Result<u32, Error> {
    let mut claimed: Vec<RecoveryPointArn> = Vec::new();
    for listed in bucket.list(CLAIMS).await? {
        claimed.extend(claim::read(bucket, &listed.key).await?.map(|(claim, _)| claim.plan.recovery_point.arn));
    }
    let point = &plan.recovery_point;
    let mut pages = backup
        .list_recovery_points_by_backup_vault()
        .backup_vault_name(point.vault_name.as_str())
        .by_resource_arn(&point.resource_arn)
        .into_paginator()
        .items()
        .send();
    let mut count = 0;
    while let Some(other) = pages.next().await {
        let other = other.map_err(|error| {
            let (arn, vault) = (&point.resource_arn, &point.vault_name);
            CallError::of(&error).during(format!("list the recovery points of {arn} in the vault {vault}"))
        })?;
        let is_usable = other.status().is_some_and(|status| is_usable(status.as_str()));
        let arn = other.recovery_point_arn().and_then(|arn| arn.parse::<RecoveryPointArn>().ok());
        let counts = arn.is_some_and(|arn| arn != point.arn && !arn.is_continuous() && !claimed.contains(&arn));
        if is_usable && counts {
            count += 1;
            if count >= enough {
                break;
            }
        }
    }
    Ok(count)
}
