//! Who may come in from outside: clients of services, and people.

use crate::conformance::examination::{Examination, Outcome, equal, fails, not_examined};
use crate::{ErrorKind, Feature, Fleet, Ingress, Opening, SshAccess, SshKey};

pub(super) async fn ingress(of: &Examination<'_>) -> Outcome {
    of.fleet().await?;
    let rule = |service: &str, cidrs: &[&str]| {
        let cidrs = cidrs.iter().map(|cidr| (*cidr).to_owned()).collect();
        Ingress { service: service.to_owned(), opening: Opening { port: 8000, cidrs } }
    };
    let kept = rule("b_2", &["198.51.100.0/24"]);
    let wanted = rule("a_1", &["192.0.2.0/24", "203.0.113.0/24"]);
    for rule in [&rule("a_1", &["192.0.2.0/25"]), &kept, &wanted, &wanted] {
        of.cloud().set_ingress(&of.key, &rule.service, Some(&rule.opening)).await?;
    }
    equal("rules", &shown(of, |fleet| fleet.ingress).await?, &Some(vec![wanted, kept.clone()]))?;
    for _ in 0..2 {
        of.cloud().set_ingress(&of.key, "a_1", None).await?;
    }
    equal("rules", &shown(of, |fleet| fleet.ingress).await?, &Some(vec![kept]))?;
    of.cloud().set_ingress(&of.key, "b_2", None).await?;
    equal("rules", &shown(of, |fleet| fleet.ingress).await?, &Some(Vec::new()))
}

pub(super) async fn ssh(of: &Examination<'_>) -> Outcome {
    let cloud = of.cloud();
    of.fleet().await?;
    let access = |key: &str, cidrs: &[&str]| SshAccess {
        key: SshKey::Registered(key.to_owned()),
        cidrs: cidrs.iter().map(|cidr| (*cidr).to_owned()).collect(),
    };
    let nobody = access("conformance-none", &["192.0.2.0/24"]);
    for _ in 0..2 {
        cloud.set_ssh(&of.key, None).await?;
    }
    if !of.has(Feature::SshKey) {
        fails(ErrorKind::Unsupported, cloud.set_ssh(&of.key, Some(&nobody)).await)?;
        equal("access", &shown(of, |fleet| fleet.ssh).await?, &Some(None))?;
        return Err(not_examined("this cloud has no keys of people, and says so"));
    }
    fails(ErrorKind::InvalidRequest, cloud.set_ssh(&of.key, Some(&nobody)).await)?;
    let Some(key) = &of.subject.account.ssh_key else {
        return Err(not_examined("the test's account has no key of people"));
    };
    let last = access(key, &["198.51.100.0/24"]);
    for access in [&access(key, &["192.0.2.0/24", "203.0.113.0/24"]), &last, &last] {
        cloud.set_ssh(&of.key, Some(access)).await?;
        equal("access", &shown(of, |fleet| fleet.ssh).await?, &Some(Some(access.clone())))?;
    }
    cloud.set_ssh(&of.key, None).await?;
    equal("access", &shown(of, |fleet| fleet.ssh).await?, &Some(None))
}

async fn shown<T>(of: &Examination<'_>, what: impl FnOnce(Fleet) -> T) -> Outcome<Option<T>> {
    Ok(of.cloud().get_fleet(&of.key).await?.map(what))
}
