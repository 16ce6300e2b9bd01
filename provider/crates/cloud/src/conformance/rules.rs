//! The rules, in the order in which one fleet can be examined for all of them.

use super::{Examination, Outcome, Sabotage, equal, expect, fails, ids, ok, violation};
use crate::{
    Address, AddressId, AddressRequest, ErrorKind, FleetRequest, Ingress, Instance, InstanceId,
    InstanceState, Limits, ObjectId, Phase, PlacementStrategy, TagFilter, Tags, tag,
};
use std::collections::BTreeSet;

impl Examination<'_> {
    pub(super) async fn absence(&self) -> Outcome {
        const RULE: &str = "absent is not an error";
        let (cloud, key) = (self.cloud(), self.subject.key("conformance-nothing"));
        let (instance, address) = (InstanceId("i-0".to_owned()), AddressId("a-0".to_owned()));
        let all = TagFilter::all();
        expect(RULE, ok(RULE, cloud.get_fleet(&key).await)?.is_none(), "a fleet")?;
        ok(RULE, cloud.delete_fleet(&key).await)?;
        for key in [&key, &self.key] {
            expect(RULE, ok(RULE, cloud.list_instances(key, &all).await)?.is_empty(), "instances")?;
            expect(RULE, ok(RULE, cloud.list_addresses(key, &all).await)?.is_empty(), "addresses")?;
            expect(RULE, ok(RULE, cloud.user_data(key, &instance).await)?.is_none(), "user data")?;
            ok(RULE, cloud.console(key, &instance).await)?;
            ok(RULE, cloud.terminate_instances(key, std::slice::from_ref(&instance)).await)?;
            ok(RULE, cloud.release_address(key, &address).await)?;
        }
        Ok(())
    }

    pub(super) async fn fleet(&self) -> Outcome {
        const RULE: &str = "the same request makes the same fleet";
        let cloud = self.cloud();
        let types = [self.subject.offer.instance_type.clone()];
        let zones = ok(RULE, cloud.list_zones(&self.key.region, &types).await)?;
        let zone = zones.first().ok_or_else(|| violation(RULE, "no zone has the offer"))?;
        let request = FleetRequest {
            key: self.key.clone(),
            zone: zone.clone(),
            subnet: None,
            placement: PlacementStrategy::Zone,
            token: "fleet-1".to_owned(),
            tags: self.tags("fleet", "fleet-1"),
        };
        let fleet = ok(RULE, cloud.create_fleet(&request).await)?;
        equal(RULE, &fleet.tags, &request.tags)?;
        equal(RULE, &ok(RULE, cloud.create_fleet(&request).await)?, &fleet)?;
        equal(RULE, &ok(RULE, cloud.get_fleet(&self.key).await)?, &Some(fleet))?;

        const CLAIM: &str = "a fleet's name is claimed once";
        let other = FleetRequest { token: "fleet-2".to_owned(), ..request.clone() };
        fails(CLAIM, ErrorKind::Conflict, cloud.create_fleet(&other).await)?;
        ok(CLAIM, cloud.tag(&self.key, &[ObjectId::Fleet], &Phase::Ready.tag()).await)?;
        fails(CLAIM, ErrorKind::Conflict, cloud.create_fleet(&request).await)?;
        let fleet = ok(CLAIM, cloud.get_fleet(&self.key).await)?;
        let phase = fleet.as_ref().map(|fleet| Phase::of(&fleet.tags));
        equal(CLAIM, &phase, &Some(Phase::Ready))?;

        const REPAIR: &str = "a repair finds nothing amiss in a fleet that is as it was made";
        equal(REPAIR, &Some(ok(REPAIR, cloud.repair_fleet(&self.key).await)?), &fleet)
    }

    pub(super) async fn address(&self) -> Outcome<Address> {
        const RULE: &str = "same token, same address";
        let cloud = self.cloud();
        let request = |token: &str| AddressRequest {
            is_new: false,
            fleet: self.key.clone(),
            public: None,
            token: token.to_owned(),
            tags: self.tags("address", token),
        };
        let first = ok(RULE, cloud.reserve_address(&request("address-1")).await)?;
        equal(RULE, &ok(RULE, cloud.reserve_address(&request("address-1")).await)?, &first)?;
        let second = ok(RULE, cloud.reserve_address(&request("address-2")).await)?;
        expect(RULE, first.id != second.id && first.ip != second.ip, "two that are the same")?;

        const FILTER: &str = "a filter means every tag it names";
        let none = self.filter("address").and(tag::LAUNCH, "address-3");
        let one = self.filter("address").and(tag::LAUNCH, "address-2");
        equal(FILTER, &ok(FILTER, cloud.list_addresses(&self.key, &none).await)?, &Vec::new())?;
        equal(
            FILTER,
            &ok(FILTER, cloud.list_addresses(&self.key, &one).await)?,
            &vec![second.clone()],
        )?;

        const TAG: &str = "setting tags leaves the others alone";
        let more = Tags::from([(tag::PORT.to_owned(), "8000".to_owned())]);
        ok(TAG, cloud.tag(&self.key, &[ObjectId::Address(first.id.clone())], &more).await)?;
        let one = self.filter("address").and(tag::PORT, "8000");
        let tagged = ok(TAG, cloud.list_addresses(&self.key, &one).await)?;
        let mut expected = first.tags.clone();
        expected.extend(more);
        equal(
            TAG,
            &tagged.iter().map(|address| &address.tags).collect::<Vec<_>>(),
            &vec![&expected],
        )?;

        const RELEASE: &str = "a released address is gone";
        for _ in 0..2 {
            ok(RELEASE, cloud.release_address(&self.key, &second.id).await)?;
        }
        let left = ok(RELEASE, cloud.list_addresses(&self.key, &self.filter("address")).await)?;
        equal(
            RELEASE,
            &left.iter().map(|address| &address.id).collect::<Vec<_>>(),
            &vec![&first.id],
        )?;
        Ok(Address { tags: expected, ..first })
    }

    /// One instance at the reserved address.
    pub(super) async fn router(&self, address: &Address) -> Outcome<Instance> {
        const RULE: &str = "same token, same instances";
        let cloud = self.cloud();
        let mut request = self.launch("router", "router-1", 1);
        request.address = Some(address.id.clone());

        const CHECK: &str = "a launch can be checked without being made";
        ok(CHECK, cloud.check_launch(&request).await)?;
        let listed = ok(CHECK, cloud.list_instances(&self.key, &TagFilter::all()).await)?;
        equal(CHECK, &listed, &Vec::new())?;
        let mut too_large = request.clone();
        too_large.user_data = vec![0; Limits::of(cloud.name()).user_data_bytes + 1];
        fails(CHECK, ErrorKind::InvalidRequest, cloud.check_launch(&too_large).await)?;

        let launched = ok(RULE, cloud.launch(&request).await)?;
        let [router] = &launched[..] else {
            return Err(violation(RULE, format!("not one instance: {launched:?}")));
        };
        expect(RULE, router.state.is_up(), router.state)?;

        const FIND: &str = "an instance is found by its id, and one that is gone is none";
        let wanted = [router.id.clone(), InstanceId("i-0123456789abcdef0".to_owned())];
        let found = ok(FIND, cloud.find_instances(&self.key, &wanted).await)?;
        equal(FIND, &found.iter().map(|one| &one.id).collect::<Vec<_>>(), &vec![&router.id])?;

        let again = ok(RULE, cloud.launch(&request).await)?;
        equal(RULE, &ids(&again), &ids(&launched))?;
        let mut other = request.clone();
        other.user_data.push(0);
        fails(RULE, ErrorKind::Conflict, cloud.launch(&other).await)?;

        const HELD: &str = "what is in use cannot go";
        fails(HELD, ErrorKind::InUse, cloud.release_address(&self.key, &address.id).await)?;
        fails(HELD, ErrorKind::InUse, cloud.delete_fleet(&self.key).await)?;
        let mut second = self.launch("router", "router-2", 1);
        second.address = Some(address.id.clone());
        fails(HELD, ErrorKind::InUse, cloud.launch(&second).await)?;

        const UP: &str = "an instance comes up with its address, its tags and its user data";
        let router = self.reach(UP, &router.id, Some(InstanceState::Running)).await?;
        let router = router.ok_or_else(|| violation(UP, "it is gone"))?;
        equal(UP, &router.ip, &Some(address.ip))?;
        equal(UP, &router.tags, &request.tags)?;
        equal(UP, &router.instance_type, &self.subject.offer.instance_type)?;
        let user_data = ok(UP, cloud.user_data(&self.key, &router.id).await)?;
        expect(UP, user_data.as_ref() == Some(&request.user_data), "other user data")?;
        self.until("what an instance prints is on its console", async || {
            let console = cloud.console(&self.key, &router.id).await?;
            let mut lines = console.text.lines();
            Ok(lines
                .any(|line| line == self.subject.console_line)
                .then_some(())
                .ok_or(console.text))
        })
        .await?;
        Ok(router)
    }

    /// Several identical instances beside the router.
    pub(super) async fn workers(&self, router: &Instance) -> Outcome {
        const RULE: &str = "a launch gives as many as were asked for, each with an address";
        let cloud = self.cloud();
        let request = self.launch("workers", "workers-1", 2);
        let launched = ok(RULE, cloud.launch(&request).await)?;
        equal(RULE, &launched.len(), &2)?;
        equal(RULE, &ids(&ok(RULE, cloud.launch(&request).await)?), &ids(&launched))?;
        let mut addresses = BTreeSet::from([router.ip]);
        for worker in &launched {
            let up = self.reach(RULE, &worker.id, Some(InstanceState::Running)).await?;
            addresses.extend(up.map(|worker| worker.ip));
        }
        equal(RULE, &addresses.len(), &3)?;
        fails(
            RULE,
            ErrorKind::InvalidRequest,
            cloud.launch(&self.launch("none", "none-1", 0)).await,
        )?;

        const FILTER: &str = "a filter means every tag it names";
        let listed = ok(FILTER, cloud.list_instances(&self.key, &self.filter("workers")).await)?;
        equal(FILTER, &ids(&listed), &ids(&launched))?;
        let all = ok(FILTER, cloud.list_instances(&self.key, &TagFilter::all()).await)?;
        equal(FILTER, &all.len(), &3)?;

        const TAG: &str = "setting tags leaves the others alone";
        let ready = Phase::Ready.tag();
        let objects = launched.iter().map(|worker| ObjectId::Instance(worker.id.clone()));
        ok(TAG, cloud.tag(&self.key, &objects.collect::<Vec<_>>(), &ready).await)?;
        let filter = self.filter("workers").and(tag::PHASE, Phase::Ready.as_str());
        let tagged = ok(TAG, cloud.list_instances(&self.key, &filter).await)?;
        equal(TAG, &ids(&tagged), &ids(&launched))?;
        equal(TAG, &tagged[0].tags.len(), &request.tags.len())?;

        const REBOOT: &str = "a reboot keeps instance and address";
        let worker = &launched[0];
        let before = self.reach(REBOOT, &worker.id, Some(InstanceState::Running)).await?;
        ok(REBOOT, cloud.reboot_instance(&self.key, &worker.id).await)?;
        let after = self.reach(REBOOT, &worker.id, Some(InstanceState::Running)).await?;
        let ip = |worker: Option<Instance>| worker.and_then(|worker| worker.ip);
        equal(REBOOT, &ip(after), &ip(before))?;

        const TERMINATE: &str = "terminated instances go, and no others";
        for _ in 0..2 {
            let ids = launched.iter().map(|worker| worker.id.clone()).collect::<Vec<_>>();
            ok(TERMINATE, cloud.terminate_instances(&self.key, &ids).await)?;
        }
        for worker in &launched {
            self.reach(TERMINATE, &worker.id, None).await?;
        }
        let left = ok(TERMINATE, cloud.list_instances(&self.key, &TagFilter::all()).await)?;
        equal(TERMINATE, &ids(&left), &ids(std::slice::from_ref(router)))
    }

    pub(super) async fn ingress(&self) -> Outcome {
        const RULE: &str = "a service has exactly the rule that was set last";
        let cloud = self.cloud();
        let rule = |service: &str, cidrs: &[&str]| Ingress {
            service: service.to_owned(),
            port: 8000,
            cidrs: cidrs.iter().map(|cidr| (*cidr).to_owned()).collect(),
        };
        let kept = rule("b@2", &["198.51.100.0/24"]);
        let wanted = rule("a@1", &["192.0.2.0/24", "203.0.113.0/24"]);
        for rule in [&rule("a@1", &["192.0.2.0/25"]), &kept, &wanted, &wanted] {
            ok(RULE, cloud.set_ingress(&self.key, rule).await)?;
        }
        let rules = async || {
            let fleet = ok(RULE, cloud.get_fleet(&self.key).await)?;
            Ok(fleet.map(|fleet| fleet.ingress).unwrap_or_default())
        };
        equal(RULE, &rules().await?, &vec![wanted, kept.clone()])?;
        for _ in 0..2 {
            ok(RULE, cloud.set_ingress(&self.key, &rule("a@1", &[])).await)?;
        }
        equal(RULE, &rules().await?, &vec![kept])?;
        ok(RULE, cloud.set_ingress(&self.key, &rule("b@2", &[])).await)
    }

    pub(super) async fn accidents(&self, sabotage: &dyn Sabotage, router: &Instance) -> Outcome {
        const STOP: &str = "a stopped instance can be started again";
        let (cloud, key) = (self.cloud(), &self.key);
        let ip = |instance: Option<Instance>| instance.and_then(|instance| instance.ip);
        ok(STOP, sabotage.stop(key, &router.id).await)?;
        self.reach(STOP, &router.id, Some(InstanceState::Stopped)).await?;
        for _ in 0..2 {
            ok(STOP, cloud.start_instance(key, &router.id).await)?;
        }
        let started = self.reach(STOP, &router.id, Some(InstanceState::Running)).await?;
        equal(STOP, &ip(started), &router.ip)?;

        const IMPAIR: &str = "a reboot mends an impaired instance";
        match sabotage.impair(key, &router.id).await {
            // This cloud does not tell it in its list.
            Err(error) if error.kind == ErrorKind::Unsupported => {}
            impaired => {
                ok(IMPAIR, impaired)?;
                self.reach(IMPAIR, &router.id, Some(InstanceState::Impaired)).await?;
                ok(IMPAIR, cloud.reboot_instance(key, &router.id).await)?;
                self.reach(IMPAIR, &router.id, Some(InstanceState::Running)).await?;
            }
        }

        const LOSE: &str = "a lost instance is not listed, and its token never means it again";
        let mut request = self.launch("lost", "lost-1", 1);
        let lost = ok(LOSE, cloud.launch(&request).await)?;
        self.reach(LOSE, &lost[0].id, Some(InstanceState::Running)).await?;
        ok(LOSE, sabotage.lose(key, &lost[0].id).await)?;
        self.reach(LOSE, &lost[0].id, None).await?;
        let again = match cloud.launch(&request).await {
            // The token is used up for good.
            Err(error) if error.kind == ErrorKind::TokenSpent => {
                request.token = "lost-2".to_owned();
                ok(LOSE, cloud.launch(&request).await)?
            }
            again => ok(LOSE, again)?,
        };
        expect(LOSE, ids(&again).is_disjoint(&ids(&lost)), "the same instance")?;
        ok(LOSE, cloud.terminate_instances(key, std::slice::from_ref(&again[0].id)).await)?;
        self.reach(LOSE, &again[0].id, None).await.map(drop)
    }

    pub(super) async fn full_zone(&self, sabotage: &dyn Sabotage) -> Outcome {
        const RULE: &str = "a launch gives all or none";
        let cloud = self.cloud();
        // The router is one of them.
        ok(RULE, sabotage.limit(Some(2)).await)?;
        let request = self.launch("full", "full-1", 2);
        fails(RULE, ErrorKind::InsufficientCapacity, cloud.launch(&request).await)?;
        self.until("what a failed launch made is removed", async || {
            let left = cloud.list_instances(&self.key, &self.filter("full")).await?;
            Ok(left.is_empty().then_some(()).ok_or(left))
        })
        .await?;
        ok(RULE, sabotage.limit(None).await)
    }

    pub(super) async fn teardown(&self, address: &Address, router: &Instance) -> Outcome {
        const RULE: &str = "a deleted fleet leaves nothing";
        let cloud = self.cloud();
        ok(RULE, cloud.terminate_instances(&self.key, std::slice::from_ref(&router.id)).await)?;
        self.reach(RULE, &router.id, None).await?;
        fails(RULE, ErrorKind::InUse, cloud.delete_fleet(&self.key).await)?;
        ok(RULE, cloud.release_address(&self.key, &address.id).await)?;
        for _ in 0..2 {
            ok(RULE, cloud.delete_fleet(&self.key).await)?;
        }
        self.absence().await
    }
}
