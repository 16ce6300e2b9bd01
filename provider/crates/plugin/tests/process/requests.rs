//! Requests over the wire: what a host asks while the provider runs.

use crate::start::{Toy, connect, within};
use plugin::proto::health::{HealthCheckRequest, health_client::HealthClient};
use plugin::proto::plugin::grpc_broker_client::GrpcBrokerClient;
use plugin::proto::plugin::grpc_stdio_client::GrpcStdioClient;
use plugin::proto::tfplugin6::provider_client::ProviderClient;
use plugin::proto::tfplugin6::{self as pb, DynamicValue};
use serde_json::{Value, json};
use std::path::Path;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;

/// Values may come as JSON as well; what comes back is MessagePack.
pub(crate) fn json(value: Value) -> Option<DynamicValue> {
    Some(DynamicValue { json: value.to_string().into_bytes(), ..DynamicValue::default() })
}

pub(crate) fn member(value: Option<&DynamicValue>, name: &str) -> rmpv::Value {
    let bytes = &value.expect("a value").msgpack;
    let object = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
    let members = object.as_map().expect("an object");
    let member = members.iter().find(|(key, _)| key.as_str() == Some(name));
    member.expect("the attribute").1.clone()
}

pub(crate) fn shelf(name: &str, seconds: i64) -> Value {
    json!({
        "id": null, "name": name, "color": null, "owner": null, "slots": null, "seconds": seconds,
        "timeouts": null,
    })
}

pub(crate) async fn configure(provider: &mut ProviderClient<Channel>, directory: &Path) {
    let request = pb::configure_provider::Request {
        terraform_version: "1.11.4".to_owned(),
        config: json(json!({ "directory": directory })),
        ..Default::default()
    };
    let response = provider.configure_provider(request).await.unwrap().into_inner();
    assert_eq!(response.diagnostics, []);
}

/// Plans and applies a shelf that does not exist yet.
pub(crate) async fn create(
    provider: &mut ProviderClient<Channel>,
    config: Value,
) -> pb::apply_resource_change::Response {
    let plan = pb::plan_resource_change::Request {
        type_name: "toy_shelf".to_owned(),
        proposed_new_state: json(config.clone()),
        config: json(config.clone()),
        ..Default::default()
    };
    let planned = provider.plan_resource_change(plan).await.unwrap().into_inner();
    assert_eq!(planned.diagnostics, []);
    assert!(matches!(member(planned.planned_state.as_ref(), "id"), rmpv::Value::Ext(0, _)));
    let apply = pb::apply_resource_change::Request {
        type_name: "toy_shelf".to_owned(),
        planned_state: planned.planned_state,
        config: json(config),
        planned_private: planned.planned_private,
        ..Default::default()
    };
    provider.apply_resource_change(apply).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_stop_ends_a_creation_with_what_it_saved_and_leaves_the_server() {
    let mut toy = Toy::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut provider = toy.provider().await;
    configure(&mut provider, directory.path()).await;

    let mut busy = provider.clone();
    let creation = tokio::spawn(async move { create(&mut busy, shelf("slow", 3000)).await });
    let line = toy.logged("built").await;
    assert_eq!((line["@level"].as_str(), line["shelf"].as_str()), (Some("info"), Some("slow")));

    // Meanwhile others are served.
    let quick = within(create(&mut provider, shelf("quick", 0))).await;
    assert_eq!(quick.diagnostics, []);

    let stopped = within(provider.stop_provider(pb::stop_provider::Request {})).await.unwrap();
    assert_eq!(stopped.into_inner().error, "");
    let response = within(creation).await.unwrap();
    assert_eq!(member(response.new_state.as_ref(), "id").as_str(), Some("shelf-slow"));
    let [diagnostic] = response.diagnostics.as_slice() else { panic!("one diagnostic") };
    assert_eq!(diagnostic.summary, "Shelf is not dry");
    assert_eq!(diagnostic.severity(), pb::diagnostic::Severity::Error);

    provider.get_metadata(pb::get_metadata::Request {}).await.unwrap();
}

#[tokio::test]
async fn a_creation_ends_at_the_timeout_of_its_configuration() {
    let toy = Toy::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut provider = toy.provider().await;
    configure(&mut provider, directory.path()).await;
    let mut config = shelf("late", 3000);
    config["timeouts"] = json!({ "create": "10ms" });
    let response = within(create(&mut provider, config)).await;
    assert_eq!(response.diagnostics[0].detail, "Waiting ended: the time is over.");
    assert_eq!(member(response.new_state.as_ref(), "id").as_str(), Some("shelf-late"));
}

#[tokio::test]
async fn the_schema_is_whole() {
    let toy = Toy::start().await;
    let mut provider = toy.provider().await;
    let request = pb::get_provider_schema::Request {};
    let response = provider.get_provider_schema(request).await.unwrap().into_inner();
    let capabilities = response.server_capabilities.unwrap();
    assert!(capabilities.plan_destroy && capabilities.get_provider_schema_optional);
    assert!(response.provider.unwrap().block.is_some());
    let block = response.resource_schemas["toy_shelf"].block.clone().unwrap();
    let find = |name: &str| block.attributes.iter().find(|it| it.name == name).unwrap();
    let name = find("name");
    assert_eq!((name.r#type.as_slice(), name.required), (&b"\"string\""[..], true));
    assert_eq!(name.description_kind(), pb::StringKind::Markdown);
    let owner = find("owner");
    assert!(owner.r#type.is_empty(), "a type and a nested type exclude each other");
    let token = owner.nested_type.as_ref().unwrap().attributes.iter();
    assert!(token.clone().any(|attribute| attribute.name == "token" && attribute.write_only));
}

#[tokio::test]
async fn a_write_only_value_needs_a_terraform_that_knows_it() {
    let toy = Toy::start().await;
    let mut provider = toy.provider().await;
    let mut config = shelf("a", 0);
    config["owner"] = json!({ "email": "a@b", "token": "s3cret" });
    for (allowed, refused) in [(true, false), (false, true)] {
        let request = pb::validate_resource_config::Request {
            type_name: "toy_shelf".to_owned(),
            config: json(config.clone()),
            client_capabilities: Some(pb::ClientCapabilities {
                write_only_attributes_allowed: allowed,
                ..Default::default()
            }),
        };
        let response = provider.validate_resource_config(request).await.unwrap().into_inner();
        assert_eq!(!response.diagnostics.is_empty(), refused);
        let said = format!("{response:?}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn messages_may_be_larger_than_the_transport_takes_by_default() {
    let toy = Toy::start().await;
    let mut provider = toy.provider().await.max_decoding_message_size(16 << 20);
    let request = pb::upgrade_resource_state::Request {
        type_name: "toy_shelf".to_owned(),
        version: 0,
        raw_state: Some(pb::RawState {
            json: shelf(&"x".repeat(6 << 20), 0).to_string().into_bytes(),
            ..Default::default()
        }),
    };
    let mut provider =
        std::mem::replace(&mut provider, toy.provider().await).max_decoding_message_size(16 << 20);
    let response = provider.upgrade_resource_state(request).await.unwrap().into_inner();
    assert_eq!(response.diagnostics, []);
    assert!(response.upgraded_state.unwrap().msgpack.len() > 6 << 20);
}

#[tokio::test]
async fn what_there_is_not_is_said_in_the_way_that_the_host_takes() {
    let toy = Toy::start().await;
    let mut provider = toy.provider().await;
    let action = provider.plan_action(pb::plan_action::Request::default()).await.unwrap_err();
    assert_eq!(action.code(), Code::Unimplemented);
    let moved = pb::move_resource_state::Request::default();
    let moved = provider.move_resource_state(moved).await.unwrap().into_inner();
    assert_eq!(moved.diagnostics[0].summary, "Move is not supported");
    let read = pb::read_resource::Request { type_name: "toy_box".to_owned(), ..Default::default() };
    let read = provider.read_resource(read).await.unwrap().into_inner();
    assert_eq!(read.diagnostics[0].summary, "Provider bug");
}

#[tokio::test]
async fn the_services_of_every_plugin_are_there() {
    let toy = Toy::start().await;
    let channel = toy.connect().await;
    let mut health = HealthClient::new(channel.clone());
    for (service, code) in [("plugin", Code::Ok), ("other", Code::NotFound)] {
        let checked = health.check(HealthCheckRequest { service: service.to_owned() }).await;
        assert_eq!(checked.map_or_else(|status| status.code(), |_| Code::Ok), code);
    }
    // Both stay open and say nothing; the provider goes on.
    let mut broker = GrpcBrokerClient::new(channel.clone());
    let mut knocks = broker.start_stream(tokio_stream::pending()).await.unwrap().into_inner();
    let mut stdio = GrpcStdioClient::new(channel.clone());
    let mut printed = stdio.stream_stdio(()).await.unwrap().into_inner();
    let mut provider = ProviderClient::new(channel);
    tokio::select! {
        biased;
        knock = knocks.next() => panic!("{knock:?}"),
        print = printed.next() => panic!("{print:?}"),
        answer = provider.get_metadata(pb::get_metadata::Request {}) => { answer.unwrap(); }
    }
}

#[tokio::test]
async fn one_process_in_debug_mode_serves_one_run_after_the_other() {
    let sockets = tempfile::tempdir().unwrap();
    let mut process = crate::start::command(sockets.path()).arg("--debug").spawn().unwrap();
    let stdout = tokio::io::BufReader::new(process.stdout.take().unwrap());
    let mut lines = tokio::io::AsyncBufReadExt::lines(stdout);
    let line = loop {
        let line = within(lines.next_line()).await.unwrap().expect("how to attach");
        if let Some(value) = line.trim().strip_prefix("TF_REATTACH_PROVIDERS='") {
            break value.trim_end_matches('\'').to_owned();
        }
    };
    let reattach: Value = serde_json::from_str(&line).unwrap();
    let toy = &reattach["registry.terraform.io/example/toy"];
    assert_eq!(toy["Pid"].as_u64(), process.id().map(u64::from));
    let socket = Path::new(toy["Addr"]["String"].as_str().unwrap());

    for name in ["first", "second"] {
        let directory = tempfile::tempdir().unwrap();
        let mut provider = ProviderClient::new(connect(socket).await);
        configure(&mut provider, directory.path()).await;
        let made = create(&mut provider, shelf(name, 0)).await;
        assert_eq!(made.diagnostics, []);
        assert!(directory.path().join(format!("shelf-{name}.json")).exists());
        // A run that was stopped is not the end of the next one.
        provider.stop_provider(pb::stop_provider::Request {}).await.unwrap();
    }
    crate::end::interrupt(&process);
    assert!(within(process.wait()).await.unwrap().success());
    assert!(std::fs::read_dir(sockets.path()).unwrap().next().is_none(), "the socket is removed");
}
