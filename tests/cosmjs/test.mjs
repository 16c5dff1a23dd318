// A node of Stoa, driven by unmodified CosmJS as wallets and explorers do.
//
//   STOAD=target/debug/stoad node --test tests/cosmjs/test.mjs

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
  createMultisigThresholdPubkey,
  makeCosmoshubPath,
  makeSignDoc,
  pubkeyToAddress,
  Secp256k1HdWallet,
} from "@cosmjs/amino";
import { fromBase64, toBech32 } from "@cosmjs/encoding";
import {
  DirectSecp256k1HdWallet,
  encodePubkey,
  makeAuthInfoBytes,
  makeSignDoc as makeDirectSignDoc,
  Registry,
} from "@cosmjs/proto-signing";
import {
  accountFromAny,
  AminoTypes,
  assertIsDeliverTxSuccess,
  BroadcastTxError,
  calculateFee,
  createDefaultAminoConverters,
  defaultRegistryTypes,
  GasPrice,
  makeMultisignedTxBytes,
  QueryClient,
  setupAuthExtension,
  setupBankExtension,
  setupDistributionExtension,
  setupGovExtension,
  setupMintExtension,
  setupSlashingExtension,
  setupStakingExtension,
  setupTxExtension,
  SigningStargateClient,
  StargateClient,
} from "@cosmjs/stargate";
import { connectComet } from "@cosmjs/tendermint-rpc";
import { TextProposal } from "cosmjs-types/cosmos/gov/v1beta1/gov";
import { TxBody, TxRaw } from "cosmjs-types/cosmos/tx/v1beta1/tx";

import { certificate } from "./certificate.mjs";
import { CHAIN_ID, Node } from "./node.mjs";
import { CERTIFICATE, DEPOSIT, stoaAminoConverters, stoaTypes } from "./stoa.mjs";

const MNEMONIC = "abandon ".repeat(11) + "about";
const FUNDS = 1_000_000_000n;
const gasPrice = GasPrice.fromString("0.0025ustoa");
const coin = (amount) => ({ denom: "ustoa", amount: `${amount}` });
// Her place among the mnemonic's accounts.
const CAROL = 2;
const someAddress = (byte) => toBech32("stoa", new Uint8Array(20).fill(byte));
const UNKNOWN = someAddress(1);
const VESTING = someAddress(2);

const options = { prefix: "stoa", hdPaths: [0, 1, 2].map(makeCosmoshubPath) };
const direct = await DirectSecp256k1HdWallet.fromMnemonic(MNEMONIC, options);
const amino = await Secp256k1HdWallet.fromMnemonic(MNEMONIC, options);
const accounts = await amino.getAccounts();
const [alice, bob, carol] = accounts.map((account) => account.address);
const vestingEnd = Math.floor(Date.now() / 1000) + 1_000_000;

// 2 of 3.
const pubkeys = accounts.map(({ pubkey }) => encodeAminoKey(pubkey));
const treasuryKey = createMultisigThresholdPubkey(pubkeys, 2, true);
const treasury = pubkeyToAddress(treasuryKey, "stoa");

function encodeAminoKey(pubkey) {
  return { type: "tendermint/PubKeySecp256k1", value: Buffer.from(pubkey).toString("base64") };
}

const registry = new Registry([...defaultRegistryTypes, ...stoaTypes]);
const aminoTypes = new AminoTypes({ ...createDefaultAminoConverters(), ...stoaAminoConverters });
const signing = { registry, aminoTypes, gasPrice, broadcastPollIntervalMs: 100 };

let node;
let client;
let queries;
/** A signing client for each sign mode. */
let clients;

before(async () => {
  const funded = [alice, bob, carol, treasury].map((address) => [address, `${FUNDS}ustoa`]);
  const vesting = [VESTING, "1000ustoa", "--vesting-amount", "600ustoa"];
  node = await Node.start([...funded, [...vesting, "--vesting-end", `${vestingEnd}`]]);
  client = await StargateClient.connect(node.rpc);
  queries = QueryClient.withExtensions(
    await connectComet(node.rpc),
    setupAuthExtension,
    setupBankExtension,
    setupDistributionExtension,
    setupGovExtension,
    setupMintExtension,
    setupSlashingExtension,
    setupStakingExtension,
    setupTxExtension,
  );
  clients = {
    direct: await SigningStargateClient.connectWithSigner(node.rpc, direct, signing),
    amino: await SigningStargateClient.connectWithSigner(node.rpc, amino, signing),
  };
});

after(async () => {
  queries?.disconnect?.();
  client?.disconnect();
  for (const one of Object.values(clients ?? {})) one.disconnect();
  await node?.stop();
});

// The two sign modes, one after the other: they share the accounts' sequences.
async function inBothModes(work) {
  for (const [mode, signer] of Object.entries(clients)) await work(signer, mode);
}

const send = (from, to, amount) => ({
  typeUrl: "/cosmos.bank.v1beta1.MsgSend",
  value: { fromAddress: from, toAddress: to, amount: [coin(amount)] },
});

const balance = async (address) => BigInt((await client.getBalance(address, "ustoa")).amount);

test("a client connects and sees the chain and its height grow", async () => {
  assert.equal(await client.getChainId(), CHAIN_ID);
  const height = await client.getHeight();
  assert.ok(height >= 2);
  const block = await client.getBlock(1);
  assert.equal(block.header.chainId, CHAIN_ID);
});

test("accounts are found, and unknown ones are null", async () => {
  assert.equal(await client.getAccount(UNKNOWN), null);
  const account = await client.getAccount(alice);
  assert.deepEqual([account.address, account.sequence, account.pubkey], [alice, 0, null]);
  await assert.rejects(client.getSequence(UNKNOWN), /does not exist on chain/);
});

test("a vesting account is read as one, and locks what it says", async () => {
  const any = await queries.auth.account(VESTING);
  assert.equal(any.typeUrl, "/cosmos.vesting.v1beta1.DelayedVestingAccount");
  assert.equal(accountFromAny(any).address, VESTING);
  const spendable = await queries.bank.spendableBalances?.(VESTING);
  if (spendable) assert.deepEqual(spendable, [coin(400)]);
  assert.equal(await balance(VESTING), 1000n);
});

test("balances, supply and the denom's names are told", async () => {
  assert.deepEqual(await client.getAllBalances(bob), [coin(FUNDS)]);
  assert.equal((await client.getBalance(UNKNOWN, "ustoa")).amount, "0");
  assert.equal((await client.getBalance(bob, "uother")).amount, "0");
  assert.ok(BigInt((await queries.bank.supplyOf("ustoa")).amount) >= 5n * FUNDS);
  const metadata = await queries.bank.denomMetadata("ustoa");
  assert.equal(metadata.symbol, "STOA");
  assert.equal(metadata.denomUnits.at(-1).exponent, 6);
});

test("a simulation needs no key on the chain and its gas suffices", async () => {
  const message = [send(alice, bob, 1)];
  const gas = await clients.direct.simulate(alice, message, "");
  assert.ok(gas > 10_000 && gas < 1_000_000, `${gas}`);
  await assert.rejects(clients.direct.simulate(alice, [send(alice, bob, FUNDS * 2n)], ""), /insufficient funds/);
});

test("sends are signed in both modes, succeed and are found again", async () => {
  await inBothModes(async (signer, mode) => {
    const had = await balance(carol);
    const result = await signer.sendTokens(alice, carol, [coin(5)], "auto", `<${mode}> & "memo"`);
    assertIsDeliverTxSuccess(result);
    assert.equal(await balance(carol), had + 5n);
    const found = await client.getTx(result.transactionHash);
    assert.equal(found.height, result.height);
    assert.equal(found.code, 0);
    const byRecipient = await client.searchTx([{ key: "transfer.recipient", value: carol }]);
    assert.ok(byRecipient.some((one) => one.hash === result.transactionHash));
  });
  assert.equal((await client.getAccount(alice)).sequence, 2);
  assert.equal(await client.getTx("00".repeat(32)), null);
});

test("a wrong sequence is refused with the expected one", async () => {
  await inBothModes(async (signer) => {
    const { accountNumber, sequence } = await client.getSequence(alice);
    const signerData = { accountNumber, sequence: sequence + 7, chainId: CHAIN_ID };
    const fee = calculateFee(200_000, gasPrice);
    const signed = await signer.sign(alice, [send(alice, bob, 1)], fee, "", signerData);
    const bytes = TxRaw.encode(signed).finish();
    await assert.rejects(client.broadcastTx(bytes), (error) => {
      assert.ok(error instanceof BroadcastTxError);
      assert.deepEqual([error.code, error.codespace], [32, "sdk"]);
      assert.match(error.log, new RegExp(`expected ${sequence}, got ${sequence + 7}`));
      return true;
    });
  });
});

test("spending more than there is fails in the block, and costs its fee", async () => {
  await inBothModes(async (signer) => {
    const had = await balance(bob);
    const fee = calculateFee(200_000, gasPrice);
    const result = await signer.signAndBroadcast(bob, [send(bob, alice, FUNDS * 2n)], fee);
    assert.equal(result.code, 5, result.rawLog);
    assert.equal(await balance(bob), had - BigInt(fee.amount[0].amount));
  });
});

test("too little gas and too low a fee are refused by the pool", async () => {
  const refusedWith = (code) => (error) => {
    assert.ok(error instanceof BroadcastTxError, error);
    return error.code === code && error.codespace === "sdk";
  };
  await inBothModes(async (signer) => {
    const little = calculateFee(1_000, gasPrice);
    await assert.rejects(signer.signAndBroadcast(bob, [send(bob, alice, 1)], little), refusedWith(11));
    const low = { amount: [coin(1)], gas: "200000" };
    await assert.rejects(signer.signAndBroadcast(bob, [send(bob, alice, 1)], low), refusedWith(13));
  });
});

test("several messages and a fee's granter that grants nothing", async () => {
  await inBothModes(async (signer) => {
    const messages = [send(bob, carol, 1), send(bob, alice, 2)];
    assertIsDeliverTxSuccess(await signer.signAndBroadcast(bob, messages, "auto"));
    const fee = calculateFee(200_000, gasPrice, carol);
    await assert.rejects(signer.signAndBroadcast(bob, messages, { ...fee, granter: carol }), BroadcastTxError);
  });
});

test("a message of the chain's own is signed in both modes", async () => {
  await inBothModes(async (signer) => {
    const message = { typeUrl: CERTIFICATE, value: { owner: carol, der: certificate(carol) } };
    const result = await signer.signAndBroadcast(carol, [message], "auto");
    assertIsDeliverTxSuccess(result);
    // Its refusal is the module's own: the deployment does not exist.
    const deposit = { depositor: carol, id: { owner: carol, dseq: 7n }, amount: coin(5_000_000) };
    const fee = calculateFee(300_000, gasPrice);
    const refused = await signer.signAndBroadcast(carol, [{ typeUrl: DEPOSIT, value: deposit }], fee);
    assert.notEqual(refused.code, 0);
    assert.match(refused.rawLog, /deployment/);
  });
});

test("two of three keys sign for a threshold account", async () => {
  const { accountNumber, sequence } = await client.getSequence(treasury);
  const fee = calculateFee(300_000, gasPrice);
  const messages = [send(treasury, UNKNOWN, 11)];
  const signatures = new Map();
  for (const member of [alice, carol]) {
    const doc = makeSignDoc(
      messages.map((message) => aminoTypes.toAmino(message)),
      fee,
      CHAIN_ID,
      "",
      accountNumber,
      sequence,
    );
    const { signature } = await amino.signAmino(member, doc);
    signatures.set(member, fromBase64(signature.signature));
  }
  const bodyBytes = registry.encodeTxBody({ messages, memo: "" });
  const bytes = makeMultisignedTxBytes(treasuryKey, sequence, fee, bodyBytes, signatures);
  assertIsDeliverTxSuccess(await client.broadcastTx(bytes, undefined, 100));
  assert.equal(await balance(UNKNOWN), 11n);
  const account = await client.getAccount(treasury);
  assert.equal(account.sequence, 1);
  assert.deepEqual(account.pubkey, treasuryKey);
});

test("transactions without order are sent at once, and each only once", async () => {
  const { accountNumber, sequence } = await client.getSequence(carol);
  const fee = calculateFee(200_000, gasPrice);
  const seconds = BigInt(Math.floor(Date.now() / 1000) + 120);
  const pubkey = encodePubkey(encodeAminoKey(accounts[CAROL].pubkey));
  const transaction = async (nanos) => {
    const body = TxBody.fromPartial({
      messages: [registry.encodeAsAny(send(carol, UNKNOWN, 1))],
      unordered: true,
      timeoutTimestamp: { seconds, nanos },
    });
    const bodyBytes = TxBody.encode(body).finish();
    const signers = [{ pubkey, sequence: 0 }];
    const authInfoBytes = makeAuthInfoBytes(signers, fee.amount, Number(fee.gas), undefined, undefined);
    const doc = makeDirectSignDoc(bodyBytes, authInfoBytes, CHAIN_ID, accountNumber);
    const { signature } = await direct.signDirect(carol, doc);
    const signatures = [fromBase64(signature.signature)];
    return TxRaw.encode({ bodyBytes, authInfoBytes, signatures }).finish();
  };
  const had = await balance(UNKNOWN);
  const numbers = [4, 1, 3, 0, 2];
  const bytes = await Promise.all(numbers.map(transaction));
  const results = await Promise.all(bytes.map((one) => client.broadcastTx(one, undefined, 100)));
  results.forEach(assertIsDeliverTxSuccess);
  assert.equal(await balance(UNKNOWN), had + 5n);
  assert.equal((await client.getSequence(carol)).sequence, sequence);
});

test("validators are told, stake is delegated and withdrawn in both modes", async () => {
  const { validators } = await queries.staking.validators("BOND_STATUS_BONDED");
  assert.equal(validators.length, 1);
  const operator = validators[0].operatorAddress;
  assert.match(operator, /^stoavaloper1/);
  const one = await queries.staking.validator(operator);
  assert.equal(one.validator.description.moniker, "val");
  assert.ok((await queries.staking.params()).params.maxValidators > 0);
  assert.ok(BigInt((await queries.staking.pool()).pool.bondedTokens) > 0n);
  await inBothModes(async (signer, mode) => {
    assertIsDeliverTxSuccess(await signer.delegateTokens(bob, operator, coin(1_000_000), "auto"));
    const { delegationResponses } = await queries.staking.delegatorDelegations(bob);
    const wanted = mode === "direct" ? 1_000_000 : 2_000_000;
    assert.deepEqual(delegationResponses[0].balance, coin(wanted));
    assert.deepEqual(await client.getDelegation(bob, operator), coin(wanted));
  });
  await inBothModes(async (signer) => {
    assertIsDeliverTxSuccess(await signer.withdrawRewards(bob, operator, "auto"));
    assertIsDeliverTxSuccess(await signer.undelegateTokens(bob, operator, coin(1_000), "auto"));
  });
  assert.equal((await client.getBalanceStaked(bob)).amount, "1998000");
  const unbonding = await queries.staking.delegatorUnbondingDelegations(bob);
  assert.equal(unbonding.unbondingResponses[0].entries.length >= 1, true);
  await queries.distribution.delegationTotalRewards(bob);
  await queries.mint.params();
  await queries.slashing.params();
});

test("a proposal is made and voted on in both modes", async () => {
  const content = {
    typeUrl: "/cosmos.gov.v1beta1.TextProposal",
    value: TextProposal.encode({ title: "Shade", description: "Plant <trees> & vines" }).finish(),
  };
  const { depositParams } = await queries.gov.params("deposit");
  const initialDeposit = [...depositParams.minDeposit];
  await inBothModes(async (signer, mode) => {
    const typeUrl = "/cosmos.gov.v1beta1.MsgSubmitProposal";
    const proposal = { typeUrl, value: { content, initialDeposit, proposer: alice } };
    assertIsDeliverTxSuccess(await signer.signAndBroadcast(alice, [proposal], "auto"));
    const { proposals } = await queries.gov.proposals(0, "", "");
    const { proposalId } = proposals.at(-1);
    assert.equal(proposalId, mode === "direct" ? 1n : 2n);
    const vote = { proposalId, voter: bob, option: 1 };
    const message = { typeUrl: "/cosmos.gov.v1beta1.MsgVote", value: vote };
    assertIsDeliverTxSuccess(await signer.signAndBroadcast(bob, [message], "auto"));
    const found = await queries.gov.vote(proposalId, bob);
    assert.equal(found.vote.options[0].option, 1);
  });
});
