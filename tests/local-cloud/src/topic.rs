//! SNS topics: what is published is kept, so that tests can read what a person would be sent.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::context::Context;
use crate::observe::Message;
use crate::wire::{Answer, ApiError, Call, answer as http_answer, query_pairs, xml_escape};

/// The largest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Topics {
    context: Arc<Context>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    names: BTreeSet<String>,
    messages: Vec<Message>,
}

impl Topics {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        Self { context: Arc::clone(context), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, name: &str) {
        self.state().names.insert(name.to_owned());
    }

    /// What was published, oldest first.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }
}

/// The operation and the topic that a request names.
pub(crate) fn identify(body: &Bytes) -> (String, String) {
    let form = query_pairs(&String::from_utf8_lossy(body));
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    (text("Action"), topic_name(&text("TopicArn")).to_owned())
}

fn topic_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// `Publish`.
pub(crate) fn publish(topics: &Topics, call: &Call) -> Answer {
    let mut form = query_pairs(&String::from_utf8_lossy(&call.body));
    let arn = form.remove("TopicArn").unwrap_or_default();
    let name = topic_name(&arn);
    let body = form.remove("Message").unwrap_or_default();
    if body.is_empty() || body.len() > MAX_MESSAGE_BYTES {
        return Err(ApiError::new(400, "InvalidParameter", "Invalid parameter: Message too long or empty"));
    }
    let mut state = topics.state();
    if !state.names.contains(name) || arn != topics.context.names.topic(name) {
        return Err(ApiError::new(404, "NotFound", "Topic does not exist"));
    }
    state.messages.push(Message { topic: name.to_owned(), subject: form.remove("Subject"), body });
    let id = xml_escape(&uuid::Uuid::new_v4().to_string());
    Ok(http_answer(
        200,
        "text/xml",
        format!("<PublishResponse><PublishResult><MessageId>{id}</MessageId></PublishResult></PublishResponse>"),
    ))
}
