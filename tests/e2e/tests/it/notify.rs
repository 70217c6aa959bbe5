//! People hear of exports that failed and of those that finished, and of nothing else.

use anyhow::{Result, ensure};
use e2e::Settings;
use e2e::scene::{Scene, assert_failed, assert_succeeded};
use e2e::stack::{FAILURES_TOPIC, SUCCESSES_TOPIC};
use local_cloud::{FaultAction, FaultRule};

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_export_is_told_once() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    let execution = scene.system.export(&scene.arn).await?;
    assert_succeeded(&execution)?;
    // Reported, not redone: that is no news.
    let again = scene.system.export(&scene.arn).await?;
    ensure!(again.state_names().last() == Some(&"Skipped"), "passed {:?}", again.state_names());
    let messages = scene.system.messages().await?;
    let [message] = messages.as_slice() else { anyhow::bail!("{messages:?}") };
    ensure!(message.topic == SUCCESSES_TOPIC, "{message:?}");
    for word in [execution.arn.as_str(), "manifest.json", "exported"] {
        ensure!(message.body.contains(word), "does not say {word}: {}", message.body);
    }
    ensure!(scene.system.cloud.dead_letters().is_empty(), "{:?}", scene.system.cloud.dead_letters());
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_export_is_told_with_its_cause() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    scene.system.cloud.faults().add(FaultRule::new(
        "backup",
        "DescribeRecoveryPoint",
        FaultAction::error(403, "AccessDeniedException"),
    ));
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "AccessDenied", &["describe the recovery point"])?;
    let messages = scene.system.messages().await?;
    let [message] = messages.as_slice() else { anyhow::bail!("{messages:?}") };
    ensure!(message.topic == FAILURES_TOPIC, "{message:?}");
    for word in [execution.arn.as_str(), &scene.arn, "FAILED", "AccessDenied", "describe the recovery point"] {
        ensure!(message.body.contains(word), "does not say {word}: {}", message.body);
    }
    scene.assert_nothing_left().await
}
