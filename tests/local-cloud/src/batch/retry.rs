//! Whether a failed attempt is followed by another: `retryStrategy` with `evaluateOnExit`.

use serde::Deserialize;

use crate::pattern::glob_matches;

/// A retry strategy, as the API states it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RetryStrategy {
    attempts: Option<u32>,
    evaluate_on_exit: Vec<Rule>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    action: String,
    on_exit_code: Option<String>,
    on_reason: Option<String>,
    on_status_reason: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    pub(super) exit_code: Option<i32>,
    pub(super) reason: Option<String>,
    pub(super) status_reason: String,
    /// Timeouts and terminations are never followed by another attempt.
    pub(super) is_last: bool,
}

impl RetryStrategy {
    /// Whether another attempt follows the nth.
    pub(super) fn retries(&self, attempt: u32, ending: &Ending) -> bool {
        if ending.is_last || attempt >= self.attempts.unwrap_or(1) {
            return false;
        }
        // Batch retries when no rule matches.
        let rule = self.evaluate_on_exit.iter().find(|rule| rule.matches(ending));
        rule.is_none_or(|rule| rule.action.eq_ignore_ascii_case("RETRY"))
    }
}

impl Rule {
    fn matches(&self, ending: &Ending) -> bool {
        let field = |pattern: &Option<String>, value: Option<&str>| match pattern {
            None => true,
            Some(pattern) => {
                glob_matches(&pattern.to_ascii_lowercase(), &value.unwrap_or_default().to_ascii_lowercase())
            }
        };
        let code = ending.exit_code.map(|code| code.to_string());
        // An attempt without an exit code matches no exit code, not even `*`.
        let code_matches =
            self.on_exit_code.is_none() || (code.is_some() && field(&self.on_exit_code, code.as_deref()));
        code_matches
            && field(&self.on_reason, ending.reason.as_deref())
            && field(&self.on_status_reason, Some(&ending.status_reason))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(exit_code: Option<i32>, status_reason: &str) -> Ending {
        Ending { exit_code, status_reason: status_reason.to_owned(), ..Default::default() }
    }

    #[test]
    fn rules_are_read_in_order_and_no_match_retries() {
        let strategy: RetryStrategy = serde_json::from_value(json!({"attempts": 3, "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onExitCode": "75", "action": "retry"}, {"onExitCode": "13*", "action": "EXIT"}]}))
        .unwrap();
        assert!(strategy.retries(1, &ended(None, "Host EC2 (instance i-1) terminated.")));
        assert!(strategy.retries(1, &ended(Some(75), "Essential container in task exited")));
        assert!(!strategy.retries(1, &ended(Some(137), "Essential container in task exited")));
        assert!(strategy.retries(2, &ended(Some(2), "Essential container in task exited")));
        assert!(!strategy.retries(3, &ended(Some(75), "")));
        assert!(!strategy.retries(1, &Ending { is_last: true, ..ended(Some(75), "") }));
    }

    #[test]
    fn without_a_strategy_there_is_one_attempt() {
        assert!(!RetryStrategy::default().retries(1, &ended(Some(1), "")));
    }
}
