//! Threads of their own for what must run while a test does something else, or has no runtime.

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};

/// A runtime that callers wait for, within a runtime of theirs or without one.
#[derive(Debug)]
pub(crate) struct Background {
    /// Taken when it goes.
    runtime: Option<Runtime>,
}

impl Background {
    pub(crate) fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let failed = |error: std::io::Error| Error::Call {
            operation: "the start of a runtime".to_owned(),
            message: error.to_string(),
        };
        Ok(Self { runtime: Some(runtime.map_err(failed)?) })
    }

    /// Runs something there, and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let gone = || Error::Call { operation: "work in the background".to_owned(), message: "it panicked".to_owned() };
        let runtime = self.runtime.as_ref().ok_or_else(gone)?;
        let (sender, result) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            // Whoever asked waits.
            sender.send(work.await).ok();
        });
        result.recv().map_err(|_| gone())?
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The caller may be within a runtime, in which nothing may wait for the end of another.
            runtime.shutdown_background();
        }
    }
}
