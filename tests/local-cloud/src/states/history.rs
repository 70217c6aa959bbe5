//! Which states an execution passed, from its history.

use std::time::Duration;

use serde_json::Value;

use crate::execution::StateEntered;

/// The states that were entered, in order; `started` is the start of the execution in seconds since 1970.
pub(super) fn states(events: &[Value], started: f64) -> Vec<StateEntered> {
    let after =
        |event: &Value| Duration::from_secs_f64((event["timestamp"].as_f64().unwrap_or(started) - started).max(0.0));
    let mut states: Vec<StateEntered> = Vec::new();
    for event in events {
        if let Some(name) = event["stateEnteredEventDetails"]["name"].as_str() {
            states.push(StateEntered { name: name.to_owned(), after: after(event), took: None });
        } else if let Some(name) = event["stateExitedEventDetails"]["name"].as_str() {
            // States of one name that overlap (in a Map) leave in the order in which they came, as far as one can tell.
            let open = states.iter_mut().find(|state| state.name == name && state.took.is_none());
            if let Some(state) = open {
                state.took = Some(after(event).saturating_sub(state.after));
            }
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn states_are_matched_with_their_exits() {
        let events = [
            json!({"timestamp": 10.0, "stateEnteredEventDetails": {"name": "A"}}),
            json!({"timestamp": 10.5, "stateExitedEventDetails": {"name": "A"}}),
            json!({"timestamp": 11.0, "stateEnteredEventDetails": {"name": "B"}}),
        ];
        let found = states(&events, 10.0);
        assert_eq!(found[0].took, Some(Duration::from_millis(500)));
        assert_eq!((found[1].name.as_str(), found[1].after, found[1].took), ("B", Duration::from_secs(1), None));
    }
}
