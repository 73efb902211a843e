// `deft inspect FILE`: what a weight file holds, safetensors or PyTorch.
import { UserError } from "../../deft/errors.ts";
import { quoted } from "../../nn/strict-json.ts";
import { openWeights } from "../../io/weights.ts";

const USAGE =
  "deft inspect FILE: list the tensors of a weight file, safetensors or what torch.save wrote: type, shape, count and name of each, their total, and what else the file states";

/** Prints each tensor's type, shape, count and name, the total and the metadata. Throws UserError. */
export async function inspect(args: readonly string[]): Promise<void> {
  const [file, ...rest] = args;
  if (args.some((word) => word === "--help" || word === "-h")) return console.log(USAGE);
  if (file === undefined || rest.length > 0)
    throw new UserError(`inspect: takes one file; got ${args.length}; expected deft inspect FILE`);
  const weights = await openWeights(file, { all: true });
  await weights.close();
  const rows = weights.names.map((name) => {
    const { dtype, shape } = weights.info(name);
    const count = shape.reduce((product, size) => product * size, 1);
    return { name: plain(name), dtype, shape: `[${shape.join(", ")}]`, count };
  });
  // Loops, not spreads: a file may hold more tensors than a call takes arguments.
  const width = rows.reduce((most, { shape }) => Math.max(most, shape.length), 0);
  const total = rows.reduce((sum, { count }) => sum + count, 0);
  const digits = String(total).length;
  const lines = rows.map(
    ({ name, dtype, shape, count }) =>
      `${dtype.padEnd(4)}  ${shape.padEnd(width)}  ${String(count).padStart(digits)}  ${name}`,
  );
  lines.push(`${rows.length} ${rows.length === 1 ? "tensor" : "tensors"}, ${total} numbers`);
  for (const [key, text] of weights.metadata) lines.push(`metadata ${plain(key)}: ${plain(text)}`);
  console.log(lines.join("\n"));
}

/** A text as it stands, or in quotes where it could move the terminal's cursor or break the line. */
function plain(text: string): string {
  return /^[\p{L}\p{N}\p{P}\p{S} ]*$/u.test(text) ? text : quoted(text);
}
