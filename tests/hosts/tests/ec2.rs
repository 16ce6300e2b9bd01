//! The real Terraform and the provider on a simulated EC2 whose machines boot: real cloud-init reads the
//! very user data from the metadata service, security groups and public addresses are packet filters,
//! and Terraform stands outside.

use acceptance::{Aws, Cloud, Workspace};
use cloudsim::datacentre::{self, WayOut};
use cloudsim::ec2::{Account, Region as Model, Settings, Subnet};
use hosts::datacentre::{Datacentre, Host};
use hosts::ec2::{Hosts, name_of};
use hosts::image::Image;
use hosts::wait::wait_for;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A region with hosts in it, and a directory in which Terraform is run outside.
struct Region {
    datacentre: Arc<Datacentre>,
    aws: Arc<Aws>,
    workspace: Workspace,
}

impl Region {
    fn new(settings: Settings) -> Self {
        let datacentre = Arc::new(Datacentre::new());
        let mut model = Model::new(settings);
        model.set_guest(Hosts::new(Arc::clone(&datacentre), Image::Trixie));
        let aws = Arc::new(Aws::serve(model, Some(datacentre.operator())));
        let cloud: Cloud = Arc::clone(&aws) as Cloud;
        let workspace = Workspace::on(&cloud);
        Self { datacentre, aws, workspace }
    }

    /// Its machines with an address and the id, those of a group or the router.
    fn machines(&self, group: Option<&str>) -> Vec<(String, IpAddr)> {
        let living = self.aws.datacentre().living();
        let of_group =
            living.iter().filter(|one| one.get("disagg:group").map(String::as_str) == group);
        let up = of_group.filter(|one| one["state"] != "ending");
        up.map(|one| (one["id"].clone(), one["ip"].parse().expect("an address"))).collect()
    }

    fn host(&self, (id, ip): &(String, IpAddr)) -> Host<'_> {
        self.datacentre.existing(&name_of(id), *ip, Image::Trixie)
    }

    /// Changes the model by hand, and the machines follow.
    fn change(&self, change: impl FnOnce(&mut Model)) {
        let mut model = self.aws.datacentre();
        change(&mut model);
        model.tell_guest();
    }

    /// A server of packages in the world outside.
    fn serve_packages(&self) -> Packages {
        let (address, port) =
            PACKAGES.trim_start_matches("http://").split_once(':').expect("a port");
        let server = Command::new("nsenter")
            .arg(format!("--net={}", self.datacentre.operator().display()))
            .args(["--", "python3", "-m", "http.server", port, "--bind", address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Packages(server.expect("nsenter is there"))
    }

    fn wait_for_chat(&self, url: &str) {
        let ask = || Some(()).filter(|()| self.datacentre.chat_from_outside(url, MODEL).0 == 200);
        let explain = || {
            let all = [None, Some("prefill"), Some("decode")];
            let machines = all.iter().flat_map(|group| self.machines(*group));
            machines.map(|machine| self.host(&machine).explain()).collect()
        };
        wait_for("answers a chat", 60, ask, explain);
    }
}

const MODEL: &str = "disagg/tiny";

fn fleet(more: &str) -> String {
    format!(
        "resource \"disagg_fleet\" \"pd\" {{\n  name = \"pd\"\n  cloud = \"aws\"\n  {more}\n}}\n"
    )
}

fn service(more: &str) -> String {
    format!(
        "resource \"disagg_service\" \"tiny\" {{\n  name = \"tiny\"\n  fleet_id = disagg_fleet.pd.id\n  \
         model = \"{MODEL}\"\n  {more}\n}}\n\
         output \"endpoint\" {{ value = disagg_service.tiny.endpoint }}\n"
    )
}

fn group(name: &str, more: &str) -> String {
    format!(
        "resource \"disagg_replica_group\" \"{name}\" {{\n  name = \"{name}\"\n  \
         service_id = disagg_service.tiny.id\n  role = \"{name}\"\n  resources = {{ cpu = 2 }}\n  \
         engine = {{ type = \"mocker\" }}\n  {more}\n}}\n"
    )
}

const ENDPOINT: &str = "resource \"disagg_endpoint\" \"chat\" {\n  service_id = disagg_service.tiny.id\n  \
    depends_on = [disagg_replica_group.prefill, disagg_replica_group.decode]\n}\n";

/// Where packages come from: outside of the region, beside the operator.
const PACKAGES: &str = "http://100.64.0.2:8080";

/// Ends with the test.
struct Packages(Child);

impl Drop for Packages {
    fn drop(&mut self) {
        // It has ended by itself if it cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The operator's own address, as the machines see it.
const OPERATOR: &str = "100.64.0.2/32";

#[test]
fn terraform_deploys_changes_loses_and_destroys_machines_that_boot() {
    let region = Region::new(Settings::default());
    let workspace = &region.workspace;
    let config = |decode: u32| {
        let service = service(&format!("ingress_cidrs = [\"{OPERATOR}\"]"));
        let decode = group("decode", &format!("replicas = {decode}"));
        let prefill = group("prefill", "replicas = 1");
        format!("{}{service}{prefill}{decode}{ENDPOINT}", fleet("zone = \"us-east-2a\""))
    };
    workspace.apply(&config(1));
    let url = workspace.output("endpoint").as_str().expect("a text").to_owned();
    assert!(url.starts_with("http://198.18."), "{url}");
    let (status, answer) = region.datacentre.chat_from_outside(&url, MODEL);
    assert_eq!(status, 200, "{answer}");
    workspace.assert_no_changes();
    for machine in
        [None, Some("prefill"), Some("decode")].iter().flat_map(|one| region.machines(*one))
    {
        region.host(&machine).assert_cloud_init_done();
    }

    for count in [3, 1] {
        workspace.apply(&config(count));
        assert_eq!(region.machines(Some("decode")).len(), count as usize);
        workspace.assert_no_changes();
        region.wait_for_chat(&url);
    }

    let router = region.machines(None).remove(0);
    let host = region.host(&router);
    let before = host.state().expect("it was ready").boot;
    host.reboot();
    host.wait_for("is ready in its second boot", 60, |host| {
        host.state().filter(|state| state.is_ready() && state.boot != before)
    });
    region.wait_for_chat(&url);
    workspace.assert_no_changes();

    let lost = region.machines(Some("decode")).remove(0);
    region.change(|model| assert!(model.lose(&lost.0)));
    let plan = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{}", plan.stdout);
    workspace.apply(&config(1));
    assert_ne!(region.machines(Some("decode"))[0].0, lost.0);
    region.wait_for_chat(&url);
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn without_a_route_to_the_router_the_consoles_say_enough() {
    let private = Subnet {
        zone: "us-east-2a".to_owned(),
        vpc: "vpc-default".to_owned(),
        way_out: WayOut::Nat,
    };
    let subnets = [("subnet-private".to_owned(), private)].into();
    let account = Account { subnets, ..Account::default() };
    let datacentre =
        datacentre::Settings { console_seconds: 3.0, ..datacentre::Settings::default() };
    let region = Region::new(Settings { datacentre, account });
    region.datacentre.set_route_from_outside(false);
    let workspace = &region.workspace;
    let groups = [group("prefill", "replicas = 1"), group("decode", "replicas = 2")].concat();
    workspace.apply(&format!("{}{}{groups}", fleet("subnet = \"subnet-private\""), service("")));
    let url = workspace.output("endpoint").as_str().expect("a text").to_owned();
    let router = region.machines(None).remove(0);
    assert_eq!(url, format!("http://{}:8000", router.1));
    assert_eq!(region.datacentre.chat_from_outside(&url, MODEL).0, 0, "there is no way in");
    // Its own machines reach it.
    let worker = region.machines(Some("decode")).remove(0);
    let ask = ["curl", "--silent", "--fail", "--max-time", "5", &format!("{url}/v1/models")];
    assert!(region.host(&worker).read(&ask).contains(MODEL));
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn a_port_that_is_closed_inside_the_fleet_fails_the_boot_of_workers() {
    let region = Region::new(Settings::default());
    let workspace = &region.workspace;
    let base = format!(
        "{}{}",
        fleet("zone = \"us-east-2a\""),
        service(&format!("ingress_cidrs = [\"{OPERATOR}\"]"))
    );
    workspace.apply(&base);
    region.change(|model| model.let_members_in_only_at("disagg-pd", 4222));
    workspace.write(&format!("{base}{}", group("decode", "replicas = 1")));
    // A refresh would see the rule and the apply put it back.
    let apply = workspace.terraform(&["apply", "-auto-approve", "-refresh=false"]).failure();
    apply.says(&["does not reach 172.31.0.11:2379, while the router there is healthy"]);
    assert_eq!(region.machines(Some("decode")), Vec::new(), "it is not paid for");
    workspace.write(&base);
    workspace.destroy();
}

#[test]
fn a_machine_that_must_install_fails_without_a_way_out() {
    let leads =
        |way_out| Subnet { zone: "us-east-2a".to_owned(), vpc: "vpc-default".to_owned(), way_out };
    let account = Account {
        subnets: [
            ("subnet-closed".to_owned(), leads(WayOut::None)),
            ("subnet-nat".to_owned(), leads(WayOut::Nat)),
        ]
        .into(),
        images: vec!["ami-0123456789abcdef0".to_owned()],
        ..Account::default()
    };
    let region = Region::new(account.into());
    let _packages = region.serve_packages();
    let workspace = &region.workspace;
    let closed = format!("{}{}", fleet("subnet = \"subnet-closed\""), service(""));
    let installs = format!("curl --silent --show-error --fail --max-time 3 {PACKAGES}");
    // With an image of the user's own, who has promised that everything is on it.
    let group = |image: &str| {
        let more = format!("replicas = 1\n  {image}\n  timeouts = {{ create = \"90s\" }}");
        let engine = format!("engine = {{ type = \"custom\", commands = [\"{installs}\"] }}");
        group("decode", &more).replace("engine = { type = \"mocker\" }", &engine)
    };
    workspace.apply(&closed);
    let promised = group("image = \"ami-0123456789abcdef0\"");
    workspace.apply_fails(&format!("{closed}{promised}")).says(&[
        "Boot of every worker",
        "in its phase `custom`",
        "curl: (28)",
    ]);
    assert_eq!(region.machines(Some("decode")), Vec::new(), "it is not paid for");
    workspace
        .apply_fails(&format!("{closed}{}", group("")))
        .says(&["no route to the internet", "subnet-closed"]);
    workspace.write(&closed);
    workspace.destroy();

    workspace.apply(&format!("{}{}", fleet("subnet = \"subnet-nat\""), service("")));
    let router = region.machines(None).remove(0);
    let command: Vec<&str> = installs.split(' ').collect();
    assert!(region.host(&router).read(&command).contains("Directory listing"));
    workspace.destroy();
}

#[test]
fn the_metadata_service_wants_tokens_and_the_rules_are_the_security_group_s() {
    let region = Region::new(Settings::default());
    let workspace = &region.workspace;
    let config = format!("{}{}", fleet("zone = \"us-east-2a\""), service("ingress_cidrs = []"));
    workspace.apply(&config);
    let url = workspace.output("endpoint").as_str().expect("a text").to_owned();
    let host_of = region.machines(None).remove(0);
    let router = region.host(&host_of);
    assert_eq!(region.datacentre.chat_from_outside(&url, MODEL).0, 0, "nobody is let in");
    let status = |more: &[&str]| {
        let base = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"];
        let url = ["http://169.254.169.254/latest/meta-data/instance-id"];
        router.read(&[&base, more, &url].concat())
    };
    assert_eq!(status(&[]), "401");
    assert_eq!(status(&["--header", "X-aws-ec2-metadata-token: wrong"]), "401");
    workspace
        .apply(&config.replace("ingress_cidrs = []", &format!("ingress_cidrs = [\"{OPERATOR}\"]")));
    // No worker, so no model; but somebody answers.
    let (status, body) = region.datacentre.chat_from_outside(&url, MODEL);
    assert_eq!(status, 404, "{body}");
    workspace.destroy();
}
