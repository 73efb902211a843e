// Our engine in turns with other JavaScript engines on one adapter, on the cases of peers/cases.json.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { cases } from "./cases.mjs";
import { median } from "./compare.mjs";
import { best } from "./page.mjs";
import { number } from "./table.mjs";

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), "peers");
const OURS = path.join("..", "peer.mjs");
const ENGINES = ["jax-js", "tfjs", "ort-web", "ort"];
const packages = {
  "jax-js": "@jax-js/jax",
  tfjs: "@tensorflow/tfjs",
  "ort-web": "onnxruntime-web",
  ort: "onnxruntime-node",
};
const TOLERANCE = 1e-3; // of the outputs' norm, beside the reference from PyTorch (peers/reference.json)

function start(file, words, options) {
  return new Promise((resolve) => {
    const child = spawn(file, words, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], ...options });
    let [out, errors] = ["", ""];
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("error", (error) => resolve({ code: 1, out, errors: String(error) }));
    child.on("close", (code) => resolve({ code, out, errors }));
  });
}

/** Installs the harness once for each state of its lock file. */
async function install() {
  const lock = createHash("sha256")
    .update(readFileSync(path.join(folder, "package-lock.json")))
    .digest("hex");
  const stamp = path.join(folder, "node_modules", ".lock-hash");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.log("installing the other engines in bench/peers/node_modules");
  const { code, errors } = await start("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  if (code !== 0) throw new Error(`npm ci in bench/peers: ${errors.trim().split("\n").at(-1)}`);
  writeFileSync(stamp, lock);
}

/** One process of one engine on one case: the harness's line. */
async function measure(engine, name, { seconds, cold, adapter }) {
  const words = ["bench.mjs", "--peer", engine, "--case", name, "--quiet", "10", "--seconds", seconds];
  const env = {
    ...process.env,
    ...(adapter ? { DEFT_ADAPTER: adapter } : {}),
    MESA_SHADER_CACHE_DISABLE: String(cold),
    MESA_SHADER_CACHE_DIR: path.join(folder, "node_modules", ".shaders"),
  };
  const { out, errors } = await start(process.execPath, words, { env, timeout: 900_000 });
  const line = out.split("\n").findLast((text) => text.startsWith("{"));
  return line ? JSON.parse(line) : { failed: errors.trim().split("\n").at(-1) || "no result in 900 s" };
}

/** What the rounds of one engine on one case come to; `ms` null where it cannot or did not. */
function resultOf(lines) {
  const done = lines.filter((line) => line.ms_median > 0);
  const [first] = lines;
  if (done.length === 0) return { ms: null, why: first.skipped ? "" : "fails" };
  return {
    ms: median(done.map((line) => line.ms_median)),
    first_ms: first.first_ms ?? null,
    error: first.rel_err ?? Infinity,
    device: first.device,
  };
}

/** Names of the harness's cases that `only` asks for, in cases or groups. */
function chosen(only) {
  const harness = Object.keys(cases).filter((name) => cases[name].kind !== "deft");
  if (!only) return harness;
  const words = only.split(",");
  const names = harness.filter((name) => words.includes(name) || words.includes(cases[name].group));
  if (names.length > 0) return names;
  throw new Error(`--only: ${only} names no case of the harness; expected some of ${harness.join(", ")}`);
}

/** { device, others, versions, rows, inexact }: figures by case, and which outputs of others miss the reference. Ours must not. */
export async function runPeers({ only, seconds, rounds, adapter, engines }) {
  const others = engines ? engines.split(",") : ENGINES;
  const unknown = others.find((name) => !ENGINES.includes(name));
  if (unknown) throw new Error(`--engines: no engine ${unknown}; expected some of ${ENGINES.join(", ")}`);
  const names = chosen(only);
  await install();
  const [rows, inexact] = [[], []];
  for (const name of names) {
    const lines = new Map([OURS, ...others].map((engine) => [engine, []]));
    for (let round = 0; round < rounds; round++)
      for (const [engine, all] of lines)
        if (!all[0]?.skipped && !all[0]?.failed)
          all.push(await measure(engine, name, { seconds, cold: round === 0, adapter }));
    const ours = resultOf(lines.get(OURS));
    if (ours.ms === null) throw new Error(`${name}: our engine gave no result; ${lines.get(OURS)[0].failed}`);
    const peers = Object.fromEntries(others.map((engine) => [engine, resultOf(lines.get(engine))]));
    if (ours.error > TOLERANCE)
      throw new Error(
        `${name}: outputs are off by ${ours.error} of the reference; expected ${TOLERANCE} at most`,
      );
    for (const [engine, peer] of Object.entries(peers))
      if (peer.ms !== null && peer.error > TOLERANCE) inexact.push({ name, engine, error: peer.error });
    const row = { name, ours, peers };
    rows.push(row);
    const times = others.map((engine) => `${engine} ${number(peers[engine].ms) || "-"}`).join(", ");
    const ratio = ours.ms / best(row, "ms");
    console.log(`${name}: ${number(ours.ms)} ms; ${times}; ours / best ${ratio ? ratio.toFixed(3) : "-"}`);
  }
  const versions = others.map((engine) => `${packages[engine]} ${versionOf(packages[engine])}`);
  return { device: rows[0].ours.device.replace(/^[^:]*: /, ""), others, versions, rows, inexact };
}

const versionOf = (name) =>
  JSON.parse(readFileSync(path.join(folder, "node_modules", name, "package.json"), "utf8")).version;
