//! Who is let in, to whom, and to do what.

use std::path::Path;

use local_cloud::{DatabaseEngine, PlainDatabase};
use support::program::{failure, log, report};

use super::{PASSWORD, World};
use crate::worker::run;

#[test]
fn a_wrong_password_is_refused_after_the_wait() {
    let world = World::new();
    let wrong = world.directory.path().join("wrong");
    std::fs::write(&wrong, "wr0ng-passw0rd\n").unwrap();
    let mut arguments = world.arguments(&["--login-seconds", "2"]);
    let at = arguments.iter().position(|argument| argument == "--password-file").unwrap();
    arguments[at + 1] = wrong.display().to_string();
    let output = run(&arguments, &world.environment());
    let (code, error) = failure(&output);
    assert_eq!(code, 77, "{error}");
    assert!(error.contains("within 2 seconds") && error.contains("password authentication failed"), "{error}");
    assert!(!log(&output).contains("wr0ng"), "{}", log(&output));
}

#[test]
fn the_servers_certificate_is_verified_where_its_signers_are_known() {
    let world = World::new();
    let with = |bundle: &Path| {
        let mut environment = world.environment();
        environment.insert("BACKUP_EXPORT_RDS_CA_BUNDLE".to_owned(), bundle.display().to_string());
        run(&world.arguments(&["--login-seconds", "0"]), &environment)
    };
    let other = PlainDatabase::start(DatabaseEngine::Postgres, "postgres", PASSWORD).unwrap();
    let (_, error) = failure(&with(&other.certificate()));
    assert!(error.contains("certificate verify failed"), "{error}");
    report(&with(&world.server.certificate()));
}

#[test]
fn without_the_right_to_grant_what_cannot_be_read_is_told() {
    let world = World::new();
    let arguments: Vec<String> =
        world.arguments(&[]).into_iter().filter(|argument| argument != "--throw-away").collect();
    let output = run(&arguments, &world.environment());
    let (code, error) = failure(&output);
    assert_eq!(code, 76, "{error}");
    assert!(error.contains("permission denied"), "{error}");
}
