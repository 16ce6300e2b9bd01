//! When machines of a roll into another namespace may go.
//!
//! A router serves each namespace by itself, and prefill and decode only together. Old machines go when
//! the new namespace has both. The last of the old one go together, prefill first: without a prefill the
//! router sends nothing new there, and what is being prefilled still finds its decode. Each group is
//! rolled by an operation of its own, so this is what each of them has to know of the others.

use crate::spec::WorkerRole;
use std::collections::{BTreeMap, BTreeSet};

/// Machines of one group that are to go, and what there is beside them.
#[derive(Clone, Debug)]
pub struct Leaving<'a> {
    /// The half of the work that the group does.
    pub role: WorkerRole,
    /// The namespace that it rolls into.
    pub into: &'a str,
    /// The namespaces of the machines that are to go.
    pub gone: BTreeSet<String>,
    /// The namespaces of those that the group keeps.
    pub left: BTreeSet<String>,
    /// The machines of the other half, in all groups.
    pub partners: Vec<Partner>,
    /// What the operations on groups of the other half are at, by the groups' names.
    pub courses: BTreeMap<String, Course>,
    /// Whether the router still has engines of machines that are gone: to it their namespace has both halves.
    pub has_ghosts: bool,
}

/// A machine that does the other half of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its group's name.
    pub group: String,
    /// Where its engines register.
    pub namespace: String,
    /// Whether the router sends it requests.
    pub serves: bool,
}

/// How far an operation on a group has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is going on.
    Running,
    /// All that it has left to do is to take its last machines, for which it waits.
    TakesTheLast,
    /// It has ended, and what it has done can be seen by now.
    Ended,
}

/// What is to become of the machines that are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They go.
    Go,
    /// Somebody else has something to do first; what.
    Wait(String),
    /// Nothing that is known to go on does what has to be done first: it may begin yet. What.
    WaitForABeginning(String),
    /// What has to be done first will not be done: its operation has ended. What.
    NeverComes(String),
    /// A dead registration ends by itself, in a while.
    WaitForGhosts,
}

impl Leaving<'_> {
    /// The namespaces that they leave for another one.
    fn before(&self) -> BTreeSet<&String> {
        self.gone.iter().filter(|namespace| *namespace != self.into).collect()
    }

    /// Whether these are the last machines that the group has in the namespaces that they leave, and others
    /// have taken their place.
    pub fn takes_the_last(&self) -> bool {
        let before = self.before();
        let keeps_some = self.left.iter().any(|namespace| before.contains(namespace));
        !before.is_empty() && !keeps_some && self.left.contains(self.into)
    }

    /// Whether they may go now.
    pub fn verdict(&self) -> Verdict {
        let Some(partner) = self.role.counterpart() else { return Verdict::Go };
        let before = self.before();
        if before.is_empty() || self.partners.is_empty() {
            return Verdict::Go;
        }
        let is_running = |course: &Course| *course != Course::Ended;
        let serves = |partner: &Partner| partner.namespace == self.into && partner.serves;
        if !self.partners.iter().any(serves) {
            let missing = format!("no {partner} worker of the same kind serves");
            return if self.courses.values().any(is_running) {
                // Without a successor it was the user's word that these go first.
                if self.left.contains(self.into) { Verdict::Wait(missing) } else { Verdict::Go }
            } else if self.courses.is_empty() {
                Verdict::WaitForABeginning(missing)
            } else {
                Verdict::NeverComes(missing)
            };
        }
        if !self.takes_the_last() {
            return Verdict::Go;
        }
        let old = self.partners.iter().filter(|partner| before.contains(&partner.namespace));
        // Prefill goes when nobody but those that wait for it is left, which must not serve alone before.
        let is_needed = |partner: &&Partner| {
            self.role == WorkerRole::Decode
                || self.courses.get(&partner.group) != Some(&Course::TakesTheLast)
        };
        let needed: Vec<&Partner> = old.filter(is_needed).collect();
        if needed.is_empty() {
            let is_held_open = self.role == WorkerRole::Prefill && self.has_ghosts;
            return if is_held_open { Verdict::WaitForGhosts } else { Verdict::Go };
        }
        let missing = format!("{} {partner} workers of before are still there", needed.len());
        let courses = || needed.iter().map(|partner| self.courses.get(&partner.group));
        if courses().any(|course| course == Some(&Course::Ended)) {
            Verdict::NeverComes(missing)
        } else if courses().any(|course| course.is_none()) {
            Verdict::WaitForABeginning(missing)
        } else {
            Verdict::Wait(missing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "dynamo";
    const NEW: &str = "dynamo-1";

    /// A batch in which the old machine of a group goes and others are left, beside these partners: `group`,
    /// namespace, whether it serves; and the courses of their groups.
    fn leaving<'a>(
        role: WorkerRole,
        left: &[&str],
        partners: &[(&str, &str, bool)],
        courses: &[(&str, Course)],
    ) -> Leaving<'a> {
        let partner = |(group, namespace, serves): &(&str, &str, bool)| Partner {
            group: (*group).to_owned(),
            namespace: (*namespace).to_owned(),
            serves: *serves,
        };
        Leaving {
            role,
            into: NEW,
            gone: BTreeSet::from([OLD.to_owned()]),
            left: left.iter().map(|namespace| (*namespace).to_owned()).collect(),
            partners: partners.iter().map(partner).collect(),
            courses: courses.iter().map(|(group, course)| ((*group).to_owned(), *course)).collect(),
            has_ghosts: false,
        }
    }

    /// One word for each verdict.
    fn word(leaving: &Leaving<'_>) -> &'static str {
        match leaving.verdict() {
            Verdict::Go => "go",
            Verdict::Wait(_) => "wait",
            Verdict::WaitForABeginning(_) => "patience",
            Verdict::NeverComes(_) => "never comes",
            Verdict::WaitForGhosts => "ghosts",
        }
    }

    #[test]
    fn old_machines_go_when_the_new_namespace_has_both() {
        use Course::{Ended, Running};
        use WorkerRole::{Decode, Prefill, Worker};
        for role in [Prefill, Decode] {
            let word = |left: &[&str], partners: &[(&str, &str, bool)], courses: &[_]| {
                word(&leaving(role, left, partners, courses))
            };
            let old = [("p", OLD, true)];
            let booting = [("p", OLD, true), ("p", NEW, false)];
            let both = [("p", OLD, true), ("p", NEW, true)];
            // Some of the old ones stay beside the new.
            assert_eq!(word(&[OLD, NEW], &both, &[]), "go");
            for partners in [&old[..], &booting] {
                assert_eq!(word(&[OLD, NEW], partners, &[("p", Running)]), "wait");
                assert_eq!(word(&[OLD, NEW], partners, &[("p", Ended)]), "never comes");
                assert_eq!(word(&[OLD, NEW], partners, &[]), "patience");
            }
            // These go before there are others, as the user wants it; and not when nobody else changes.
            assert_eq!(word(&[OLD], &old, &[("p", Running)]), "go");
            assert_eq!(word(&[], &old, &[("p", Ended)]), "never comes");
            assert_eq!(word(&[], &old, &[]), "patience");
            // There is no other half.
            assert_eq!(word(&[NEW], &[], &[]), "go");
        }
        assert_eq!(word(&leaving(Worker, &[NEW], &[("p", OLD, true)], &[])), "go");
    }

    #[test]
    fn the_last_ones_go_together_and_prefill_first() {
        use Course::{Ended, Running, TakesTheLast};
        use WorkerRole::{Decode, Prefill};
        let two = [("a", OLD, true), ("a", NEW, true), ("b", OLD, true)];
        for (a, b, expected) in [
            (Running, Running, "wait"),
            (TakesTheLast, Running, "wait"),
            (TakesTheLast, TakesTheLast, "go"),
            // One of the decode groups will never go: nobody waits for the others, which wait for this one.
            (TakesTheLast, Ended, "never comes"),
        ] {
            let prefill = leaving(Prefill, &[NEW], &two, &[("a", a), ("b", b)]);
            assert_eq!(word(&prefill), expected, "{a:?} {b:?}");
            assert!(prefill.takes_the_last());
        }
        let unknown = leaving(Prefill, &[NEW], &two, &[("a", TakesTheLast)]);
        assert_eq!(word(&unknown), "patience");
        // Decode waits for the old prefill, whatever that waits for.
        let both = [("p", OLD, true), ("p", NEW, true)];
        let decode = |courses: &[_]| leaving(Decode, &[NEW], &both, courses);
        for (course, expected) in
            [(Running, "wait"), (TakesTheLast, "wait"), (Ended, "never comes")]
        {
            assert_eq!(word(&decode(&[("p", course)])), expected, "{course:?}");
        }
        assert_eq!(word(&decode(&[])), "patience");
        let gone = leaving(Decode, &[NEW], &[("p", NEW, true)], &[("p", Running)]);
        assert_eq!(word(&gone), "go");
        // With a prefill that has died the router would go on sending requests to the namespace of before.
        let waiting = leaving(Prefill, &[NEW], &two[..2], &[("a", TakesTheLast)]);
        assert_eq!(word(&waiting), "go");
        assert_eq!(word(&Leaving { has_ghosts: true, ..waiting }), "ghosts");
    }

    #[test]
    fn what_stays_in_its_namespace_is_no_switch() {
        let same = Leaving {
            gone: BTreeSet::from([NEW.to_owned()]),
            ..leaving(WorkerRole::Decode, &[NEW], &[("p", OLD, true)], &[])
        };
        assert_eq!((word(&same), same.takes_the_last()), ("go", false));
    }
}
