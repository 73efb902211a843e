// Which of this program's two networks a weight file holds, told by its names.
import { UserError } from "../deft/errors.ts";

const KINDS = {
  prior: { text: "a prior", option: "model.ckpt_path" },
  transform: { text: "an h-transform", option: "htransform_model.ckpt_path" },
} as const;

type Kind = keyof typeof KINDS;

/** Throws a UserError where the tensors are those of the other network; `what`: the option and its file. What is neither may fit or not. */
export function checkKind(names: readonly string[], wanted: Kind, what: string): void {
  const found = kindOf(names);
  if (found === null || found === wanted) return;
  const { text, option } = KINDS[found];
  throw new UserError(
    `${what}: the weights of ${text}; expected those of ${KINDS[wanted].text}; pass this file as ${option}=FILE`,
  );
}

/** Both are UNets; the h-transform has its time gate beside. */
function kindOf(names: readonly string[]): Kind | null {
  if (names.some((name) => name.startsWith("log_likelihood_scaling."))) return "transform";
  return names.includes("output_blocks.0.0.in_layers.0.weight") ? "prior" : null;
}
