//! A cloud's network rules as packet filters: what a machine lets in and out, and what the gateway
//! between the machines and the outside lets through and rewrites. Text in, text out; `machine/host` hands
//! it to nft.

use cloudsim::datacentre::{Opening, Site, SiteMachine, WayOut};
use std::fmt::Write;

/// The filter of one machine: what its security groups say, both ways, with what belongs to a connection
/// that was let through. Its metadata service is always there.
pub fn of_machine(machine: &SiteMachine) -> String {
    let mut text = String::from(
        "table inet instance\n\
         delete table inet instance\n\
         table inet instance {\n\
         chain input { type filter hook input priority 0; policy drop;\n\
         iifname lo accept\n\
         ct state established,related accept\n",
    );
    write_openings(&mut text, &machine.ingress, "saddr");
    text.push_str(
        "}\n\
         chain output { type filter hook output priority 0; policy drop;\n\
         oifname lo accept\n\
         ct state established,related accept\n\
         ip daddr 169.254.169.254 accept\n",
    );
    write_openings(&mut text, &machine.egress, "daddr");
    text.push_str("}\n}\n");
    text
}

/// The gateway: a public address leads to its machine and is what the machine shows outside; a machine
/// behind NAT gets out and nobody gets in to it; nothing leads out of the other ones.
pub fn of_gateway(site: &Site) -> String {
    let mut coming = String::new();
    let mut leaving = String::new();
    let mut blocked = Vec::new();
    for machine in &site.machines {
        match (machine.way_out, machine.public_ip) {
            (WayOut::Gateway, Some(public)) => {
                let _ = writeln!(coming, "ip daddr {public} dnat to {}", machine.ip);
                let _ = writeln!(leaving, "ip saddr {} snat to {public}", machine.ip);
            }
            (WayOut::Nat, _) => {
                let _ = writeln!(leaving, "ip saddr {} masquerade", machine.ip);
            }
            (WayOut::Gateway | WayOut::Endpoints | WayOut::None, _) => {
                blocked.push(machine.ip.to_string());
            }
        }
    }
    let blocked = match blocked.is_empty() {
        true => String::new(),
        false => format!("ip saddr {{ {} }} drop\n", blocked.join(", ")),
    };
    format!(
        "table ip gateway\n\
         delete table ip gateway\n\
         table ip gateway {{\n\
         chain coming {{ type nat hook prerouting priority dstnat;\n{coming}}}\n\
         chain leaving {{ type nat hook postrouting priority srcnat;\n\
         oifname != to-operator accept\n{leaving}}}\n\
         chain through {{ type filter hook forward priority 0;\n\
         ct state established,related accept\n\
         oifname != to-operator accept\n{blocked}}}\n\
         }}\n"
    )
}

fn write_openings(text: &mut String, openings: &[Opening], side: &str) {
    for Opening { protocol, ports, others } in openings {
        let (v6, v4): (Vec<&str>, Vec<&str>) =
            others.iter().map(String::as_str).partition(|other| other.contains(':'));
        for (family, others) in [("ip", v4), ("ip6", v6)] {
            if others.is_empty() {
                continue;
            }
            let _ = write!(text, "{family} {side} {{ {} }} ", others.join(", "));
            match (protocol.as_deref(), ports) {
                (None, _) => {}
                (Some(protocol @ ("tcp" | "udp")), Some((from, to))) => {
                    let _ = write!(text, "{protocol} dport {from}-{to} ");
                }
                (Some(protocol), _) => {
                    let _ = write!(text, "meta l4proto {protocol} ");
                }
            }
            text.push_str("accept\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    fn machine(number: u8, way_out: WayOut, public: Option<u8>) -> SiteMachine {
        let open = |protocol: Option<&str>, ports, other: &str| Opening {
            protocol: protocol.map(str::to_owned),
            ports,
            others: vec![other.to_owned()],
        };
        SiteMachine {
            id: format!("i-{number}"),
            ip: Ipv4Addr::new(172, 31, 0, number),
            public_ip: public.map(|number| Ipv4Addr::new(198, 18, 0, number)),
            way_out,
            zone: "us-east-2a".to_owned(),
            instance_type: "m7i.xlarge".to_owned(),
            image: "ami-1".to_owned(),
            identity: None,
            metadata_tags: BTreeMap::new(),
            wants_token: true,
            user_data: String::new(),
            boot: 1,
            is_on: true,
            ingress: vec![
                open(None, None, "172.31.0.11"),
                open(Some("tcp"), Some((8000, 8000)), "0.0.0.0/0"),
                open(Some("tcp"), Some((22, 22)), "::/0"),
            ],
            egress: vec![open(Some("icmp"), Some((-1, -1)), "0.0.0.0/0")],
        }
    }

    #[test]
    fn a_machine_lets_through_what_its_groups_say() {
        expect![[r#"
            table inet instance
            delete table inet instance
            table inet instance {
            chain input { type filter hook input priority 0; policy drop;
            iifname lo accept
            ct state established,related accept
            ip saddr { 172.31.0.11 } accept
            ip saddr { 0.0.0.0/0 } tcp dport 8000-8000 accept
            ip6 saddr { ::/0 } tcp dport 22-22 accept
            }
            chain output { type filter hook output priority 0; policy drop;
            oifname lo accept
            ct state established,related accept
            ip daddr 169.254.169.254 accept
            ip daddr { 0.0.0.0/0 } meta l4proto icmp accept
            }
            }
        "#]]
        .assert_eq(&of_machine(&machine(10, WayOut::Gateway, None)));
    }

    #[test]
    fn the_gateway_knows_who_has_a_way_out() {
        let machines = vec![
            machine(11, WayOut::Gateway, Some(20)),
            machine(12, WayOut::Nat, None),
            machine(13, WayOut::Gateway, None),
            machine(14, WayOut::None, Some(21)),
        ];
        expect![[r#"
            table ip gateway
            delete table ip gateway
            table ip gateway {
            chain coming { type nat hook prerouting priority dstnat;
            ip daddr 198.18.0.20 dnat to 172.31.0.11
            }
            chain leaving { type nat hook postrouting priority srcnat;
            oifname != to-operator accept
            ip saddr 172.31.0.11 snat to 198.18.0.20
            ip saddr 172.31.0.12 masquerade
            }
            chain through { type filter hook forward priority 0;
            ct state established,related accept
            oifname != to-operator accept
            ip saddr { 172.31.0.13, 172.31.0.14 } drop
            }
            }
        "#]]
        .assert_eq(&of_gateway(&Site { machines }));
    }
}
