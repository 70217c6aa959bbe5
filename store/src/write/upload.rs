//! One object on its way: how every upload ends, whatever holds it.

use async_trait::async_trait;
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};

use super::pipe::Finished;
use super::stored::Stored;

/// What a place does for an object that is on its way there.
#[async_trait]
pub(super) trait Pending: Send {
    /// What it will be, as people write it.
    fn location(&self) -> String;

    /// Takes the next bytes. Waits while too much is in flight.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Waits until everything that was written has arrived, and says what that was.
    async fn seal(&mut self) -> Result<Stored>;

    /// Makes the object appear, and compares what the place then says of it with what was sealed.
    async fn publish(&mut self, sealed: Stored) -> Result<()>;

    /// Removes every trace. Failures are logged: whoever gives up has a better error to report.
    async fn discard(&mut self);
}

/// One object on its way. Neither completed nor aborted, it warns when it is dropped.
pub struct Upload {
    pending: Box<dyn Pending>,
    ended: bool,
}

impl Upload {
    pub(super) fn new(pending: impl Pending + 'static) -> Self {
        Self { pending: Box::new(pending), ended: false }
    }

    /// Takes the next bytes. Waits while too much is in flight.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.pending.write(chunk).await
    }

    /// Makes the object appear, after comparing what arrived with what the writer says it gave, and afterwards what the
    /// place reports of the object. On failure the upload is aborted.
    pub async fn complete(mut self, proof: Finished) -> Result<Stored> {
        let result = self.finish(proof.stated()).await;
        if result.is_err() {
            self.pending.discard().await;
        }
        self.ended = true;
        result
    }

    async fn finish(&mut self, given: Stored) -> Result<Stored> {
        let arrived = self.pending.seal().await?;
        if given != arrived {
            return Err(Error::new(
                Kind::Internal,
                format!(
                    "complete {}: the writer gave {} bytes ({}), the upload received {} ({})",
                    self.pending.location(),
                    given.bytes,
                    given.crc64nvme,
                    arrived.bytes,
                    arrived.crc64nvme,
                ),
            ));
        }
        self.pending.publish(arrived).await?;
        Ok(arrived)
    }

    /// Removes every trace of what was written.
    pub async fn abort(mut self) {
        self.pending.discard().await;
        self.ended = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.ended {
            tracing::warn!(
                object = self.pending.location(),
                "an upload was dropped in the middle: what it left stays until the bucket's lifecycle rule or Cleanup removes it"
            );
        }
    }
}
