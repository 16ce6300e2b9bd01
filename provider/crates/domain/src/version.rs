//! The versions of Dynamo that the provider knows, and what each of them needs: the one table.
//!
//! Deliberately not here: flags that are the same everywhere ([`crate::engine`]).

use crate::boot;
use crate::text::{listed, serde_as_text, shown};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// A version of Dynamo, for the router and all workers of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamoVersion(&'static Release);

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Release {
    number: &'static str,
    /// Oldest NVIDIA driver for the images of SGLang and vLLM; TensorRT-LLM's is one CUDA ahead.
    minimum_driver: &'static str,
    /// What follows the version in the tag of an image for Elastic Fabric Adapter.
    efa_suffix: &'static str,
    /// Whether `ETCD_LEASE_TTL` is read; before, the lease is 10 seconds long.
    lease_ttl: bool,
    /// How TensorRT-LLM is told to publish KV events and metrics.
    trtllm_event_flags: &'static [&'static str],
}

/// NVIDIA's images, one for each GPU engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// `sglang-runtime`.
    Sglang,
    /// `vllm-runtime`.
    Vllm,
    /// `tensorrtllm-runtime`.
    Trtllm,
}

const CUDA_12_9: &str = "575.51.03";
const CUDA_13: &str = "580.00.03";

const RELEASES: &[Release] = &[
    Release {
        number: "1.1.1",
        minimum_driver: CUDA_12_9,
        efa_suffix: "-efa-amd64",
        lease_ttl: false,
        trtllm_event_flags: &["--publish-events-and-metrics"],
    },
    Release {
        number: "1.2.1",
        minimum_driver: CUDA_12_9,
        efa_suffix: "-efa-amd64",
        lease_ttl: true,
        trtllm_event_flags: &["--publish-events-and-metrics"],
    },
    Release {
        number: "1.3.1",
        minimum_driver: CUDA_13,
        efa_suffix: "-efa",
        lease_ttl: true,
        trtllm_event_flags: &["--publish-kv-events"],
    },
    Release {
        number: "1.4.2",
        minimum_driver: CUDA_13,
        efa_suffix: "-efa",
        lease_ttl: true,
        trtllm_event_flags: &["--publish-kv-events"],
    },
    Release {
        number: "1.5.1",
        minimum_driver: CUDA_13,
        efa_suffix: "-efa",
        lease_ttl: true,
        trtllm_event_flags: &["--publish-kv-events"],
    },
    Release {
        number: "1.6.1",
        minimum_driver: CUDA_13,
        efa_suffix: "-efa",
        lease_ttl: true,
        trtllm_event_flags: &["--publish-kv-events", "--publish-metrics"],
    },
];

impl DynamoVersion {
    /// What a service gets that names no version.
    pub const DEFAULT: Self = Self(&RELEASES[RELEASES.len() - 1]);

    /// All known versions, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        RELEASES.iter().map(Self)
    }

    /// Its number: `1.6.1`.
    pub fn number(self) -> &'static str {
        self.0.number
    }

    /// NVIDIA's container image of an engine; with `efa` the one with Elastic Fabric Adapter's
    /// libraries.
    pub fn image(self, kind: ImageKind, efa: bool) -> String {
        let name = match kind {
            ImageKind::Sglang => "sglang-runtime",
            ImageKind::Vllm => "vllm-runtime",
            ImageKind::Trtllm => "tensorrtllm-runtime",
        };
        let suffix = if efa { self.0.efa_suffix } else { "" };
        format!("nvcr.io/nvidia/ai-dynamo/{name}:{}{suffix}", self.0.number)
    }

    /// The oldest NVIDIA driver that an engine's image runs on.
    pub fn minimum_driver(self, kind: ImageKind) -> &'static str {
        match kind {
            ImageKind::Sglang | ImageKind::Vllm => self.0.minimum_driver,
            ImageKind::Trtllm => CUDA_13,
        }
    }

    /// Whether the length of etcd leases can be set.
    pub fn has_lease_ttl(self) -> bool {
        self.0.lease_ttl
    }

    /// How TensorRT-LLM is told to publish KV events and metrics.
    pub fn trtllm_event_flags(self) -> &'static [&'static str] {
        self.0.trtllm_event_flags
    }

    /// The package lock for a virtual environment, where there is one.
    pub fn requirements(self) -> Option<&'static str> {
        boot::requirements(self.0.number)
    }
}

/// A version that the provider does not know.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("Dynamo `{number}` is not supported; supported are {}", listed(&supported()))]
pub struct UnsupportedVersion {
    number: String,
}

fn supported() -> Vec<&'static str> {
    DynamoVersion::all().map(DynamoVersion::number).collect()
}

impl FromStr for DynamoVersion {
    type Err = UnsupportedVersion;

    fn from_str(text: &str) -> Result<Self, UnsupportedVersion> {
        Self::all()
            .find(|version| version.number() == text)
            .ok_or_else(|| UnsupportedVersion { number: shown(text) })
    }
}

impl fmt::Display for DynamoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.number)
    }
}

serde_as_text!(DynamoVersion);

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn versions_are_their_number() {
        for version in DynamoVersion::all() {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert_eq!(DynamoVersion::DEFAULT.to_string(), "1.6.1");
        expect!["Dynamo `1.0` is not supported; supported are `1.1.1`, `1.2.1`, `1.3.1`, `1.4.2`, `1.5.1` and `1.6.1`"]
            .assert_eq(&"1.0".parse::<DynamoVersion>().unwrap_err().to_string());
    }

    #[test]
    fn table() {
        let rows: Vec<String> = DynamoVersion::all()
            .map(|version| {
                let image = version.image(ImageKind::Sglang, true);
                format!(
                    "{version} {} driver {}/{} lease {} lock {} {:?}",
                    image.rsplit('/').next().unwrap_or_default(),
                    version.minimum_driver(ImageKind::Vllm),
                    version.minimum_driver(ImageKind::Trtllm),
                    version.has_lease_ttl(),
                    version.requirements().is_some(),
                    version.trtllm_event_flags(),
                )
            })
            .collect();
        expect![[r#"
            1.1.1 sglang-runtime:1.1.1-efa-amd64 driver 575.51.03/580.00.03 lease false lock false ["--publish-events-and-metrics"]
            1.2.1 sglang-runtime:1.2.1-efa-amd64 driver 575.51.03/580.00.03 lease true lock false ["--publish-events-and-metrics"]
            1.3.1 sglang-runtime:1.3.1-efa driver 580.00.03/580.00.03 lease true lock false ["--publish-kv-events"]
            1.4.2 sglang-runtime:1.4.2-efa driver 580.00.03/580.00.03 lease true lock true ["--publish-kv-events"]
            1.5.1 sglang-runtime:1.5.1-efa driver 580.00.03/580.00.03 lease true lock false ["--publish-kv-events"]
            1.6.1 sglang-runtime:1.6.1-efa driver 580.00.03/580.00.03 lease true lock true ["--publish-kv-events", "--publish-metrics"]"#]]
        .assert_eq(&rows.join("\n"));
    }

    #[test]
    fn the_default_can_be_installed() {
        assert!(DynamoVersion::DEFAULT.requirements().is_some());
    }
}
