//! From a writer on a thread to a complete object, or to none.

use domain::failure::{Error, Result};
use domain::part::PartPlan;
use tokio_util::sync::CancellationToken;

use super::pipe::{Finished, StreamReader, StreamWriter, channel};
use super::sink::ObjectSink;
use super::stored::Stored;
use super::upload::Upload;

/// Uploads what `produce` writes, and completes the object only when `produce` returned its proof.
///
/// `produce` runs on a blocking thread. The first failure is returned, whichever side it was on; one that follows from
/// it is logged. `sent` hears of bytes as the upload takes them.
pub async fn transfer<T: Send + 'static>(
    sink: &dyn ObjectSink,
    key: &str,
    plan: PartPlan,
    stop: &CancellationToken,
    sent: impl Fn(u64) + Send + Sync,
    produce: impl FnOnce(StreamWriter) -> Result<(T, Finished)> + Send + 'static,
) -> Result<(T, Stored)> {
    if stop.is_cancelled() {
        return Err(Error::interrupted());
    }
    let mut upload = sink.begin(key, plan).await?;
    let (writer, reader) = channel();
    let producer = tokio::task::spawn_blocking(move || produce(writer));
    // The reader ends with this call, so a producer that still writes is told.
    if let Err(error) = drain(&mut upload, reader, stop, sent).await {
        // Before the producer, which may hang on its disk: what was uploaded goes in any case.
        upload.abort().await;
        if let Ok(Err(consequence)) = producer.await {
            tracing::debug!(error = consequence.chain(), "the writer ended after the upload had failed");
        }
        return Err(error);
    }
    let outcome =
        producer.await.unwrap_or_else(|panic| Err(Error::internal(format!("write {}", sink.locate(key)), panic)));
    match outcome {
        Ok((result, proof)) if !stop.is_cancelled() => {
            let stored = upload.complete(proof).await?;
            Ok((result, stored))
        }
        Ok(_) => {
            upload.abort().await;
            Err(Error::interrupted())
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn drain(
    upload: &mut Upload,
    mut reader: StreamReader,
    stop: &CancellationToken,
    sent: impl Fn(u64),
) -> Result<()> {
    let copy = async {
        while let Some(chunk) = reader.next().await {
            let bytes = chunk.len() as u64;
            upload.write(chunk).await?;
            sent(bytes);
        }
        Ok(())
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::interrupted()),
        result = copy => result,
    }
}
