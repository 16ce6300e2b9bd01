//! Which objects this run of Terraform lets go, which it makes and which it keeps, by their paths.
//!
//! Terraform tells a provider no address. When a resource is called otherwise in the configuration and nobody
//! has written `moved`, it is one object of which two plans speak: one removes it, the other makes it or has it.
//! The two come in no order, in the plan and in the apply, and each is right by itself. Here they meet.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What the plans of this process have said so far.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    said: Mutex<Said>,
    /// What those have to hear that wait for it.
    heard: watch::Sender<Heard>,
}

#[derive(Debug, Default)]
struct Said {
    let_go: BTreeSet<String>,
    kept: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Something stays or comes: this is no run that removes everything.
    has_plans: bool,
    /// The paths at which something is to be made.
    made: BTreeSet<String>,
}

/// What one plan means for the objects that it speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The path of the object that there is.
    pub(crate) prior: Option<String>,
    /// Whether there will be one.
    pub(crate) stays: bool,
    /// Its path, where that is known.
    pub(crate) planned: Option<String>,
}

impl Addresses {
    /// Another run begins.
    pub(crate) fn forget(&self) {
        *lock(&self.said) = Said::default();
        self.heard.send_modify(|heard| *heard = Heard::default());
    }

    /// Waits for a moment until another plan has told that it makes this object, which is to go. Where nothing
    /// but removals is planned, the moment is a short one.
    pub(crate) async fn hear_of(&self, path: &str) {
        let mut heard = self.heard.subscribe();
        let begins = heard.wait_for(|heard| heard.has_plans);
        if tokio::time::timeout(FIRST_IS_HEARD, begins).await.is_ok() {
            self.will_be_made(path).await;
        }
    }

    /// Takes down what a plan means. Answers the path of an object that another plan of this run means
    /// otherwise: one of the two lets it go, and the other makes it or keeps it.
    pub(crate) fn plan(&self, plan: &Planned) -> Option<String> {
        let Planned { prior, stays, planned } = plan;
        let mut said = lock(&self.said);
        // Where what will be is not known, the object may well stay.
        let goes = prior.clone().filter(|prior| match (stays, planned) {
            (true, None) => false,
            (_, planned) => planned.as_ref() != Some(prior),
        });
        let has = planned.clone().filter(|_| *stays);
        let mut twice = None;
        if let Some(path) = goes {
            let is_had = said.kept.contains(&path) || self.is_made(&path);
            twice = is_had.then(|| path.clone());
            said.let_go.insert(path);
        }
        if *stays {
            self.heard.send_modify(|heard| heard.has_plans = true);
        }
        if let Some(path) = has {
            if said.let_go.contains(&path) {
                twice = Some(path.clone());
            }
            if prior.as_ref() == Some(&path) {
                said.kept.insert(path);
            } else {
                self.heard.send_modify(|heard| {
                    heard.made.insert(path);
                });
            }
        }
        twice
    }

    /// Whether a plan of this run makes an object at this path.
    pub(crate) fn is_made(&self, path: &str) -> bool {
        self.heard.borrow().made.contains(path)
    }

    /// The same, also when that plan comes a moment later than the question.
    async fn will_be_made(&self, path: &str) -> bool {
        let mut heard = self.heard.subscribe();
        let comes = heard.wait_for(|heard| heard.made.contains(path));
        matches!(tokio::time::timeout(ALL_HAVE_BEGUN, comes).await, Ok(Ok(_)))
    }
}

/// The first plan that Terraform asks for comes as soon as the provider is configured.
const FIRST_IS_HEARD: Duration = Duration::from_millis(250);

/// Terraform begins everything that depends on nothing at the same moment.
const ALL_HAVE_BEGUN: Duration = Duration::from_secs(2);

fn lock(said: &Mutex<Said>) -> std::sync::MutexGuard<'_, Said> {
    // No code panics while it holds this; if it did, the data would still be whole.
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prior: Option<&str>, stays: bool, planned: Option<&str>) -> Planned {
        let text = |path: Option<&str>| path.map(str::to_owned);
        Planned { prior: text(prior), stays, planned: text(planned) }
    }

    /// Each pair of plans in both orders.
    #[test]
    fn one_object_at_two_addresses_is_seen_whichever_is_planned_first() {
        let removal = of(Some("a"), false, None);
        let renaming = of(Some("a"), true, Some("b"));
        for (one, other, is_twice) in [
            // Another address makes it, or has it already, after an import.
            (&removal, of(None, true, Some("a")), true),
            (&removal, of(Some("a"), true, Some("a")), true),
            // Two that swap their names.
            (&renaming, of(Some("b"), true, Some("a")), true),
            (&renaming, of(None, true, Some("a")), true),
            // Others have nothing to do with it.
            (&removal, of(None, true, Some("b")), false),
            (&removal, of(Some("b"), false, None), false),
            (&renaming, of(Some("c"), true, Some("c")), false),
            // What is not known yet is judged when it is.
            (&removal, of(None, true, None), false),
            (&removal, of(Some("a"), true, None), false),
        ] {
            for (first, second) in [(one, &other), (&other, one)] {
                let addresses = Addresses::default();
                assert_eq!(addresses.plan(first), None);
                assert_eq!(addresses.plan(second).is_some(), is_twice, "{first:?} {second:?}");
                addresses.forget();
                assert_eq!(addresses.plan(second), None);
            }
        }
    }

    /// Terraform asks for the second half of a replacement as for a creation.
    #[test]
    fn a_replacement_in_place_is_one_address() {
        let addresses = Addresses::default();
        for plan in [of(Some("a"), true, Some("a")), of(None, true, Some("a"))] {
            assert_eq!(addresses.plan(&plan), None);
            assert_eq!(addresses.plan(&plan), None, "Terraform asks again");
        }
        assert!(addresses.is_made("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_too_early_hears_of_it() {
        let addresses = Addresses::default();
        assert!(!addresses.will_be_made("a").await);
        let (comes, _) = tokio::join!(addresses.will_be_made("a"), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            addresses.plan(&of(None, true, Some("a")))
        });
        assert!(comes);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_only_removes_is_not_held_up() {
        let addresses = Addresses::default();
        let began = tokio::time::Instant::now();
        assert_eq!(addresses.plan(&of(Some("a"), false, None)), None);
        addresses.hear_of("b").await;
        assert_eq!(began.elapsed(), FIRST_IS_HEARD);
        assert_eq!(addresses.plan(&of(Some("c"), true, Some("c"))), None);
        addresses.hear_of("b").await;
        assert_eq!(began.elapsed(), FIRST_IS_HEARD + ALL_HAVE_BEGUN);
    }
}
