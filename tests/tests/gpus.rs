//! The local cloud on the GPUs of this computer: a made-up `nvidia-smi` says which there are, and a made-up
//! virtual environment runs Dynamo's mocker in the place of every GPU engine.

use acceptance::config::{ENDPOINT, fleet, service};
use acceptance::{Local, Workspace, assert_chats};
use std::fs;
use std::path::{Path, PathBuf};

/// A computer with these GPUs, by their names, MIG modes and drivers.
struct Computer {
    directory: tempfile::TempDir,
}

impl Computer {
    fn new(gpus: &[(&str, &str)], driver: &str) -> Self {
        let directory =
            tempfile::Builder::new().prefix("disagg-gpus-").tempdir().expect("temp dir");
        let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("gpu");
        fs::copy(parts.join("fake/nvidia-smi"), directory.path().join("nvidia-smi")).expect("copy");
        let this = Self { directory };
        let line = |(index, (name, mig)): (usize, &(&str, &str))| {
            format!("{index}, {}, NVIDIA {name}, 40960 MiB, {mig}, {driver}\n", this.uuid(index))
        };
        fs::write(this.path("gpus"), gpus.iter().enumerate().map(line).collect::<String>())
            .expect("gpus");
        this
    }

    /// Other computers in tests beside this one have other GPUs.
    fn uuid(&self, index: usize) -> String {
        let name = self.directory.path().file_name().expect("a name").to_string_lossy();
        format!("GPU-{}-{index}", name.trim_start_matches("disagg-gpus-"))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn workspace(&self) -> Workspace {
        Workspace::on(&Local::with_programs(self.directory.path()))
    }

    /// The provider's block, with a virtual environment for SGLang.
    fn provider(&self) -> String {
        let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("gpu");
        let environment = self.path("sglang");
        if !environment.exists() {
            fs::create_dir(&environment).expect("directory");
            std::os::unix::fs::symlink(parts.join("stub"), environment.join("bin")).expect("link");
        }
        format!(
            "provider \"disagg\" {{\n  local = {{\n    gpus = \"detected\"\n    engine_runtimes = {{ sglang = \
             \"{}\" }}\n  }}\n}}\n",
            environment.display()
        )
    }
}

fn group(role: &str, gpu: &str, engine: &str, more: &str) -> String {
    format!(
        "resource \"disagg_replica_group\" \"{role}\" {{\n  name = \"{role}\"\n  service_id = \
         disagg_service.tiny.id\n  role = \"{role}\"\n  resources = {{ gpu = \"{gpu}\" }}\n  engine = {{ \
         {engine} }}\n  {more}\n}}\n"
    )
}

const VENV: &str = "type = \"sglang\", runtime = \"venv\"";

#[test]
fn a_plan_knows_this_computer_on_the_local_cloud() {
    let l4 = ("L4", "Disabled");
    let h200 = ("H200", "Disabled");
    let one = "replicas = 1";
    for (gpus, driver, gpu, engine, count, at, said) in [
        (
            &[l4, l4][..],
            "580.159.04",
            "H200:2",
            VENV,
            one,
            "resources",
            "no machine has `H200:2`: this computer has GPU 0: L4, GPU 1: L4",
        ),
        (&[], "580.159.04", "H200", VENV, one, "resources", "this computer has no NVIDIA GPU"),
        (
            &[("H200", "Enabled")],
            "580.159.04",
            "H200",
            VENV,
            one,
            "resources",
            "GPU 0: H200 (in MIG mode",
        ),
        (
            &[("Q900", "[N/A]")],
            "580.159.04",
            "H200",
            VENV,
            one,
            "resources",
            "GPU 0: NVIDIA Q900 (a model that the provider does not know)",
        ),
        (
            &[h200],
            "535.54.03",
            "H200",
            "type = \"sglang\"",
            one,
            "resources",
            "has the NVIDIA driver 535.54.03",
        ),
        (
            &[h200, h200],
            "580.159.04",
            "H200",
            VENV,
            "replicas = 3",
            "replicas = 3",
            "3 machines with 1 H200 each need 3 of them",
        ),
        (
            &[h200],
            "580.159.04",
            "H200",
            "type = \"vllm\", runtime = \"venv\", image = \"x\"",
            one,
            "engine",
            "has no use for `image`",
        ),
    ] {
        let computer = Computer::new(gpus, driver);
        let group = group("decode", gpu, engine, count);
        let run = computer.workspace().plan_fails(&format!(
            "{}{}{}{group}",
            computer.provider(),
            fleet(""),
            service("")
        ));
        let text = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
        assert!(text.contains(said) && text.contains(at), "{said}\n{}", run.stderr);
    }

    let computer = Computer::new(&[h200], "580.159.04");
    let decode = group("decode", "H200", VENV, one);
    let with = |provider: &str| {
        let hcl = format!("{provider}{}{}{decode}", fleet(""), service(""));
        let run = computer.workspace().plan_fails(&hcl);
        run.stderr.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "")
    };
    let provider = computer.provider();
    let missing = with(&provider.replace("/sglang\"", "/none\""));
    assert!(missing.contains("Virtual environment not found"), "{missing}");
    let simulated = with("");
    assert!(simulated.contains("local = { gpus = \"detected\" }"), "{simulated}");
    for (wrong, said) in [
        (provider.replace("detected", "all"), "\"all\""),
        (provider.replace("sglang =", "mocker ="), "`mocker` is not one of the engines"),
        (provider.replace("\"detected\"", "1.5"), "1.5"),
    ] {
        let found = with(&wrong);
        assert!(found.contains(said), "{said}: {found}");
    }
    fs::remove_file(computer.path("gpus")).expect("gpus");
    let broken = with(&provider);
    assert!(broken.contains("couldn't communicate with the NVIDIA driver"), "{broken}");
}

#[test]
fn a_service_runs_on_the_gpus_of_this_computer_on_the_local_cloud() {
    let computer = Computer::new(&[("H200", "Disabled"); 2], "580.159.04");
    let (one, two) = (computer.workspace(), computer.workspace());
    let stack = |replicas: u32| {
        let replicas = format!("replicas = {replicas}");
        let groups =
            ["prefill", "decode"].map(|role| group(role, "H200", VENV, &replicas)).concat();
        format!("{}{}{}{groups}{ENDPOINT}", computer.provider(), fleet(""), service(""))
    };
    one.apply(&stack(1));
    assert_chats(&one);
    one.assert_no_changes();

    // Each machine has a GPU of its own, and with it ports that are nobody else's; the model has one path.
    let mut given: Vec<Vec<String>> = ["prefill", "decode"]
        .iter()
        .map(|role| {
            let id = one.group(role).remove(0).id;
            let below = "root/var/lib/disagg/engine-was-given";
            let path = one.state_directory().join("machines").join(id).join(below);
            let text = fs::read_to_string(path).expect("what the engine was given");
            let after = |flag: &str| {
                let mut lines = text.lines().skip_while(|line| *line != flag);
                lines.nth(1).expect(flag).rsplit(':').next().unwrap_or_default().to_owned()
            };
            let events = text.lines().find(|line| line.contains("tcp://*:")).expect("KV events");
            let events = events.split("tcp://*:").nth(1).expect("a port")[..5].to_owned();
            let gpu = text.lines().next().expect("a line").to_owned();
            vec![gpu, after("--dist-init-addr"), events, after("--model-path")]
        })
        .collect();
    given.sort();
    let gpu = |index| format!("CUDA_VISIBLE_DEVICES={}", computer.uuid(index));
    assert_eq!(given[0][..3], [gpu(0), "25000".to_owned(), "23000".to_owned()]);
    assert_eq!(given[1][..3], [gpu(1), "25064".to_owned(), "23064".to_owned()]);
    assert_eq!(given[0][3], given[1][3]);

    // Another state directory sees that both are taken, and says by whom.
    two.write(&stack(1).replace(ENDPOINT, ""));
    let run = two.terraform(&["apply", "-auto-approve"]).failure();
    let holder = one.group("decode").remove(0).id;
    let text = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
    assert!(text.contains(&format!("machine {holder} has it")), "{}", run.stderr);

    // A lost machine gives its GPU back: to the first that asks.
    one.lose(&holder);
    one.apply(&stack(1));
    assert_chats(&one);
    one.destroy();
    two.destroy();
}

#[test]
fn containers_have_their_machines_gpus_and_go_with_it_on_the_local_cloud() {
    let computer = Computer::new(&[("H200", "Disabled"); 3], "580.159.04");
    let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("gpu/stub");
    fs::copy(stub.join("docker"), computer.path("docker")).expect("copy");
    std::os::unix::fs::symlink(&stub, computer.path("stub")).expect("link");
    let log = || fs::read_to_string(computer.path("docker-log")).unwrap_or_default();
    let workspace = computer.workspace();
    let two = "type = \"vllm\", tensor_parallel = 1";
    let groups = [
        group("prefill", "H200", two, "replicas = 1"),
        group("decode", "H200:2", two, "replicas = 1"),
    ];
    let stack = |groups: &[String]| {
        format!("{}{}{}{}", computer.provider(), fleet(""), service(""), groups.concat())
    };
    workspace.apply(&stack(&groups));
    let machine = |role: &str| workspace.group(role).remove(0).id;
    let listed = workspace.disagg(&["local", "gpus"]).success().stdout;
    let holders = [("prefill", 1), ("decode", 2)].map(|(role, count)| {
        let id = machine(role);
        let has = |line: &&str| line.ends_with(&format!("machine {id} has it"));
        let uuid = |line: &str| line.rsplit("  ").nth(1).expect("a UUID").to_owned();
        let gpus: Vec<String> = listed.lines().filter(has).map(uuid).collect();
        assert_eq!(gpus.len(), count, "{listed}");
        (id, gpus)
    });
    let runs = log();
    for (id, gpus) in &holders {
        for (index, gpu) in gpus.iter().enumerate() {
            let name = format!("--name disagg-{id}-engine-{index} ");
            let run = runs.lines().find(|line| line.contains(&name)).expect("a container");
            assert!(run.contains(&format!("--gpus \"device={gpu}\"")), "{run}");
            assert!(run.contains("--add-host router.tiny.disagg.internal:127."), "{run}");
        }
    }

    // The daemon outlives the machine; the container must not.
    let (lost, _) = &holders[0];
    let removed = |id: &str| {
        log()
            .lines()
            .rfind(|line| line.contains(id))
            .is_some_and(|line| line.starts_with("rm --force"))
    };
    assert!(!removed(lost), "{}", log());
    workspace.lose(lost);
    assert!(removed(lost), "{}", log());
    workspace.destroy();
    assert!(removed(&holders[1].0), "{}", log());
}
