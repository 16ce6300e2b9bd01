//! Our tags in EC2's words, and the few that only this crate writes.

use crate::Region;
use crate::error::During;
use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use cloud::{FleetKey, Key, Label, LabelFilter, Tags, tag};
use std::collections::BTreeMap;

/// The token that an object was made with, where EC2 itself keeps none.
pub(crate) const TOKEN: &str = "disagg:token";
/// The key pair of people, on the fleet's security group.
pub(crate) const SSH_KEY: &str = "disagg:ssh-key";
/// How an instance reaches the internet, where that is not by its subnet; see [`egress`](crate::egress). On
/// a fleet's security group: that there have been such instances.
pub(crate) const EGRESS: &str = "disagg:egress";
/// On an instance: that it was launched outside its fleet's placement group.
pub(crate) const UNPLACED: &str = "disagg:unplaced";
/// The instance that an Elastic IP goes with.
pub(crate) const INSTANCE: &str = "disagg:instance";
/// When an Elastic IP was taken for an instance, in seconds since 1970.
pub(crate) const HELD_AT: &str = "disagg:held-at";

/// Tags as EC2 has them: labels and notes of the contract, and those above.
pub(crate) type Ec2Tags = BTreeMap<String, String>;

/// The key pair of machines that are launched now.
pub(crate) fn key_name(of_group: &[Tag]) -> Option<String> {
    raw(of_group).remove(SSH_KEY).filter(|name| !name.is_empty())
}

/// What the tags of an object that is being created are called in a request.
pub(crate) fn specification(kind: ResourceType, tags: &Ec2Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(to_ec2(tags))).build()
}

fn to_ec2(tags: &Ec2Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Labels and notes as EC2's tags.
pub(crate) fn own(tags: &Tags) -> Ec2Tags {
    tags.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone())).collect()
}

/// Labels and notes of an object.
pub(crate) fn from_ec2(tags: &[Tag]) -> Tags {
    let pair = |tag: &Tag| Some((Key::of(tag.key()?)?, tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

/// Every tag of an object.
pub(crate) fn raw(tags: &[Tag]) -> Ec2Tags {
    let pair =
        |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

/// What objects carry that a filter means.
pub(crate) fn wanted(filter: &LabelFilter) -> Ec2Tags {
    let labels = filter.0.iter();
    labels.map(|(label, value)| (Key::from(*label).as_str().to_owned(), value.clone())).collect()
}

/// The same with a `Name`, which is what the console shows.
pub(crate) fn named(tags: &Tags) -> Ec2Tags {
    let part = |label: Label| tags.get(label).map(|value| value.split('_').next().unwrap_or(value));
    let parts = [part(tag::FLEET), part(tag::SERVICE), part(tag::GROUP).or(part(tag::ROLE))];
    let name = parts.into_iter().flatten().collect::<Vec<_>>().join("/");
    let mut named = own(tags);
    named.insert(NAME.to_owned(), name);
    named
}

/// Filters for what belongs to a fleet and carries these tags.
pub(crate) fn filters(fleet: &FleetKey, wanted: &Ec2Tags) -> Vec<Filter> {
    let of_fleet = (Key::from(tag::FLEET).as_str(), fleet.name.as_str());
    let all = wanted.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    std::iter::once(of_fleet)
        .chain(all)
        .map(|(key, value)| self::filter(&format!("tag:{key}"), [value]))
        .collect()
}

/// One filter of a describing call.
pub(crate) fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    let values = values.into_iter().map(str::to_owned).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// Sets these tags on these objects and leaves every other tag alone.
pub(crate) async fn set(region: &Region, ids: &[String], tags: &Ec2Tags) -> cloud::Result<()> {
    const OPERATION: &str = "CreateTags";
    for chunk in ids.chunks(MOST_TAGGED) {
        let call = region.ec2.create_tags().set_resources(Some(chunk.to_vec()));
        let tagged = call.set_tags(Some(to_ec2(tags))).send().await;
        tagged.during(OPERATION).map_err(|error| error.object(chunk.join(", ")))?;
    }
    Ok(())
}

const NAME: &str = "Name";
/// Objects that EC2 takes in one CreateTags.
const MOST_TAGGED: usize = 1000;
