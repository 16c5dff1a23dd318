//! Several machines that are maps: where things go, and what silence means.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use async_trait::async_trait;
use stoa_tunnel::overlay::OverlayTable;

use super::*;
use crate::ingress::{build, Service};
use crate::runtime::{Backend, GpuDevice, GpuModel, GpuRequest, InstanceKey, WorkloadSpec};
use crate::tests_support::{config, one_service_manifest, service_goal, FakeEngine};

#[async_trait]
impl HostEngine for FakeEngine {
    async fn greet(&self) -> Result<(), RuntimeError> {
        self.observe().await.map(drop)
    }

    async fn set_overlay(&self, table: &OverlayTable) -> Result<(), RuntimeError> {
        let mut overlay = self.overlay.lock().unwrap();
        (overlay.0, overlay.1) = (Some(table.clone()), overlay.1 + 1);
        Ok(())
    }

    async fn overlay_said(&self) -> Result<OverlaySaid, RuntimeError> {
        self.observe().await?;
        let table = self.overlay.lock().unwrap().0.clone();
        let digest = table.as_ref().map(digest).unwrap_or_default();
        Ok(OverlaySaid { digest, ..OverlaySaid::default() })
    }
}

/// The daemon's own machine (4 cores for sale) and two more (8 each).
struct Stage {
    dir: tempfile::TempDir,
    engines: BTreeMap<String, Arc<FakeEngine>>,
    fleet: Arc<Fleet>,
}

impl Stage {
    async fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names = [LOCAL, "n1", "n2"];
        let engines: BTreeMap<String, Arc<FakeEngine>> =
            names.iter().map(|name| (name.to_string(), Arc::default())).collect();
        let fleet = Self::open(&dir, &engines);
        for name in ["n1", "n2"] {
            order(&fleet, name, HostOrder::Active);
        }
        let stage = Self { dir, engines, fleet };
        stage.follow().await;
        stage
    }

    fn open(dir: &tempfile::TempDir, engines: &BTreeMap<String, Arc<FakeEngine>>) -> Arc<Fleet> {
        let mut config = config();
        config.data_dir = dir.path().into();
        let all = engines.clone();
        let connect = move |name: &str, _: &HostEntry| Ok(all[name].clone() as Arc<dyn HostEngine>);
        Fleet::open(FleetParts {
            config: Arc::new(config),
            local: engines[LOCAL].clone(),
            connect: Box::new(connect),
            front: ("front".into(), "authority".into()),
            planes: Arc::default(),
        })
        .unwrap()
    }

    /// What the keeper does all the time, once.
    async fn follow(&self) {
        self.fleet.follow_roster();
        for host in self.fleet.hosts().iter().filter(|host| !host.is_local()) {
            for _ in 0..3 {
                host.note(host.engine.greet().await);
            }
        }
        self.fleet.remember();
    }

    /// The daemon starts anew.
    async fn again(&mut self) {
        self.fleet = Self::open(&self.dir, &self.engines);
        self.follow().await;
    }

    async fn cut(&self, name: &str, cut: bool) {
        self.engines[name].cut.store(cut, Ordering::SeqCst);
        self.follow().await;
    }

    async fn order(&self, name: &str, what: HostOrder) {
        order(&self.fleet, name, what);
        self.follow().await;
    }

    async fn run(&self, spec: &WorkloadSpec, has_volumes: bool) -> String {
        self.fleet.place(&[need(spec, has_volumes)]).await.unwrap();
        self.fleet.apply(spec).await.unwrap();
        self.fleet.placements.host_of(&spec.key).unwrap()
    }

    async fn hand_over(
        &self,
        name: &str,
        tables: Option<&Tables>,
    ) -> Result<OverlaySaid, RuntimeError> {
        self.fleet.hand_over(&self.fleet.host(name).unwrap(), tables).await
    }

    fn on(&self, name: &str) -> Vec<InstanceKey> {
        self.engines[name].instances()
    }
}

fn order(fleet: &Fleet, name: &str, order: HostOrder) {
    fleet
        .roster
        .update(|roster| {
            let entry = HostEntry {
                address: ([10, 0, 0, 1], 1).into(),
                relay: ([10, 0, 0, 1], 2).into(),
                fingerprint: "f".into(),
                declared: Default::default(),
                order,
            };
            roster.hosts.insert(name.into(), entry);
            Ok(())
        })
        .unwrap();
}

fn need(spec: &WorkloadSpec, has_volumes: bool) -> Need {
    Need {
        key: spec.key.clone(),
        cpu_millis: spec.cpu_millis,
        memory_bytes: spec.memory_bytes,
        storage_bytes: spec.ephemeral_bytes,
        gpu: spec.gpu.clone(),
        has_volumes,
    }
}

fn spec(service: &str, cpu_millis: u64) -> WorkloadSpec {
    let mut spec = service_goal(service, 1, "a").instances.remove(0);
    spec.cpu_millis = cpu_millis;
    spec
}

#[tokio::test]
async fn instances_fill_the_machine_that_fits_best_and_stay_there() {
    let mut stage = Stage::set().await;
    assert_eq!(stage.run(&spec("large", 6_000), false).await, "n1", "local has 4 cores for sale");
    assert_eq!(stage.run(&spec("medium", 2_000), false).await, "n1", "it leaves no hole");
    assert_eq!(stage.run(&spec("small", 1_000), false).await, LOCAL);
    stage.again().await;
    let seen = stage.fleet.observe().await.unwrap();
    assert_eq!(seen.instances.len(), 3);
    assert_eq!(seen.instances[&spec("large", 1).key].place.host.as_deref(), Some("n1"));
    assert_eq!(seen.instances[&spec("small", 1).key].place.host, None);
    // Not even a better fit moves it.
    assert_eq!(stage.run(&spec("large", 100), false).await, "n1");
    let machines = stage.fleet.machines().await.unwrap();
    let sum = stage.fleet.inventory().await.unwrap();
    assert_eq!(sum.cpu_millis, machines.iter().map(|m| m.inventory.cpu_millis).sum::<u64>());
    assert_eq!(machines.len(), 3);
    // A lease that was won goes somewhere though it fits nowhere.
    assert_eq!(stage.run(&spec("giant", 20_000), false).await, "n2");
}

#[tokio::test]
async fn what_was_placed_by_nobody_is_adopted_where_it_is() {
    let mut stage = Stage::set().await;
    let web = spec("web", 100);
    stage.engines["n2"].apply(&web).await.unwrap();
    stage.again().await;
    stage.fleet.observe().await.unwrap();
    assert_eq!(stage.run(&web, false).await, "n2");
}

#[tokio::test]
async fn a_look_from_before_a_removal_gives_what_was_removed_no_place_again() {
    let stage = Stage::set().await;
    let web = spec("web", 100);
    stage.run(&web, false).await;
    let (since, seen) = (stage.fleet.removals(), stage.fleet.observe().await.unwrap());
    stage.fleet.remove_lease(&web.key.lease).await.unwrap();
    stage.fleet.adopt(since, LOCAL, &seen).unwrap();
    assert_eq!(stage.fleet.placements.host_of(&web.key), None);
}

#[tokio::test]
async fn a_silent_machine_is_unknown_and_nothing_moves() {
    let mut stage = Stage::set().await;
    let web = spec("web", 6_000);
    assert_eq!(stage.run(&web, false).await, "n1");
    stage.fleet.observe().await.unwrap();
    stage.cut("n1", true).await;
    for restarted in [false, true] {
        let seen = stage.fleet.observe().await.unwrap();
        assert!(seen.instances[&web.key].place.unknown);
        assert!(seen.instances[&web.key].is_serving(), "as last seen, restarted: {restarted}");
        stage.fleet.place(&[need(&web, false)]).await.unwrap();
        assert_eq!(stage.fleet.placements.host_of(&web.key).as_deref(), Some("n1"));
        assert!(stage.fleet.apply(&web).await.unwrap_err().is_unknown());
        assert!(stage.fleet.remove_lease(&web.key.lease).await.unwrap_err().is_unknown());
        assert!(stage.fleet.remove_instance(&web.key).await.unwrap_err().is_unknown());
        let report = stage.fleet.report();
        let n1 = report.iter().find(|host| host.name == "n1").unwrap();
        assert_eq!((n1.state, n1.instances), (HostState::Unknown, 1));
        let machines = stage.fleet.machines().await.unwrap();
        assert!(!machines.iter().any(|machine| machine.name == "n1" && machine.usable));
        stage.again().await;
    }
    assert!(stage.on("n2").is_empty() && stage.on(LOCAL).is_empty());
    stage.cut("n1", false).await;
    let seen = stage.fleet.observe().await.unwrap();
    assert!(!seen.instances[&web.key].place.unknown);
    assert!(seen.instances[&web.key].is_serving());
    stage.fleet.remove_lease(&web.key.lease).await.unwrap();
    assert!(stage.on("n1").is_empty());
}

#[tokio::test]
async fn a_daemon_that_starts_while_a_machine_is_silent_leads_requests_there() {
    let mut stage = Stage::set().await;
    let web = spec("web", 6_000);
    assert_eq!(stage.run(&web, false).await, "n1");
    stage.fleet.observe().await.unwrap();
    stage.cut("n1", true).await;
    stage.again().await;
    let seen = stage.fleet.observe().await.unwrap();
    let service = one_service_manifest("nginx:1.27").groups[0].services[0].clone();
    let service = Service { lease: web.key.lease.clone(), service };
    let table = build(&[service], &seen, "p0.test", &|_, _| true);
    let [target] = &table.routes[0].targets[..] else { panic!("{table:?}") };
    assert_eq!(target.hop.as_ref().unwrap().host, "n1");
    // What it is told by is not what is there: a sweep believes only its eyes.
    stage.cut("n1", false).await;
    assert!(stage.fleet.host("n1").unwrap().last().is_none());
    // Once it is no machine of the provider's, it is forgotten.
    let forget = |roster: &mut hosts::Roster| Ok(roster.hosts.remove("n1"));
    stage.fleet.roster.update(forget).unwrap();
    stage.follow().await;
    assert!(!hosts::directory(stage.dir.path()).join("seen-n1.json").exists());
}

#[tokio::test]
async fn an_instance_with_a_gpu_goes_where_that_model_is_and_nowhere_else() {
    let stage = Stage::set().await;
    for (name, model) in [("n1", "t4"), ("n2", "a100")] {
        let model = GpuModel { model: model.into(), ..GpuModel::default() };
        let device = GpuDevice { id: name.into(), vendor: "nvidia".into(), model };
        stage.engines[name].gpus.lock().unwrap().push(device);
    }
    let of_model = |service: &str, model: &str| {
        let models = vec![GpuModel { model: model.into(), ..GpuModel::default() }];
        let gpu = Some(GpuRequest { units: 1, vendor: "nvidia".into(), models });
        WorkloadSpec { gpu, ..spec(service, 100) }
    };
    // Both machines have one GPU; by best fit alone it would be the first.
    assert_eq!(stage.run(&of_model("large", "a100"), false).await, "n2");
    assert_eq!(stage.run(&of_model("small", "t4"), false).await, "n1");
    let waits = of_model("waits", "a100");
    assert_eq!(stage.run(&waits, false).await, "n2", "there it becomes free some day");
    let nowhere = need(&of_model("nowhere", "h100"), false);
    let error = stage.fleet.place(std::slice::from_ref(&nowhere)).await.unwrap_err();
    assert!(error.to_string().contains("1 GPUs of nvidia, h100"), "{error}");
    assert_eq!(stage.fleet.placements.host_of(&nowhere.key), None);
}

#[tokio::test]
async fn a_dead_machines_instances_are_placed_anew_and_it_is_cleaned_when_it_is_back() {
    let stage = Stage::set().await;
    let web = spec("web", 6_000);
    assert_eq!(stage.run(&web, true).await, "n1");
    stage.fleet.observe().await.unwrap();
    stage.cut("n1", true).await;
    stage.order("n1", HostOrder::Dead).await;
    assert!(!stage.fleet.observe().await.unwrap().instances.contains_key(&web.key), "absent");
    assert_eq!(stage.run(&web, true).await, "n2");
    stage.fleet.sweep().await;
    assert_eq!(stage.on("n1").len(), 1, "nobody reaches it");
    stage.cut("n1", false).await;
    stage.fleet.sweep().await;
    assert_eq!(stage.on("n1").len(), 0, "its leftovers are gone");
    let seen = stage.fleet.observe().await.unwrap();
    assert_eq!(seen.instances[&web.key].place.host.as_deref(), Some("n2"));
    stage.order("n1", HostOrder::Active).await;
    assert_eq!(stage.run(&spec("other", 6_000), false).await, "n1", "it is used again");
}

#[tokio::test]
async fn draining_moves_what_has_no_volumes_and_removes_the_old_once_the_new_serves() {
    let stage = Stage::set().await;
    let (web, db) = (spec("web", 5_000), spec("db", 2_000));
    assert_eq!(stage.run(&web, false).await, "n1");
    assert_eq!(stage.run(&db, true).await, "n1");
    stage.fleet.observe().await.unwrap();
    stage.order("n1", HostOrder::Draining).await;
    stage.fleet.place(&[need(&web, false), need(&db, true)]).await.unwrap();
    assert_eq!(stage.fleet.placements.host_of(&db.key).as_deref(), Some("n1"));
    assert_eq!(stage.fleet.placements.host_of(&web.key).as_deref(), Some("n2"));
    stage.fleet.sweep().await;
    assert_eq!(stage.on("n1").len(), 2, "the new one does not serve yet");
    stage.fleet.apply(&web).await.unwrap();
    stage.fleet.observe().await.unwrap();
    stage.fleet.sweep().await;
    assert_eq!(stage.on("n1"), std::slice::from_ref(&db.key));
    // Where there is no room elsewhere it stays.
    stage.order("n2", HostOrder::Draining).await;
    assert_eq!(stage.run(&web, false).await, "n2");
}

#[tokio::test]
async fn a_machine_gets_its_table_once_and_keeps_it_while_nobody_knows_better() {
    let mut stage = Stage::set().await;
    let web = spec("web", 6_000);
    assert_eq!(stage.run(&web, false).await, "n1");
    let resolvers = vec!["192.0.2.1:53".parse().unwrap()];
    let table = OverlayTable { resolvers, ..OverlayTable::default() };
    let wanted = Tables::from([("n1".to_string(), table.clone())]);
    let has = |stage: &Stage| stage.engines["n1"].overlay.lock().unwrap().clone();
    // No look yet: what it has, it has.
    stage.hand_over("n1", None).await.unwrap();
    assert_eq!(has(&stage), (None, 0));
    stage.hand_over("n1", Some(&wanted)).await.unwrap();
    stage.hand_over("n1", Some(&wanted)).await.unwrap();
    assert_eq!(has(&stage), (Some(table.clone()), 1));
    // Something has its place there, but was not seen: after a restart, say.
    stage.again().await;
    stage.hand_over("n1", Some(&Tables::new())).await.unwrap();
    assert_eq!(has(&stage), (Some(table), 1));
    stage.cut("n1", true).await;
    assert!(stage.hand_over("n1", Some(&Tables::new())).await.unwrap_err().is_unknown());
    stage.cut("n1", false).await;
    stage.fleet.remove_lease(&web.key.lease).await.unwrap();
    let said = stage.hand_over("n1", Some(&Tables::new())).await.unwrap();
    assert_eq!(said.digest, digest(&OverlayTable::default()));
    assert_eq!(has(&stage), (Some(OverlayTable::default()), 2));
}

#[tokio::test]
async fn after_a_start_other_machines_are_unknown_before_anything_has_answered() {
    let mut stage = Stage::set().await;
    let web = spec("web", 6_000);
    assert_eq!(stage.run(&web, false).await, "n1");
    stage.fleet = Stage::open(&stage.dir, &stage.engines);
    let seen = stage.fleet.observe().await.unwrap();
    let place = &seen.instances[&web.key].place;
    assert!(place.unknown && place.host.as_deref() == Some("n1"), "{place:?}");
}
