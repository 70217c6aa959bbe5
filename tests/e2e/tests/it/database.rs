//! Databases through the whole state machine: exported, restored by the documented commands, equal; and whatever fails leaves nothing.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use domain::manifest::{Method, Origin};
use e2e::Settings;
use e2e::database::{DatabaseScene, files_with};
use e2e::scene::{PATIENCE, assert_failed, assert_succeeded, eventually};
use e2e::stack::{BUCKET, VAULT};
use local_cloud::{
    DatabaseEngine, DatabaseFate, EventShape, ExecutionStatus, FaultAction, FaultRule, RecoveryPointOptions, When,
};

/// A table of more than a gigabyte on disk, quickly made.
const GIGABYTE: &str = "create table app.big (id int primary key, body text);
    alter table app.big alter column body set storage external;
    insert into app.big select n, repeat(md5(n::text), 256) from generate_series(1, 130000) n;
    alter table app.big owner to owner_of_things;";

fn fated(databases: DatabaseFate) -> RecoveryPointOptions {
    RecoveryPointOptions { databases, ..RecoveryPointOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_with_a_gigabyte_comes_back_and_its_recovery_point_goes() -> Result<()> {
    let settings = Settings::default().with("DELETE_RECOVERY_POINT", "true");
    let scene =
        DatabaseScene::with(DatabaseEngine::Postgres, settings, RecoveryPointOptions::default(), GIGABYTE).await?;
    let event = scene.system.cloud.backup_event(VAULT, &scene.arn, EventShape::BackupJob)?;
    assert_succeeded(&scene.system.send(event).await?)?;
    let manifest = scene.system.manifest()?;
    let Origin::Database(database) = &manifest.source else { anyhow::bail!("{:?}", manifest.source) };
    ensure!(database.engine == "postgres" && database.dump_tool.is_some(), "{database:?}");
    ensure!(manifest.artifacts.iter().all(|artifact| artifact.method == Method::Dump), "{manifest:?}");
    let tables = manifest.artifacts.iter().filter_map(|artifact| artifact.dump.as_ref()).flat_map(|dump| &dump.tables);
    let big = tables.clone().find(|table| table.name.contains("big")).context("the big table is not counted")?;
    ensure!(big.rows == 130_000, "{big:?}");
    scene.assert_exported().await?;
    ensure!(scene.system.cloud.recovery_point(VAULT, &scene.arn).is_none(), "the recovery point is there");
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_comes_back() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::Mariadb, Settings::default()).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    scene.assert_exported().await?;
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_comes_back() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::Mysql, Settings::default()).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    scene.assert_exported().await?;
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_purges_rows_does_not_run_in_the_copy() -> Result<()> {
    // Every server of these engines runs its events, unless it is told not to.
    for engine in [DatabaseEngine::Mysql, DatabaseEngine::AuroraMysql] {
        let sql = "create table orders (id int primary key) select seq as id from seq_1_to_1000;
            create event purging on schedule every 1 second do delete from orders;";
        let settings = Settings::default().with("DELETE_RECOVERY_POINT", "true");
        let scene = DatabaseScene::plain(engine, settings, RecoveryPointOptions::default(), sql).await?;
        assert_succeeded(&scene.system.export(&scene.arn).await?)?;
        let manifest = scene.system.manifest()?;
        let dumps = manifest.artifacts.iter().filter_map(|artifact| artifact.dump.as_ref());
        let orders = dumps.flat_map(|dump| &dump.tables).find(|table| table.name == "shop.orders");
        ensure!(orders.is_some_and(|table| table.rows == 1_000), "{engine}: {orders:?}");
        scene.system.assert_only_the_export_left().await?;
    }
    Ok(())
}

/// A directory with the programs of this machine, but this one: left out, or another in its place.
fn programs(without: &str, instead: Option<&str>) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    for parent in std::env::split_paths(&std::env::var_os("PATH").context("no PATH")?) {
        for program in std::fs::read_dir(parent).into_iter().flatten() {
            let program = program?;
            let link = directory.path().join(program.file_name());
            if program.file_name() != without && !link.exists() {
                std::os::unix::fs::symlink(program.path(), link).ok();
            }
        }
    }
    if let Some(script) = instead {
        let path = directory.path().join(without);
        std::fs::write(&path, script)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_tool_that_is_missing_or_too_old_is_named_and_nothing_is_left() -> Result<()> {
    let old = "#!/bin/sh\necho 'pg_dump (PostgreSQL) 12.22'\n";
    for (instead, words) in [(None, ["pg_dump", "is not there"]), (Some(old), ["pg_dump 12.22", "too old"])] {
        let directory = programs("pg_dump", instead)?;
        let settings = Settings { job_path: Some(directory.path().to_owned()), ..Settings::default() };
        let scene = DatabaseScene::start(DatabaseEngine::Postgres, settings).await?;
        let execution = scene.system.export(&scene.arn).await?;
        assert_failed(&execution, "DumpFailed", &words)?;
        scene.system.reap().await?;
        scene.assert_nothing_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aurora_cluster_comes_back_and_goes_in_the_right_order() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::AuroraPostgresql, Settings::default()).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    scene.assert_exported().await?;
    let requests = scene.system.cloud.requests().all();
    let first = |operation: &str| requests.iter().position(|request| request.operation == operation);
    let order =
        ["RestoreDBClusterFromSnapshot", "CreateDBInstance", "ModifyDBCluster", "DeleteDBInstance", "DeleteDBCluster"];
    let order: Vec<_> = order.map(first).into();
    ensure!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}");
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_small_private_and_unprotected() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::Postgres, Settings::default()).await?;
    let execution = scene.system.start_export(&scene.arn).await?;
    eventually("an instance is restored", || !scene.system.cloud.databases().is_empty()).await?;
    let databases = scene.system.cloud.databases();
    let database = databases.first().context("no instance")?;
    ensure!(!database.publicly_accessible && !database.deletion_protection, "{database:?}");
    ensure!(database.backup_retention_days == 0 && database.storage_type == "gp3", "{database:?}");
    ensure!(database.subnet_group.is_some() && database.security_groups.len() == 1, "{database:?}");
    ensure!(database.tags.get("backup-export:execution") == Some(&execution), "{:?}", database.tags);
    assert_succeeded(&scene.system.finished(&execution).await?)?;
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_nowhere() -> Result<()> {
    for engine in [DatabaseEngine::Postgres, DatabaseEngine::Mariadb] {
        assert_the_password_is_nowhere(engine).await?;
    }
    Ok(())
}

async fn assert_the_password_is_nowhere(engine: DatabaseEngine) -> Result<()> {
    let scene = DatabaseScene::start(engine, Settings::default()).await?;
    let cloud = &scene.system.cloud;
    cloud.faults().add(FaultRule::new("s3", "UploadPart", FaultAction::delay(Duration::from_millis(500))));
    cloud.faults().add(FaultRule::new("s3", "PutObject", FaultAction::delay(Duration::from_millis(500))));
    let execution = scene.system.start_export(&scene.arn).await?;
    let job = cloud.wait_for_job("exp-", PATIENCE, |job| job.process_id.is_some()).await?;
    let password = cloud.parameter_value(&cloud.leftovers()?.parameters[0]).await?;
    ensure!(password.len() >= 16, "no password");
    // While the worker and the tools that it calls run.
    let mut looks = 0;
    while let Some(process) = cloud.jobs().iter().find(|known| known.id == job.id).and_then(|known| known.process_id) {
        for directory in descendants(process) {
            for file in ["cmdline", "environ"] {
                let content = std::fs::read(directory.join(file)).unwrap_or_default();
                let holds = content.windows(password.len()).any(|window| window == password.as_bytes());
                ensure!(!holds, "{} holds the password", directory.join(file).display());
            }
        }
        looks += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ensure!(looks > 0, "nobody looked");
    let result = scene.system.finished(&execution).await?;
    assert_succeeded(&result)?;
    let told = format!("{:?}{:?}{:?}", result.history, result.input, result.output);
    ensure!(!told.contains(&password), "the history holds the password");
    let requests = format!("{:?}", cloud.requests().all());
    ensure!(!requests.contains(&password), "a logged request holds the password");
    for directory in ["logs", "s3"] {
        let found = files_with(&cloud.directory().join(directory), &password)?;
        ensure!(found.is_empty(), "these hold the password: {found:?}");
    }
    scene.system.assert_only_the_export_left().await
}

/// A process and all that it began, as directories of `/proc`.
fn descendants(process: u32) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![process];
    while let Some(id) = left.pop() {
        let directory = std::path::PathBuf::from(format!("/proc/{id}"));
        for task in std::fs::read_dir(directory.join("task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            left.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        found.push(directory);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_retried() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::Postgres, Settings::default()).await?;
    let slow = FaultRule::new("s3", "*", FaultAction::delay(Duration::from_secs(1))).by("batch-*");
    scene.system.cloud.faults().add(slow.when(When::First(8)));
    let execution = scene.system.start_export(&scene.arn).await?;
    let job = scene.system.cloud.wait_for_job("exp-", PATIENCE, |job| job.process_id.is_some()).await?;
    scene.system.cloud.signal_job(&job.id, 9)?;
    assert_succeeded(&scene.system.finished(&execution).await?)?;
    scene.assert_exported().await?;
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_leaves_nothing() -> Result<()> {
    for (fate, word) in [(DatabaseFate::Failed, "failed"), (DatabaseFate::IncompatibleRestore, "incompatible-restore")]
    {
        let scene = DatabaseScene::with(DatabaseEngine::Mariadb, Settings::default(), fated(fate), "").await?;
        let execution = scene.system.export(&scene.arn).await?;
        assert_failed(&execution, "RestoreFailed", &[word, "describe-events"])?;
        scene.system.reap().await?;
        scene.assert_nothing_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_aborted_while_its_database_never_comes_leaves_nothing() -> Result<()> {
    let scene =
        DatabaseScene::with(DatabaseEngine::AuroraPostgresql, Settings::default(), fated(DatabaseFate::Stuck), "")
            .await?;
    let execution = scene.system.start_export(&scene.arn).await?;
    scene.system.cloud.wait_for_state(&execution, "CheckRestore", PATIENCE).await?;
    scene.system.cloud.stop_execution(&execution, "Operator", "enough").await?;
    let result = scene.system.finished(&execution).await?;
    ensure!(result.status == ExecutionStatus::Aborted, "{}", result.status);
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_aborted_while_it_dumps_leaves_nothing() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::Postgres, Settings::default()).await?;
    let slow = FaultRule::new("s3", "*", FaultAction::delay(Duration::from_secs(2))).by("batch-*");
    scene.system.cloud.faults().add(slow.when(When::First(6)));
    let execution = scene.system.start_export(&scene.arn).await?;
    scene.system.cloud.wait_for_job("exp-", PATIENCE, |job| job.process_id.is_some()).await?;
    scene.system.cloud.stop_execution(&execution, "Operator", "enough").await?;
    scene.system.finished(&execution).await?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_and_lost_calls_are_made_again() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::Postgres, Settings::default()).await?;
    let faults = scene.system.cloud.faults();
    for operation in ["RestoreDBInstanceFromDBSnapshot", "ModifyDBInstance", "DescribeDBInstances", "DeleteDBInstance"]
    {
        faults.add(FaultRule::new("rds", operation, FaultAction::error(400, "Throttling")).when(When::First(5)));
    }
    faults.add(
        FaultRule::new("ssm", "PutParameter", FaultAction::error(400, "ThrottlingException")).when(When::First(5)),
    );
    faults.add(
        FaultRule::new("ssm", "GetParameter", FaultAction::error(400, "ThrottlingException")).when(When::First(2)),
    );
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    let hits = scene.system.cloud.faults().hits();
    ensure!(hits.iter().all(|hits| *hits > 0), "a fault hit nothing: {hits:?}");
    scene.assert_exported().await?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_half_way_fails_the_export_with_the_tools_own_words() -> Result<()> {
    let more = "create table zz_last as select seq as id from seq_1_to_1000;";
    let options = RecoveryPointOptions::default();
    let scene = DatabaseScene::with(DatabaseEngine::Mariadb, Settings::default(), options, more).await?;
    let cloud = &scene.system.cloud;
    let execution = scene.system.start_export(&scene.arn).await?;
    eventually("an instance runs", || cloud.databases().iter().any(|database| database.status == "available")).await?;
    let superuser = cloud.database_superuser(&cloud.databases()[0].id)?;
    // One session keeps the table from the dump until another lets it go on, and then drops it.
    let (holder, gate) = (superuser.clone(), superuser.clone());
    let mut gate = gate.command("mariadb", "");
    let mut gate = gate.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn()?;
    let mut input = gate.stdin.take().context("a client without input")?;
    writeln!(input, "select get_lock('go on', 60);")?;
    input.flush()?;
    let held = "select is_used_lock('go on') is not null";
    until(async || Ok(superuser.sql("", held).await? == "1")).await?;
    let dropping = tokio::spawn(async move {
        let sql =
            "lock tables shop.zz_last write; select get_lock('go on', 120); drop table shop.zz_last; unlock tables;";
        holder.sql("", sql).await
    });
    let waits = "select count(*) from information_schema.processlist where user = 'admin_user' and state like 'Waiting for table metadata lock%'";
    until(async || Ok(superuser.sql("", waits).await? != "0")).await?;
    drop(input);
    gate.wait()?;
    dropping.await??;
    let result = scene.system.finished(&execution).await?;
    assert_failed(&result, "DumpFailed", &["zz_last"])?;
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

/// Waits until a condition holds.
async fn until(holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let begun = tokio::time::Instant::now();
    while !holds().await? {
        ensure!(begun.elapsed() < PATIENCE, "did not happen within {PATIENCE:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_whose_server_dies_is_tried_again_and_leaves_nothing_when_it_is_stopped() -> Result<()> {
    let scene = DatabaseScene::start(DatabaseEngine::Postgres, Settings::default()).await?;
    let cloud = &scene.system.cloud;
    let execution = scene.system.start_export(&scene.arn).await?;
    eventually("an instance runs", || cloud.databases().iter().any(|database| database.status == "available")).await?;
    let id = cloud.databases().first().context("no instance")?.id.clone();
    let superuser = cloud.database_superuser(&id)?;
    // The dump waits for a table that another session keeps, so that the server dies in the middle of it.
    let mut holder = superuser.command("psql", "shop");
    let (null, piped) = (std::process::Stdio::null, std::process::Stdio::piped);
    let mut holder = holder.stdin(piped()).stdout(null()).stderr(null()).spawn()?;
    let mut input = holder.stdin.take().context("a client without input")?;
    writeln!(input, "begin; lock table only app.events in access exclusive mode;")?;
    input.flush()?;
    let waits =
        "select count(*) from pg_stat_activity where application_name = 'backup-export' and wait_event_type = 'Lock'";
    until(async || Ok(superuser.sql("postgres", waits).await? != "0")).await?;
    let job = cloud.wait_for_job("exp-", PATIENCE, |job| job.process_id.is_some()).await?;
    cloud.crash_database(&id).await?;
    drop(input);
    holder.wait()?;
    cloud.wait_for_job(&job.name, PATIENCE, |job| job.attempt > 1 && job.process_id.is_some()).await?;
    cloud.stop_execution(&execution, "Operator", "enough").await?;
    scene.system.finished(&execution).await?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_otherwise_fails_the_verification_and_keeps_the_recovery_point() -> Result<()> {
    let settings = Settings::default().with("DELETE_RECOVERY_POINT", "true");
    let scene = DatabaseScene::start(DatabaseEngine::Postgres, settings).await?;
    let cloud = &scene.system.cloud;
    let execution = scene.system.start_export(&scene.arn).await?;
    cloud.wait_for_state(&execution, "VerifyUnit", PATIENCE).await?;
    let objects = cloud.objects(BUCKET, "data/")?;
    let dump = objects.iter().find(|object| object.key.contains("/shop.dump."));
    let dump = dump.context("no dump of the shop")?;
    cloud.flip_byte(BUCKET, &dump.key, dump.size / 2)?;
    let result = scene.system.finished(&execution).await?;
    assert_failed(&result, "VerificationFailed", &["shop"])?;
    ensure!(cloud.recovery_point(VAULT, &scene.arn).is_some(), "the recovery point is gone");
    scene.system.reap().await?;
    scene.system.shutdown_clean().await
}
