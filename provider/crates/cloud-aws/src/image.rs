//! The machine image: the one that is asked for, or else the newest by its owner and the beginning of
//! its name, resolved once in a run.
//!
//! GPU machines run AWS's Deep Learning Base image (driver, EFA, container toolkit), all others plain
//! Ubuntu of the same release.

use crate::Region;
use crate::error::{During, refused};
use crate::tags::filter;
use aws_sdk_ec2::types::Image as Ec2Image;
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

/// An image by its id.
pub(crate) async fn find(region: &Region, id: &str) -> cloud::Result<Image> {
    const OPERATION: &str = "DescribeImages";
    let mut known = region.images.lock().await;
    if let Some(image) = known.get(id) {
        return Ok(image.clone());
    }
    let answer = region.ec2.describe_images().image_ids(id).send().await.during(OPERATION);
    let answer = answer.map_err(|error| error.object(id))?;
    let found = answer.images.unwrap_or_default().into_iter().next().ok_or_else(|| {
        refused(OPERATION, "InvalidAMIID.NotFound", "the region has no such image").object(id)
    })?;
    let image = of(found);
    known.insert(id.to_owned(), image.clone());
    Ok(image)
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
    let image = of(newest);
    known.insert(wanted.name.to_owned(), image.clone());
    Ok(image)
}

fn of(found: Ec2Image) -> Image {
    Image {
        id: found.image_id.unwrap_or_default(),
        root_device: found.root_device_name.unwrap_or_else(|| "/dev/sda1".to_owned()),
    }
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
