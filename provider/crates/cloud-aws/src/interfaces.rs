//! Which network interfaces a machine of a type gets: a pure function of what EC2 says of the type.
//!
//! The layout is AWS's own of 2026 ("Elastic Fabric Adapter for AI/ML and HPC workloads"): the first
//! interface carries IP and nothing else, and every card with EFA one `efa-only` interface, which takes
//! no address. One machine with one card and EFA gets a single `efa` interface, because a machine with
//! several can have no public address of its own.

/// What EC2 says of an instance type's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// Network cards.
    pub(crate) cards: u32,
    /// Interfaces with EFA at most; none means no EFA.
    pub(crate) efa_interfaces: u32,
}

/// One interface of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) card: u32,
    pub(crate) device: u32,
    pub(crate) kind: InterfaceKind,
}

/// What an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InterfaceKind {
    /// IP alone.
    Ena,
    /// IP and EFA.
    Efa,
    /// EFA alone.
    EfaOnly,
}

impl InterfaceKind {
    /// EC2's word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ena => "interface",
            Self::Efa => "efa",
            Self::EfaOnly => "efa-only",
        }
    }
}

/// The interfaces of a machine, the one with the address first.
pub(crate) fn layout(network: Network, with_efa: bool) -> Vec<Interface> {
    let Network { cards, efa_interfaces: efas } = network;
    let interface = |card, device, kind| Interface { card, device, kind };
    if !with_efa || efas == 0 {
        return vec![interface(0, 0, InterfaceKind::Ena)];
    }
    if efas == 1 && cards <= 1 {
        return vec![interface(0, 0, InterfaceKind::Efa)];
    }
    let mut interfaces = vec![interface(0, 0, InterfaceKind::Ena)];
    // A type with one EFA less than cards (p6-b300) has none on its first.
    if efas >= cards {
        interfaces.push(interface(0, 1, InterfaceKind::EfaOnly));
    }
    interfaces.extend((1..cards).map(|card| interface(card, 0, InterfaceKind::EfaOnly)));
    interfaces.truncate(1 + efas as usize);
    interfaces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cards: u32, efa_interfaces: u32, with_efa: bool) -> String {
        let interfaces = layout(Network { cards, efa_interfaces }, with_efa);
        let text = interfaces.iter().map(|interface| {
            format!("{}.{} {}", interface.card, interface.device, interface.kind.as_str())
        });
        text.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn types() {
        for (name, cards, efas, expected) in [
            ("m7i.xlarge", 1, 0, "0.0 interface"),
            ("g6.8xlarge", 1, 1, "0.0 efa"),
            ("g6e.24xlarge", 2, 2, "0.0 interface, 0.1 efa-only, 1.0 efa-only"),
            (
                "p4d.24xlarge",
                4,
                4,
                "0.0 interface, 0.1 efa-only, 1.0 efa-only, 2.0 efa-only, 3.0 efa-only",
            ),
        ] {
            assert_eq!(shown(cards, efas, true), expected, "{name}");
        }
        assert_eq!(shown(32, 32, true).matches("efa-only").count(), 32, "p5.48xlarge");
        let b300 = shown(17, 16, true);
        assert!(b300.starts_with("0.0 interface, 1.0 efa-only"), "{b300}");
        assert_eq!(b300.matches("efa-only").count(), 16, "p6-b300.48xlarge");
        assert_eq!(shown(32, 32, false), "0.0 interface");
    }
}
