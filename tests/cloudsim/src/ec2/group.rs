//! Security groups and placement groups.

use crate::datacentre::{Datacentre, Refusal, Tags, not_found_as};

/// A security group.
#[derive(Clone, Debug)]
pub(crate) struct SecurityGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) vpc: String,
    pub(crate) description: String,
    pub(crate) ingress: Vec<Rule>,
    pub(crate) egress: Vec<Rule>,
    pub(crate) tags: Tags,
}

/// What one rule lets through, for one block or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// `-1` is every protocol.
    pub(crate) protocol: String,
    pub(crate) ports: Option<(i32, i32)>,
    pub(crate) target: Target,
    pub(crate) description: Option<String>,
}

/// Who is let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
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
    pub(crate) fn open(&mut self, port: u16, block: &str, description: &str) {
        self.ingress.push(Rule {
            protocol: "tcp".to_owned(),
            ports: Some((port.into(), port.into())),
            target: Target::Block(block.to_owned()),
            description: (!description.is_empty()).then(|| description.to_owned()),
        });
    }

    /// Lets no block in any more.
    pub(crate) fn close(&mut self) {
        self.ingress.retain(|rule| matches!(rule.target, Target::Group(_)));
    }
}

/// A placement group.
#[derive(Clone, Debug)]
pub(crate) struct PlacementGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) strategy: String,
    pub(crate) tags: Tags,
}

impl Datacentre {
    pub(crate) fn create_group(
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

    pub(crate) fn group(&mut self, id: &str) -> Result<&mut SecurityGroup, Refusal> {
        self.groups.get_mut(id).ok_or_else(|| not_found_as("sg", id))
    }

    pub(crate) fn delete_group(&mut self, id: &str) -> Result<(), Refusal> {
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

    pub(crate) fn create_placement_group(
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

    pub(crate) fn delete_placement_group(&mut self, name: &str) -> Result<(), Refusal> {
        if !self.placement_groups.contains_key(name) {
            return Err(unknown_placement_group(name));
        }
        let mut members = self.machines.values().filter(|machine| {
            machine.launch.placement_group.as_deref() == Some(name) && self.state(machine).lives()
        });
        if let Some(member) = members.next() {
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
    pub(crate) fn authorize(&mut self, ingress: bool, rules: Vec<Rule>) -> Result<(), Refusal> {
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

    pub(crate) fn revoke(&mut self, rules: &[Rule]) -> Result<(), Refusal> {
        if let Some(rule) =
            rules.iter().find(|rule| !self.ingress.iter().any(|one| one.is_same(rule)))
        {
            return Err(no_such_rule(rule));
        }
        self.ingress.retain(|own| !rules.iter().any(|rule| rule.is_same(own)));
        Ok(())
    }

    /// Gives what is let in these descriptions, or none; all of them, or nothing when one is not let in.
    pub(crate) fn describe_ingress(&mut self, rules: Vec<Rule>) -> Result<(), Refusal> {
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

pub(crate) fn unknown_placement_group(name: &str) -> Refusal {
    Refusal::new(
        "InvalidPlacementGroup.Unknown",
        format!("The Placement Group '{name}' is unknown."),
    )
}
