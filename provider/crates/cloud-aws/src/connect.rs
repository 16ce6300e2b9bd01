//! Clients: one for each region, made when it is first needed, with the SDK's own chain of credentials.
//!
//! The SDK retries nothing here: it would hide that a zone has no capacity, and the caller retries
//! what passes by itself (`cloud::Managed`).

use crate::AwsConfig;
use crate::clock::Clock;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::{Builder, SharedCredentialsProvider};
use std::time::Duration;

/// A role to be taken on with the credentials of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssumeRole {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy wants to hear.
    pub external_id: Option<String>,
    /// The session's name in the account's logs.
    pub session_name: Option<String>,
}

/// The region that the environment names, as AWS's own tools read it.
pub fn region_from_environment() -> Option<String> {
    ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| {
        let region = std::env::var(name).ok()?;
        (!region.is_empty()).then_some(region)
    })
}

/// The client of a region, whose answers set the clock. Credentials are looked for by the first call.
pub(crate) async fn client(config: &AwsConfig, region: &str, clock: &Clock) -> Client {
    let region = Region::new(region.to_owned());
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(60))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &config.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    let mut sdk = loader.load().await;
    if let Some(role) = &config.assume_role {
        let session = role.session_name.as_deref().unwrap_or("terraform-provider-disagg");
        let mut provider = AssumeRoleProvider::builder(&role.arn)
            .session_name(session)
            .region(region)
            .configure(&sdk);
        if let Some(id) = &role.external_id {
            provider = provider.external_id(id);
        }
        let provider = SharedCredentialsProvider::new(provider.build().await);
        sdk = sdk.into_builder().credentials_provider(provider).build();
    }
    Client::from_conf(Builder::from(&sdk).interceptor(clock.clone()).build())
}
