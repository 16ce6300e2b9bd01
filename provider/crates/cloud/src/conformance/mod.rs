//! The contract as a program: what every implementation of [`Cloud`] must pass.
//!
//! It is a table of rules with names. Each is examined on a fleet of its own, which is removed after it: a
//! rule that is not kept hides no other. What cannot be examined, because the cloud has no such thing or
//! the test no means, is listed with its reason. What a cloud does by itself (machines that stop or disappear,
//! zones that are full) is asked for through [`Sabotage`].

mod examination;
mod report;
mod rules;
pub mod wait;

pub use report::{Report, Verdict};
pub use rules::{RULES, Rule};

use self::examination::{Ended, Examination};
use self::wait::Schedule;
use crate::{AddressId, BootDocument, Calls, Cloud, FleetKey, InstanceId, Offer};
use async_trait::async_trait;
use std::{fmt::Debug, sync::Arc, time::Duration};

/// A cloud to be examined, in a region of an account where nobody else works.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The cloud, which counts its calls.
    pub cloud: &'a dyn Cloud,
    /// How often it was called: a rule that claims to examine a method has to call it.
    pub calls: Arc<Calls>,
    /// What it can do to its machines, if anything.
    pub sabotage: Option<&'a dyn Sabotage>,
    /// The region to work in.
    pub region: String,
    /// What names of fleets begin with that nobody else uses.
    pub fleet: String,
    /// The cheapest machine there is.
    pub offer: Offer,
    /// What a machine boots from that prints [`Subject::console_line`] on its console.
    pub document: BootDocument,
    /// A line, without its end.
    pub console_line: String,
    /// Ids as this cloud makes them, which nothing has.
    pub absent: (InstanceId, AddressId),
    /// What the account has for machines to use.
    pub account: Account,
    /// How often to look while waiting.
    pub schedule: Schedule,
    /// How long a machine may take to come up or to go.
    pub patience: Duration,
}

/// What an account has before any fleet, in a cloud that has such things.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// A subnet that is not the default one, and its zone.
    pub subnet: Option<(String, String)>,
    /// An identity that machines may use.
    pub identity: Option<String>,
    /// A reservation of at least one machine of the subject's offer, in the best zone for it.
    pub reservation: Option<String>,
    /// A key of people who come in.
    pub ssh_key: Option<String>,
}

/// What happens to machines and fleets in real life, on demand; `Unsupported` where it cannot happen, or the
/// cloud does not tell.
#[async_trait]
pub trait Sabotage: Debug + Send + Sync {
    /// Powers a machine off behind the provider's back.
    async fn stop(&self, fleet: &FleetKey, id: &InstanceId) -> crate::Result<()>;
    /// Makes a machine run without working.
    async fn impair(&self, fleet: &FleetKey, id: &InstanceId) -> crate::Result<()>;
    /// Makes a machine disappear.
    async fn lose(&self, fleet: &FleetKey, id: &InstanceId) -> crate::Result<()>;
    /// Changes something about a machine that can be put back while it runs.
    async fn alter(&self, fleet: &FleetKey, id: &InstanceId) -> crate::Result<()>;
    /// Changes something about a fleet that can be put back.
    async fn alter_fleet(&self, fleet: &FleetKey) -> crate::Result<()>;
    /// Lets the zone have no more than `machines` of the subject's offer; `None` lifts that.
    async fn limit(&self, machines: Option<usize>) -> crate::Result<()>;
}

/// Examines a cloud by every rule, one after the other.
pub async fn run(subject: &Subject<'_>) -> Report {
    let mut report = Report::default();
    for (index, rule) in RULES.iter().enumerate() {
        let name = format!("{}-{index}", subject.fleet);
        let key = FleetKey { region: subject.region.clone(), name };
        let verdict = judge(subject, rule, &Examination::new(subject, key)).await;
        report.add(rule.name, verdict);
    }
    report
}

/// Examines a rule, and leaves nothing of its fleet, whatever is found.
async fn judge(subject: &Subject<'_>, rule: &Rule, examination: &Examination<'_>) -> Verdict {
    let before = subject.calls.counts();
    let outcome = (rule.check)(examination).await;
    let after = subject.calls.counts();
    let is_new = |method: &&&str| after.get(**method) > before.get(**method);
    // What a cloud is, and what time it is there, costs no call and is not counted.
    let free = ["name", "profile", "now"];
    let counted = rule.methods.iter().filter(|method| !free.contains(*method));
    let unused: Vec<_> = counted.filter(|method| !is_new(method)).collect();
    let removed = examination.remove_all().await;
    match (outcome, removed) {
        (Err(Ended::Violation(found)), _) => Verdict::Broken(found),
        (_, Err(Ended::Violation(found) | Ended::NotExamined(found))) => {
            Verdict::Broken(format!("its fleet cannot be removed: {found}"))
        }
        (Err(Ended::NotExamined(why)), Ok(())) => Verdict::NotExamined(why),
        (Ok(()), Ok(())) if unused.is_empty() => Verdict::Kept,
        (Ok(()), Ok(())) => Verdict::Broken(format!("the rule has never called {unused:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Scripted, offer};
    use crate::{Backoff, Managed};
    use std::collections::BTreeSet;

    /// Every method of the trait, as it stands in its source.
    fn methods() -> BTreeSet<&'static str> {
        let (_, contract) = include_str!("../lib.rs").split_once("pub trait Cloud").unwrap();
        let lines = contract.lines().filter_map(|line| {
            let line = line.strip_prefix("    ")?;
            line.strip_prefix("async ")
                .unwrap_or(line)
                .strip_prefix("fn ")?
                .split(['(', '<'])
                .next()
        });
        lines.collect()
    }

    #[test]
    fn each_method_of_the_contract_is_examined_by_some_rule() {
        let methods = methods();
        assert!(methods.len() > 10 && methods.contains("name"), "{methods:?}");
        let examined: BTreeSet<&str> =
            RULES.iter().flat_map(|rule| rule.methods).copied().collect();
        assert_eq!(examined, methods);
    }

    #[test]
    fn each_rule_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
    }

    /// A cloud that can nothing but launch: each rule is told to be broken, and none hides another.
    #[tokio::test]
    async fn a_broken_rule_hides_no_other() {
        let cloud = Managed::with(Scripted::launches(&[]), Backoff::NONE, 0);
        let subject = Subject {
            cloud: &cloud,
            calls: cloud.calls(),
            sabotage: None,
            region: "r".to_owned(),
            fleet: "f".to_owned(),
            offer: offer("a"),
            document: BootDocument::default(),
            console_line: String::new(),
            absent: (InstanceId("none".to_owned()), AddressId("none".to_owned())),
            account: Account::default(),
            schedule: Schedule::LOCAL,
            patience: Duration::ZERO,
        };
        let report = run(&subject).await;
        assert!(!report.is_kept());
        let told = report.to_string();
        assert_eq!(told.lines().filter(|line| line.starts_with("NOT KEPT")).count(), RULES.len());
    }
}
