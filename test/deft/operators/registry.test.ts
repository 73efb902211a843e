// Every registered degradation, so that none is forgotten: adjoint and pseudo-inverse of the linear ones and of their pairs at odd
// and non-square sides in one and three channels, and a group of tests of its own by its word.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { DegradationKind, Resources } from "../../../src/deft/degradation.ts";
import { UserError } from "../../../src/deft/errors.ts";
import type { ImageSize, Operator } from "../../../src/deft/operator.ts";
import { compose, imageSizeOf } from "../../../src/deft/operators/compose.ts";
import { degradations } from "../../../src/deft/operators/registry.ts";
import type { Engine } from "../../../src/tensor/index.ts";
import { randomArray } from "../../helpers/check-op.ts";
import { checkOperator } from "../../helpers/check-operator.ts";
import { testEngine } from "../../helpers/engine.ts";

const NUMBERS: Readonly<Record<string, number>> = { k: 3, q: 50, n: 3 };
const SHAPES: readonly ImageSize[] = [
  [1, 9, 15],
  [3, 15, 9],
  [1, 27, 9],
  [3, 27, 27],
];
/** ‖A A† A x − A x‖/‖A x‖ at most. */
const PINV = 3e-5;
const BATCH = [0, 1];

function resourcesFor([, height, width]: ImageSize): Resources {
  return {
    masks: {
      ...{ name: "random", height, width },
      mask: (i) => randomArray(height * width, i + 9).map((v) => Number(v > -0.3)),
    },
    kernel: { values: [0.2, 0.5, 0.1, 0.2], height: 2, width: 2 },
    kernelWizard: null,
    ...{ ct: { numAngles: 7 }, phase: {}, blur: {}, blurSeed: 1 },
  };
}

const numberOf = (kind: DegradationKind): number => NUMBERS[kind.number?.symbol ?? ""] ?? 0;

function operatorOf(engine: Engine, kind: DegradationKind, shape: ImageSize): Operator {
  return kind.prepare(shape, numberOf(kind), resourcesFor(shape)).make(engine, BATCH);
}

/** What `make` gives, or null where it refuses the images. */
function unlessRefused<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

const isLinear = async (kind: DegradationKind): Promise<boolean> => {
  const engine = await testEngine();
  return engine.scope(() =>
    SHAPES.some((shape) => unlessRefused(() => operatorOf(engine, kind, shape))?.isLinear),
  );
};
// A network of the user's is no linear operator, and there are no weights here.
const made = degradations.filter(({ file }) => file !== "weights");
const linear: DegradationKind[] = [];
for (const kind of made) if (await isLinear(kind)) linear.push(kind);

describe("every linear degradation", () => {
  it.each(linear.map((kind) => [kind.word, kind] as const))("%s", async (word, kind) => {
    const engine = await testEngine();
    const channels = new Set<number>();
    for (const shape of SHAPES) {
      if (!engine.scope(() => unlessRefused(() => operatorOf(engine, kind, shape)))) continue;
      channels.add(shape[0]);
      await checkOperator({
        make: (e) => operatorOf(e, kind, shape),
        n: BATCH.length,
        isLinear: true,
        ...(word !== "ct" && { pinv: PINV }),
      });
    }
    expect([...channels], "channels").toEqual(word === "color" ? [3] : [1, 3]);
  });
});

describe("every pair of linear degradations", () => {
  it.each(linear.map((kind) => [kind.word, kind] as const))("%s, then each", async (_word, first) => {
    const engine = await testEngine();
    const shape: ImageSize = [3, 27, 9];
    const make = (e: Engine, second: DegradationKind) => {
      const before = operatorOf(e, first, shape);
      const after = operatorOf(e, second, imageSizeOf(before));
      return compose(`${first.word}-${second.word}`, [before, after]);
    };
    let pairs = 0;
    for (const second of linear) {
      const isOnto = engine.scope(() =>
        unlessRefused(() => [make(engine, second), operatorOf(engine, first, shape).isOnto] as const),
      );
      if (!isOnto) continue;
      pairs++;
      await checkOperator({
        make: (e) => make(e, second),
        n: BATCH.length,
        isLinear: true,
        ...(first.word !== "ct" && second.word !== "ct" && { pinv: PINV }),
      });
    }
    expect(pairs).toBeGreaterThan(5);
  });
});

describe("every degradation", () => {
  it.each(made.map((kind) => [kind.word, kind] as const))(
    "%s says the shape that it gives",
    async (_, kind) => {
      const engine = await testEngine();
      for (const shape of SHAPES) {
        const operator = engine.scope(() => unlessRefused(() => operatorOf(engine, kind, shape).outShape));
        if (!operator) continue;
        const said = kind.outShape?.(shape, numberOf(kind), resourcesFor(shape)) ?? shape;
        expect([...said], shape.join("x")).toEqual([...operator]);
      }
    },
  );

  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.ts"));
  const groups = files.flatMap((name) => {
    const text = readFileSync(path.join(import.meta.dirname, name), "utf8");
    return [...text.matchAll(/^describe\("([^"]+)"/gm)].flatMap((m) => (m[1] as string).split(", "));
  });
  it.each(degradations.map(({ word }) => word))("%s has a describe() of its own", (word) =>
    expect(groups).toContain(word),
  );
});
