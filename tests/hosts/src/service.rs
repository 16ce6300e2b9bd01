//! A router and workers of one service, each on a host of its own.

use crate::datacentre::{Datacentre, Host, LongAnswer, address};
use crate::image::Image;
use crate::specs;
use crate::wait::wait_for;
use domain::cloud::CloudName;
use domain::ports::EnginePorts;
use domain::spec::{GroupSpec, RouterSpec, WorkerRole};
use domain::version::DynamoVersion;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A router, a prefill worker and a decode worker.
#[derive(Debug)]
pub struct Service<'a> {
    datacentre: &'a Datacentre,
    spec: RouterSpec,
    /// At its reserved address.
    pub router: Host<'a>,
    /// Reads prompts.
    pub prefill: Host<'a>,
    /// Generates.
    pub decode: Host<'a>,
}

impl<'a> Service<'a> {
    /// Switches all three on at once, with Dynamo's newest version.
    pub fn start(datacentre: &'a Datacentre, image: Image) -> Self {
        Self::start_version(datacentre, image, DynamoVersion::DEFAULT)
    }

    /// The same with another version.
    pub fn start_version(datacentre: &'a Datacentre, image: Image, version: DynamoVersion) -> Self {
        Self::start_with(datacentre, image, version, |_| {})
    }

    /// The same with Dynamo's newest version, decode at some 17 tokens a second, which it cuts five seconds
    /// after SIGTERM, as real engines do by themselves.
    pub fn start_slow(datacentre: &'a Datacentre, image: Image) -> Self {
        Self::start_with(datacentre, image, DynamoVersion::DEFAULT, |group| {
            let seconds = "5".to_owned();
            group
                .env
                .insert("DYN_RUNTIME_GRACEFUL_SHUTDOWN_TIMEOUT_SECS".to_owned(), seconds.clone());
            group.env.insert("DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT".to_owned(), seconds);
            if group.role == WorkerRole::Decode {
                group.engine.args = ["--decode-speedup-ratio", "0.1"].map(str::to_owned).to_vec();
            }
        })
    }

    fn start_with(
        datacentre: &'a Datacentre,
        image: Image,
        version: DynamoVersion,
        change: impl Fn(&mut GroupSpec),
    ) -> Self {
        let spec = RouterSpec { version, ..specs::router(CloudName::Aws) };
        let router_ip = address(10);
        let router = specs::render_router(&spec, router_ip);
        let worker = |role: WorkerRole, number: u8| {
            let mut group = specs::group(&spec, "mocker", role);
            change(&mut group);
            let user_data = specs::render_worker(&group, &spec, router_ip);
            datacentre.host(role.as_str(), address(number), image, &user_data)
        };
        let prefill = worker(WorkerRole::Prefill, 11);
        let decode = worker(WorkerRole::Decode, 12);
        let router = datacentre.host("router", router_ip, image, &router);
        let service = Self { datacentre, spec, router, prefill, decode };
        for host in service.hosts() {
            host.start();
        }
        service
    }

    /// All of its machines.
    pub fn hosts(&self) -> [&Host<'a>; 3] {
        [&self.router, &self.prefill, &self.decode]
    }

    /// Waits until the consoles say that all is there, and the service answers a chat.
    ///
    /// # Panics
    /// When it is not so in two minutes.
    pub fn wait_until_it_answers(&self) {
        self.router.wait_for("is ready", 120, |host| host.state().filter(|state| state.is_ready()));
        for worker in [&self.prefill, &self.decode] {
            worker.wait_for("is registered", 120, |host| {
                host.state().filter(|state| state.status == "registered")
            });
        }
        self.wait_for_workers(&[self.prefill.address(), self.decode.address()]);
        let mut refusal = None;
        let ask = || self.chat().map_err(|other| refusal = Some(other)).ok();
        let explain = || self.hosts().map(Host::explain).join("\n");
        let answer = wait_for("answers a chat", 60, ask, explain);
        let tokens = &answer["usage"]["completion_tokens"];
        assert_eq!(tokens, 16, "the answer is not what was asked for: {answer:#}");
        for worker in [&self.prefill, &self.decode] {
            assert!(self.requests(worker) > 0.0, "{} had no part in the answer", worker.name());
        }
    }

    /// How many requests the engine of a worker has worked on, by its own count.
    fn requests(&self, worker: &Host<'_>) -> f64 {
        let port = EnginePorts::of(0).system;
        let (status, text) = self.datacentre.get(worker.address(), port, "/metrics");
        assert_eq!(status, 200, "{text}");
        text.lines()
            .filter(|line| line.starts_with("dynamo_component_requests_total{"))
            .filter(|line| line.contains("dynamo_endpoint=\"generate\""))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }

    /// Waits until the router's console lists the workers at exactly these addresses.
    ///
    /// # Panics
    /// When it does not in two minutes.
    pub fn wait_for_workers(&self, addresses: &[IpAddr]) {
        let wanted: BTreeSet<IpAddr> = addresses.iter().copied().collect();
        self.router.wait_for(&format!("lists {wanted:?}"), 120, |host| {
            let listed: BTreeSet<IpAddr> = host.state()?.workers().into_keys().collect();
            (listed == wanted).then_some(())
        });
    }

    /// An answer of so many tokens that has begun.
    ///
    /// # Panics
    /// When it does not begin in half a minute.
    pub fn long_answer(&self, tokens: u32) -> LongAnswer {
        let (address, port) = (self.router.address(), self.spec.port);
        let answer = self.datacentre.long_answer(address, port, &self.spec.model, tokens);
        let has_begun = || answer.has_begun().then_some(());
        wait_for("a long answer begins", 30, has_begun, || self.decode.explain());
        answer
    }

    /// The answer to a chat.
    ///
    /// # Errors
    /// The status and the body of anything else than 200.
    pub fn chat(&self) -> Result<Value, (u16, String)> {
        let (status, body) =
            self.datacentre.chat(self.router.address(), self.spec.port, &self.spec.model);
        match serde_json::from_str(&body) {
            Ok(answer) if status == 200 => Ok(answer),
            _ => Err((status, body)),
        }
    }
}
