//! References to secrets: where a machine reads a value that is written nowhere.
//!
//! A reference is resolved on the machine, with the machine's own identity. The value never comes
//! near this crate, and what looks like a value is refused without being repeated.

use crate::text::serde_as_text;
use cloud::CloudName;
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Where a secret is kept, and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretReference {
    store: SecretStore,
    /// What stands after `scheme://`.
    name: String,
}

/// The places a machine can read secrets from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretStore {
    /// AWS Secrets Manager: `aws-sm://prod/hf-token`, or `aws-sm://prod/tokens#hf` for one value of a
    /// secret that is a JSON object.
    AwsSecretsManager,
    /// AWS Systems Manager Parameter Store: `aws-ssm:///prod/hf-token`.
    AwsParameterStore,
    /// Google Secret Manager: `gcp-sm://project/name`, or `gcp-sm://name` in the machine's project.
    GcpSecretManager,
    /// Azure Key Vault: `azure-kv://vault/name`.
    AzureKeyVault,
    /// A variable in the environment of the provider, on the local cloud: `env://HF_TOKEN`.
    Environment,
}

impl SecretStore {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::AwsSecretsManager,
        Self::AwsParameterStore,
        Self::GcpSecretManager,
        Self::AzureKeyVault,
        Self::Environment,
    ];

    /// What stands before `://`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::AwsSecretsManager => "aws-sm",
            Self::AwsParameterStore => "aws-ssm",
            Self::GcpSecretManager => "gcp-sm",
            Self::AzureKeyVault => "azure-kv",
            Self::Environment => "env",
        }
    }

    /// Whether a machine of this cloud can read it.
    pub fn is_readable_on(self, cloud: CloudName) -> bool {
        cloud.profile().secret_schemes.contains(&self.scheme())
    }

    /// The identity a machine needs to read it, in the words of its cloud.
    pub fn identity(self) -> Option<&'static str> {
        match self {
            Self::AwsSecretsManager | Self::AwsParameterStore => Some("instance profile"),
            Self::GcpSecretManager => Some("service account"),
            Self::AzureKeyVault => Some("managed identity"),
            Self::Environment => None,
        }
    }
}

impl SecretReference {
    /// Where it is kept.
    pub fn store(&self) -> SecretStore {
        self.store
    }

    /// What stands before `://`.
    pub fn scheme(&self) -> &'static str {
        self.store.scheme()
    }

    /// Its name in the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What references that a machine of this cloud can read begin with.
    pub fn schemes_on(cloud: CloudName) -> Vec<String> {
        let stores = SecretStore::ALL.iter().filter(|store| store.is_readable_on(cloud));
        stores.map(|store| format!("`{}://…`", store.scheme())).collect()
    }

    /// Whether a machine of this cloud can read it.
    pub fn works_on(&self, cloud: CloudName) -> bool {
        self.store.is_readable_on(cloud)
    }

    /// The identity a machine needs to read it, in the words of its cloud.
    pub fn needs_identity(&self) -> Option<&'static str> {
        self.store.identity()
    }
}

/// A text that refers to no secret. None of the messages repeats it: it may be the secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidSecretReference {
    /// It has no `scheme://`.
    #[error(
        "this is a value and not a reference, and a value would be written to configuration, plan \
         and state; keep it in a store and refer to it: `aws-sm://name`, `aws-ssm://name`, \
         `gcp-sm://name`, `azure-kv://vault/name`, or `env://NAME` on the local cloud"
    )]
    Literal,
    /// Its scheme is none of ours.
    #[error(
        "its scheme is none of `aws-sm`, `aws-ssm`, `gcp-sm`, `azure-kv` and `env`; if it is a value, \
         keep it in a store and refer to it"
    )]
    UnknownScheme,
    /// The name after the scheme is wrong.
    #[error("what follows `{scheme}://` is not {what}")]
    Name {
        /// The scheme.
        scheme: &'static str,
        /// What it should be.
        what: &'static str,
    },
}

/// Greatest length of a name: that of an ARN.
const MOST_NAME_BYTES: usize = 2048;

impl FromStr for SecretReference {
    type Err = InvalidSecretReference;

    fn from_str(text: &str) -> Result<Self, InvalidSecretReference> {
        let (scheme, name) = text.split_once("://").ok_or(InvalidSecretReference::Literal)?;
        let store = SecretStore::ALL
            .into_iter()
            .find(|store| store.scheme() == scheme)
            .ok_or(InvalidSecretReference::UnknownScheme)?;
        check_name(store, name)
            .map_err(|what| InvalidSecretReference::Name { scheme: store.scheme(), what })?;
        Ok(Self { store, name: name.to_owned() })
    }
}

fn check_name(store: SecretStore, name: &str) -> Result<(), &'static str> {
    let is_word = |text: &str, also: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    let is_whole_arn = |name: &str| {
        !name.starts_with("arn:") || name.split(':').filter(|part| !part.is_empty()).count() >= 6
    };
    let fits = name.len() <= MOST_NAME_BYTES && is_whole_arn(name);
    match store {
        SecretStore::AwsSecretsManager => {
            let (secret, key) = name.split_once('#').unwrap_or((name, "-"));
            let right = fits && is_word(secret, "/_+=.@-:") && is_word(key, "/_+=.@-:");
            right.then_some(()).ok_or(
                "a secret's name or ARN, as in `prod/hf-token`, with the key of a JSON value behind it \
                 where there is one, as in `prod/tokens#hf`",
            )
        }
        SecretStore::AwsParameterStore => {
            let right = fits && is_word(name, "/_.-:");
            right.then_some(()).ok_or("a parameter's name or ARN, as in `/prod/hf-token`")
        }
        SecretStore::GcpSecretManager => {
            let right = match name.split('/').collect::<Vec<_>>()[..] {
                [secret] => is_word(secret, "_-"),
                [project, secret] => is_word(project, "-:.") && is_word(secret, "_-"),
                _ => false,
            };
            (fits && right).then_some(()).ok_or("`name` or `project/name` of a secret")
        }
        SecretStore::AzureKeyVault => {
            let right = match name.split('/').collect::<Vec<_>>()[..] {
                [vault, secret] => is_word(vault, "-") && is_word(secret, "-"),
                _ => false,
            };
            (fits && right).then_some(()).ok_or("`vault/name` of a secret")
        }
        SecretStore::Environment => {
            crate::environment::check_name(name).map_err(|_| "the name of an environment variable")
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.store.scheme(), self.name)
    }
}

serde_as_text!(SecretReference);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (text, cloud, needs_identity) in [
            ("aws-sm://prod/hf-token", CloudName::Aws, true),
            ("aws-sm://prod/tokens#hf", CloudName::Aws, true),
            ("aws-sm://arn:aws:secretsmanager:us-east-2:1:secret:hf-AbC", CloudName::Aws, true),
            ("aws-ssm:///prod/hf-token", CloudName::Aws, true),
            ("gcp-sm://hf-token", CloudName::Gcp, true),
            ("gcp-sm://my-project/hf-token", CloudName::Gcp, true),
            ("azure-kv://vault/hf-token", CloudName::Azure, true),
            ("env://HF_TOKEN", CloudName::Local, false),
        ] {
            let reference: SecretReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.needs_identity().is_some(), needs_identity, "{text}");
            for other in CloudName::ALL {
                assert_eq!(reference.works_on(other), other == cloud, "{text} on {other}");
            }
        }
    }

    #[test]
    fn refusals_never_repeat_the_text() {
        for text in [
            "hf_secretvalue",
            "",
            "https://hf_secretvalue",
            "env://hf-secretvalue",
            "env://",
            "azure-kv://secretvalue",
            "gcp-sm://a/b/secretvalue",
            "aws-sm://secret value",
            "aws-sm://arn:aws:secretvalue",
            "aws-sm://secretvalue#",
            "aws-sm://secretvalue#a#b",
            "aws-sm://secretvalue\n",
            "env://A\0secretvalue",
        ] {
            let error = text.parse::<SecretReference>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secretvalue"), "{text}: {error}");
        }
        assert_eq!("hf_x".parse::<SecretReference>(), Err(InvalidSecretReference::Literal));
    }
}
