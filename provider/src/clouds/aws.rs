//! AWS: its part of the provider's configuration, and what EC2 would refuse of a fleet at sight.

use super::{BuiltIn, text, unknown};
use cloud::Managed;
use cloud_aws::{AssumeRole, AwsCloud, AwsConfig};
use domain::local_gpus::LocalGpus;
use domain::text::shown;
use plugin::{Attr, AttributePath, Diagnostic, Diagnostics};
use schemas::{Fleet, ProviderConfig};

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    connect: |config| Ok(Managed::new(AwsCloud::new(settings(config)?))),
    default_region,
    other_ways_to_a_region: ", or give the provider one: `aws = { region = … }` in its block, or \
                             `AWS_REGION` in its environment",
    validate_fleet,
    local_gpus: |_| LocalGpus::default(),
    missing_environment: |_, _| None,
};

fn settings(config: &ProviderConfig) -> cloud::Result<AwsConfig> {
    let aws = match &config.aws {
        Attr::Unknown(_) => return Err(unknown("aws")),
        aws => aws.known().cloned().unwrap_or_default(),
    };
    let assume_role = match &aws.assume_role {
        Attr::Unknown(_) => return Err(unknown("aws.assume_role")),
        Attr::Null => None,
        Attr::Known(role) => Some(AssumeRole {
            arn: text(&role.role_arn, "aws.assume_role.role_arn")?.unwrap_or_default(),
            external_id: text(&role.external_id, "aws.assume_role.external_id")?,
            session_name: text(&role.session_name, "aws.assume_role.session_name")?,
        }),
    };
    Ok(AwsConfig {
        profile: text(&aws.profile, "aws.profile")?,
        assume_role,
        endpoint_url: text(&aws.endpoint_url, "aws.endpoint_url")?,
    })
}

fn default_region(config: &ProviderConfig) -> Attr<String> {
    match &config.aws {
        Attr::Unknown(_) => Attr::unknown(),
        Attr::Known(aws) if !aws.region.is_null() => aws.region.clone(),
        Attr::Known(_) | Attr::Null => Attr::from(cloud_aws::region_from_environment()),
    }
}

fn validate_fleet(config: &Fleet) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    if let Some(subnet) = config.subnet.known().filter(|subnet| !subnet.starts_with("subnet-")) {
        diagnostics.push(
            Diagnostic::error(
                "Invalid subnet",
                format!(
                    "A subnet is named by its id, as in `subnet-0123456789abcdef0`, not `{}`.",
                    shown(subnet)
                ),
            )
            .at(AttributePath::root("subnet")),
        );
    }
    if let (Some(region), Some(zone)) = (config.region.known(), config.zone.known())
        && !zone.starts_with(region.as_str())
    {
        diagnostics.push(
            Diagnostic::error(
                "Zone of another region",
                format!(
                    "Zones of region `{}` are named after it; `{}` is none.",
                    shown(region),
                    shown(zone)
                ),
            )
            .at(AttributePath::root("zone")),
        );
    }
    diagnostics
}
