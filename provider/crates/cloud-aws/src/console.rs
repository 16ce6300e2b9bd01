//! A machine's serial console.

use crate::Region;
use crate::error::{During, is_gone};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloud::{CloudError, Console, ErrorKind, InstanceId};

pub(crate) async fn read(region: &Region, id: &InstanceId) -> cloud::Result<Console> {
    const OPERATION: &str = "GetConsoleOutput";
    let answer = region.ec2.get_console_output().instance_id(&id.0).latest(true).send().await;
    let output = match answer.during(OPERATION).map_err(|error| error.object(&id.0)) {
        Err(error) if is_gone(&error) => return Ok(Console { text: String::new() }),
        answer => answer?.output.unwrap_or_default(),
    };
    let bytes = BASE64_STANDARD.decode(output.trim()).map_err(|error| {
        CloudError::new(ErrorKind::Other, OPERATION, "the output is not base64")
            .object(&id.0)
            .source(error)
    })?;
    Ok(Console { text: String::from_utf8_lossy(&bytes).into_owned() })
}
