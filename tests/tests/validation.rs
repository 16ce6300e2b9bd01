//! Bad input is refused before anything is done, at its attribute, with what would be right.

use acceptance::config::{ENDPOINT, fleet, group, service};
use acceptance::{Cloud, Workspace};
use serde_json::Value;

acceptance::tests! {
    fleets;
    services;
    replica_groups;
    endpoints;
    what_is_not_known_yet_is_not_refused;
    a_plan_refuses_what_no_machine_has;
    a_secret_in_a_configuration_is_told_of_and_not_shown;
}

/// What `terraform validate` finds: for each error its summary and detail in one text, and the
/// line of the configuration that it points to.
fn errors(cloud: &Cloud, configuration: &str) -> Vec<(String, String)> {
    let workspace = Workspace::on(cloud);
    workspace.write(configuration);
    let run = workspace.terraform(&["validate", "-json"]);
    let json: Value = serde_json::from_str(&run.stdout).expect("validate prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let diagnostics = json["diagnostics"].as_array().cloned().unwrap_or_default();
    diagnostics
        .iter()
        .filter(|diagnostic| diagnostic["severity"] == "error")
        .map(|diagnostic| {
            let said = format!("{}: {}", text(&diagnostic["summary"]), text(&diagnostic["detail"]));
            (said, text(&diagnostic["snippet"]["code"]))
        })
        .collect()
}

fn assert_refused(cloud: &Cloud, configuration: &str, at: &str, said: &[&str]) {
    let found = errors(cloud, configuration);
    let fits = |(text, code): &(String, String)| {
        code.contains(at)
            && said.iter().all(|said| text.contains(said))
            && !text.contains("Provider bug")
    };
    assert!(
        found.iter().any(fits),
        "no error at `{at}` says {said:?}:\n{found:#?}\n{configuration}"
    );
}

fn fleets(cloud: &Cloud) {
    let with =
        |attributes: &str| format!("resource \"disagg_fleet\" \"pd\" {{\n{attributes}\n}}\n");
    for (attributes, at, said) in [
        ("name = \"Pd\"\ncloud = \"local\"", "name", &["Invalid name", "Pd"][..]),
        ("name = \"\"\ncloud = \"local\"", "name", &["Invalid name"]),
        ("name = \"pd\"\ncloud = \"azur\"", "cloud", &["Unknown cloud", "azur", "azure"]),
        (
            "name = \"pd\"\ncloud = \"local\"\nplacement = \"spread\"",
            "placement",
            &["cluster", "zone"],
        ),
        (
            "name = \"pd\"\ncloud = \"local\"\ngpus = [\"H200\", \"H9000\"]",
            "gpus",
            &["Invalid GPU request", "H9000"],
        ),
        ("name = \"pd\"\ncloud = \"local\"\ngpus = [\"H200:0\"]", "gpus", &["Invalid GPU request"]),
        ("name = \"pd\"\ncloud = \"local\"\nregion = \"mars\"", "region", &["one region", "local"]),
        ("name = \"pd\"\ncloud = \"local\"\nzone = \"x\"", "zone", &["one zone", "local-a"]),
        (
            "name = \"pd\"\ncloud = \"local\"\ntimeouts = { create = \"soon\" }",
            "timeouts",
            &["soon", "45m"],
        ),
        ("name = \"pd\"\ncloud = \"local\"\ntimeouts = { create = \"0s\" }", "timeouts", &["0s"]),
        ("name = \"pd\"\ncloud = \"local\"\ntimeouts = { create = \"-5m\" }", "timeouts", &["-5m"]),
    ] {
        assert_refused(cloud, &with(attributes), at, said);
    }
    let unknown = errors(cloud, &with("name = \"pd\"\ncloud = \"locl\""));
    assert_eq!(unknown.len(), 1, "one mistake, one error: {unknown:#?}");
}

fn services(cloud: &Cloud) {
    for (attributes, at, said) in [
        ("hourly_cost = 1", "hourly_cost", &["Read-only attribute"][..]),
        ("ingress_cidrs = [null]", "ingress_cidrs", &["Null element"]),
        ("port = 0", "port", &["0", "between 1 and 65535"][..]),
        ("port = 65536", "port", &["65536"]),
        ("port = 80.5", "port", &["whole number"]),
        ("port = 2379", "port", &["2379", "etcd"]),
        ("version = \"0.1.0\"", "version", &["Unsupported Dynamo version", "1.6.1"]),
        ("version = \"1.2.1\"", "version", &["Unsupported Dynamo version", "1.4.2", "custom"]),
        ("router = { env = { DISAGG_IP = \"1\" } }", "router", &["Reserved variable", "DISAGG_IP"]),
        ("ingress_cidrs = [\"203.0.113.0\"]", "ingress_cidrs", &["Invalid address block"]),
        ("ingress_cidrs = [\"300.0.0.0/8\"]", "ingress_cidrs", &["Invalid address block"]),
        ("boot = \"both\"", "boot", &["sequential", "overlap"]),
        ("on_router_change = \"warn\"", "on_router_change", &["refuse", "replace"]),
        ("router = { type = \"envoy\" }", "router", &["dynamo", "custom"]),
        ("router = { type = \"custom\" }", "router", &["Missing commands"]),
        ("router = { commands = [\"true\"] }", "router", &["Commands without a custom router"]),
        (
            "router = { env = { \"A B\" = \"c\" } }",
            "router",
            &["Invalid environment variable", "A B"],
        ),
        ("router = { resources = { cpu = 0 } }", "router", &["between 1 and 1024"]),
    ] {
        assert_refused(cloud, &format!("{}{}", fleet(""), service(attributes)), at, said);
    }
    let null = service("").replace("\"disagg/tiny\"", "null");
    assert_refused(cloud, &format!("{}{null}", fleet("")), "model", &["Missing value"]);
    let spaced = service("").replace("disagg/tiny", "two words");
    assert_refused(cloud, &format!("{}{spaced}", fleet("")), "model", &["Invalid model name"]);
    let literal = service("").replace("disagg_fleet.pd.id", "\"pd\"");
    assert_refused(
        cloud,
        &format!("{}{literal}", fleet("")),
        "fleet_id",
        &["Invalid fleet id", "aws/us-east-2/pd"],
    );
}

fn replica_groups(cloud: &Cloud) {
    let base = format!("{}{}", fleet(""), service(""));
    for (attributes, at, said) in [
        ("", "disagg_replica_group", &["Missing replicas"][..]),
        (
            "replicas = 1\n scaling = { min = 1, max = 2, target = 1 }",
            "scaling",
            &["Both replicas and scaling"],
        ),
        ("replicas = -1", "replicas", &["-1", "between 0 and 10000"]),
        ("scaling = { min = 3, max = 2, target = 1 }", "scaling", &["Invalid bounds", "3", "2"]),
        ("scaling = { min = 1, max = 2, target = 0 }", "scaling", &["more than 0"]),
        ("scaling = { min = 1, max = 2, target = 1e400 }", "scaling", &["at most 1000000000000"]),
        ("scaling = { min = 1, max = 2, target = 1, metric = \"ttft\" }", "scaling", &["rps"]),
        (
            "replicas = 1\n resources = { gpu = \"H200:8:9\" }",
            "resources",
            &["Invalid GPU request"],
        ),
        (
            "replicas = 1\n drain_timeout = \"soon\"",
            "drain_timeout",
            &["Invalid drain timeout", "`soon`", "`0s`"],
        ),
        ("replicas = 1\n drain_timeout = \"-1m\"", "drain_timeout", &["Invalid drain timeout"]),
        ("replicas = 1\n drain_timeout = 600", "drain_timeout", &["Invalid drain timeout", "600"]),
        ("replicas = 1\n drain_timeout = \"25h\"", "drain_timeout", &["24 hours at most"]),
        ("replicas = 1\n drain_timeout = [\"1m\"]", "drain_timeout", &["string required"]),
        ("replicas = 1\n env = { \"1A\" = \"b\" }", "env", &["Invalid environment variable", "1A"]),
        ("replicas = 1\n env = { A = \"b\\nc\" }", "env", &["Invalid environment variable"]),
        ("replicas = 1\n env = { DISAGG_IP = \"1\" }", "env", &["Reserved variable", "DISAGG_IP"]),
        ("replicas = 1\n env = { PATH = \"/x\" }", "env", &["Reserved variable", "scripts"]),
        (
            "replicas = 1\n secret_env = { HF_TOKEN = \"aws-sm://prod/hf\" }",
            "secret_env",
            &["Missing identity", "instance profile"],
        ),
    ] {
        assert_refused(cloud, &format!("{base}{}", group("decode", attributes)), at, said);
    }

    let valid = group("decode", "replicas = 1");
    for (from, to, at, said) in [
        ("\"mocker\"", "\"mock\"", "engine", &["Unknown engine", "mocker"][..]),
        ("\"mocker\"", "\"sglang\"", "disagg_replica_group", &["Missing GPU"]),
        ("\"mocker\"", "\"custom\"", "engine", &["Missing commands"]),
        ("\"mocker\"", "\"custom\", commands = [\" \"]", "engine", &["Missing commands"]),
        ("role       = \"decode\"", "role       = \"encode\"", "role", &["prefill"]),
        ("disagg_service.tiny.id", "\"tiny\"", "service_id", &["Invalid service id"]),
    ] {
        assert!(valid.contains(from), "{valid}");
        assert_refused(cloud, &format!("{base}{}", valid.replace(from, to)), at, said);
    }
}

fn endpoints(cloud: &Cloud) {
    let base = format!(
        "{}{}{}{}",
        fleet(""),
        service(""),
        group("prefill", "replicas = 1"),
        group("decode", "replicas = 1")
    );
    for (probe, said) in [
        ("{ path = \"health\" }", &["Invalid path", "/health"][..]),
        ("{ interval = \"15\" }", &["Invalid duration", "15"]),
        ("{ interval = \"0s\" }", &["Invalid duration"]),
    ] {
        let endpoint = ENDPOINT.replace("  group_ids", &format!("  probe = {probe}\n  group_ids"));
        assert_refused(cloud, &format!("{base}{endpoint}"), "probe", said);
    }
}

fn what_is_not_known_yet_is_not_refused(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let unknown = "resource \"terraform_data\" \"later\" {}\n";
    let commands = "commands = [terraform_data.later.id]";
    let service = service(&format!("router = {{ type = \"custom\", {commands} }}"));
    let group =
        group("decode", "replicas = 1").replace("\"mocker\"", &format!("\"custom\", {commands}"));
    workspace.plan(&format!("{unknown}{}{service}{group}", fleet("")));
}

#[test]
fn a_machine_has_no_identity_on_the_local_cloud() {
    let workspace = Workspace::local();
    let group = group("decode", "replicas = 1\n identity = \"me\"");
    let run = workspace.plan_fails(&format!("{}{}{group}", fleet(""), service("")));
    run.says(&["`identity` on a cloud without it", "Leave `identity` out"]);
}

fn a_plan_refuses_what_no_machine_has(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = |gpu: &str| {
        format!(
            "{}{}{}",
            fleet(""),
            service(""),
            group("decode", &format!("replicas = 1\n resources = {{ gpu = \"{gpu}\" }}"))
        )
    };
    workspace.plan_fails(&stack("H200:16")).says(&["No machine fits", "H200", "8"]);
    let wasteful = workspace.plan(&stack("H200:3"));
    assert!(wasteful.text.contains("GPUs are wasted"), "{}", wasteful.text);
    let uneven = stack("H200:8").replace("\"mocker\"", "\"mocker\", tensor_parallel = 3");
    workspace.plan_fails(&uneven).says(&["Tensor parallel size does not fit", "3", "8"]);
}

/// Terraform prints the line that a diagnostic points to, whatever stands in it.
fn a_secret_in_a_configuration_is_told_of_and_not_shown(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let base = format!("{}{}", fleet(""), service(""));
    let secret = "hf_0123456789abcdefABCDEF";
    for (attributes, said) in [
        (
            format!("secret_env = {{ HF_TOKEN = \"{secret}\" }}"),
            &["Invalid secret reference", "`secret_env[\"HF_TOKEN\"]`", "env://"][..],
        ),
        (
            format!("secret_env = {{\n    A = \"env://A\"\n    T = \"{secret}\"\n  }}"),
            &["Invalid secret reference", "T"],
        ),
        // Another fault in the same line.
        (format!("secret_env = {{ \"1A\" = \"env://A\", T = \"{secret}\" }}"), &["Invalid"]),
        (
            format!("env = {{ HF_TOKEN = \"{secret}\" }}"),
            &["Secret in `env`", "`HF_TOKEN`", "secret_env = {"],
        ),
        (
            format!("env = {{ HF_TOKEN = \"{secret}\", PATH = \"/x\" }}"),
            &["Reserved variable", "`env[\"PATH\"]`"],
        ),
        (format!("env = {{ HF_TOKEN = \"{secret}\\n\" }}"), &["Invalid environment variable"]),
    ] {
        workspace
            .write(&format!("{base}{}", group("decode", &format!("replicas = 1\n  {attributes}"))));
        let run = workspace.terraform(&["validate"]);
        run.says(said);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(!text.contains(secret), "{text}");
    }
    let args = group("decode", "replicas = 1")
        .replace("\"mocker\" }", &format!("\"mock\", args = [\"--key\", \"{secret}\"] }}"));
    workspace.write(&format!("{base}{args}"));
    let run = workspace.terraform(&["validate"]).failure();
    run.says(&["Unknown engine", "`engine.type`"]);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(secret), "{}", run.stderr);
    let router = service(&format!("router = {{ env = {{ API_KEY = \"{secret}\" }} }}"));
    workspace.write(&format!("{}{router}", fleet("")));
    let run = workspace.terraform(&["validate"]).success();
    run.says(&["Secret in `router.env`", "`API_KEY`"]);
    assert!(!run.stdout.contains(secret), "{}", run.stdout);
}
