use super::*;
use crate::runtime::RuntimeConfig;

fn firewall(id: &str, choice: FirewallChoice) -> Firewall {
    let mut config = RuntimeConfig::new(id);
    config.firewall = Some(choice);
    Firewall::new(&config)
}

#[test]
fn an_interface_that_is_no_bridge_of_ours_is_found() {
    let class = tempfile::tempdir().unwrap();
    std::fs::write(class.path().join("st0123456789ab"), "").unwrap();
    assert_eq!(foreign_interface(class.path()), None);
    std::fs::write(class.path().join("storage0"), "").unwrap();
    assert_eq!(foreign_interface(class.path()).as_deref(), Some("storage0"));
}

/// In a network namespace of its own, for the machine's is shared.
#[test]
fn rules_come_heal_are_replaced_and_go_and_leave_anothers_alone() {
    if !Uid::effective().is_root() {
        println!("not run: network namespaces take root");
        return;
    }
    let output = std::process::Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "runtime::firewall::tests::child_in_a_namespace"])
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "the child process of rules_come_heal_are_replaced_and_go_and_leave_anothers_alone"]
async fn child_in_a_namespace() {
    let damages: [(FirewallChoice, &[&str]); 5] = [
        (FirewallChoice::Nft, &["nft", "flush", "ruleset"]),
        (FirewallChoice::Nft, &["nft", "flush", "chain", "inet", "stoa_OWNER", "from"]),
        (FirewallChoice::Iptables, &["iptables", "-t", "mangle", "-F"]),
        (FirewallChoice::Iptables, &["iptables", "-t", "mangle", "-F", "STOA-OWNER-BARRED"]),
        (FirewallChoice::Iptables, &["iptables", "-t", "nat", "-F", "POSTROUTING"]),
    ];
    for (choice, damage) in damages {
        let program = if choice == FirewallChoice::Nft { Program::Nft } else { Program::Iptables };
        let (own, other) = (firewall("one", choice), firewall("two", choice));
        assert_eq!(own.find().await, None);
        own.remove().await.unwrap();
        assert_eq!(own.ensure().await, Ok(program));
        assert_eq!(other.ensure().await, Ok(program));
        assert_eq!((own.find().await, other.find().await), (Some(program), Some(program)));
        assert_eq!(own.ensure().await, Ok(program));

        let damage: Vec<String> = damage.iter().map(|w| w.replace("OWNER", &own.owner)).collect();
        program::run(&damage[0], &damage[1..].iter().map(String::as_str).collect::<Vec<_>>(), "")
            .await
            .unwrap();
        assert_eq!(own.find().await, None, "{damage:?}");
        assert_eq!(own.ensure().await, Ok(program), "{damage:?}");
        assert_eq!(own.find().await, Some(program));

        // Other settings replace the rules.
        let mut slower = own.clone();
        (slower.bytes_per_second, slower.connections) = (0, 7);
        slower.deny = vec!["8.8.8.0/24".parse().unwrap()];
        assert_eq!(slower.find().await, None);
        assert_eq!(slower.ensure().await, Ok(program));
        assert_eq!((slower.find().await, own.find().await), (Some(program), None));

        other.ensure().await.unwrap();
        slower.remove().await.unwrap();
        assert_eq!((slower.find().await, other.find().await), (None, Some(program)));
        remove_all().await.unwrap();
        assert_eq!(other.find().await, None);
    }
    // From one program to the other.
    let own = firewall("one", FirewallChoice::Auto);
    assert_eq!(own.ensure().await, Ok(Program::Nft));
    let by_iptables = firewall("one", FirewallChoice::Iptables);
    assert_eq!(by_iptables.ensure().await, Ok(Program::Iptables));
    assert_eq!(own.find().await, Some(Program::Iptables), "and nft's are gone");
    remove_all().await.unwrap();
    let left = program::run("iptables-save", &[], "").await.unwrap();
    assert!(!left.contains("STOA-"), "{left}");
}
