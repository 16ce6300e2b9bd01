use super::*;
use crate::gpu;
use expect_test::{Expect, expect};

fn wanted(gpu: &str) -> Resources {
    Resources { gpu: Some(gpu.parse().unwrap()), ..Resources::default() }
}

fn check(cloud: CloudName, resources: &Resources, expected: Expect) {
    let text = match offers(cloud, resources) {
        Ok(offers) => offers
            .iter()
            .map(|offer| {
                let wasted = match resources.wasted_gpus(offer) {
                    0 => String::new(),
                    wasted => format!(" wastes {wasted}"),
                };
                format!("{} {}{wasted}", offer.instance_type, offer.hourly_cost)
            })
            .collect::<Vec<_>>()
            .join("\n"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&text);
}

#[test]
fn the_files_are_sound() {
    for cloud in CloudName::ALL {
        let Catalogue { priced_on, offers } = catalogue(cloud);
        assert!(priced_on.parse::<jiff::civil::Date>().is_ok(), "{cloud}");
        let names: BTreeSet<_> = offers.iter().map(|offer| &offer.instance_type).collect();
        assert_eq!(names.len(), offers.len(), "{cloud} lists a machine twice");
        for offer in offers {
            let name = &offer.instance_type;
            assert_eq!(offer.gpu.is_some(), offer.gpu_count > 0, "{name}");
            assert!(offer.cpu > 0 && offer.memory_gb > 0, "{name}");
            let has_own = offer.interconnect != Interconnect::Tcp;
            assert!(offer.fabric.is_none() || has_own, "{name}: a fabric of nothing");
            assert_eq!(offer.hourly_cost == 0.0, cloud == CloudName::Local, "{name}");
            if let Some(model) = &offer.gpu {
                assert!(gpu::MODELS.contains(&model.as_str()), "{name}: {model}");
            }
            assert_eq!(find(cloud, name).as_ref(), Some(offer));
        }
    }
}

#[test]
fn exact_counts() {
    check(CloudName::Aws, &wanted("H200:8"), expect!["p5en.48xlarge 63.296"]);
    check(CloudName::Azure, &wanted("H200:8"), expect!["Standard_ND96isr_H200_v5 104.5"]);
    check(CloudName::Local, &wanted("H200:8"), expect!["h200-8 0"]);
    check(
        CloudName::Gcp,
        &wanted("H100:8"),
        expect![[r#"
        a3-highgpu-8g 88.49
        a3-megagpu-8g 92.2"#]],
    );
    check(
        CloudName::Aws,
        &wanted("L40S:4"),
        expect![[r#"
        g6e.12xlarge 10.493
        g6e.24xlarge 15.066"#]],
    );
}

#[test]
fn bigger_machines_only_when_there_is_no_other() {
    check(CloudName::Aws, &wanted("H200:4"), expect!["p5en.48xlarge 63.296 wastes 4"]);
    check(CloudName::Aws, &wanted("H200"), expect!["p5en.48xlarge 63.296 wastes 7"]);
    check(CloudName::Aws, &wanted("H200:4..8"), expect!["p5en.48xlarge 63.296"]);
    check(CloudName::Aws, &wanted("H100"), expect!["p5.4xlarge 6.88"]);
    check(CloudName::Aws, &wanted("H100:2..4"), expect!["p5.48xlarge 55.04 wastes 4"]);
}

#[test]
fn what_there_is_instead() {
    check(
        CloudName::Aws,
        &wanted("H200:16"),
        expect!["no machine has `H200:16`; `H200` exists as 8 per machine"],
    );
    check(
        CloudName::Azure,
        &wanted("A100-80GB:16"),
        expect!["no machine has `A100-80GB:16`; `A100-80GB` exists as 1, 2, 4 or 8 per machine"],
    );
    check(
        CloudName::Gcp,
        &wanted("L40S:8"),
        expect![
            "no machine has the GPU `L40S`; the models there are `A100-40GB`, `A100-80GB`, `H100`, `H200`, `L4` and `RTX-PRO-6000`"
        ],
    );
    let huge = Resources { cpu: Some(512), memory_gb: Some(9000), ..wanted("H200:8") };
    check(
        CloudName::Aws,
        &huge,
        expect![
            "no such machine has 512 CPUs and 9000 GB of memory; the greatest has 192 CPUs and 2048 GB of memory"
        ],
    );
}

#[test]
fn machines_without_gpus() {
    let router = Resources { cpu: Some(4), memory_gb: Some(16), ..Resources::default() };
    check(
        CloudName::Aws,
        &router,
        expect![[r#"
            m7i.xlarge 0.2016
            m7i.2xlarge 0.4032
            m7i.4xlarge 0.8064"#]],
    );
    check(CloudName::Local, &router, expect!["cpu-4-16 0"]);
    check(CloudName::Local, &Resources::default(), expect!["cpu-2-4 0"]);
    for cloud in [CloudName::Aws, CloudName::Gcp, CloudName::Azure] {
        let offers = offers(cloud, &router).unwrap();
        assert!(
            offers
                .iter()
                .all(|offer| offer.cpu >= 4 && offer.memory_gb >= 16 && offer.gpu.is_none())
        );
        assert!(offers.is_sorted_by(|a, b| a.hourly_cost <= b.hourly_cost));
    }
    assert_eq!(find(CloudName::Local, "cpu-4-16").map(|offer| offer.memory_gb), Some(16));
    for unknown in ["cpu-4", "cpu-x-y", "m7i.xlarge"] {
        assert_eq!(find(CloudName::Local, unknown), None, "{unknown}");
    }
    assert_eq!(find(CloudName::Aws, "cpu-4-16"), None);
}

#[test]
fn fabrics_that_do_not_meet() {
    for (one, other, meet) in [
        ("p5.48xlarge", "p5en.48xlarge", true),
        ("p4d.24xlarge", "p4de.24xlarge", true),
        ("p4d.24xlarge", "p5.48xlarge", false),
        ("p5.48xlarge", "p4de.24xlarge", false),
        // TCP meets everybody.
        ("p4d.24xlarge", "g5.12xlarge", true),
    ] {
        let offer = |name| find(CloudName::Aws, name).unwrap();
        assert_eq!(offer(one).reaches(&offer(other)), meet, "{one} and {other}");
    }
}
