// What float16 costs: the recorded networks once more, frozen, with weights and features in float16.
import type { Engine } from "../../../src/tensor/index.ts";
import { Entry, type Result } from "./entry.ts";
import type { Folder } from "./manifest.ts";
import { isHTransform, load, unetOf } from "./networks.ts";

export interface HalfError {
  readonly id: string;
  /** ‖y16 − y‖/‖y‖ against the recorded ε. */
  readonly error: number;
}

/** The error of every recorded prior's ε on a device that has shader-f16. */
export async function halfErrors(engine: Engine, folder: Folder): Promise<HalfError[]> {
  const errors: HalfError[] = [];
  for (const fixture of folder.fixtures) {
    const isPrior = fixture.kind === "unet" || fixture.kind === "weights";
    if (!isPrior || !fixture.outputs.some((o) => o.name === "y")) continue;
    const entry = new Entry(engine, folder, fixture, await folder.read(fixture));
    const state = await entry.stateDict(() => true, true);
    if (isHTransform(state) || "pool" in fixture.config) continue;
    const network = unetOf(fixture.config, state);
    const { set } = await load(engine, network.declarations, state, { trainable: false, half: true });
    const labels = entry.tensors.has("label") ? entry.numbers("label") : null;
    const result: Result = await entry.compute(() => ({
      y: network.forward(entry.tensor("x"), entry.numbers("t"), labels),
    }));
    set.dispose();
    errors.push({ id: fixture.id, error: distance(result.get("y") ?? [], entry.stored("y").data) });
  }
  return errors;
}

function distance(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let [error, size] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    error += ((got[i] ?? NaN) - (want[i] as number)) ** 2;
    size += (want[i] as number) ** 2;
  }
  return Math.sqrt(error / size);
}
