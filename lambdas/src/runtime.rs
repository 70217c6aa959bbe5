//! What every Lambda does around its decision: logs, settings, and one handler for the life of the process.

use std::env;

use domain::failure::Error;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

/// Answers invocations with `handler` until Lambda ends the process.
pub async fn serve<I, O, F>(handler: impl Fn(I) -> F) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    O: Serialize,
    F: Future<Output = Result<O, Error>>,
{
    lambda_runtime::tracing::init_default_subscriber();
    let answer = |event: LambdaEvent<I>| {
        // Large, and moved about by the runtime.
        let work = Box::pin(handler(event.payload));
        async move { work.await.map_err(|error| diagnostic(&error)) }
    };
    lambda_runtime::run(service_fn(answer)).await
}

/// How Lambda tells a failure: the state machine matches the type, a person reads the message.
fn diagnostic(error: &Error) -> Diagnostic {
    Diagnostic { error_type: error.kind().name().to_owned(), error_message: error.chain() }
}

/// Looks a setting up in the process's environment.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use domain::failure::Kind;

    use super::*;

    #[test]
    fn the_error_type_is_the_name_of_the_kind() {
        let error = Error::caused_by(Kind::Throttled, "create the volume", "RequestLimitExceeded: slow down");
        let diagnostic = diagnostic(&error);
        assert_eq!(diagnostic.error_type, "Throttled");
        assert_eq!(diagnostic.error_message, "create the volume: RequestLimitExceeded: slow down");
    }
}
