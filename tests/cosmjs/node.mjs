// A chain of one validator in a folder of its own: stoad and CometBFT as
// processes, as an operator starts them.

import { execFileSync, spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const CHAIN_ID = "stoa-cosmjs";
const PATIENCE = 60_000;

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

export class Node {
  // `accounts`: lists of arguments of add-genesis-account.
  static async start(accounts) {
    const node = new Node();
    await node.make(accounts);
    node.run();
    await node.waitForBlocks();
    return node;
  }

  constructor() {
    this.program = process.env.STOAD;
    if (!this.program) throw new Error("STOAD names no program; it is the path of stoad");
    this.home = mkdtempSync(join(tmpdir(), "stoa-cosmjs-"));
  }

  command(...args) {
    const options = { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
    return execFileSync(this.program, ["--home", this.home, ...args], options);
  }

  async make(accounts) {
    const [p2p, rpc, grpc] = [await freePort(), await freePort(), await freePort()];
    this.rpc = `http://127.0.0.1:${rpc}`;
    const local = (port) => `tcp://127.0.0.1:${port}`;
    const init = ["init", "val", "--chain-id", CHAIN_ID, "--preset", "devnet", "--local"];
    const addresses = ["--p2p-laddr", local(p2p), "--rpc-laddr", local(rpc)];
    const pace = ["--block-time-ms", "200", "--grpc-laddr", `127.0.0.1:${grpc}`];
    this.command(...init, ...addresses, ...pace);
    const keys = JSON.parse(this.command("keys", "-o", "json"));
    this.operator = keys.operator_address;
    this.command("add-genesis-account", this.operator, "1000000000ustoa");
    for (const account of accounts) this.command("add-genesis-account", ...account);
    this.command("gentx", "--amount", "100000000ustoa");
    this.command("collect-gentxs");
  }

  run() {
    const log = createWriteStream(join(this.home, "stoad.log"));
    const args = ["--home", this.home, "start", "--min-gas-prices", "0.001ustoa"];
    const comet = ["--cometbft-log-file", join(this.home, "comet.log")];
    this.process = spawn(this.program, [...args, ...comet], { stdio: ["ignore", "ignore", "pipe"] });
    this.process.stderr.pipe(log);
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
  }

  async waitForBlocks() {
    const begun = Date.now();
    while (Date.now() - begun < PATIENCE) {
      try {
        const status = await (await fetch(`${this.rpc}/status`)).json();
        if (Number(status.result.sync_info.latest_block_height) >= 2) return;
      } catch {
        // It does not listen yet.
      }
      if (this.process.exitCode !== null) break;
      await sleep(100);
    }
    throw new Error(`the node makes no blocks:\n${this.log()}`);
  }

  log() {
    return readFileSync(join(this.home, "stoad.log"), "utf8");
  }

  async stop() {
    if (this.process?.exitCode === null) {
      this.process.kill("SIGTERM");
      await this.ended;
    }
    rmSync(this.home, { recursive: true, force: true });
  }
}
