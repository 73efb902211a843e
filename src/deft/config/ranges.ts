// Ranges of timesteps, steps of samplers, sizes of masks: what follows from them, and which are none.
import { UserError } from "../errors.ts";
import type { Value } from "./fields.ts";

/** Keys of how many steps a sampler takes. */
const stepKeys = (values: ReadonlyMap<string, Value>): string[] => [
  ...["exp.num_steps", "algo.val_args.num_steps", "algo.soc.num_steps"],
  ...[...values.keys()].filter((key) => /^compare\..*num_steps$/.test(key)),
];

/** The range of sampling is the schedule's unless it is named; so many steps as are left open are no more than it has. */
export function followRange(values: Map<string, Value>, explicit: Pick<ReadonlySet<string>, "has">): void {
  const n = (key: string) => Number(values.get(key));
  if (!explicit.has("exp.start_step")) values.set("exp.start_step", n("diffusion.num_diffusion_timesteps"));
  const range = n("exp.start_step") - n("exp.end_step");
  for (const key of stepKeys(values))
    if (!explicit.has(key) && range > 0 && n(key) > range) values.set(key, range);
}

/** Throws a UserError for ranges that are empty or beyond the schedule. */
export function checkRanges(values: ReadonlyMap<string, Value>): void {
  const n = (key: string) => Number(values.get(key));
  const steps = n("diffusion.num_diffusion_timesteps");
  const [start, end] = [n("exp.start_step"), n("exp.end_step")];
  if (end >= start || start > steps) {
    throw new UserError(
      `exp.start_step: wrong range; got end_step ${end}, start_step ${start}; expected end_step < start_step <= ${steps}`,
    );
  }
  for (const key of stepKeys(values)) {
    if (n(key) > start - end) {
      throw new UserError(
        `${key}: more steps than the schedule has; got ${n(key)}; expected at most ${start - end}`,
      );
    }
  }
  const [least, largest] = [
    n("likelihood.forward_op.min_mask_size"),
    n("likelihood.forward_op.max_mask_size"),
  ];
  if (least > largest) {
    throw new UserError(
      `likelihood.forward_op.min_mask_size: above max_mask_size; got ${least} and ${largest}; expected the smaller first`,
    );
  }
}
