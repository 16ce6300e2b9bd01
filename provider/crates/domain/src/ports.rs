//! Every port that the machines of a service listen on: the one table.
//!
//! All of them are at most 32767: Dynamo keeps the worker's system port in a signed 16-bit number,
//! and above that Linux hands out ports by itself.

use thiserror::Error;

/// Clients of etcd, on the router.
pub const ETCD: u16 = 2379;
/// Peers of etcd, on the router; there are none.
pub const ETCD_PEER: u16 = 2380;
/// NATS, on the router.
pub const NATS: u16 = 4222;
/// NATS' monitoring, on the router.
pub const NATS_MONITOR: u16 = 8222;
/// Where workers stream responses to, on the router.
pub const RESPONSE_STREAM: u16 = 20000;
/// The OpenAI-compatible endpoint, unless the service says otherwise.
pub const SERVICE_DEFAULT: u16 = 8000;

/// The ports of one engine process, the `index`-th of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnginePorts {
    /// Health, metrics and model files over HTTP.
    pub system: u16,
    /// Requests from the router.
    pub rpc: u16,
    /// SGLang: decode workers find the prefill worker here.
    pub bootstrap: u16,
    /// vLLM: NIXL's side channel; one more for each data-parallel rank.
    pub side_channel: u16,
    /// KV events, inside the machine; one more for each data-parallel rank. Engines bind it on all
    /// addresses or not at all.
    pub kv_events: u16,
    /// Where the ranks of one engine meet, inside the machine; torch binds it on all addresses.
    pub distributed_init: u16,
}

/// Greatest number of engine processes on one machine; the ranges below leave room for no more.
pub const MOST_ENGINES: u32 = 16;

impl EnginePorts {
    /// Those of the engine process that takes requests at this port.
    pub fn with_rpc(rpc: u16) -> Option<Self> {
        (0..MOST_ENGINES).map(Self::of).find(|ports| ports.rpc == rpc)
    }

    /// The ports of the `index`-th engine process of a machine.
    ///
    /// # Panics
    /// When `index` is [`MOST_ENGINES`] or more.
    pub fn of(index: u32) -> Self {
        assert!(index < MOST_ENGINES, "engine {index} of a machine has no ports");
        let index = index as u16;
        Self {
            system: 9000 + index,
            rpc: 20000 + index,
            bootstrap: 21000 + index,
            side_channel: 22000 + 64 * index,
            kv_events: 23000 + 64 * index,
            distributed_init: 25000 + 64 * index,
        }
    }
}

/// Checks that a service's port is free on its router.
///
/// # Errors
/// Says what has it.
pub fn check_service_port(port: u16) -> Result<(), PortTaken> {
    const TAKEN: &[(u16, &str)] = &[
        (22, "SSH"),
        (ETCD, "etcd"),
        (ETCD_PEER, "etcd"),
        (NATS, "NATS"),
        (NATS_MONITOR, "NATS"),
        (RESPONSE_STREAM, "the stream of responses"),
    ];
    match TAKEN.iter().find(|(taken, _)| *taken == port) {
        Some((port, by)) => Err(PortTaken { port: *port, by }),
        None => Ok(()),
    }
}

/// A port that a service cannot have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("port {port} of the router is taken by {by}; choose another one, as in {SERVICE_DEFAULT}")]
pub struct PortTaken {
    port: u16,
    by: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A data-parallel engine takes one port for each of its GPUs: at most 16 in a row.
    const RANKS: u16 = 16;

    #[test]
    fn no_port_of_a_machine_is_given_twice() {
        let mut taken = BTreeMap::new();
        for index in 0..MOST_ENGINES {
            let ports = EnginePorts::of(index);
            let single = [ports.system, ports.rpc, ports.bootstrap, ports.distributed_init];
            let ranks =
                (0..RANKS).flat_map(|rank| [ports.side_channel + rank, ports.kv_events + rank]);
            for port in single.into_iter().chain(ranks) {
                assert!(port <= 32767, "{port}");
                assert_eq!(taken.insert(port, index), None, "{port}");
            }
        }
    }

    #[test]
    fn ports_of_a_service() {
        for free in [80, 443, 8000, 8080] {
            assert_eq!(check_service_port(free), Ok(()));
        }
        for taken in [ETCD, ETCD_PEER, NATS, NATS_MONITOR, RESPONSE_STREAM, 22] {
            assert!(check_service_port(taken).is_err(), "{taken}");
        }
    }
}
