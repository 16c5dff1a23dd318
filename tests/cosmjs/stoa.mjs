// Two of Stoa's own messages as CosmJS wants them: protobuf for the registry,
// and their JSON for hardware wallets. The same few lines serve any message.

import { fromBase64, toBase64 } from "@cosmjs/encoding";
import { BinaryReader, BinaryWriter } from "cosmjs-types/binary";
import { Coin } from "cosmjs-types/cosmos/base/v1beta1/coin";

const DEPOSIT = "/stoa.escrow.v1.MsgDepositDeployment";
const CERTIFICATE = "/stoa.cert.v1.MsgCreateCertificate";

// A protobuf message of these fields: {name: [number, kind]}.
function type(fields) {
  const byNumber = Object.fromEntries(
    Object.entries(fields).map(([name, [number, kind]]) => [number, { name, kind }]),
  );
  return {
    encode(message, writer = BinaryWriter.create()) {
      for (const [name, [number, kind]] of Object.entries(fields)) {
        kind.write(writer, number, message[name]);
      }
      return writer;
    },
    decode(input, length) {
      const reader = input instanceof BinaryReader ? input : new BinaryReader(input);
      const end = length === undefined ? reader.len : reader.pos + length;
      const message = this.fromPartial({});
      while (reader.pos < end) {
        const tag = reader.uint32();
        const field = byNumber[tag >>> 3];
        if (field) message[field.name] = field.kind.read(reader);
        else reader.skipType(tag & 7);
      }
      return message;
    },
    fromPartial(given) {
      const defaults = Object.entries(fields).map(([name, [, kind]]) => [name, kind.empty]);
      return { ...Object.fromEntries(defaults), ...given };
    },
  };
}

const LENGTH_DELIMITED = 2;
const VARINT = 0;

const string = {
  empty: "",
  write: (writer, number, value) =>
    value && writer.uint32((number << 3) | LENGTH_DELIMITED).string(value),
  read: (reader) => reader.string(),
};
const bytes = {
  empty: new Uint8Array(),
  write: (writer, number, value) =>
    value?.length && writer.uint32((number << 3) | LENGTH_DELIMITED).bytes(value),
  read: (reader) => reader.bytes(),
};
const uint64 = {
  empty: 0n,
  write: (writer, number, value) =>
    value && writer.uint32((number << 3) | VARINT).uint64(value),
  read: (reader) => reader.uint64(),
};
const nested = (inner) => ({
  empty: undefined,
  write: (writer, number, value) =>
    value && inner.encode(value, writer.uint32((number << 3) | LENGTH_DELIMITED).fork()).ldelim(),
  read: (reader) => inner.decode(reader, reader.uint32()),
});

const DeploymentId = type({ owner: [1, string], dseq: [2, uint64] });

export const MsgDepositDeployment = type({
  depositor: [1, string],
  id: [2, nested(DeploymentId)],
  amount: [3, nested(Coin)],
});

export const MsgCreateCertificate = type({ owner: [1, string], der: [2, bytes] });

export const stoaTypes = [
  [DEPOSIT, MsgDepositDeployment],
  [CERTIFICATE, MsgCreateCertificate],
];

export const stoaAminoConverters = {
  [DEPOSIT]: {
    aminoType: "stoa/MsgDepositDeployment",
    toAmino: ({ depositor, id, amount }) => ({
      depositor,
      id: { owner: id.owner, dseq: id.dseq.toString() },
      amount,
    }),
    fromAmino: ({ depositor, id, amount }) => ({
      depositor,
      id: { owner: id.owner, dseq: BigInt(id.dseq) },
      amount,
    }),
  },
  [CERTIFICATE]: {
    aminoType: "stoa/MsgCreateCertificate",
    toAmino: ({ owner, der }) => ({ owner, der: toBase64(der) }),
    fromAmino: ({ owner, der }) => ({ owner, der: fromBase64(der) }),
  },
};

export { CERTIFICATE, DEPOSIT };
