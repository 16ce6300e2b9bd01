//! Tags set on objects of a fleet, whatever they are in EC2.

use crate::{Region, security_group, tags};
use cloud::{FleetKey, ObjectId, Tags};

pub(crate) async fn tag(
    region: &Region,
    key: &FleetKey,
    objects: &[ObjectId],
    own: &Tags,
) -> cloud::Result<()> {
    let mut ids = Vec::new();
    for object in objects {
        ids.push(match object {
            ObjectId::Fleet => security_group::facts(region, key).await?.group_id,
            ObjectId::Address(id) => id.0.clone(),
            ObjectId::Instance(id) => id.0.clone(),
        });
    }
    tags::set(region, &ids, &tags::own(own)).await
}
