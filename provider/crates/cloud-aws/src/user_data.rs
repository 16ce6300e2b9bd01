//! The boot document as EC2 carries it: user data, which it gives back in base64.

use crate::Region;
use crate::error::{During, is_gone};
use aws_sdk_ec2::types::InstanceAttributeName;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloud::{BootDocument, CloudError, ErrorKind, InstanceId};

/// What an instance was launched with.
pub(crate) async fn read(region: &Region, id: &InstanceId) -> cloud::Result<Option<BootDocument>> {
    const OPERATION: &str = "DescribeInstanceAttribute";
    let call = region.ec2.describe_instance_attribute().instance_id(&id.0);
    let answer = call.attribute(InstanceAttributeName::UserData).send().await;
    let value = match answer.during(OPERATION).map_err(|error| error.object(&id.0)) {
        Err(error) if is_gone(&error) => return Ok(None),
        answer => answer?.user_data.and_then(|value| value.value),
    };
    let user_data = value.map(|value| BASE64_STANDARD.decode(value)).transpose();
    let user_data = user_data.map_err(|error| {
        CloudError::new(ErrorKind::Other, OPERATION, "the user data is not base64")
            .object(&id.0)
            .source(error)
    })?;
    BootDocument::of_instance(OPERATION, id, user_data.as_deref()).map(Some)
}

/// As a launch carries it.
pub(crate) fn encode(document: &BootDocument) -> String {
    BASE64_STANDARD.encode(document.to_cloud_config())
}
