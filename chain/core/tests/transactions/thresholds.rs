//! Accounts of which some of several keys sign.

use cosmos_sdk_proto::cosmos::crypto::multisig::v1beta1::{CompactBitArray, MultiSignature};
use cosmos_sdk_proto::cosmos::tx::v1beta1::{mode_info, AuthInfo, ModeInfo, TxRaw};
use prost::Message;
use stoa_chain::app;
use stoa_chain::modules::auth::{AccountKey, Multisig, PublicKey, VerifyEach};
use stoa_chain::types::Address;

use super::signer::{send_message, Chain, Key, Options, CHAIN_ID, FUNDS};

const DIRECT: i32 = 1;
const AMINO: i32 = 127;

/// Two of three: two secp256k1 keys and an ed25519 key.
fn members() -> [Key; 3] {
    [Key::secp256k1(11), Key::secp256k1(12), Key::ed25519(13)]
}

fn threshold_key() -> AccountKey {
    let keys = members().map(|key| PublicKey::from_any(&key.public()).unwrap());
    AccountKey::Multisig(Multisig::new(2, keys.to_vec()).unwrap())
}

/// A chain whose threshold account has coins.
fn chain() -> Chain {
    let mut chain = Chain::new();
    let fund = send_to(&Key::secp256k1(1).address(), &threshold_key().address(), FUNDS / 2);
    let result = chain.deliver(&chain.sign(&[&Key::secp256k1(1)], vec![fund], Options::default()));
    assert!(result.is_ok(), "{}", result.log);
    chain
}

fn send_to(from: &Address, to: &Address, amount: u128) -> cosmos_sdk_proto::Any {
    let mut any = send_message(&Key::secp256k1(1), &Key::secp256k1(2), amount);
    let mut send = cosmos_sdk_proto::cosmos::bank::v1beta1::MsgSend::decode(&*any.value).unwrap();
    (send.from_address, send.to_address) = (from.to_string(), to.to_string());
    any.value = send.encode_to_vec();
    any
}

/// How a transaction of the threshold account is signed.
struct Signing {
    /// Which members, and in which mode.
    by: Vec<(usize, i32)>,
    bits: CompactBitArray,
}

fn by(signers: &[(usize, i32)]) -> Signing {
    let byte = signers.iter().fold(0u8, |byte, (index, _)| byte | 0x80 >> index);
    let bits = CompactBitArray { extra_bits_stored: 3, elems: vec![byte] };
    Signing { by: signers.to_vec(), bits }
}

fn raw(chain: &Chain, signing: &Signing) -> TxRaw {
    let account = threshold_key().address();
    let message = send_to(&account, &Key::secp256k1(2).address(), 9);
    // Built as if one key signed, which is then replaced.
    let mut raw = chain.raw(
        &[&Key::secp256k1(1)],
        vec![message],
        Options { unsigned: true, ..<_>::default() },
    );
    let mut auth_info = AuthInfo::decode(&*raw.auth_info_bytes).unwrap();
    let single = |mode| ModeInfo { sum: Some(mode_info::Sum::Single(mode_info::Single { mode })) };
    let multi = mode_info::Multi {
        bitarray: Some(signing.bits.clone()),
        mode_infos: signing.by.iter().map(|(_, mode)| single(*mode)).collect(),
    };
    let info = &mut auth_info.signer_infos[0];
    info.public_key = Some(threshold_key().to_any());
    info.mode_info = Some(ModeInfo { sum: Some(mode_info::Sum::Multi(multi)) });
    info.sequence = chain.sequence(&account);
    raw.auth_info_bytes = auth_info.encode_to_vec();
    let signatures = signing.by.iter().map(|(index, mode)| {
        let bytes = match *mode {
            AMINO => chain.amino_bytes(&raw, account),
            _ => chain.direct_bytes(&raw, account, CHAIN_ID),
        };
        members()[*index].sign(&bytes)
    });
    let signatures = MultiSignature { signatures: signatures.collect() };
    raw.signatures = vec![signatures.encode_to_vec()];
    raw
}

fn sign(chain: &Chain, signing: &Signing) -> Vec<u8> {
    raw(chain, signing).encode_to_vec()
}

fn assert_refused(signing: &Signing, words: &str) {
    let mut chain = chain();
    let result = chain.deliver(&sign(&chain, signing));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 4), "{}", result.log);
    assert!(result.log.contains(words), "{}", result.log);
}

#[test]
fn any_two_of_three_keys_sign_in_either_mode() {
    let mut chain = chain();
    for signers in [[(0, AMINO), (1, AMINO)], [(0, DIRECT), (2, AMINO)], [(1, DIRECT), (2, DIRECT)]]
    {
        let tx = sign(&chain, &by(&signers));
        let verdict =
            app::process_proposal(chain.store(), chain.next_block().into(), &[&tx], &VerifyEach);
        assert_eq!(verdict, Ok(()));
        let result = chain.deliver(&tx);
        assert!(result.is_ok(), "{}", result.log);
    }
    let all = by(&[(0, AMINO), (1, AMINO), (2, AMINO)]);
    assert!(chain.deliver(&sign(&chain, &all)).is_ok());
    assert_eq!(chain.balance(&Key::secp256k1(2)), FUNDS + 4 * 9);
    assert_eq!(chain.broken(), Vec::<String>::new());
    assert_eq!(chain.reborn().sequence(&threshold_key().address()), 4);
}

#[test]
fn too_few_signatures_or_others_than_are_named_are_refused() {
    assert_refused(&by(&[(0, AMINO)]), "2 are needed");
    // The second signature is said to be the third key's.
    let mut swapped = by(&[(0, AMINO), (1, AMINO)]);
    swapped.bits.elems = vec![0b1010_0000];
    assert_refused(&swapped, "signature verification failed");
    let mut surplus = by(&[(0, AMINO), (1, AMINO)]);
    surplus.bits.elems = vec![0b1110_0000];
    assert_refused(&surplus, "wrong number of sign modes");
}

#[test]
fn the_bits_name_as_many_keys_as_the_account_has_and_have_one_form() {
    let mut more = by(&[(0, AMINO), (1, AMINO)]);
    more.bits.extra_bits_stored = 4;
    assert_refused(&more, "signatures of 4 keys");
    let mut junk = by(&[(0, AMINO), (1, AMINO)]);
    junk.bits.elems = vec![0b1100_0001];
    assert_refused(&junk, "malformed");
    let mut chain = chain();
    let mut raw = raw(&chain, &by(&[(0, AMINO), (1, AMINO)]));
    // Field 15, a number, behind the signatures.
    raw.signatures[0].extend([0x78, 0x01]);
    let result = chain.deliver(&raw.encode_to_vec());
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 2), "{}", result.log);
}

#[test]
fn one_key_does_not_sign_for_a_threshold_account() {
    let mut chain = chain();
    let account = threshold_key().address();
    let message = send_to(&account, &Key::secp256k1(2).address(), 9);
    let alone = Options { sequence: Some(0), ..Options::default() };
    let result = chain.deliver(&chain.sign(&[&members()[0]], vec![message], alone));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 8), "{}", result.log);
}

#[test]
fn the_gas_that_a_simulation_of_a_threshold_account_finds_suffices() {
    let mut chain = chain();
    let signing = by(&[(0, AMINO), (1, AMINO)]);
    let mut unsigned = raw(&chain, &signing);
    unsigned.signatures = vec![vec![]];
    let found = chain.simulate(&unsigned.encode_to_vec());
    assert!(found.is_ok(), "{}", found.log);
    let result = chain.deliver(&sign(&chain, &signing));
    assert!(result.is_ok() && result.gas_used <= found.gas_used, "{result:?} {found:?}");
}
