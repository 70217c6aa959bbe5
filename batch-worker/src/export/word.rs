//! The last word of a failing worker.

use domain::failure::{Error, Failure, Kind};
use domain::key;
use store::Folder;
use store::write::{Existing, ObjectSink};

/// Leaves the failure where Cleanup reads it. A worker that was only stopped is tried again and says nothing.
pub(crate) async fn leave_word(sink: &dyn ObjectSink, destination: &Folder, error: &Error) {
    let Folder::S3 { prefix, .. } = destination else {
        return;
    };
    if matches!(error.kind(), Kind::Interrupted | Kind::BucketNotFound | Kind::BucketNotOwned) {
        return;
    }
    let key = format!("{prefix}{}", key::ERROR);
    let word = serde_json::to_vec(&Failure::new(error.kind(), error.chain())).expect("two strings are always JSON");
    if let Err(consequence) = sink.put(&key, word.into(), Existing::Replace).await {
        tracing::warn!(error = consequence.chain(), "the failure could not be left in the bucket");
    }
}
