//! Batch jobs of an execution, found by the name that all of them begin with.

use std::collections::BTreeSet;

use aws_sdk_batch::Client;
use domain::plan::Plan;

use super::turn::Turn;
use crate::resource::job::{self, Job};

/// Ends all jobs; whether all have ended already.
pub(super) async fn end(batch: &Client, plan: &Plan, turn: &mut Turn) -> bool {
    let mut all_ended = true;
    let queues: BTreeSet<&str> = plan.placements.iter().map(|placement| placement.job_queue.as_str()).collect();
    for queue in queues {
        match job::live(batch, queue, plan.names().prefix()).await {
            Ok(jobs) => {
                for found in jobs {
                    all_ended = false;
                    turn.note(job::terminate(batch, &found).await);
                    let Job { id, name } = found;
                    turn.remaining.push(format!("job {name} ({id})"));
                }
            }
            Err(error) => {
                all_ended = false;
                turn.errors.push(error);
            }
        }
    }
    all_ended
}
