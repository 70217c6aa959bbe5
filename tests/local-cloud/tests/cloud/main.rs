//! The local cloud against what it stands for: the AWS CLI, boto3, a mounting host and a real state machine use it.
//!
//! Needs root (loop devices, mounts), `mkfs.ext4`, and the virtualenv that `make setup` makes.

#![expect(clippy::tests_outside_test_module, reason = "an integration test is a test module as a whole")]

mod flow;
mod store;
mod support;
mod volume;
