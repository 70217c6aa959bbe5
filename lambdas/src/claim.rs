//! Taking and giving back the claim of an export.

use aws::bucket::{Bucket, Condition};
use domain::claim::Claim;
use domain::failure::{Error, Kind, chain};
use domain::id::ExecutionArn;
use domain::plan::Plan;

/// What came of trying to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours, by this plan: the one given, or the one by which an earlier try of the same execution claimed.
    Ours(Box<Plan>),
    /// Another execution holds it.
    Theirs(Box<Claim>),
}

/// How often a claim that changes between two calls is tried for again.
const TRIES: u32 = 3;

/// Claims the export for the execution of `claim`.
pub async fn take(bucket: &Bucket, claim: &Claim) -> Result<Claimed, Error> {
    let key = &claim.plan.claim_key;
    for _ in 0..TRIES {
        if bucket.put(key, claim.to_json().into(), Condition::Absent).await? {
            return Ok(Claimed::Ours(Box::new(claim.plan.clone())));
        }
        match read(bucket, key).await? {
            Some((held, _)) if held.execution == claim.execution => {
                return Ok(Claimed::Ours(Box::new(held.plan)));
            }
            Some((held, _)) => return Ok(Claimed::Theirs(Box::new(held))),
            None => {}
        }
    }
    Err(Error::new(Kind::Unavailable, format!("claim {key}: other executions take and release it all the time")))
}

/// The claim at `key` and its ETag.
pub async fn read(bucket: &Bucket, key: &str) -> Result<Option<(Claim, String)>, Error> {
    let Some(object) = bucket.get(key).await? else {
        return Ok(None);
    };
    let claim = Claim::parse(&object.bytes).map_err(|error| {
        Error::new(
            Kind::Internal,
            format!("read {key}: {}; delete the object when no execution works on this export", chain(&error)),
        )
    })?;
    Ok(Some((claim, object.etag)))
}

/// Whether `execution` still holds the claim at `key`.
pub async fn is_held(bucket: &Bucket, key: &str, execution: &ExecutionArn) -> Result<bool, Error> {
    let claim = read(bucket, key).await?;
    Ok(claim.is_some_and(|(claim, _)| claim.execution == *execution))
}

/// Gives the claim back, if it is `execution`'s. A claim of somebody else stays.
pub async fn release(bucket: &Bucket, key: &str, execution: &ExecutionArn) -> Result<(), Error> {
    for _ in 0..TRIES {
        let etag = match read(bucket, key).await? {
            Some((claim, etag)) if claim.execution == *execution => etag,
            Some(_) | None => return Ok(()),
        };
        // `false` says that what was read is not what is there: gone, replaced, or written again by a late retry of our
        // own.
        if bucket.delete(key, &etag).await? {
            return Ok(());
        }
    }
    Err(Error::new(Kind::Unavailable, format!("give back the claim {key}: it changes all the time")))
}
