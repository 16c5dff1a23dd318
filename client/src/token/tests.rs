use base64::{engine::general_purpose::URL_SAFE_NO_PAD, Engine as _};
use serde_json::{json, Value};

use super::*;
use crate::{
    keys::{Algorithm, SecretKey},
    Address,
};

const NOW: u64 = 1_800_000_000;

fn key(algorithm: Algorithm, byte: u8) -> SecretKey {
    SecretKey::from_bytes(algorithm, &[byte; 32]).unwrap()
}

fn provider() -> String {
    Address::from([2; 20]).to_string()
}

fn claims(key: &SecretKey) -> Claims {
    Claims {
        issuer: key.address().to_string(),
        audience: provider(),
        not_before: NOW,
        expires: NOW + DEFAULT_LIFE,
        id: "one".into(),
        scopes: [Scope::Logs, Scope::Status].into_iter().collect(),
        leases: vec![],
    }
}

/// A token of any header and claims, signed as `mint` does.
fn signed(key: &SecretKey, header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn wire(key: &SecretKey) -> Value {
    json!({
        "iss": key.address().to_string(), "aud": provider(), "nbf": NOW, "exp": NOW + 60,
        "jti": "x", "scope": "logs",
    })
}

fn malformed(text: &str, word: &str) {
    let error = Token::read(text).unwrap_err().to_string();
    assert!(error.contains(word), "{error} does not say {word:?}");
}

#[test]
fn a_token_of_either_kind_of_key_says_what_it_was_made_with() {
    for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
        let key = key(algorithm, 7);
        let claims = claims(&key);
        let token = Token::read(&mint(&key, &claims).unwrap()).unwrap();
        assert_eq!(token.verify(&key.public(), &provider(), NOW + 5).unwrap(), claims);
        assert!(claims.scopes.has(Scope::Logs) && !claims.scopes.has(Scope::Shell));
    }
}

#[test]
fn time_audience_and_length_of_life_are_bounds() {
    let key = key(Algorithm::Secp256k1, 7);
    let token = Token::read(&mint(&key, &claims(&key)).unwrap()).unwrap();
    let verdict = |provider: &str, now| token.verify(&key.public(), provider, now);
    verdict(&provider(), NOW - SKEW).unwrap();
    verdict(&provider(), NOW + DEFAULT_LIFE - 1).unwrap();
    for (audience, now, word) in [
        (provider(), NOW - SKEW - 1, "clocks"),
        (provider(), NOW + DEFAULT_LIFE, "ended"),
        (Address::from([3; 20]).to_string(), NOW, "this is"),
    ] {
        let error = verdict(&audience, now).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let mut long = claims(&key);
    long.expires = NOW + MAX_LIFE + 1;
    assert!(mint(&key, &long).unwrap_err().to_string().contains("longer"));
    long.expires = NOW;
    assert!(mint(&key, &long).unwrap_err().to_string().contains("before it begins"));
}

#[test]
fn no_other_algorithm_and_no_other_kind_of_key_is_taken() {
    let key = key(Algorithm::Secp256k1, 7);
    for alg in ["none", "None", "HS256", "ES256", "RS256", ""] {
        malformed(&signed(&key, &json!({ "alg": alg }), &wire(&key)), "ES256K");
    }
    // An honest signature under a header that names the other algorithm.
    let confused = signed(&key, &json!({ "alg": "EdDSA" }), &wire(&key));
    let confused = Token::read(&confused).unwrap();
    assert_eq!(confused.verify(&key.public(), &provider(), NOW), Err(TokenError::Signature));
    // An empty signature.
    let token = signed(&key, &json!({ "alg": "ES256K" }), &wire(&key));
    let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
    malformed(&unsigned, "64 bytes");
}

#[test]
fn only_the_issuers_own_key_signs_and_only_in_one_form() {
    let own = key(Algorithm::Secp256k1, 7);
    let other = key(Algorithm::Secp256k1, 8);
    let text = signed(&other, &json!({ "alg": "ES256K" }), &wire(&own));
    let forged = Token::read(&text).unwrap();
    for public in [own.public(), other.public()] {
        assert_eq!(forged.verify(&public, &provider(), NOW), Err(TokenError::Signature));
    }
    // The other S of the same signature would be a second text of one token.
    let text = signed(&own, &json!({ "alg": "ES256K" }), &wire(&own));
    let (body, signature) = text.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let low = k256::ecdsa::Signature::from_slice(&bytes).unwrap();
    let (r, s) = low.split_scalars();
    let high = k256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    let text = format!("{body}.{}", URL_SAFE_NO_PAD.encode(high.to_bytes()));
    let verdict = Token::read(&text).unwrap().verify(&own.public(), &provider(), NOW);
    assert_eq!(verdict, Err(TokenError::Signature));
    // A byte of the claims changed.
    let token = mint(&own, &claims(&own)).unwrap();
    let mut more = claims(&own);
    more.scopes = more.scopes.with(Scope::Shell);
    let widened = mint(&own, &more).unwrap();
    let claims_of = |t: &str| t.split('.').nth(1).unwrap().to_owned();
    let spliced = token.replace(&claims_of(&token), &claims_of(&widened));
    let verdict = Token::read(&spliced).unwrap().verify(&own.public(), &provider(), NOW);
    assert_eq!(verdict, Err(TokenError::Signature));
}

#[test]
fn what_is_not_written_as_agreed_is_malformed() {
    let key = key(Algorithm::Ed25519, 7);
    let good = json!({ "alg": "EdDSA", "typ": "JWT" });
    for text in ["", ".", "..", "a.b", "a.b.c.d", "é.é.é"] {
        assert!(Token::read(text).is_err(), "{text}");
    }
    malformed(&"a".repeat(MAX_TOKEN + 1), "at most");
    for header in [
        json!({ "alg": "EdDSA", "crit": ["b64"] }),
        json!({ "alg": "EdDSA", "jwk": {} }),
        json!({ "alg": "EdDSA", "kid": "x" }),
        json!({ "typ": "JWT" }),
        json!([]),
    ] {
        malformed(&signed(&key, &header, &wire(&key)), "header");
    }
    malformed(&signed(&key, &json!({ "alg": "EdDSA", "typ": "x" }), &wire(&key)), "typ");
    let long = json!({ "alg": "EdDSA", "typ": "J".repeat(200) });
    malformed(&signed(&key, &long, &wire(&key)), "at most");
    let with = |name: &str, value: Value| {
        let mut claims = wire(&key);
        claims[name] = value;
        signed(&key, &good, &claims)
    };
    malformed(&with("lease", json!([])), "lease");
    malformed(&with("aud", json!([provider()])), "claims");
    malformed(&with("aud", json!("stoa1x")), "aud");
    malformed(&with("exp", json!(1.5)), "claims");
    malformed(&with("exp", json!(-1)), "claims");
    malformed(&with("jti", json!("")), "jti");
    malformed(&with("jti", json!("a b")), "jti");
    malformed(&with("scope", json!("")), "scope");
    malformed(&with("scope", json!("logs logs")), "twice");
    malformed(&with("scope", json!("logs  shell")), "scope");
    malformed(&with("scope", json!("everything")), "send-manifest");
    malformed(&with("leases", json!(["x"])), "leases");
    let lease = format!("{}/01/1/1/{}", key.address(), provider());
    malformed(&with("leases", json!([lease])), "write");
    malformed(&with("leases", json!(vec!["x"; MAX_LEASES + 1])), "at most");
    let text = mint(&key, &claims(&key)).unwrap();
    malformed(&format!("{text}="), "base64url");
    malformed(&text.replacen('.', "=.", 1), "base64url");
    // Twice the same field: two readers could see two tokens.
    let claims = wire(&key).to_string().replacen('{', r#"{"scope":"shell","#, 1);
    let parts = [good.to_string(), claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let twice = format!("{parts}.{}", URL_SAFE_NO_PAD.encode(key.sign(parts.as_bytes())));
    malformed(&twice, "duplicate");
}

#[test]
fn no_change_of_a_byte_is_taken_or_makes_the_reader_panic() {
    let key = key(Algorithm::Secp256k1, 9);
    let token = mint(&key, &claims(&key)).unwrap();
    for at in 0..token.len() {
        for byte in [b'.', b'A', b'z', b'0', b'-', b'=', b' ', 0] {
            let mut bytes = token.clone().into_bytes();
            if bytes[at] == byte {
                continue;
            }
            bytes[at] = byte;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let Ok(read) = Token::read(&text) else { continue };
            assert!(read.verify(&key.public(), &provider(), NOW).is_err(), "{text}");
        }
        assert!(Token::read(&token[..at]).is_err());
    }
}
