//! Security groups and placement groups.

use super::refusal::{Refusal, not_found_as};
use super::region::Region;
use crate::datacentre::Tags;

/// A security group.
#[derive(Clone, Debug)]
pub(super) struct SecurityGroup {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) vpc: String,
    pub(super) description: String,
    pub(super) ingress: Vec<Rule>,
    pub(super) egress: Vec<Rule>,
    pub(super) tags: Tags,
}

/// What one rule lets through, for one block or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// `-1` is every protocol.
    pub(super) protocol: String,
    pub(super) ports: Option<(i32, i32)>,
    pub(super) target: Target,
    pub(super) description: Option<String>,
}

/// Who is let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Block(String),
    Group(String),
}

impl Rule {
    /// A description makes no other rule.
    fn is_same(&self, other: &Self) -> bool {
        let of = |rule: &Self| (rule.protocol.clone(), rule.ports, rule.target.clone());
        of(self) == of(other)
    }
}

impl SecurityGroup {
    /// Lets a block in at a port.
    pub(super) fn open(&mut self, port: u16, block: &str, description: &str) {
        self.ingress.push(Rule {
            protocol: "tcp".to_owned(),
            ports: Some((port.into(), port.into())),
            target: Target::Block(block.to_owned()),
            description: (!description.is_empty()).then(|| description.to_owned()),
        });
    }

    /// Lets no block in any more.
    pub(super) fn close(&mut self) {
        self.ingress.retain(|rule| matches!(rule.target, Target::Group(_)));
    }
}

/// A placement group.
#[derive(Clone, Debug)]
pub(super) struct PlacementGroup {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) strategy: String,
    pub(super) tags: Tags,
}

impl Region {
    pub(super) fn create_group(
        &mut self,
        name: &str,
        vpc: &str,
        description: &str,
        tags: Tags,
    ) -> Result<String, Refusal> {
        if self.groups.values().any(|group| group.name == name && group.vpc == vpc) {
            return Err(Refusal::new(
                "InvalidGroup.Duplicate",
                format!("The security group '{name}' already exists for VPC '{vpc}'"),
            ));
        }
        let id = self.new_id("sg");
        let everywhere = Rule {
            protocol: "-1".to_owned(),
            ports: None,
            target: Target::Block("0.0.0.0/0".to_owned()),
            description: None,
        };
        let group = SecurityGroup {
            id: id.clone(),
            name: name.to_owned(),
            vpc: vpc.to_owned(),
            description: description.to_owned(),
            ingress: Vec::new(),
            egress: vec![everywhere],
            tags,
        };
        self.groups.insert(id.clone(), group);
        Ok(id)
    }

    pub(super) fn group(&mut self, id: &str) -> Result<&mut SecurityGroup, Refusal> {
        self.groups.get_mut(id).ok_or_else(|| not_found_as("sg", id))
    }

    pub(super) fn delete_group(&mut self, id: &str) -> Result<(), Refusal> {
        self.group(id)?;
        if self.interfaces.values().any(|interface| interface.groups.iter().any(|one| one == id)) {
            return Err(Refusal::new(
                "DependencyViolation",
                format!("resource {id} has a dependent object"),
            ));
        }
        self.groups.remove(id);
        Ok(())
    }

    pub(super) fn create_placement_group(
        &mut self,
        name: &str,
        strategy: &str,
        tags: Tags,
    ) -> Result<PlacementGroup, Refusal> {
        if self.placement_groups.contains_key(name) {
            return Err(Refusal::new(
                "InvalidPlacementGroup.Duplicate",
                format!("The placement group '{name}' already exists."),
            ));
        }
        let id = self.new_id("pg");
        let (name, strategy) = (name.to_owned(), strategy.to_owned());
        let group = PlacementGroup { id, name: name.clone(), strategy, tags };
        self.placement_groups.insert(name, group.clone());
        Ok(group)
    }

    pub(super) fn delete_placement_group(&mut self, name: &str) -> Result<(), Refusal> {
        if !self.placement_groups.contains_key(name) {
            return Err(unknown_placement_group(name));
        }
        let is_in = |id: &String| {
            let launch = self.instances.get(id).map(|instance| &instance.launch);
            launch.is_some_and(|launch| launch.placement_group.as_deref() == Some(name))
        };
        let mut members = self.machines.values();
        if let Some(member) =
            members.find(|machine| is_in(&machine.id) && self.state(machine).lives())
        {
            return Err(Refusal::new(
                "InvalidPlacementGroup.InUse",
                format!("The placement group '{name}' is in use by {}.", member.id),
            ));
        }
        self.placement_groups.remove(name);
        Ok(())
    }
}

impl SecurityGroup {
    /// Adds rules, all or none.
    pub(super) fn authorize(&mut self, ingress: bool, rules: Vec<Rule>) -> Result<(), Refusal> {
        let own = if ingress { &mut self.ingress } else { &mut self.egress };
        if let Some(rule) = rules.iter().find(|rule| own.iter().any(|one| one.is_same(rule))) {
            return Err(Refusal::new(
                "InvalidPermission.Duplicate",
                format!("the specified rule {rule:?} already exists"),
            ));
        }
        own.extend(rules);
        Ok(())
    }

    pub(super) fn revoke(&mut self, rules: &[Rule]) -> Result<(), Refusal> {
        if let Some(rule) =
            rules.iter().find(|rule| !self.ingress.iter().any(|one| one.is_same(rule)))
        {
            return Err(no_such_rule(rule));
        }
        self.ingress.retain(|own| !rules.iter().any(|rule| rule.is_same(own)));
        Ok(())
    }

    /// Gives what is let in these descriptions, or none; all of them, or nothing when one is not let in.
    pub(super) fn describe_ingress(&mut self, rules: Vec<Rule>) -> Result<(), Refusal> {
        if let Some(rule) =
            rules.iter().find(|rule| !self.ingress.iter().any(|one| one.is_same(rule)))
        {
            return Err(no_such_rule(rule));
        }
        for rule in rules {
            for own in self.ingress.iter_mut().filter(|own| own.is_same(&rule)) {
                own.description.clone_from(&rule.description);
            }
        }
        Ok(())
    }
}

fn no_such_rule(rule: &Rule) -> Refusal {
    Refusal::new(
        "InvalidPermission.NotFound",
        format!("The specified rule {rule:?} does not exist in this security group."),
    )
}

pub(super) fn unknown_placement_group(name: &str) -> Refusal {
    Refusal::new(
        "InvalidPlacementGroup.Unknown",
        format!("The Placement Group '{name}' is unknown."),
    )
}
