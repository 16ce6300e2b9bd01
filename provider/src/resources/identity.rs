//! Identities: the parts of the import paths, which are those of the ids without the uid. A service that
//! is replaced keeps its identity: it is another one of the same name.

use plugin::{Attr, IdentityPart};

/// A fleet's.
pub(super) const FLEET: &[IdentityPart] = &[CLOUD, REGION, FLEET_NAME];
/// A service's, and its endpoint's.
pub(super) const SERVICE: &[IdentityPart] = &[CLOUD, REGION, FLEET_NAME, SERVICE_NAME];
/// A replica group's.
pub(super) const REPLICA_GROUP: &[IdentityPart] =
    &[CLOUD, REGION, FLEET_NAME, SERVICE_NAME, GROUP_NAME];

const CLOUD: IdentityPart =
    IdentityPart { name: "cloud", description: "The cloud: `local`, `aws`, `gcp` or `azure`." };
const REGION: IdentityPart = IdentityPart { name: "region", description: "The fleet's region." };
const FLEET_NAME: IdentityPart = IdentityPart { name: "fleet", description: "The fleet's name." };
const SERVICE_NAME: IdentityPart =
    IdentityPart { name: "service", description: "The service's name in its fleet." };
const GROUP_NAME: IdentityPart =
    IdentityPart { name: "group", description: "The replica group's name in its service." };

/// The values of an id's parts.
pub(super) fn of(id: &Attr<String>) -> Option<Vec<String>> {
    let without_uid = |part: &str| part.split('@').next().unwrap_or(part).to_owned();
    Some(id.as_str()?.split('/').map(without_uid).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_the_import_path() {
        for (parts, id, path) in [
            (FLEET, "local/local/pd", "local/local/pd"),
            (SERVICE, "local/local/pd/tiny@abcd1234", "local/local/pd/tiny"),
            (REPLICA_GROUP, "aws/us-east-2/pd/glm@abcd1234/decode", "aws/us-east-2/pd/glm/decode"),
        ] {
            let values = of(&Attr::Known(id.to_owned())).expect("a known id");
            assert_eq!(values.len(), parts.len(), "{id}");
            assert_eq!(values.join("/"), path);
        }
        assert_eq!(of(&Attr::unknown()), None);
    }

    /// The examples of the pages name the very parts, and mean the same object as the import by path.
    #[test]
    fn examples_of_imports_by_identity_are_those_by_path() {
        for (resource, parts) in [
            ("disagg_fleet", FLEET),
            ("disagg_service", SERVICE),
            ("disagg_replica_group", REPLICA_GROUP),
            ("disagg_endpoint", SERVICE),
        ] {
            let directory =
                format!("{}/../examples/resources/{resource}", env!("CARGO_MANIFEST_DIR"));
            let read = |file: &str| {
                std::fs::read_to_string(format!("{directory}/{file}")).expect("an example")
            };
            let pairs = read("import-by-identity.tf");
            let pairs = pairs.lines().filter_map(|line| {
                let (name, value) = line.trim().split_once('=')?;
                Some((name.trim().to_owned(), value.trim().strip_prefix('"')?.replace('"', "")))
            });
            let (names, values): (Vec<_>, Vec<_>) = pairs.unzip();
            let expected: Vec<_> = parts.iter().map(|part| part.name).collect();
            assert_eq!(names, expected, "{resource}");
            assert!(read("import.tf").contains(&format!("\"{}\"", values.join("/"))), "{resource}");
        }
    }
}
