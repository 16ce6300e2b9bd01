//! Every definition is whole, and what is derived from it and committed is in step.
//! `UPDATE_EXPECT=1` rewrites the committed files.

use expect_test::expect_file;
use plugin::Schema;
use schemars::JsonSchema;
use schemas::table::{self, ChangeClass, Entry, ImportSource};
use schemas::{Endpoint, Fleet, Offers, ProviderConfig, ReplicaGroup, Service, ServiceLookup};

fn all() -> [(&'static str, Schema, Vec<Entry>); 7] {
    fn one<M: JsonSchema>(name: &'static str) -> (&'static str, Schema, Vec<Entry>) {
        (name, schemas::schema::<M>(0), table::entries::<M>())
    }
    [
        one::<ProviderConfig>("provider"),
        one::<Fleet>("disagg_fleet"),
        one::<Service>("disagg_service"),
        one::<ReplicaGroup>("disagg_replica_group"),
        one::<Endpoint>("disagg_endpoint"),
        one::<Offers>("data.disagg_offers"),
        one::<ServiceLookup>("data.disagg_service"),
    ]
}

#[test]
fn every_schema_is_one_that_terraform_takes() {
    for (name, schema, _) in all() {
        assert_eq!(schema.problems(), Vec::<String>::new(), "{name}");
        assert!(!schema.description.is_empty(), "{name} has no description");
    }
}

#[test]
fn every_row_is_whole() {
    for (name, _, entries) in all() {
        for Entry { path, row, description } in entries {
            let place = format!("{name}.{}", path.join("."));
            assert!(description.ends_with('.'), "{place} is not described in sentences");
            let configurable = row.required || row.optional;
            assert_eq!(configurable, row.change.is_some(), "{place}: who changes it?");
            assert!(configurable || row.computed, "{place} is given by nobody");
        }
    }
}

#[test]
fn every_baked_attribute_can_be_imported() {
    for (name, _, entries) in all().into_iter().skip(1) {
        for Entry { path, row, .. } in entries {
            let baked = matches!(row.change, Some(ChangeClass::Refused | ChangeClass::Rolling));
            let found = row.import != ImportSource::Nowhere;
            assert!(!baked || found, "{name}.{} is baked in and lost by an import", path.join("."));
        }
    }
}

#[test]
fn the_committed_json_schemas_are_in_step() {
    fn check<M: JsonSchema>(name: &str) {
        let json = serde_json::to_string_pretty(&table::json_schema::<M>()).expect("JSON");
        expect_file![format!("{}/json/{name}.schema.json", env!("CARGO_MANIFEST_DIR"))]
            .assert_eq(&format!("{json}\n"));
    }
    check::<ProviderConfig>("provider");
    check::<Fleet>("disagg_fleet");
    check::<Service>("disagg_service");
    check::<ReplicaGroup>("disagg_replica_group");
    check::<Endpoint>("disagg_endpoint");
    check::<Offers>("data.disagg_offers");
    check::<ServiceLookup>("data.disagg_service");
}
