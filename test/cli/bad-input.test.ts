// Wrong command lines in a process and an empty folder of their own: one line that says what and what to do, nothing left behind.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writePng } from "../../src/io/images.ts";
import { writeWeights } from "../../src/io/weights.ts";
import { errorsOf, runProgram } from "../helpers/program.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { npy, writeNpz } from "../helpers/write-npz.ts";

const given = temporaryFolder();
const at = (name: string): string => path.join(given, name);

beforeAll(async () => {
  await writePng(at("wide.png"), { data: new Float32Array(200), channels: 1, height: 10, width: 20 });
  writeFileSync(at("text.png"), "no picture");
  writeNpz(at("masks.npz"), { other: npy([1, 8, 1], new Uint8Array(8)) });
  mkdirSync(at("empty"));
  const kernel = Buffer.from(new Float64Array([1, 0.5, 0.5]).buffer);
  const bias = { dtype: "F32", shape: [2], data: new Float32Array(2) } as const;
  await writeWeights(at("other.safetensors"), [
    { ...bias, name: "a" },
    { ...bias, name: "out.2.bias" },
  ]);
  await writeWeights(at("transform.safetensors"), [{ ...bias, name: "log_likelihood_scaling.0.bias" }]);
  writeFileSync(at("two.npy"), npy([1, 3], kernel, "<f8"));
});

const forward = "likelihood.forward_op";
const mask = (name: string): string[] => ["algo.deg=inp", `${forward}.mask_filename=${at(name)}`];
const PRIOR = path.resolve("assets/prior-phantoms.safetensors");
const MISFIT =
  /model\.ckpt_path: .*other\.safetensors: does not fit the network: missing \d+ \([\w.]+, [\w.]+, …\); unexpected 1 \(a\); of another shape 1 \(out\.2\.bias is \[2\], the network takes \[3\]\); check the file/;
const cases: readonly (readonly [name: string, words: () => string[], message: RegExp])[] = [
  ["a mask of another size", () => mask("wide.png"), /mask_filename: .*20x10; expected 32x32, or a whole/],
  ["a mask that is no picture", () => mask("text.png"), /text\.png: not a picture/],
  ["masks without the key", () => mask("masks.npz"), /no array "20-30% freeform"; got other/],
  ["a folder without masks", () => mask("empty"), /no pictures in/],
  [
    "a kernel that does not sum to one",
    () => ["algo.deg=blur", `${forward}.kernel_filename=${at("two.npy")}`],
    /blur: the kernel's values sum to 2; expected 1, divide/,
  ],
  [
    "a factor that does not divide",
    () => ["algo.deg=sr5"],
    /sr5 does not divide the image side 32; expected/,
  ],
  [
    "phases of a plane beyond the adapter",
    () => ["algo.deg=phase_retrieval", `${forward}.oversample=1000000`],
    /needs \d+ bytes in one buffer; .*use a smaller/,
  ],
  [
    "a batch beyond memory",
    () => ["algo.finetune_args.batch_size=1000000000"],
    /one of the sizes is too large for this machine's memory; got algo\.finetune_args\.batch_size=1000000000; .*expected a smaller batch/,
  ],
  [
    "angles beyond reason",
    () => ["algo.deg=ct", `${forward}.num_angles=100000000`],
    /num_angles: wrong value; got 100000000; expected an integer at least 1 and at most 10000/,
  ],
  [
    "weights that are none",
    () => [`metrics.inception_path=${at("text.png")}`],
    /metrics\.inception_path: .*text\.png: not a weight file; expected safetensors or what torch\.save wrote$/,
  ],
  [
    "a prior that is a kernel",
    () => [`model.ckpt_path=${at("two.npy")}`],
    /model\.ckpt_path: .*two\.npy: not a weight file; expected safetensors or what torch\.save wrote$/,
  ],
  [
    "a prior as an h-transform",
    () => [`htransform_model.ckpt_path=${PRIOR}`],
    /htransform_model\.ckpt_path: .*prior-phantoms\.safetensors: the weights of a prior; expected those of an h-transform; pass this file as model\.ckpt_path=FILE$/,
  ],
  [
    "an h-transform as a prior",
    () => [`model.ckpt_path=${at("transform.safetensors")}`],
    /model\.ckpt_path: .*: the weights of an h-transform; expected those of a prior; pass this file as htransform_model\.ckpt_path=FILE$/,
  ],
  ["a prior that does not fit", () => [`model.ckpt_path=${at("other.safetensors")}`], MISFIT],
  [
    "a name outside",
    () => ["exp.name=../x"],
    /exp\.name: wrong value; got \.\.\/x; expected one folder name/,
  ],
];

async function expectRefused(words: readonly string[], message: RegExp): Promise<void> {
  const cwd = temporaryFolder();
  const ran = await runProgram(cwd, words);
  const lines = errorsOf(ran);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^deft: /);
  expect(lines[0]).toMatch(message);
  expect(ran.status).toBe(1);
  expect(readdirSync(cwd), "nothing is left behind").toEqual([]);
}

describe("train", () => {
  it.each(cases)("%s", (_name, words, message) => expectRefused(["train", ...words()], message));
});

it("pretrain: weights to start from that do not fit", () =>
  expectRefused(["pretrain", `model.ckpt_path=${at("other.safetensors")}`], MISFIT));
