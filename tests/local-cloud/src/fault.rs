//! Faults on demand: which requests fail, and how.
//!
//! A rule looks at the service, the operation, the resource and the caller of each request that passes the gateway.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pattern::glob_matches;

/// One rule. The first rule that applies to a request decides about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// `s3`, `ec2`, `batch`, `backup`, `lambda`, `states`, …; a glob.
    #[serde(default = "any")]
    pub service: String,
    /// The API operation (`PutObject`, `CreateVolume`, `Invoke`), a glob.
    #[serde(default = "any")]
    pub operation: String,
    /// The resource: `bucket/key`, a volume, snapshot or job id or name, a function's name, a vault or ARN; a glob.
    #[serde(default = "any")]
    pub resource: String,
    /// Who calls: `lambda-NAME`, `batch-JOBID`, `states` (the state machine), or the caller's access key; a glob.
    #[serde(default = "any")]
    pub principal: String,
    /// Which of the matching requests it hits.
    #[serde(default)]
    pub when: When,
    /// What happens to them.
    pub action: FaultAction,
}

fn any() -> String {
    "*".to_owned()
}

impl FaultRule {
    /// A rule that hits every request of an operation.
    pub fn new(service: &str, operation: &str, action: FaultAction) -> Self {
        Self {
            service: service.to_owned(),
            operation: operation.to_owned(),
            resource: any(),
            principal: any(),
            when: When::Always,
            action,
        }
    }

    /// Hits only some of the requests.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// Hits only requests about resources that match a glob.
    #[must_use]
    pub fn on(mut self, resource: &str) -> Self {
        resource.clone_into(&mut self.resource);
        self
    }

    /// Hits only requests of callers that match a glob.
    #[must_use]
    pub fn by(mut self, principal: &str) -> Self {
        principal.clone_into(&mut self.principal);
        self
    }
}

/// Which of the requests that match a rule it hits. Requests are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All of them.
    #[default]
    Always,
    /// The nth only.
    Nth(u64),
    /// The first n.
    First(u64),
    /// All after the first n.
    After(u64),
    /// Each with this probability, by a fixed pseudo-random sequence.
    Probability(f64),
}

/// What happens to a request that a rule hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// It is answered with an error of the service's own shape, and nothing is done.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code (`SlowDown`, `RequestLimitExceeded`, `InternalError`).
        code: String,
        #[serde(default)]
        message: String,
    },
    /// It is done after a delay.
    Delay {
        /// Milliseconds to wait before.
        milliseconds: u64,
    },
    /// The connection is cut after this many bytes of the request's body, and nothing is done.
    CutRequest {
        /// Bytes of body that are read.
        after_bytes: u64,
    },
    /// A bit of the first byte of its body is wrong on the way, and then it is done. One without a body is just done.
    DamageRequest,
    /// It is done, and the connection is cut after this many bytes of the response's body
    /// (0: before the status line, so that the caller does not know whether it was done).
    CutResponse {
        /// Bytes of body that are sent.
        after_bytes: u64,
    },
    /// It is done, and the first half of the response's body is sent as if it were all.
    HalveResponse,
    /// It is done, and then the process that called (a Lambda function's or a job's) is killed before it hears of it.
    KillCaller,
    /// It is done twice: for `states:StartExecution` by rules and `lambda:Invoke` of events, a duplicate delivery.
    Duplicate,
}

/// The rules in force. Cheap to share; changed while the cloud runs.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Counted>,
    random: u64,
}

#[derive(Debug)]
struct Counted {
    rule: FaultRule,
    seen: u64,
    hits: u64,
}

/// What a rule is matched against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) principal: &'a str,
}

impl Faults {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule after those already there.
    pub fn add(&self, rule: FaultRule) {
        self.state().rules.push(Counted { rule, seen: 0, hits: 0 });
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.state().rules.clear();
    }

    /// How many requests the rules have hit, in the order in which they were added.
    pub fn hits(&self) -> Vec<u64> {
        self.state().rules.iter().map(|counted| counted.hits).collect()
    }

    /// The rules in force.
    pub fn rules(&self) -> Vec<FaultRule> {
        self.state().rules.iter().map(|counted| counted.rule.clone()).collect()
    }

    /// Decides about one request, counting it.
    pub(crate) fn decide(&self, subject: Subject<'_>) -> Option<FaultAction> {
        let mut guard = self.state();
        let state = &mut *guard;
        for counted in &mut state.rules {
            let rule = &counted.rule;
            if !(glob_matches(&rule.service, subject.service)
                && glob_matches(&rule.operation, subject.operation)
                && glob_matches(&rule.resource, subject.resource)
                && glob_matches(&rule.principal, subject.principal))
            {
                continue;
            }
            counted.seen += 1;
            let hit = match rule.when {
                When::Always => true,
                When::Nth(n) => counted.seen == n,
                When::First(n) => counted.seen <= n,
                When::After(n) => counted.seen > n,
                When::Probability(p) => {
                    // xorshift64*, so that a failing run can be repeated.
                    let mut x = state.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
                    state.random = x;
                    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                    x ^= x >> 31;
                    f64::from(u32::try_from(x >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX) < p
                }
            };
            if hit {
                counted.hits += 1;
                return Some(rule.action.clone());
            }
        }
        None
    }
}

impl FaultAction {
    /// An error of the given status and code.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error { status, code: code.to_owned(), message: format!("{code} by a fault rule") }
    }

    pub fn delay(duration: Duration) -> Self {
        Self::Delay { milliseconds: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(operation: &str) -> Subject<'_> {
        Subject { service: "s3", operation, resource: "bucket/data/a", principal: "batch-1" }
    }

    #[test]
    fn nth_hits_only_the_nth_match() {
        let faults = Faults::default();
        faults.add(FaultRule::new("s3", "Put*", FaultAction::error(503, "SlowDown")).when(When::Nth(2)));
        assert_eq!(faults.decide(subject("GetObject")), None);
        assert_eq!(faults.decide(subject("PutObject")), None);
        assert!(faults.decide(subject("PutObject")).is_some());
        assert_eq!(faults.decide(subject("PutObject")), None);
        assert_eq!(faults.hits(), vec![1]);
    }

    #[test]
    fn rules_look_at_resource_and_principal() {
        let faults = Faults::default();
        faults.add(FaultRule::new("*", "*", FaultAction::KillCaller).on("bucket/data/*").by("lambda-*"));
        assert_eq!(faults.decide(subject("PutObject")), None);
        faults.add(FaultRule::new("*", "*", FaultAction::KillCaller).on("bucket/*").by("batch-*"));
        assert_eq!(faults.decide(subject("PutObject")), Some(FaultAction::KillCaller));
    }

    #[test]
    fn probability_hits_about_its_share() {
        let faults = Faults::default();
        faults.add(FaultRule::new("*", "*", FaultAction::KillCaller).when(When::Probability(0.25)));
        let hits = (0..1000).filter(|_| faults.decide(subject("x")).is_some()).count();
        assert!((150..350).contains(&hits), "{hits}");
    }
}
