//! The password of a restored database.
//!
//! It never passes through the state machine. It is made here, kept as an SSM SecureString of a derived name, and set; whoever is called again reads it
//! back instead of making another.

use aws_sdk_ssm::types::ParameterType;
use domain::failure::Kind;
use domain::plan::{Plan, Unit};
use domain::source::DatabaseSource;

use super::Restorer;
use crate::aws::{Failure, done};
use crate::error::Error;

/// Gives the master user of the server its password. RDS takes a while to make the change.
pub(super) async fn set(restorer: &Restorer, plan: &Plan, unit: &Unit, source: &DatabaseSource) -> Result<(), Error> {
    let password = make(&restorer.ssm, plan, unit, &source.password_parameter).await?;
    let rds = &restorer.rds;
    let result = if let Some(cluster) = &source.cluster_id {
        let call = rds.modify_db_cluster().db_cluster_identifier(cluster);
        done(call.master_user_password(password).apply_immediately(true).send().await)
    } else {
        let call = rds.modify_db_instance().db_instance_identifier(&source.instance_id);
        done(call.master_user_password(password).apply_immediately(true).send().await)
    };
    match result {
        Ok(()) => Ok(()),
        // It began to change after it was described.
        Err(failure) if failure.is(&["InvalidDBInstanceState", "InvalidDBClusterStateFault"]) => {
            Err(failure.as_kind(Kind::Unavailable, format!("set the password of {}", source.instance_id)))
        }
        Err(failure) => Err(failure.during(format!("set the password of {}", source.instance_id))),
    }
}

/// The password: made and kept, or as it was kept before.
async fn make(ssm: &aws_sdk_ssm::Client, plan: &Plan, unit: &Unit, name: &str) -> Result<String, Error> {
    // 122 random bits without a character that any engine refuses; MySQL takes 41 characters at most.
    let password = uuid::Uuid::new_v4().simple().to_string();
    let tag = |(key, value): (String, String)| {
        let built = aws_sdk_ssm::types::Tag::builder().key(key).value(value).build();
        built.map_err(|error| Error::new(Kind::Internal, format!("tag the parameter {name}: {error}")))
    };
    let tags = super::tags(plan, unit).into_iter().map(tag).collect::<Result<Vec<_>, _>>()?;
    let result = ssm
        .put_parameter()
        .name(name)
        .r#type(ParameterType::SecureString)
        .value(&password)
        .description("Password of a database that is restored for its export; deleted with it")
        .overwrite(false)
        .set_tags(Some(tags))
        .send()
        .await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(_) => return Ok(password),
        Err(failure) if failure.is(&["ParameterAlreadyExists"]) => {}
        Err(failure) => return Err(failure.during(format!("keep a password as {name}"))),
    }
    let result = ssm.get_parameter().name(name).with_decryption(true).send().await;
    let output = result.map_err(|error| Failure::of(&error).during(format!("read the password back from {name}")))?;
    let kept = output.parameter.and_then(|parameter| parameter.value);
    kept.ok_or_else(|| Error::new(Kind::Internal, format!("the parameter {name} has no value")))
}
