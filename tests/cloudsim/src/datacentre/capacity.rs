//! How many machines there are: of a type in a zone, with a tag, and in the whole account.

use super::{Datacentre, Machine, Tags};

/// What a launch lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The zone has no more such machines.
    Capacity,
    /// The account may have no more machines.
    Quota,
}

impl Datacentre {
    /// Capacity of a zone for a type; `None` is without limit.
    pub fn limit(&mut self, zone: &str, instance_type: &str, machines: Option<u32>) {
        let zone = self.settings.zones.entry(zone.to_owned()).or_default();
        match machines {
            Some(machines) => {
                zone.capacity.insert(instance_type.to_owned(), machines);
            }
            None => {
                zone.capacity.remove(instance_type);
            }
        }
    }

    /// Capacity for machines that are launched with a tag; `None` is without limit.
    pub fn limit_tagged(&mut self, key: &str, value: &str, machines: Option<u32>) {
        let tag = (key.to_owned(), value.to_owned());
        match machines {
            Some(machines) => self.tag_limits.insert(tag, machines),
            None => self.tag_limits.remove(&tag),
        };
    }

    /// Whether there are `count` more machines of a type in a zone, to be launched with these tags.
    pub(crate) fn check_capacity(
        &self,
        zone: &str,
        instance_type: &str,
        tags: &Tags,
        count: u32,
    ) -> Result<(), Lack> {
        let living: Vec<&Machine> =
            self.machines.values().filter(|machine| self.state(machine).lives()).collect();
        let all = u32::try_from(living.len()).unwrap_or(u32::MAX);
        if self.settings.most_machines.is_some_and(|most| all + count > most) {
            return Err(Lack::Quota);
        }
        for ((key, value), most) in &self.tag_limits {
            let has = |tags: &Tags| tags.get(key) == Some(value);
            let tagged = living.iter().filter(|machine| has(&machine.launch_tags)).count();
            if has(tags) && tagged + count as usize > *most as usize {
                return Err(Lack::Capacity);
            }
        }
        let is_same =
            |machine: &&&Machine| machine.zone == zone && machine.instance_type == instance_type;
        let same = u32::try_from(living.iter().filter(is_same).count()).unwrap_or(u32::MAX);
        let capacity =
            self.settings.zones.get(zone).and_then(|zone| zone.capacity.get(instance_type));
        match capacity {
            Some(most) if same + count > *most => Err(Lack::Capacity),
            _ => Ok(()),
        }
    }
}
