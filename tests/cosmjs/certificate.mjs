// A tenant's certificate, by hand: node makes keys and signatures, but no X.509.

import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

const value = (tag, ...parts) => {
  const content = Buffer.concat(parts);
  const size = content.length;
  const header = size < 0x80 ? [tag, size] : size < 0x100 ? [tag, 0x81, size] : [tag, 0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
};
const sequence = (...parts) => value(0x30, ...parts);
const integer = (...bytes) => value(0x02, Buffer.from(bytes));
const bits = (bytes) => value(0x03, Buffer.from([0]), bytes);
const time = (text) => value(0x17, Buffer.from(text));

const ED25519 = sequence(value(0x06, Buffer.from([0x2b, 0x65, 0x70])));
const COMMON_NAME = value(0x06, Buffer.from([0x55, 0x04, 0x03]));

// Self-signed with a new Ed25519 key; the owner's address is its name.
export function certificate(owner) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const name = sequence(value(0x31, sequence(COMMON_NAME, value(0x0c, Buffer.from(owner)))));
  const contents = sequence(
    value(0xa0, integer(2)),
    integer(0x01, ...randomBytes(8)),
    ED25519,
    name,
    sequence(time("200101000000Z"), time("400101000000Z")),
    name,
    publicKey.export({ format: "der", type: "spki" }),
  );
  return new Uint8Array(sequence(contents, ED25519, bits(sign(null, contents, privateKey))));
}
