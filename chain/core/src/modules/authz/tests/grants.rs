//! Granting, using, revoking and expiring.

use super::*;
use crate::query::Router;
use crate::store::MemoryStore;
use crate::testing::{assert_export_is_whole, balance, begin_block, ctx_with, later, refusal, NOW};

const SEND: &str = "/cosmos.bank.v1beta1.MsgSend";

fn ctx() -> Ctx<'static> {
    ctx_with(&[(granter(), 1_000), (grantee(), 500), (address(3), 0)])
}

fn revoke_msg(url: &str) -> pb::MsgRevoke {
    pb::MsgRevoke {
        granter: granter().to_string(),
        grantee: grantee().to_string(),
        msg_type_url: url.to_owned(),
    }
}

#[test]
fn a_grantee_acts_in_its_granters_name_and_events_say_which_message_it_was() {
    let mut ctx = ctx();
    grant(&mut ctx, generic(SEND));
    let msgs = vec![send_msg(granter(), address(3), 5), send_msg(granter(), address(4), 6)];
    let response = exec(&mut ctx, msgs).unwrap();
    assert_eq!(response.results, [Vec::<u8>::new(), Vec::new()]);
    assert_eq!((balance(&ctx, &address(3)), balance(&ctx, &address(4))), (5, 6));
    assert_eq!(balance(&ctx, &granter()), 989);
    let transfers = ctx.take_events().into_iter().filter(|event| event.kind == "transfer");
    let indexes: Vec<_> = transfers.map(|event| event.attributes.last().unwrap().clone()).collect();
    let index = |number: &str| ("authz_msg_index".to_owned(), number.to_owned());
    assert_eq!(indexes, [index("0"), index("1")]);
}

#[test]
fn without_a_grant_for_its_type_nobody_acts_for_another() {
    let mut ctx = ctx();
    let msg = || vec![send_msg(granter(), grantee(), 5)];
    assert_eq!(code(exec(&mut ctx, msg())), Some(("authz", 2)));
    grant(&mut ctx, generic("/cosmos.bank.v1beta1.MsgMultiSend"));
    assert_eq!(code(exec(&mut ctx, msg())), Some(("authz", 2)));
    // A grant is not one back.
    grant(&mut ctx, generic(SEND));
    let back = pb::MsgExec {
        grantee: granter().to_string(),
        msgs: vec![send_msg(grantee(), granter(), 5)],
    };
    assert_eq!(refusal::<Exec>(&mut ctx, back, "authz"), 2);
    assert_eq!(balance(&ctx, &granter()), 1_000);
}

#[test]
fn a_grantee_needs_no_grant_for_its_own_messages() {
    let mut ctx = ctx();
    exec(&mut ctx, vec![send_msg(grantee(), address(3), 7)]).unwrap();
    assert_eq!(balance(&ctx, &grantee()), 493);
}

#[test]
fn the_messages_within_one_are_all_done_or_none() {
    let mut ctx = ctx();
    grant(&mut ctx, send_limits(100, &[]));
    let before = granted(&ctx, SEND);
    let msgs = vec![send_msg(granter(), address(3), 60), send_msg(granter(), address(3), 41)];
    let refused = exec(&mut ctx, msgs).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("sdk", 5));
    assert!(refused.message.contains("message 1"), "{refused}");
    assert_eq!(balance(&ctx, &address(3)), 0);
    assert_eq!(granted(&ctx, SEND), before);
    assert_eq!(ctx.events_so_far(), 0);
}

#[test]
fn a_message_that_holds_others_holds_none_of_its_kind_and_some() {
    let mut ctx = ctx();
    let inner = pb::MsgExec {
        grantee: grantee().to_string(),
        msgs: vec![send_msg(grantee(), address(3), 1)],
    };
    assert_eq!(code(exec(&mut ctx, vec![any(&inner)])), Some(("sdk", 18)));
    assert_eq!(code(exec(&mut ctx, vec![])), Some(("sdk", 18)));
    let many = vec![send_msg(grantee(), address(3), 1); crate::tx::MAX_MESSAGES + 1];
    assert_eq!(code(exec(&mut ctx, many)), Some(("sdk", 18)));
    let url = pb::MsgExec::type_url();
    assert_eq!(refusal::<GrantMessage>(&mut ctx, grant_msg(generic(&url), None), "sdk"), 18);
}

#[test]
fn an_unknown_field_within_an_inner_message_is_refused() {
    let mut ctx = ctx();
    let mut msg = send_msg(grantee(), address(3), 1);
    msg.value.extend([0x78, 1]);
    assert_eq!(code(exec(&mut ctx, vec![msg])), Some(("sdk", 2)));
}

#[test]
fn a_grant_holds_through_its_last_second_and_is_pruned_after_it() {
    let mut ctx = ctx();
    let msg = grant_msg(generic(SEND), at(NOW + 10));
    send::<GrantMessage>(&mut ctx, msg).unwrap();
    let mut ctx = later(ctx, 10);
    begin_block(&mut ctx);
    let send = || vec![send_msg(granter(), address(3), 1)];
    exec(&mut ctx, send()).unwrap();
    let mut ctx = later(ctx, 1);
    assert_eq!(code(exec(&mut ctx, send())), Some(("authz", 6)));
    begin_block(&mut ctx);
    assert_eq!(granted(&ctx, SEND), None);
    assert_eq!(code(exec(&mut ctx, send())), Some(("authz", 2)));
    later(ctx, 1);
}

#[test]
fn a_block_prunes_a_bounded_number_of_grants() {
    let mut ctx = ctx();
    for number in 0..201u16 {
        let mut bytes = [9; 20];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let grantee = Address::new(bytes).to_string();
        let msg = grant_msg(generic(SEND), at(NOW + 1));
        send::<GrantMessage>(&mut ctx, pb::MsgGrant { grantee, ..msg }).unwrap();
    }
    let mut ctx = later(ctx, 2);
    begin_block(&mut ctx);
    assert_eq!(all(&ctx).count(), 1);
    begin_block(&mut ctx);
    assert_eq!(all(&ctx).count(), 0);
}

#[test]
fn a_new_grant_takes_an_earlier_ones_place_and_a_revoked_one_is_gone() {
    let mut ctx = ctx();
    let short = grant_msg(generic(SEND), at(NOW + 10));
    send::<GrantMessage>(&mut ctx, short).unwrap();
    grant(&mut ctx, send_limits(100, &[]));
    let mut ctx = later(ctx, 20);
    begin_block(&mut ctx);
    assert_eq!(granted(&ctx, SEND).unwrap().authorization.url(), SEND);
    send::<Revoke>(&mut ctx, revoke_msg(SEND)).unwrap();
    let events = ctx.take_events();
    assert_eq!(events[0].kind, "cosmos.authz.v1beta1.EventRevoke");
    let quoted = ("msg_type_url".to_owned(), format!("\"{SEND}\""));
    assert_eq!(events[0].attributes[0], quoted);
    assert_eq!(code(exec(&mut ctx, vec![send_msg(granter(), address(3), 1)])), Some(("authz", 2)));
    assert_eq!(refusal::<Revoke>(&mut ctx, revoke_msg(SEND), "authz"), 2);
    later(ctx, 1);
}

#[test]
fn granting_makes_the_grantees_account() {
    let mut ctx = ctx_with(&[(granter(), 1_000)]);
    grant(&mut ctx, generic(SEND));
    assert!(crate::modules::auth::account(&ctx, &grantee()).is_some());
}

#[test]
fn grants_that_are_wrong_in_themselves_are_refused_by_their_codes() {
    let mut ctx = ctx();
    let none = SendAuthorization::default();
    let twice = send_limits(5, &[address(3), address(3)]);
    let deployments = authorization(1, 1, &["a*b"], 1);
    let ended = deployment_pb::DeploymentAuthorization {
        expiration: at(NOW),
        ..authorization(1, 1, &[], 1)
    };
    let before = Some(Timestamp { seconds: -1, nanos: 0 });
    for (authorization, expiration, codespace, code) in [
        (generic(SEND), at(NOW), "authz", 3),
        (generic(SEND), before, "authz", 3),
        (any(&ended), None, "authz", 3),
        (generic("/cosmos.other.MsgOther"), None, "sdk", 29),
        (any(&send_msg(granter(), grantee(), 1)), None, "authz", 4),
        (any(&none), None, "sdk", 10),
        (twice, None, "sdk", 18),
        (any(&deployments), None, "sdk", 18),
        (any(&authorization(1, 1, &["x"; 2], 1)), None, "sdk", 18),
        (any(&authorization(1, 1, &[&"x".repeat(65)], 1)), None, "sdk", 18),
    ] {
        let text = format!("{authorization:?}");
        let msg = grant_msg(authorization, expiration);
        assert_eq!(refusal::<GrantMessage>(&mut ctx, msg, codespace), code, "{text}");
    }
    let own = pb::MsgGrant { grantee: granter().to_string(), ..grant_msg(generic(SEND), None) };
    assert_eq!(refusal::<GrantMessage>(&mut ctx, own, "authz"), 7);
    let without = pb::MsgGrant { grant: None, ..grant_msg(generic(SEND), None) };
    assert_eq!(refusal::<GrantMessage>(&mut ctx, without, "sdk"), 18);
    assert_eq!(refusal::<Revoke>(&mut ctx, revoke_msg(""), "sdk"), 18);
}

#[test]
fn grants_read_back_as_they_were_made_by_pair_granter_and_grantee() {
    let mut ctx = ctx();
    let deployments = deployment_pb::DeploymentAuthorization {
        expiration: at(NOW + 50),
        ..authorization(5, 6, &["web", "batch-*"], 3)
    };
    send::<GrantMessage>(&mut ctx, grant_msg(any(&deployments), at(NOW + 90))).unwrap();
    send::<GrantMessage>(&mut ctx, grant_msg(send_limits(9, &[address(3)]), None)).unwrap();
    let block = ctx.block().clone();
    let mut store = MemoryStore::default();
    store.apply(&ctx.into_changes());
    let router = Router::new();
    let ask = |method: &str, data: Vec<u8>| {
        let path = format!("/cosmos.authz.v1beta1.Query/{method}");
        router.answer(&store, block.clone(), &path, &data)
    };
    let parties = (granter().to_string(), grantee().to_string());
    // By type URL: Cosmos' stands before ours.
    let wanted = [(send_limits(9, &[address(3)]), None), (any(&deployments), at(NOW + 90))];
    let request = |url: &str| pb::QueryGrantsRequest {
        granter: parties.0.clone(),
        grantee: parties.1.clone(),
        msg_type_url: url.to_owned(),
        pagination: None,
    };
    let decode = |data: Vec<u8>| pb::QueryGrantsResponse::decode(data.as_slice()).unwrap().grants;
    let found = decode(ask("Grants", request("").encode_to_vec()).unwrap());
    let found: Vec<_> =
        found.into_iter().map(|grant| (grant.authorization.unwrap(), grant.expiration)).collect();
    assert_eq!(found, wanted);
    let found = decode(ask("Grants", request(SEND).encode_to_vec()).unwrap());
    assert_eq!(found[0].authorization.as_ref(), Some(&wanted[0].0));
    let refused = ask("Grants", request("/other").encode_to_vec()).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("authz", 2));
    let by_granter = pb::QueryGranterGrantsRequest { granter: parties.0.clone(), pagination: None };
    let by_grantee = pb::QueryGranteeGrantsRequest { grantee: parties.1.clone(), pagination: None };
    for (method, data) in [
        ("GranterGrants", by_granter.encode_to_vec()),
        ("GranteeGrants", by_grantee.encode_to_vec()),
    ] {
        let answer = ask(method, data).unwrap();
        let found = pb::QueryGranterGrantsResponse::decode(answer.as_slice()).unwrap().grants;
        let found: Vec<_> = found
            .into_iter()
            .map(|grant| {
                assert_eq!((grant.granter, grant.grantee), parties);
                (grant.authorization.unwrap(), grant.expiration)
            })
            .collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn an_export_of_grants_is_whole() {
    let mut ctx = ctx();
    send::<GrantMessage>(&mut ctx, grant_msg(send_limits(9, &[address(3)]), at(NOW + 5))).unwrap();
    grant(&mut ctx, any(&authorization(5, 6, &["web"], 3)));
    grant(&mut ctx, super::limits::stake(1, Some(7), None));
    grant(&mut ctx, generic("/cosmos.bank.v1beta1.MsgMultiSend"));
    exec(&mut ctx, vec![send_msg(granter(), address(3), 4)]).unwrap();
    assert_export_is_whole(ctx);
}

#[test]
fn an_index_entry_without_its_grant_is_a_broken_invariant() {
    let mut ctx = ctx();
    grant(&mut ctx, generic(SEND));
    let subject = Subject { granter: granter(), grantee: grantee(), url: SEND.to_owned() };
    ctx.remove(keys::grant(&subject));
    assert_eq!(crate::modules::check_invariants(&ctx).len(), 1);
}
