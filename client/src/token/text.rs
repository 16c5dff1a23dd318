//! A token's text: three parts of base64url (RFC 7515, compact form).

use base64::{engine::general_purpose::URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;

use super::{Claims, TokenError};
use crate::keys::{Algorithm, PublicKey, SecretKey};

/// Bytes of a token.
pub const MAX_TOKEN: usize = 8192;
/// Bytes of its header, decoded.
const MAX_HEADER: usize = 128;
/// Both algorithms' signatures have so many bytes.
const SIGNATURE: usize = 64;

/// ECDSA over secp256k1 with SHA-256 (RFC 8812).
const ES256K: &str = "ES256K";
/// Ed25519 (RFC 8037).
const EDDSA: &str = "EdDSA";

/// A token that was read and whose signature is still to be checked.
#[derive(Clone, Debug)]
pub struct Token {
    algorithm: Algorithm,
    claims: Claims,
    /// What is signed.
    signed: String,
    signature: [u8; SIGNATURE],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
}

impl Token {
    /// Reads any text.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, TokenError> {
        let bad = |why: &str| TokenError::Malformed(why.into());
        if text.len() > MAX_TOKEN {
            return Err(bad(&format!("{} bytes; at most {MAX_TOKEN}", text.len())));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("three parts, with a point between each two"));
        };
        let algorithm = read_header(&decode(header, "header")?)?;
        let signature = decode(signature, "signature")?;
        let signature = <[u8; SIGNATURE]>::try_from(signature.as_slice())
            .map_err(|_| bad("the signature has 64 bytes"))?;
        let signed = format!("{header}.{claims}");
        let claims = Claims::read(&decode(claims, "claims")?)?;
        Ok(Self { algorithm, claims, signed, signature })
    }

    /// What it says; not to be believed before [`Token::verify`].
    pub fn unverified(&self) -> &Claims {
        &self.claims
    }

    /// What it says, where it is signed by the issuer's key and good for a
    /// provider now (Unix seconds). The key must be that of the issuer's
    /// account on chain.
    pub fn verify(&self, key: &PublicKey, provider: &str, now: u64) -> Result<Claims, TokenError> {
        // The key decides how it is verified; the header may only agree.
        let own = key.algorithm() == self.algorithm
            && key.address().to_string() == self.claims.issuer
            && key.verify(self.signed.as_bytes(), &self.signature);
        if !own {
            return Err(TokenError::Signature);
        }
        self.claims.check(provider, now)?;
        Ok(self.claims.clone())
    }
}

/// A token with these claims, signed.
///
/// # Errors
/// Where the key is not the issuer's, or no provider would take it.
pub fn mint(key: &SecretKey, claims: &Claims) -> Result<String, TokenError> {
    let alg = match key.algorithm() {
        Algorithm::Secp256k1 => ES256K,
        Algorithm::Ed25519 => EDDSA,
        Algorithm::Multisig => return Err(TokenError::Refused("a multisig cannot sign".into())),
    };
    let header = format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#);
    let header = URL_SAFE_NO_PAD.encode(header);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.write()));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    let token = format!("{signed}.{signature}");
    // Whoever makes one learns here what a provider would say later.
    Token::read(&token)?.verify(&key.public(), &claims.audience, claims.not_before)?;
    Ok(token)
}

/// Strict: no padding, no other alphabet, no bits that mean nothing.
fn decode(part: &str, what: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|e| TokenError::Malformed(format!("the {what} is no base64url: {e}")))
}

fn read_header(json: &[u8]) -> Result<Algorithm, TokenError> {
    let bad = |why: String| TokenError::Malformed(why);
    if json.len() > MAX_HEADER {
        return Err(bad(format!("a header of {} bytes; at most {MAX_HEADER}", json.len())));
    }
    let header: Header =
        serde_json::from_slice(json).map_err(|e| bad(format!("its header: {e}")))?;
    if header.typ.as_deref().is_some_and(|typ| typ != "JWT") {
        return Err(bad("typ is JWT".into()));
    }
    match header.alg.as_str() {
        ES256K => Ok(Algorithm::Secp256k1),
        EDDSA => Ok(Algorithm::Ed25519),
        other => {
            let shown: String = other.chars().take(20).collect();
            Err(bad(format!("alg is {ES256K} or {EDDSA}, not `{shown}`")))
        }
    }
}
