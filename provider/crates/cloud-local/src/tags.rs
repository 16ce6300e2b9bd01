//! Setting tags on what is already there.

use crate::LocalCloud;
use crate::error::{During, absent};
use crate::records;
use cloud::{FleetKey, ObjectId, Tags};

pub(crate) async fn set(
    cloud: &LocalCloud,
    key: &FleetKey,
    objects: &[ObjectId],
    tags: &Tags,
) -> cloud::Result<()> {
    const OPERATION: &str = "SetTags";
    let change = cloud.store.change().await.during(OPERATION)?;
    let mut fleet = records::require_fleet(cloud, OPERATION, key)?;
    for object in objects {
        match object {
            ObjectId::Fleet => {
                fleet.tags.extend(tags.clone());
                records::save_fleet(cloud, &change, &fleet).during(OPERATION)?;
            }
            ObjectId::Address(id) => {
                let mut address = records::find_address(cloud, key, id)
                    .during(OPERATION)?
                    .ok_or_else(|| absent(OPERATION, "address", &id.0))?;
                address.tags.extend(tags.clone());
                records::write_address(cloud, &address).during(OPERATION)?;
            }
            ObjectId::Instance(id) => {
                let (machine, mut record) = records::require_machine(cloud, OPERATION, key, id)?;
                record.tags.extend(tags.clone());
                records::save_machine(&machine, &change, &record).during(OPERATION)?;
            }
        }
    }
    Ok(())
}
