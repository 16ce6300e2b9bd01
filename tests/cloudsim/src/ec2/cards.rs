//! The interfaces of a launch on the network cards of its type, as far as EC2 takes them.

use super::account::InstanceType;
use super::launch::{Launch, LaunchInterface};
use super::refusal::Refusal;
use super::region::Region;
use std::collections::BTreeSet;

impl Region {
    /// Whether the interfaces of a launch fit on the cards of its type.
    pub(super) fn check_cards(&self, launch: &Launch, kind: &InstanceType) -> Result<(), Refusal> {
        let name = &launch.instance_type;
        if launch.interfaces.len() > 1 && launch.interfaces.iter().any(|one| one.public) {
            return Err(combination(
                "The associatePublicIPAddress parameter cannot be specified when launching with \
                 multiple network interfaces.",
            ));
        }
        let (mut places, mut cards_with_efa) = (BTreeSet::new(), BTreeSet::new());
        for interface in &launch.interfaces {
            let LaunchInterface { card, device, .. } = *interface;
            if card >= kind.cards {
                return Err(value("Invalid network card index."));
            }
            if device >= kind.interfaces {
                return Err(value(format!(
                    "Invalid device index {device}: each network card of {name} has {} network \
                     interfaces at most.",
                    kind.interfaces
                )));
            }
            if !places.insert((card, device)) {
                return Err(value(format!(
                    "Each network interface requires a unique device index on its network card: \
                     {device} on card {card} is there twice."
                )));
            }
            match self.kind_of(interface) {
                "interface" => continue,
                "efa-only" if (card, device) == (0, 0) => {
                    return Err(combination("The primary network interface cannot be efa-only."));
                }
                _ => {}
            }
            // A type with fewer EFAs than cards (p6-b300) has none on its first.
            if card == 0 && (1..kind.cards).contains(&kind.efa) {
                return Err(combination(format!("Network card 0 of {name} has no EFA.")));
            }
            if !cards_with_efa.insert(card) {
                return Err(combination(format!(
                    "Network card {card} has more than one EFA: there is one on each card at most."
                )));
            }
        }
        if cards_with_efa.len() > kind.efa as usize {
            let message = format!("{name} has {} EFA interfaces at most.", kind.efa);
            return Err(combination(message));
        }
        Ok(())
    }

    /// What an interface is or will be: one that exists is what it was made as.
    fn kind_of<'a>(&'a self, interface: &'a LaunchInterface) -> &'a str {
        let found = interface.id.as_ref().and_then(|id| self.interfaces.get(id));
        found.map_or(&interface.kind, |found| &found.kind)
    }
}

fn combination(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterCombination", message)
}

fn value(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2::Settings;

    /// What a launch with these interfaces (card, device, kind) is refused with.
    fn refused(instance_type: &str, interfaces: &[(u32, u32, &str)], public: bool) -> String {
        let region = Region::new(Settings::default());
        let interfaces = interfaces.iter().map(|(card, device, kind)| LaunchInterface {
            card: *card,
            device: *device,
            kind: (*kind).to_owned(),
            public,
            ..LaunchInterface::default()
        });
        let launch = Launch {
            instance_type: instance_type.to_owned(),
            interfaces: interfaces.collect(),
            ..Launch::default()
        };
        let kind = &region.account.types[instance_type];
        let refusal = region.check_cards(&launch, kind).err();
        refusal
            .map_or_else(String::new, |Refusal { code, message, .. }| format!("{code}: {message}"))
    }

    #[test]
    fn layouts_of_aws_fit() {
        let primary = (0, 0, "interface");
        let on_all = |cards| (1..cards).map(|card| (card, 0, "efa-only")).collect::<Vec<_>>();
        let with_first = |cards| [vec![primary, (0, 1, "efa-only")], on_all(cards)].concat();
        for (instance_type, interfaces) in [
            ("m7i.large", vec![primary]),
            ("g6.8xlarge", vec![(0, 0, "efa")]),
            ("g6e.24xlarge", with_first(2)),
            ("p4d.24xlarge", with_first(4)),
            ("p5.48xlarge", with_first(32)),
            ("p6-b300.48xlarge", [vec![primary], on_all(17)].concat()),
        ] {
            assert_eq!(refused(instance_type, &interfaces, false), "", "{instance_type}");
        }
        assert_eq!(refused("m7i.large", &[primary], true), "");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (combination, value) = ("InvalidParameterCombination", "InvalidParameterValue");
        let primary = (0, 0, "interface");
        for (instance_type, more, code, part) in [
            ("p5.48xlarge", (0, 0, "interface"), value, "unique device index"),
            ("p5.48xlarge", (1, 2, "efa-only"), value, "2 network interfaces at most"),
            ("p5.48xlarge", (32, 0, "efa-only"), value, "card index"),
            ("m7i.large", (0, 1, "efa-only"), combination, "0 EFA"),
            ("p6-b300.48xlarge", (0, 1, "efa-only"), combination, "card 0 of"),
        ] {
            let refusal = refused(instance_type, &[primary, more], false);
            assert!(refusal.starts_with(code) && refusal.contains(part), "{more:?}: {refusal}");
        }
        let two_on_one = [primary, (1, 0, "efa-only"), (1, 1, "efa")];
        assert!(refused("p5.48xlarge", &two_on_one, false).contains("more than one EFA"));
        assert!(refused("p5.48xlarge", &[(0, 0, "efa-only")], false).contains("primary"));
        let public = refused("p5.48xlarge", &two_on_one[..2], true);
        assert!(public.contains("associatePublicIPAddress"), "{public}");
    }
}
