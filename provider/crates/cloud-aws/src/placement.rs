//! The cluster placement group of a fleet, named as its security group.

use crate::Region;
use crate::error::{During, is};
use crate::tags;
use aws_sdk_ec2::types::{PlacementStrategy, ResourceType};
use cloud::Tags;

/// Makes the group be there. A name that is taken by a group without the fleet's own token is somebody
/// else's.
pub(crate) async fn ensure(region: &Region, name: &str, own: &Tags) -> cloud::Result<()> {
    const OPERATION: &str = "CreatePlacementGroup";
    let created = region
        .ec2
        .create_placement_group()
        .group_name(name)
        .strategy(PlacementStrategy::Cluster)
        .tag_specifications(tags::specification(ResourceType::PlacementGroup, own))
        .send()
        .await
        .during(OPERATION)
        .map_err(|error| error.object(name));
    match created {
        Err(error) if is(&error, "InvalidPlacementGroup.Duplicate") => {
            let token = own.get(tags::TOKEN);
            let found = find(region, name).await?;
            if found.is_some_and(|found| found.get(tags::TOKEN) == token) {
                return Ok(());
            }
            Err(error)
        }
        created => created.map(drop),
    }
}

/// Removes it; one that is gone is gone.
pub(crate) async fn delete(region: &Region, name: &str) -> cloud::Result<()> {
    const OPERATION: &str = "DeletePlacementGroup";
    let deleted = region.ec2.delete_placement_group().group_name(name).send().await;
    match deleted.during(OPERATION).map_err(|error| error.object(name)) {
        Err(error) if !is(&error, "InvalidPlacementGroup.Unknown") => Err(error),
        _ => Ok(()),
    }
}

async fn find(region: &Region, name: &str) -> cloud::Result<Option<Tags>> {
    const OPERATION: &str = "DescribePlacementGroups";
    let call = region.ec2.describe_placement_groups();
    let call = call.filters(tags::filter("group-name", [name]));
    let answer = call.send().await.during(OPERATION)?;
    let groups = answer.placement_groups.unwrap_or_default();
    Ok(groups.first().map(|group| tags::from_ec2(group.tags())))
}
