//! Passwords of restored databases, kept as SSM SecureStrings of derived names.
//!
//! A password never passes through the state machine. It is made here; whoever asks again reads it back instead of
//! making another.

use aws::CallError;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{ParameterStringFilter, ParameterType, Tag};
use domain::failure::{Error, Kind};
use domain::name;

use super::removal::Removal;

/// The password: made and kept, or as it was kept before.
pub(crate) async fn keep(ssm: &Client, name: &str, tags: Vec<Tag>) -> Result<String, Error> {
    // 122 random bits without a character that any engine refuses; MySQL takes 41 characters at most.
    let password = uuid::Uuid::new_v4().simple().to_string();
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
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => return Ok(password),
        Err(failure) if failure.is(&["ParameterAlreadyExists"]) => {}
        Err(failure) => return Err(failure.during(format!("keep a password as {name}"))),
    }
    let result = ssm.get_parameter().name(name).with_decryption(true).send().await;
    let output = result.map_err(|error| CallError::of(&error).during(format!("read the password back from {name}")))?;
    let kept = output.parameter.and_then(|parameter| parameter.value);
    kept.ok_or_else(|| Error::new(Kind::Internal, format!("the parameter {name} has no value")))
}

/// Tells the names, whole, of all passwords under `path`.
pub(crate) async fn each_name(ssm: &Client, path: &str, mut tell: impl FnMut(&str)) -> Result<(), Error> {
    let prefix = name::password_prefix(path);
    let action = || format!("list the parameters {prefix}…");
    let filter = ParameterStringFilter::builder().key("Name").option("BeginsWith").values(&prefix).build();
    let filter = filter.map_err(|error| Error::new(Kind::Internal, format!("{}: {error}", action())))?;
    let mut pages = ssm.describe_parameters().parameter_filters(filter).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| CallError::of(&error).during(action()))?;
        page.parameters().iter().filter_map(|parameter| parameter.name()).for_each(&mut tell);
    }
    Ok(())
}

/// Deletes a password.
pub(crate) async fn delete(ssm: &Client, name: &str) -> Result<Removal, Error> {
    let result = ssm.delete_parameter().name(name).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(Removal::Begun),
        Err(failure) if failure.is(&["ParameterNotFound"]) => Ok(Removal::Gone),
        Err(failure) => Err(failure.during(format!("delete the parameter {name}"))),
    }
}
