//! The canonical form: what it is, byte by byte, and that nothing else is taken for it.

#![allow(clippy::unwrap_used)]

mod common;

use common::full;
use stoa_manifest::{CanonicalError, Manifest, MAX_CANONICAL_BYTES};

fn canonical() -> String {
    String::from_utf8(full().manifest.canonical_json()).unwrap()
}

fn refusal(text: &str) -> CanonicalError {
    Manifest::from_canonical(text.as_bytes()).unwrap_err()
}

#[test]
fn the_full_file_has_this_form() {
    let expected = common::file("full.canonical.json");
    assert_eq!(canonical(), expected.trim_end());
    let version = "a34a7d99c9891e94c55905b298d97720bdaf59f4ddfededde978b6b297218547";
    assert_eq!(hex::encode(full().manifest.version()), version);
}

#[test]
fn goes_there_and_back() {
    let manifest = full().manifest;
    assert_eq!(Manifest::from_canonical(&manifest.canonical_json()), Ok(manifest));
}

#[test]
fn refuses_other_bytes_for_the_same_manifest() {
    let text = canonical();
    let absent = text.replacen("\"args\":null,", "", 1);
    for other in [
        format!(" {text}"),
        format!("{text}\n"),
        text.replacen("\\u0026", "&", 1),
        text.replacen("\"val\":\"1000\"", "\"val\":\"01000\"", 1),
        text.replacen("\"egress\":\"none\"", "\"egress\":\"public\"", 1),
        text.replacen("\"name\":\"far\"", "\"name\":\"f\\u0061r\"", 1),
        absent,
    ] {
        assert_ne!(other, text);
        assert!(matches!(refusal(&other), CanonicalError::NotCanonical(_)), "{}", refusal(&other));
    }
}

#[test]
fn refuses_what_is_not_a_manifest() {
    let text = canonical();
    for other in [
        String::new(),
        "null".into(),
        "{}".into(),
        text[..text.len() / 2].into(),
        text.replacen("\"image\"", "\"Image\"", 1),
        text.replacen("\"count\":3", "\"count\":-3", 1),
        text.replacen("\"count\":3", "\"count\":3,\"count\":3", 1),
        text.replacen("\"count\":3", "\"count\":3,\"extra\":1", 1),
        text.replacen("\"port\":3000", "\"port\":70000", 1),
        text.replacen("\"val\":\"1000\"", "\"val\":\"1e3\"", 1),
        text.replacen("\"kind\":2", "\"kind\":9", 1),
        "[".repeat(10_000),
    ] {
        assert_ne!(other, text);
        assert!(matches!(refusal(&other), CanonicalError::Malformed(_)), "{}", refusal(&other));
    }
    let large = format!("[{}]", " ".repeat(MAX_CANONICAL_BYTES));
    assert!(matches!(refusal(&large), CanonicalError::TooLarge(_)));
}

/// What a hostile tenant could send that no SDL file gives.
#[test]
fn refuses_what_is_against_the_rules() {
    let text = canonical();
    for (from, to, cause) in [
        ("\"name\":\"web\"", "\"name\":\"web/..\"", "the name is not allowed"),
        ("\"image\":\"ghcr.io/example/worker:3\"", "\"image\":\"/etc/passwd\"", "`image`"),
        ("\"count\":3", "\"count\":0", "`count` is 0"),
        ("\"INHERITED\"", "\"=x\"", "not a variable's name"),
        ("\"--listen\"", "\"a\\u0000\"", "NUL"),
        ("\"mount\":\"/data\"", "\"mount\":\"/../etc\"", "absolute path"),
        ("\"mount\":\"/scratch\"", "\"mount\":\"/data\"", "same path"),
        ("\"name\":\"data\",\"readOnly\"", "\"name\":\"dada\",\"readOnly\"", "not there"),
        ("\"port\":3000", "\"port\":0", "port 0"),
        ("\"www.shop.example.com\"", "\"shop.example.com\"", "there twice"),
        ("\"www.shop.example.com\"", "\"WWW.shop\"", "RFC 1123"),
        ("\"ip\":\"front\"", "\"ip\":\"\"", "do not go together"),
        ("{\"kind\":1,\"sequence_number\":0}", "{\"sequence_number\":0}", "what `expose` takes"),
        ("\"service\":\"worker\"", "\"service\":\"a\"", "`expose` is not sorted"),
        ("\"name\":\"far\"", "\"name\":\"zar\"", "groups are not sorted"),
        ("\"name\":\"api\",", "\"name\":\"zpi\",", "services are not sorted"),
        ("\"attestation\":true", "\"attestation\":false", "attestation"),
        ("\"password\":\"correct-horse\"", "\"password\":\"\"", "credentials"),
        ("\"size\":{\"val\":\"536870912\"}", "\"size\":{\"val\":\"0\"}", "has no size"),
    ] {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text, "{from}");
        match refusal(&other) {
            CanonicalError::Invalid(message) => assert!(message.contains(cause), "{message}"),
            other => panic!("{from}: {other}"),
        }
    }
    assert!(refusal("[]").to_string().contains("no group"));
}

#[test]
fn a_refusal_repeats_no_secret() {
    let text =
        canonical().replacen("\"password\":\"correct-horse\"", "\"password\":[\"s3cret\"]", 1);
    assert!(!refusal(&text).to_string().contains("s3cret"));
}
