use rcgen::SerialNumber;
use stoa_proto::cert::v1 as pb;

use super::{certificate, Create, Error, Genesis, GenesisCertificate, Revoke, MAX_CERTIFICATES};
use crate::ctx::Ctx;
use crate::error::Refusal;
use crate::query::Router;
use crate::testing::{address, assert_export_is_whole, ctx_with, later, refusal, send};
use crate::types::Address;
use crate::x509::forge::{leaf, sign, tenant, Parts};

fn owner() -> Address {
    address(1)
}

fn ctx() -> Ctx<'static> {
    ctx_with(&[(owner(), 100)])
}

fn create_msg(der: Vec<u8>) -> pb::MsgCreateCertificate {
    pb::MsgCreateCertificate { owner: owner().to_string(), der }
}

fn revoke_msg(serial: &str) -> pb::MsgRevokeCertificate {
    pb::MsgRevokeCertificate { owner: owner().to_string(), serial: serial.to_owned() }
}

fn create(ctx: &mut Ctx<'_>, der: Vec<u8>) -> String {
    send::<Create>(ctx, create_msg(der)).unwrap().serial
}

fn with_serial(bytes: &[u8]) -> Vec<u8> {
    let mut params = leaf(&owner());
    params.serial_number = Some(SerialNumber::from_slice(bytes));
    sign(&params)
}

#[test]
fn a_certificate_stands_under_its_serial_number() {
    let mut ctx = ctx();
    let der = with_serial(&[0x12, 0x34]);
    assert_eq!(create(&mut ctx, der.clone()), "1234");
    let events = ctx.take_events();
    assert_eq!(events[0].kind, "stoa.cert.v1.EventCertificateCreated");
    assert_eq!(events[0].attributes[1], ("serial".to_owned(), "1234".to_owned()));
    let found = certificate(&ctx, &owner(), &"1234".parse().unwrap()).unwrap();
    assert_eq!((found.der, found.revoked), (der, false));
}

#[test]
fn a_serial_number_is_taken_for_ever() {
    let mut ctx = ctx();
    let serial = create(&mut ctx, with_serial(&[7]));
    assert_eq!(refusal::<Create>(&mut ctx, create_msg(with_serial(&[7])), "cert"), 2);
    send::<Revoke>(&mut ctx, revoke_msg(&serial)).unwrap();
    assert_eq!(refusal::<Create>(&mut ctx, create_msg(with_serial(&[7])), "cert"), 2);
}

#[test]
fn an_owner_has_so_many_certificates_and_no_more() {
    let mut ctx = ctx();
    for number in 1..=u8::try_from(MAX_CERTIFICATES).unwrap() {
        create(&mut ctx, with_serial(&[number]));
    }
    assert_eq!(refusal::<Create>(&mut ctx, create_msg(with_serial(&[99])), "cert"), 3);
    later(ctx, 1);
}

#[test]
fn revoking_is_for_ones_own_and_once() {
    let mut ctx = ctx();
    assert_eq!(refusal::<Revoke>(&mut ctx, revoke_msg("0C"), "cert"), 1);
    assert_eq!(refusal::<Revoke>(&mut ctx, revoke_msg("0c"), "cert"), 4);
    create(&mut ctx, with_serial(&[12]));
    let by_another = pb::MsgRevokeCertificate { owner: address(2).to_string(), ..revoke_msg("0c") };
    assert_eq!(refusal::<Revoke>(&mut ctx, by_another, "cert"), 4);
    ctx.take_events();
    send::<Revoke>(&mut ctx, revoke_msg("0c")).unwrap();
    assert_eq!(ctx.take_events()[0].kind, "stoa.cert.v1.EventCertificateRevoked");
    assert!(certificate(&ctx, &owner(), &"0c".parse().unwrap()).unwrap().revoked);
    assert_eq!(refusal::<Revoke>(&mut ctx, revoke_msg("0c"), "cert"), 5);
}

#[test]
fn what_is_wrong_with_a_certificate_has_its_code() {
    let mut ctx = ctx();
    let mut code = |der: Vec<u8>| refusal::<Create>(&mut ctx, create_msg(der), "cert");
    assert_eq!(code(vec![0x30; 4_097]), 101);
    assert_eq!(code(vec![]), 102);
    assert_eq!(code(tenant(&address(2))), 106, "another's name");
    let mut params = leaf(&owner());
    params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    assert_eq!(code(sign(&params)), 108, "expired");
    let mut parts = Parts::right(&owner());
    parts.extensions.clear();
    let mut signature = parts.signed();
    *signature.last_mut().unwrap() ^= 1;
    assert_eq!(code(signature), 110);
}

#[test]
fn every_kind_of_certificate_error_has_a_code_of_its_own() {
    let of = |error: crate::x509::Error| Error::from(error).code();
    assert_eq!(of(crate::x509::Error::Version), 103);
    assert_eq!(of(crate::x509::Error::KeyUsage), 114);
}

#[test]
fn the_parameter_bounds_size_below_the_hard_bound() {
    let mut genesis = crate::testing::genesis_with(&[(owner(), 1)]);
    genesis.provider.params.max_certificate_bytes = 100;
    let mut ctx = crate::testing::ctx_from(&genesis);
    assert_eq!(refusal::<Create>(&mut ctx, create_msg(tenant(&owner())), "cert"), 101);
}

fn query(
    ctx: Ctx<'static>,
    request: &pb::QueryCertificatesRequest,
) -> Vec<(String, pb::CertificateState)> {
    use prost::Message as _;
    let block = ctx.block().clone();
    let mut store = crate::store::MemoryStore::default();
    store.apply(&ctx.into_changes());
    let path = "/stoa.cert.v1.Query/Certificates";
    let bytes = Router::new().answer(&store, block, path, &request.encode_to_vec()).unwrap();
    let response = pb::QueryCertificatesResponse::decode(bytes.as_slice()).unwrap();
    response.certificates.into_iter().map(|found| (found.serial.clone(), found.state())).collect()
}

#[test]
fn certificates_are_found_by_owner_serial_number_and_state() {
    use pb::CertificateState::{Revoked, Valid};
    let filled = || {
        let mut ctx = ctx();
        create(&mut ctx, with_serial(&[1]));
        create(&mut ctx, with_serial(&[1, 2]));
        send::<Revoke>(&mut ctx, revoke_msg("01")).unwrap();
        ctx
    };
    let (one, two) = (("01".to_owned(), Revoked), ("0102".to_owned(), Valid));
    let request = pb::QueryCertificatesRequest { owner: owner().to_string(), ..Default::default() };
    assert_eq!(query(filled(), &request), [one.clone(), two.clone()]);
    let by_serial = pb::QueryCertificatesRequest { serial: "01".to_owned(), ..request.clone() };
    assert_eq!(query(filled(), &by_serial), [one]);
    let valid = pb::QueryCertificatesRequest { state: Valid.into(), ..request };
    assert_eq!(query(filled(), &valid), [two]);
}

#[test]
fn an_export_is_whole_and_bad_genesis_is_refused() {
    let mut ctx = ctx();
    create(&mut ctx, with_serial(&[1]));
    create(&mut ctx, tenant(&owner()));
    send::<Revoke>(&mut ctx, revoke_msg("01")).unwrap();
    assert_export_is_whole(ctx);

    let one = GenesisCertificate { owner: owner(), der: with_serial(&[1]), revoked: false };
    let init = |certificates| {
        super::init(&mut crate::testing::empty_at(1), &Genesis { certificates }).unwrap_err()
    };
    assert!(init(vec![one.clone(), one.clone()]).contains("listed twice"));
    let others = GenesisCertificate { owner: address(2), ..one };
    assert!(init(vec![others]).contains("common name"));
}
