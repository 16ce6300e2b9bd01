//! The cluster placement group of a fleet, named as its security group.

use crate::Region;
use crate::error::{During, is};
use crate::tags::{self, Ec2Tags};
use aws_sdk_ec2::types::{PlacementStrategy, ResourceType};
use cloud::Tags;

/// Makes the group. A name that is taken by a group which the provider has not made is somebody else's.
pub(crate) async fn create(region: &Region, name: &str, own: &Tags) -> cloud::Result<()> {
    match ensure(region, name, own).await {
        Err(error) if is(&error, DUPLICATE) => {
            let found = find(region, name).await?;
            let is_ours =
                found.is_some_and(|found| found.get(tags::TOKEN).is_some_and(|of| of == name));
            if is_ours { Ok(()) } else { Err(error) }
        }
        created => created,
    }
}

/// Makes the group again if it is gone. The fleet is there, so the one that has its name is its own.
pub(crate) async fn restore(region: &Region, name: &str, own: &Tags) -> cloud::Result<()> {
    match ensure(region, name, own).await {
        Err(error) if is(&error, DUPLICATE) => Ok(()),
        restored => restored,
    }
}

async fn ensure(region: &Region, name: &str, own: &Tags) -> cloud::Result<()> {
    let mut own = tags::own(own);
    own.insert(tags::TOKEN.to_owned(), name.to_owned());
    let call = region.ec2.create_placement_group().group_name(name);
    let call = call.strategy(PlacementStrategy::Cluster);
    let tagged = tags::specification(ResourceType::PlacementGroup, &own);
    let created = call.tag_specifications(tagged).send().await.during("CreatePlacementGroup");
    created.map(drop).map_err(|error| error.object(name))
}

const DUPLICATE: &str = "InvalidPlacementGroup.Duplicate";

/// Removes it; one that is gone is gone.
pub(crate) async fn delete(region: &Region, name: &str) -> cloud::Result<()> {
    const OPERATION: &str = "DeletePlacementGroup";
    let deleted = region.ec2.delete_placement_group().group_name(name).send().await;
    match deleted.during(OPERATION).map_err(|error| error.object(name)) {
        Err(error) if !is(&error, "InvalidPlacementGroup.Unknown") => Err(error),
        _ => Ok(()),
    }
}

async fn find(region: &Region, name: &str) -> cloud::Result<Option<Ec2Tags>> {
    const OPERATION: &str = "DescribePlacementGroups";
    let call = region.ec2.describe_placement_groups();
    let call = call.filters(tags::filter("group-name", [name]));
    let answer = call.send().await.during(OPERATION)?;
    let groups = answer.placement_groups.unwrap_or_default();
    Ok(groups.first().map(|group| tags::raw(group.tags())))
}
