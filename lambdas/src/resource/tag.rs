//! The tags of what is made for a unit, in the types of each service.

use aws_smithy_types::error::operation::BuildError;
use domain::name;
use domain::plan::{Plan, Unit};
use domain::tag::{EXECUTION, EXPORT_ID, UNIT_KEY};

/// All tags of what is made for a unit: ours, and the operator's where they are not ours.
fn of(plan: &Plan, unit: &Unit) -> Vec<(String, String)> {
    let title = name::title(&plan.export_id, &unit.key);
    let ours = [
        (EXPORT_ID, plan.export_id.as_str()),
        (EXECUTION, plan.execution.as_str()),
        (UNIT_KEY, &unit.key),
        ("Name", &title),
    ];
    // A key that comes twice is refused; by ours the resource is found again.
    let theirs = plan.resource_tags.iter().filter(|(key, _)| ours.iter().all(|(our, _)| our != key));
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    ours.into_iter().chain(theirs.map(|(key, value)| (key.as_str(), value.as_str()))).map(owned).collect()
}

/// For EC2.
pub(crate) fn ec2(plan: &Plan, unit: &Unit) -> Vec<aws_sdk_ec2::types::Tag> {
    let tag = |(key, value)| aws_sdk_ec2::types::Tag::builder().key(key).value(value).build();
    of(plan, unit).into_iter().map(tag).collect()
}

/// For RDS.
pub(crate) fn rds(plan: &Plan, unit: &Unit) -> Vec<aws_sdk_rds::types::Tag> {
    let tag = |(key, value)| aws_sdk_rds::types::Tag::builder().key(key).value(value).build();
    of(plan, unit).into_iter().map(tag).collect()
}

/// For Systems Manager.
pub(crate) fn ssm(plan: &Plan, unit: &Unit) -> Result<Vec<aws_sdk_ssm::types::Tag>, BuildError> {
    let tag = |(key, value)| aws_sdk_ssm::types::Tag::builder().key(key).value(value).build();
    of(plan, unit).into_iter().map(tag).collect()
}

/// For DynamoDB.
pub(crate) fn dynamodb(plan: &Plan, unit: &Unit) -> Result<Vec<aws_sdk_dynamodb::types::Tag>, BuildError> {
    let tag = |(key, value)| aws_sdk_dynamodb::types::Tag::builder().key(key).value(value).build();
    of(plan, unit).into_iter().map(tag).collect()
}
