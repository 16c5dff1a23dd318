//! In which order services are started: those that others connect to first.
//! A manifest says so by what it exposes to whom; it is a hint, and where
//! services need each other in a circle, the manifest's own order decides.

use std::collections::BTreeSet;

use stoa_manifest::Service;

/// All of them, each after those that it connects to.
pub(super) fn in_starting_order(services: &[Service]) -> Vec<&Service> {
    let mut waiting: Vec<&Service> = services.iter().collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: BTreeSet<&str> = waiting.iter().map(|service| service.name.as_str()).collect();
        let free = waiting.iter().position(|service| {
            !waiting.iter().any(|other| {
                other.name != service.name
                    && names.contains(other.name.as_str())
                    && serves(other, &service.name)
            })
        });
        ordered.push(waiting.remove(free.unwrap_or(0)));
    }
    ordered
}

/// Whether a service has a port for another.
fn serves(service: &Service, client: &str) -> bool {
    service.expose.iter().any(|expose| expose.service == client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::manifest;

    fn order(exposes: &[(&str, &str)]) -> Vec<String> {
        let names = ["app", "cache", "db"];
        let to = |of: &str| {
            let to = exposes.iter().filter(|(from, _)| *from == of);
            to.map(|(_, to)| format!("{{service: {to}}}")).collect::<Vec<_>>().join(", ")
        };
        let service = |name: &&str| {
            format!("  {name}:\n    image: x\n    expose: [{{port: 1, to: [{}]}}]\n", to(name))
        };
        let services: String = names.iter().map(service).collect();
        let services = services.replace("port: 1, to: []", "port: 2, to: [{global: true}]");
        let services = format!(
            "{services}  web:\n    image: x\n    expose: [{{port: 3, to: [{{global: true}}]}}]\n"
        );
        let deployment = |name: &&str| format!("  {name}: {{p: {{profile: c, count: 1}}}}\n");
        let deployment: String = names.iter().chain(["web"].iter()).map(deployment).collect();
        let text = format!(
            "version: '2.0'\nservices:\n{services}profiles:\n  compute: {{c: {{resources: {{cpu: \
             {{units: 1}}, memory: {{size: 1Gi}}, storage: {{size: 1Gi}}}}}}}}\n  placement: {{p: \
             {{pricing: {{c: {{denom: ustoa, amount: 1}}}}}}}}\ndeployment:\n{deployment}"
        );
        let manifest = manifest(&text);
        let ordered = in_starting_order(&manifest.groups[0].services);
        ordered.into_iter().map(|service| service.name.clone()).collect()
    }

    #[test]
    fn who_is_connected_to_starts_first_and_a_circle_does_not_hang() {
        assert_eq!(order(&[]), ["app", "cache", "db", "web"]);
        let chain = [("app", "web"), ("db", "app"), ("cache", "app"), ("db", "cache")];
        assert_eq!(order(&chain), ["db", "cache", "app", "web"]);
        assert_eq!(
            order(&[("app", "db"), ("db", "app"), ("cache", "app")]),
            ["cache", "web", "app", "db"]
        );
        assert_eq!(order(&[("app", "app")]), ["app", "cache", "db", "web"]);
    }
}
