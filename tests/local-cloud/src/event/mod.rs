//! EventBridge: events that match a rule go to its targets, with retries. Schedules are fired by hand.

mod delivery;
mod input;
mod pattern;
mod service;

pub(crate) use self::delivery::{deliver, fire, put_events};
pub(crate) use self::service::Events;
