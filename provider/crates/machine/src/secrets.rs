//! `env://NAME` secrets: read where whoever launches runs, handed to the machine's supervisor over a
//! pipe, kept in memory only.

use cloud::BootDocument;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

const FILE: &str = "/etc/disagg/secrets";
const SCHEME: &str = "env://";

/// Looks an environment variable up.
pub type SecretLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Environment variables that a machine's secrets refer to, with their values.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(BTreeMap<String, String>);

/// A variable that is not there to be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the environment variable `{variable}`, which the secret `{secret}` refers to, is not set where \
     the provider runs"
)]
pub struct MissingVariable {
    variable: String,
    secret: String,
}

impl Secrets {
    /// Reads what the document refers to.
    ///
    /// # Errors
    /// When a variable is not set.
    pub fn of(document: &BootDocument, lookup: &SecretLookup) -> Result<Self, MissingVariable> {
        let references = document.file(FILE).unwrap_or_default();
        let mut secrets = BTreeMap::new();
        for (secret, reference) in references.lines().filter_map(|line| line.split_once('=')) {
            if let Some(variable) = reference.strip_prefix(SCHEME) {
                let value = lookup(variable).ok_or_else(|| MissingVariable {
                    variable: variable.to_owned(),
                    secret: secret.to_owned(),
                })?;
                secrets.insert(variable.to_owned(), value);
            }
        }
        Ok(Self(secrets))
    }

    /// As variables of a unit's environment.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::BootFile;

    fn check(lines: &str) -> Result<Secrets, String> {
        let lookup: SecretLookup = Arc::new(|name| (name == "HF").then(|| "hf_secret".to_owned()));
        let files = vec![BootFile::private(FILE, lines.to_owned())];
        let document = BootDocument { files, ..BootDocument::default() };
        Secrets::of(&document, &lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn references_are_read_by_the_name_they_give() {
        let secrets = check("HF_TOKEN=env://HF\nOTHER=aws-sm://prod/x\n").unwrap();
        assert_eq!(
            secrets.variables(),
            &BTreeMap::from([("HF".to_owned(), "hf_secret".to_owned())])
        );
        assert!(!format!("{secrets:?}").contains("hf_secret"));
        assert_eq!(check(""), Ok(Secrets::default()));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        expect_test::expect!["the environment variable `NOPE`, which the secret `A` refers to, is not set where the provider runs"]
            .assert_eq(&check("A=env://NOPE\n").unwrap_err());
    }
}
