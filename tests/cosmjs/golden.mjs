// Writes what CosmJS signs in SIGN_MODE_LEGACY_AMINO_JSON for a message of each
// kind that it knows: proto/src/amino/golden.json, against which the JSON
// that the chain verifies is tested.
//
//   npm ci && node golden.mjs > ../../proto/src/amino/golden.json

import { makeSignDoc, Secp256k1HdWallet, serializeSignDoc } from "@cosmjs/amino";
import { fromHex, fromUtf8, toBech32, toHex } from "@cosmjs/encoding";
import { Registry } from "@cosmjs/proto-signing";
import { AminoTypes, createDefaultAminoConverters, defaultRegistryTypes } from "@cosmjs/stargate";
import { PubKey } from "cosmjs-types/cosmos/crypto/ed25519/keys";
import { TextProposal } from "cosmjs-types/cosmos/gov/v1beta1/gov";
import { Fee, TxBody } from "cosmjs-types/cosmos/tx/v1beta1/tx";
import { CERTIFICATE, DEPOSIT, stoaAminoConverters, stoaTypes } from "./stoa.mjs";

const words = "abandon ".repeat(11) + "about";
const wallet = await Secp256k1HdWallet.fromMnemonic(words, { prefix: "stoa" });
const [{ address: alice }] = await wallet.getAccounts();
const bob = toBech32("stoa", new Uint8Array(20).fill(1));
const operator = toBech32("stoavaloper", new Uint8Array(20).fill(1));
const second = toBech32("stoavaloper", new Uint8Array(20).fill(2));
const coin = (amount, denom = "ustoa") => ({ amount: `${amount}`, denom });


// Texts that are empty are left out by the SDK, but not by CosmJS.
const description = {
  moniker: "Stoa & sons <1>",
  identity: "8A9F",
  website: "https://stoa.example/?a=1&b=2",
  securityContact: "security@stoa.example",
  details: "line\nline \"two\" \\ ü€",
};
const pubkey = {
  typeUrl: "/cosmos.crypto.ed25519.PubKey",
  value: PubKey.encode({ key: new Uint8Array(32).fill(7) }).finish(),
};
const proposal = {
  typeUrl: "/cosmos.gov.v1beta1.TextProposal",
  value: TextProposal.encode({ title: "A title", description: "x > y" }).finish(),
};

const bank = "/cosmos.bank.v1beta1.";
const staking = "/cosmos.staking.v1beta1.";
const distribution = "/cosmos.distribution.v1beta1.";
const gov = "/cosmos.gov.v1beta1.";
const messages = {
  send: [bank + "MsgSend", { fromAddress: alice, toAddress: bob, amount: [coin(5)] }],
  send_nothing: [bank + "MsgSend", { fromAddress: alice, toAddress: bob, amount: [] }],
  multi_send: [
    bank + "MsgMultiSend",
    {
      inputs: [{ address: alice, coins: [coin(3, "uatom"), coin(7)] }],
      outputs: [
        { address: bob, coins: [coin(3, "uatom")] },
        { address: alice, coins: [coin(7)] },
      ],
    },
  ],
  delegate: [
    staking + "MsgDelegate",
    { delegatorAddress: alice, validatorAddress: operator, amount: coin(1000) },
  ],
  redelegate: [
    staking + "MsgBeginRedelegate",
    {
      delegatorAddress: alice,
      validatorSrcAddress: operator,
      validatorDstAddress: second,
      amount: coin(1),
    },
  ],
  undelegate: [
    staking + "MsgUndelegate",
    { delegatorAddress: alice, validatorAddress: operator, amount: coin(1) },
  ],
  cancel_unbonding: [
    staking + "MsgCancelUnbondingDelegation",
    {
      delegatorAddress: alice,
      validatorAddress: operator,
      amount: coin(1),
      creationHeight: 12345678901n,
    },
  ],
  create_validator: [
    staking + "MsgCreateValidator",
    {
      description,
      commission: {
        rate: "100000000000000000",
        maxRate: "1000000000000000000",
        maxChangeRate: "12300000000000000",
      },
      minSelfDelegation: "1",
      delegatorAddress: alice,
      validatorAddress: operator,
      pubkey,
      value: coin(1000000),
    },
  ],
  edit_validator: [
    staking + "MsgEditValidator",
    {
      description: { ...description, details: "[do-not-modify]" },
      validatorAddress: operator,
      commissionRate: "50000000000000000",
      minSelfDelegation: "2",
    },
  ],
  withdraw_rewards: [
    distribution + "MsgWithdrawDelegatorReward",
    { delegatorAddress: alice, validatorAddress: operator },
  ],
  withdraw_commission: [
    distribution + "MsgWithdrawValidatorCommission",
    { validatorAddress: operator },
  ],
  set_withdraw_address: [
    distribution + "MsgSetWithdrawAddress",
    { delegatorAddress: alice, withdrawAddress: bob },
  ],
  fund_community_pool: [
    distribution + "MsgFundCommunityPool",
    { depositor: alice, amount: [coin(9)] },
  ],
  vote: [gov + "MsgVote", { proposalId: 7n, voter: alice, option: 1 }],
  vote_weighted: [
    gov + "MsgVoteWeighted",
    {
      proposalId: 7n,
      voter: alice,
      options: [
        { option: 1, weight: "700000000000000000" },
        { option: 3, weight: "300000000000000000" },
      ],
    },
  ],
  deposit: [gov + "MsgDeposit", { proposalId: 7n, depositor: alice, amount: [coin(5)] }],
  submit_proposal: [
    gov + "MsgSubmitProposal",
    { content: proposal, initialDeposit: [coin(5)], proposer: alice },
  ],
  create_vesting_account: [
    "/cosmos.vesting.v1beta1.MsgCreateVestingAccount",
    {
      fromAddress: alice,
      toAddress: bob,
      amount: [coin(5)],
      endTime: 1900000000n,
      delayed: true,
    },
  ],
  deposit_deployment: [
    DEPOSIT,
    { depositor: alice, id: { owner: bob, dseq: 18446744073709551615n }, amount: coin(5) },
  ],
  create_certificate: [CERTIFICATE, { owner: alice, der: fromHex("3082000102ff") }],
};

const registry = new Registry([...defaultRegistryTypes, ...stoaTypes]);
const converters = createDefaultAminoConverters();
// CosmJS keeps this message's long name; the SDK has shortened it to what a Ledger shows.
converters["/cosmos.distribution.v1beta1.MsgWithdrawValidatorCommission"].aminoType =
  "cosmos-sdk/MsgWithdrawValCommission";
const amino = new AminoTypes({ ...converters, ...stoaAminoConverters });
const plain = { memo: "", timeoutHeight: 0n, number: 0, sequence: 0, granter: "", payer: "" };

// One signed transaction: its parts in protobuf, and what CosmJS signs of it.
function golden(name, list, options = {}) {
  const { memo, timeoutHeight, number, sequence, granter, payer } = { ...plain, ...options };
  const fee = { amount: [coin(5000)], gas: "200000", ...options.fee };
  if (granter) fee.granter = granter;
  if (payer) fee.payer = payer;
  const encoded = list.map(([typeUrl, value]) => ({ typeUrl, value }));
  const body = TxBody.fromPartial({
    messages: encoded.map((message) => registry.encodeAsAny(message)),
    memo,
    timeoutHeight,
  });
  const protoFee = Fee.fromPartial({
    amount: fee.amount,
    gasLimit: BigInt(fee.gas),
    payer,
    granter,
  });
  const msgs = encoded.map((message) => amino.toAmino(message));
  const height = timeoutHeight === 0n ? undefined : timeoutHeight;
  const doc = makeSignDoc(msgs, fee, "stoa-golden", memo, number, sequence, height);
  return {
    name,
    body: toHex(TxBody.encode(body).finish()),
    fee: toHex(Fee.encode(protoFee).finish()),
    account_number: number,
    sequence,
    signed: fromUtf8(serializeSignDoc(doc)),
  };
}

const cases = Object.entries(messages).map(([name, message]) => golden(name, [message]));
const { send, delegate } = messages;
cases.push(golden("several_messages", [send, delegate, send], { number: 12, sequence: 345 }));
cases.push(golden("memo_and_timeout", [send], { memo: "a<b> & \"c\" \\ ü😀", timeoutHeight: 99n }));
cases.push(golden("payer_and_granter", [send], { payer: bob, granter: alice }));
cases.push(golden("free", [send], { fee: { amount: [], gas: "1" } }));

process.stdout.write(JSON.stringify(cases, null, 2) + "\n");
