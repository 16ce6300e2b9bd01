//! The machine image: resolved once in a run by its owner and the beginning of its name.
//!
//! GPU machines run AWS's Deep Learning Base image (driver, EFA, container toolkit), all others plain
//! Ubuntu of the same release.

use crate::Region;
use crate::error::During;
use crate::tags::filter;
use cloud::{CloudError, ErrorKind};

/// An image, and the name of its root device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) root_device: String,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    owner: &'static str,
    name: &'static str,
    architecture: &'static str,
}

/// The newest image for machines of this kind.
pub(crate) async fn newest(
    region: &Region,
    architecture: &str,
    with_gpus: bool,
) -> cloud::Result<Image> {
    const OPERATION: &str = "DescribeImages";
    let wanted = wanted(architecture, with_gpus);
    let mut known = region.images.lock().await;
    if let Some(image) = known.get(wanted.name) {
        return Ok(image.clone());
    }
    let call = region.ec2.describe_images().owners(wanted.owner);
    let answer = call
        .filters(filter("name", [wanted.name]))
        .filters(filter("state", ["available"]))
        .filters(filter("architecture", [wanted.architecture]))
        .send()
        .await
        .during(OPERATION)?;
    let newest = answer
        .images
        .unwrap_or_default()
        .into_iter()
        .max_by(|a, b| a.creation_date.cmp(&b.creation_date))
        .ok_or_else(|| {
            let message = format!("owner {} has no image `{}` here", wanted.owner, wanted.name);
            CloudError::new(ErrorKind::Unsupported, OPERATION, message)
        })?;
    let image = Image {
        id: newest.image_id.unwrap_or_default(),
        root_device: newest.root_device_name.unwrap_or_else(|| "/dev/sda1".to_owned()),
    };
    known.insert(wanted.name, image.clone());
    Ok(image)
}

fn wanted(architecture: &str, with_gpus: bool) -> Wanted {
    match (with_gpus, architecture) {
        (true, "arm64") => Wanted {
            owner: AMAZON,
            name: "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) *",
            architecture: "arm64",
        },
        (true, _) => Wanted {
            owner: AMAZON,
            name: "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) *",
            architecture: "x86_64",
        },
        (false, "arm64") => Wanted {
            owner: CANONICAL,
            name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*",
            architecture: "arm64",
        },
        (false, _) => Wanted {
            owner: CANONICAL,
            name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*",
            architecture: "x86_64",
        },
    }
}

/// The account of the Deep Learning images.
const AMAZON: &str = "898082745236";
/// The account of Ubuntu's images.
const CANONICAL: &str = "099720109477";
