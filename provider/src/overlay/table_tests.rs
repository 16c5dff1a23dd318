use std::sync::Arc;

use stoa_client::proto::market::v1::LeaseState;
use stoa_client::tls::provider_root;

use super::super::known::{KnownDeployment, KnownProvider};
use super::*;
use crate::chain::LeaseView;
use crate::store::StoredManifest;
use crate::tests_support::{
    config, lease_view, manifest, me, observed, order, service_goal, wide_sdl,
};

const SDL: &str = r#"
version: "2.0"
services:
  web:
    image: nginx
    expose:
      - {port: 80, to: [{global: true}]}
  api:
    image: api
    egress: none
    expose:
      - {port: 8080, as: 80, to: [{service: web}]}
profiles:
  compute: {one: {resources: {cpu: {units: 1}, memory: {size: 64Mi}, storage: {size: 64Mi}}}}
  placement:
    here: {pricing: {one: {denom: ustoa, amount: 1}}}
    there: {pricing: {one: {denom: ustoa, amount: 1}}}
deployment:
  web: {here: {profile: one, count: 2}}
  api: {there: {profile: one, count: 1}}
"#;

/// A lease of one of the two placements.
fn lease(group: &str, number: u64) -> LeaseView {
    let mut view = lease_view(&order(1));
    view.spec.name = group.into();
    view.id.gseq = u32::try_from(number).unwrap();
    view.name = view.id.text();
    view.lease.id = Some(view.id.clone());
    view.lease.set_state(LeaseState::Pending);
    view
}

struct Stage {
    config: Config,
    root: Identity,
    state: State,
    seen: Observation,
}

impl Stage {
    fn set() -> Self {
        let config = config();
        let root = provider_root(&me(), 30).unwrap();
        Self { config, root, state: State::default(), seen: Observation::default() }
    }

    fn runs(&mut self, lease: &LeaseView, service: &str, count: u32) {
        for mut spec in service_goal(service, count, "a").instances {
            spec.key.lease.clone_from(&lease.name);
            let mut instance = observed(&spec, 1);
            instance.link.as_mut().unwrap().name = spec.key.to_string();
            self.seen.instances.insert(spec.key.clone(), instance);
        }
    }

    /// An instance is on another machine, reached as if it were this one.
    fn moves(&mut self, lease: &LeaseView, service: &str, index: u32, host: &str) {
        let key = InstanceKey { lease: lease.name.clone(), service: service.into(), index };
        let hop = stoa_tunnel::hop::Hop {
            host: host.into(),
            relay: "127.0.0.1:8445".parse().unwrap(),
            name: host.into(),
            fingerprint: String::new(),
            identity: "front".into(),
            authority: "authority".into(),
        };
        let place = &mut self.seen.instances.get_mut(&key).unwrap().place;
        (place.host, place.hop) = (Some(host.into()), Some(hop));
    }

    fn build(&mut self, leases: &[LeaseView], known: &[(&LeaseView, &str)]) -> Built {
        let stored = StoredManifest::new("v", b"v", manifest(SDL));
        let joined: Vec<Joined<'_>> = leases
            .iter()
            .map(|lease| Joined { lease, manifests: vec![Arc::clone(&stored)] })
            .collect();
        self.knows(&joined, known);
        self.made(&joined)
    }

    /// A deployment's leases here with their manifests, and where all are.
    fn knows(&mut self, joined: &[Joined<'_>], known: &[(&LeaseView, &str)]) {
        let mut deployment = KnownDeployment::default();
        deployment.note_manifests(&joined.iter().collect::<Vec<_>>(), 1, 600);
        deployment.leases = known
            .iter()
            .map(|(lease, provider)| KnownLease {
                lease: lease.name.clone(),
                group: lease.spec.name.clone(),
                provider: provider.to_string(),
            })
            .collect();
        let id = deployment_of(&joined[0].lease.id).text();
        self.state.deployments.insert(id, deployment);
    }

    fn made(&mut self, joined: &[Joined<'_>]) -> Built {
        let built = build(Parts {
            config: &self.config,
            provider: &me(),
            own_roots: &[self.root.certificate().to_vec()],
            still_shown: None,
            leases: joined,
            seen: &self.seen,
            state: &mut self.state,
            root: &self.root,
        });
        built.table.validate().unwrap();
        built.machines.values().for_each(|table| table.validate().unwrap());
        built
    }
}

#[test]
fn who_dials_gets_a_name_a_port_and_a_tunnel_to_the_other_provider() {
    let mut stage = Stage::set();
    let (here, there) = (lease("here", 1), lease("there", 2));
    stage.runs(&here, "web", 2);
    let known = [(&here, me()), (&there, "other".to_string())];
    let known: Vec<_> = known.iter().map(|(lease, of)| (*lease, of.as_str())).collect();

    // Its root is not read yet: the name is there already, and is refused.
    let built = stage.build(std::slice::from_ref(&here), &known);
    assert_eq!(built.table.links.len(), 2);
    assert!(built.table.outgoing[0].backends.is_empty());
    assert!(built.told[0].problem.contains("not read yet"), "{:?}", built.told);

    let endpoints = vec!["other.example:8444".to_string()];
    let other = KnownProvider { roots: vec!["aa".into()], endpoints: endpoints.clone() };
    stage.state.providers.insert("other".into(), other);
    let built = stage.build(std::slice::from_ref(&here), &known);
    let [connection] = &built.table.outgoing[..] else { panic!("{:?}", built.table) };
    let [backend] = &connection.backends[..] else { panic!("{connection:?}") };
    assert_eq!(backend.endpoints, endpoints);
    assert_eq!(backend.tunnel.peer_roots, [PeerRoot(vec![0xaa])]);
    let words = format!("{} web > {} api 80/tcp", here.name, there.name);
    assert_eq!(backend.tunnel.descriptor, format!("stoa-tunnel/1 {words}"));
    assert!(built.table.incoming.is_empty());
    for link in &built.table.links {
        assert!(link.egress);
        assert_eq!(link.names[0].name, "api");
        assert_eq!(link.ports[0].address, link.names[0].address);
        assert_eq!((link.ports[0].port, &link.ports[0].connection), (80, &connection.id));
    }

    // The other lease is over: its tunnel and its key go.
    let built = stage.build(std::slice::from_ref(&here), &known[..1]);
    assert!(built.table.outgoing.iter().all(|one| one.backends.is_empty()));
    assert!(built.table.credentials.is_empty() && built.told.is_empty());
}

#[test]
fn who_is_dialled_serves_its_running_instances_at_their_own_port() {
    let mut stage = Stage::set();
    let (here, there) = (lease("here", 1), lease("there", 2));
    stage.runs(&there, "api", 2);
    let own = me();
    let known = [(&here, "other"), (&there, own.as_str())];
    let other = KnownProvider { roots: vec!["aa".into()], endpoints: vec![] };
    stage.state.providers.insert("other".into(), other);
    let built = stage.build(std::slice::from_ref(&there), &known);
    let [served] = &built.table.incoming[..] else { panic!("{:?}", built.table) };
    assert_eq!(served.targets.len(), 2);
    assert!(served.targets.iter().all(|target| target.address.port() == 8080));
    assert!(built.table.outgoing.is_empty());
    // Without egress, and with nothing to dial, only its questions are answered.
    assert!(built.table.links.iter().all(|link| !link.egress && link.names.is_empty()));
    let first = built.table.credentials.clone();
    assert_eq!(stage.build(std::slice::from_ref(&there), &known).table.credentials, first);
}

#[test]
fn two_services_of_one_provider_are_joined_by_a_tunnel_with_two_keys() {
    let mut stage = Stage::set();
    let (here, there) = (lease("here", 1), lease("there", 2));
    stage.runs(&here, "web", 1);
    stage.runs(&there, "api", 1);
    let own = me();
    let known = [(&here, own.as_str()), (&there, own.as_str())];
    let both = [here.clone(), there.clone()];
    let built = stage.build(&both, &known);
    let backend = &built.table.outgoing[0].backends[0];
    assert_eq!(backend.endpoints, ["127.0.0.1:8444"]);
    let served = &built.table.incoming[0];
    assert_eq!(served.tunnel, backend.tunnel);
    assert_ne!(served.credential, backend.credential);
    let keys: BTreeSet<&str> = built.table.credentials.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(keys.len(), 2);
    // The chain's list is a look behind: what is over here is over.
    let built = stage.build(&both[..1], &known);
    assert!(built.table.outgoing[0].backends.is_empty() && built.table.incoming.is_empty());
}

#[test]
fn what_runs_on_another_machine_is_dialled_there_with_its_own_keys_alone() {
    let mut stage = Stage::set();
    stage.config.overlay.resolvers = vec!["192.0.2.1:53".parse().unwrap()];
    let (here, there) = (lease("here", 1), lease("there", 2));
    stage.runs(&here, "web", 2);
    stage.runs(&there, "api", 1);
    stage.moves(&here, "web", 0, "n1");
    let (own, both) = (me(), [here.clone(), there.clone()]);
    let known = [(&here, own.as_str()), (&there, own.as_str())];

    // One of two is away: both machines dial, with one key, in one tunnel.
    let built = stage.build(&both, &known);
    assert!(built.problems.is_empty(), "{:?}", built.problems);
    let away = &built.machines["n1"];
    away.validate().unwrap();
    assert_eq!((away.links.len(), built.table.links.len()), (1, 2));
    assert!(away.links[0].instance.ends_with("web[0]"), "{:?}", away.links);
    assert!(away.listen.is_empty() && away.incoming.is_empty());
    assert_eq!(away.resolvers, stage.config.overlay.resolvers);
    assert_eq!(away.outgoing, built.table.outgoing, "this machine is 127.0.0.1 to it, too");
    let [key] = &away.credentials[..] else { panic!("{:?}", away.credentials) };
    assert!(key.id.starts_with("out "), "{}", key.id);

    // Both are away: this machine has neither tunnel nor key for it.
    stage.moves(&here, "web", 1, "n1");
    stage.config.overlay.advertise_inside = vec!["inside.example:1".into()];
    let built = stage.build(&both, &known);
    assert_eq!(built.machines["n1"].links.len(), 2);
    assert_eq!(built.machines["n1"].outgoing[0].backends[0].endpoints, ["inside.example:1"]);
    assert!(built.table.outgoing.is_empty() && built.table.incoming.len() == 1);
    assert_eq!(built.table.credentials.len(), 1);
    assert_eq!(built.told.len(), 2, "both ends are told of");

    // Another provider is dialled where it says that it is.
    let endpoints = vec!["other.example:8444".to_string()];
    let other = KnownProvider { roots: vec!["aa".into()], endpoints: endpoints.clone() };
    stage.state.providers.insert("other".into(), other);
    let abroad = [(&here, own.as_str()), (&there, "other")];
    let built = stage.build(&both[..1], &abroad);
    assert_eq!(built.machines["n1"].outgoing[0].backends[0].endpoints, endpoints);

    // It does not answer: nobody knows, and nothing is said of it.
    let key = stage.seen.instances.keys().find(|key| key.service == "web").cloned().unwrap();
    stage.seen.instances.get_mut(&key).unwrap().place.unknown = true;
    assert!(stage.build(&both, &known).machines.is_empty());
    // What is found there of a lease that is over is dialled from no more.
    stage.seen.instances.get_mut(&key).unwrap().place.unknown = false;
    let built = stage.build(&both[1..], &known);
    assert!(built.machines["n1"].links.is_empty() && built.machines["n1"].credentials.is_empty());
}

#[test]
fn a_manifest_of_300_ports_beside_a_good_lease_leaves_a_table_that_is_taken() {
    let mut stage = Stage::set();
    let (here, there) = (lease("here", 1), lease("there", 2));
    stage.runs(&here, "web", 1);
    stage.runs(&there, "api", 1);
    let mut greedy = lease_view(&order(2));
    greedy.lease.set_state(LeaseState::Pending);
    stage.runs(&greedy, "web", 2);
    stage.runs(&greedy, "api", 1);
    stage.moves(&greedy, "web", 1, "n1");
    let good = StoredManifest::new("v", b"v", manifest(SDL));
    let wide = StoredManifest::new("w", b"w", manifest(&wide_sdl(300)));
    let own = me();
    let good = |lease| Joined { lease, manifests: vec![Arc::clone(&good)] };
    let wide = Joined { lease: &greedy, manifests: vec![wide] };
    stage.knows(&[good(&here), good(&there)], &[(&here, own.as_str()), (&there, own.as_str())]);
    stage.knows(std::slice::from_ref(&wide), &[(&greedy, own.as_str())]);
    let built = stage.made(&[good(&here), good(&there), wide]);
    let link = |of: &LeaseView| {
        let mut links = built.table.links.iter();
        links.find(|link| link.instance == format!("{}/web[0]", of.name)).unwrap()
    };
    assert_eq!(link(&here).ports.len(), 1);
    assert_eq!(link(&greedy).ports.len(), super::super::limits::MAX_DIALLED);
    assert_eq!(built.machines["n1"].links[0].ports.len(), link(&greedy).ports.len());
    let words = built.problems.join("; ");
    assert!(words.contains("service web of placement here"), "{words}");
}

#[test]
fn an_update_that_moves_the_workloads_port_keeps_its_tunnel_and_leads_to_both_ports() {
    let mut stage = Stage::set();
    let (here, there) = (lease("here", 1), lease("there", 2));
    stage.runs(&there, "api", 2);
    let other = KnownProvider { roots: vec!["aa".into()], endpoints: vec![] };
    stage.state.providers.insert("other".into(), other);
    let before = StoredManifest::new("v", b"v", manifest(SDL));
    let moved = SDL.replace("port: 8080, as: 80", "port: 9090, as: 80");
    let after = StoredManifest::new("w", b"w", manifest(&moved));
    let joined = Joined { lease: &there, manifests: vec![before, after] };
    let own = me();
    stage.knows(std::slice::from_ref(&joined), &[(&here, "other"), (&there, own.as_str())]);
    let built = stage.made(&[joined]);
    let [served] = &built.table.incoming[..] else { panic!("{:?}", built.table) };
    let ports: Vec<u16> = served.targets.iter().map(|target| target.address.port()).collect();
    assert_eq!(ports, [8080, 9090, 8080, 9090]);
    assert_eq!((built.told.len(), built.problems.len()), (1, 0));
}

#[test]
fn what_a_data_plane_would_refuse_is_left_out_and_told_and_costs_nobody_the_rest() {
    let mut stage = Stage::set();
    let (here, there) = (lease("here", 1), lease("there", 2));
    stage.runs(&here, "web", 1);
    let own = me();
    let known = [(&here, own.as_str()), (&there, "other")];
    let peer = |endpoint: &str| KnownProvider {
        roots: vec!["aa".into()],
        endpoints: vec![endpoint.into()],
    };
    for bad in ["a:0", ":1", "x:y"] {
        stage.state.providers.insert("other".into(), peer(bad));
        let built = stage.build(std::slice::from_ref(&here), &known);
        assert_eq!(built.table.links.len(), 1);
        assert!(built.table.outgoing[0].backends.is_empty() && built.table.credentials.is_empty());
        assert!(built.problems[0].contains("host:port"), "{:?}", built.problems);
        assert_eq!(built.told[0].problem, LEFT_OUT);
    }
    stage.state.providers.insert("other".into(), peer("a:1"));
    let built = stage.build(std::slice::from_ref(&here), &known);
    assert_eq!(built.table.outgoing[0].backends.len(), 1);
    assert!(built.problems.is_empty() && built.told[0].problem.is_empty());
}
