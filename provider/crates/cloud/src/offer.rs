//! Machines that can be had, as a catalogue or an inventory tells them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One way to get a machine that fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// `p5.48xlarge`, `a3-highgpu-8g`, …
    pub instance_type: String,
    /// GPU model, as in `H200`; none on a CPU machine.
    pub gpu: Option<String>,
    /// GPUs per machine.
    pub gpu_count: u32,
    /// Virtual CPUs.
    pub cpu: u32,
    /// Main memory in GB.
    pub memory_gb: u32,
    /// Whether its GPUs are only pretended.
    #[serde(default)]
    pub simulated: bool,
    /// What KV caches travel over to another machine.
    #[serde(default)]
    pub interconnect: Interconnect,
    /// Which network of that kind it is on, where a cloud has several that do not reach each other.
    #[serde(default)]
    pub fabric: Option<String>,
    /// On-demand price of one machine in US dollars an hour: an estimate, see its date.
    pub hourly_cost: f64,
    /// The day the price was looked up, `YYYY-MM-DD`.
    pub priced_on: String,
}

impl Offer {
    /// Whether the fast networks of the two machines reach each other; true where one has none, because
    /// everybody has TCP.
    pub fn reaches(&self, other: &Self) -> bool {
        let is_plain = |offer: &Self| offer.interconnect == Interconnect::Tcp;
        let network = |offer: &Self| (offer.interconnect, offer.fabric.clone());
        is_plain(self) || is_plain(other) || network(self) == network(other)
    }
}

/// What KV caches travel over between machines.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Interconnect {
    /// The network that carries everything else.
    #[default]
    Tcp,
    /// They are one computer: there is no network in between.
    Host,
    /// Elastic Fabric Adapter.
    Efa,
    /// InfiniBand.
    Infiniband,
    /// RDMA over Converged Ethernet.
    Roce,
    /// Google's receive path into GPU memory for NCCL.
    GpudirectTcpx,
    /// The same with a transport of its own.
    GpudirectTcpxo,
}

impl Interconnect {
    /// The word in plans and state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Host => "host",
            Self::Efa => "efa",
            Self::Infiniband => "infiniband",
            Self::Roce => "roce",
            Self::GpudirectTcpx => "gpudirect-tcpx",
            Self::GpudirectTcpxo => "gpudirect-tcpxo",
        }
    }
}

/// As its vendor writes it.
impl fmt::Display for Interconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Host => "the memory of one computer",
            Self::Efa => "EFA",
            Self::Infiniband => "InfiniBand",
            Self::Roce => "RoCE",
            Self::GpudirectTcpx => "GPUDirect-TCPX",
            Self::GpudirectTcpxo => "GPUDirect-TCPXO",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::offer;

    #[test]
    fn words_are_those_of_the_catalogue() {
        for (kind, word) in [
            (Interconnect::Tcp, "tcp"),
            (Interconnect::Host, "host"),
            (Interconnect::Efa, "efa"),
            (Interconnect::Infiniband, "infiniband"),
            (Interconnect::Roce, "roce"),
            (Interconnect::GpudirectTcpx, "gpudirect-tcpx"),
            (Interconnect::GpudirectTcpxo, "gpudirect-tcpxo"),
        ] {
            assert_eq!(kind.as_str(), word);
            assert_eq!(serde_json::to_value(kind).unwrap(), word);
        }
    }

    #[test]
    fn a_fabric_reaches_its_own() {
        let on = |interconnect, fabric: Option<&str>| Offer {
            interconnect,
            fabric: fabric.map(str::to_owned),
            ..offer("a")
        };
        let (tcp, efa) = (on(Interconnect::Tcp, None), on(Interconnect::Efa, None));
        let other = on(Interconnect::Efa, Some("other"));
        let roce = on(Interconnect::Roce, None);
        for (one, two, reaches) in [
            (&efa, &efa, true),
            (&other, &other, true),
            (&efa, &other, false),
            (&efa, &roce, false),
            (&efa, &tcp, true),
            (&tcp, &other, true),
        ] {
            assert_eq!((one.reaches(two), two.reaches(one)), (reaches, reaches), "{one:?} {two:?}");
        }
    }
}
