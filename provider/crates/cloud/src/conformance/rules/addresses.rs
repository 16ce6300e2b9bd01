//! Reserved addresses.

use crate::conformance::examination::{Examination, Outcome, equal, expect, not_examined};
use crate::{Address, AddressRequest, Feature, LabelFilter, ObjectId, Tags, tag};

pub(super) async fn same_token(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let first = of.address("address-1").await?;
    equal("the same again", &of.address("address-1").await?, &first)?;
    equal("tags", &first.tags, &of.address_request("address-1").tags)?;
    let second = of.address("address-2").await?;
    expect(first.id != second.id && first.ip != second.ip, "two that are the same")?;
    for _ in 0..2 {
        of.cloud().release_address(&of.key, &second.id).await?;
    }
    equal("left", &listed(of, &of.filter("address")).await?, &vec![first])
}

pub(super) async fn at_once(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let reserve = || of.address("address-1");
    let (one, two, three) = tokio::join!(reserve(), reserve(), reserve());
    let one = one?;
    equal("of the second", &two?.id, &one.id)?;
    equal("of the third", &three?.id, &one.id)?;
    equal("listed", &listed(of, &LabelFilter::all()).await?, &vec![one])
}

pub(super) async fn tags(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let (first, second) = (of.address("address-1").await?, of.address("address-2").await?);
    let launched = |name: &str| of.filter("address").and(tag::LAUNCH, of.token(name));
    equal("of no tag", &listed(of, &launched("address-3")).await?, &Vec::new())?;
    equal("of one tag", &listed(of, &launched("address-2")).await?, &vec![second])?;

    let more = Tags::from([(tag::ROLE, "router".to_owned())]);
    let mut expected = first.clone();
    expected.tags.extend(more.clone());
    of.cloud().tag(&of.key, &[ObjectId::Address(first.id)], &more).await?;
    let tagged = listed(of, &of.filter("address").and(tag::ROLE, "router")).await?;
    equal("tagged", &tagged, &vec![expected])
}

pub(super) async fn public(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let wish = |public| AddressRequest { public: Some(public), ..of.address_request("address-1") };
    if !of.has(Feature::PublicAddress) {
        let address = of.cloud().reserve_address(&wish(true)).await?;
        equal("listed", &listed(of, &LabelFilter::all()).await?, &vec![address])?;
        return Err(not_examined("this cloud has no public addresses to be had"));
    }
    for is_public in [true, false, true] {
        let address = of.cloud().reserve_address(&wish(is_public)).await?;
        equal("public", &address.public_ip.is_some(), &is_public)?;
        let listed = listed(of, &LabelFilter::all()).await?;
        let public: Vec<_> = listed.iter().map(|address| address.public_ip).collect();
        equal("listed", &public, &vec![address.public_ip])?;
    }
    Ok(())
}

async fn listed(of: &Examination<'_>, filter: &LabelFilter) -> Outcome<Vec<Address>> {
    Ok(of.cloud().list_addresses(&of.key, filter).await?)
}
