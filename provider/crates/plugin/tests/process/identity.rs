//! Resource identity over the wire, as Terraform 1.12 and later asks for it.

use crate::requests::{configure, create, json, member, shelf};
use crate::start::Toy;
use plugin::proto::tfplugin6 as pb;
use serde_json::json;

#[tokio::test]
async fn an_object_has_its_identity_from_its_creation_on_and_is_imported_by_it() {
    let toy = Toy::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut provider = toy.provider().await;
    configure(&mut provider, directory.path()).await;

    let request = pb::get_resource_identity_schemas::Request {};
    let schemas = provider.get_resource_identity_schemas(request).await.unwrap().into_inner();
    let schema = &schemas.identity_schemas["toy_shelf"];
    let [part] = schema.identity_attributes.as_slice() else { panic!("one part") };
    assert_eq!((part.name.as_str(), part.r#type.as_slice()), ("shelf", &b"\"string\""[..]));
    assert!(part.required_for_import);

    let created = create(&mut provider, shelf("a", 0)).await;
    let identity = created.new_identity.expect("an identity");
    assert_eq!(member(identity.identity_data.as_ref(), "shelf").as_str(), Some("shelf-a"));

    let read = pb::read_resource::Request {
        type_name: "toy_shelf".to_owned(),
        current_state: created.new_state.clone(),
        private: created.private,
        current_identity: Some(identity.clone()),
        ..Default::default()
    };
    let read = provider.read_resource(read).await.unwrap().into_inner();
    assert_eq!(read.new_identity, Some(identity.clone()));

    // An update keeps it; what is replaced gets its own when it is made.
    for (config, kept) in [(shelf("a", 1), true), (shelf("b", 0), false)] {
        let plan = pb::plan_resource_change::Request {
            type_name: "toy_shelf".to_owned(),
            prior_state: read.new_state.clone(),
            proposed_new_state: json(config.clone()),
            config: json(config),
            prior_identity: Some(identity.clone()),
            ..Default::default()
        };
        let planned = provider.plan_resource_change(plan).await.unwrap().into_inner();
        assert_eq!(planned.planned_identity.is_some(), kept);
    }

    let import = |identity| pb::import_resource_state::Request {
        type_name: "toy_shelf".to_owned(),
        identity: Some(identity),
        ..Default::default()
    };
    let imported = provider.import_resource_state(import(identity.clone())).await.unwrap();
    let imported = imported.into_inner();
    assert_eq!(imported.diagnostics, []);
    assert_eq!(imported.imported_resources[0].identity, Some(identity));
    let empty = pb::ResourceIdentityData { identity_data: json(json!({ "shelf": "" })) };
    let refused = provider.import_resource_state(import(empty)).await.unwrap().into_inner();
    assert_eq!(refused.diagnostics[0].summary, "Incomplete identity");

    let upgrade = |version| pb::upgrade_resource_identity::Request {
        type_name: "toy_shelf".to_owned(),
        version,
        raw_identity: Some(pb::RawState {
            json: br#"{"shelf":"shelf-a"}"#.to_vec(),
            ..Default::default()
        }),
    };
    let same = provider.upgrade_resource_identity(upgrade(0)).await.unwrap().into_inner();
    let same = same.upgraded_identity.expect("it is of this version");
    assert_eq!(member(same.identity_data.as_ref(), "shelf").as_str(), Some("shelf-a"));
    let newer = provider.upgrade_resource_identity(upgrade(1)).await.unwrap().into_inner();
    assert_eq!(newer.diagnostics[0].summary, "Identity of another release");
}
