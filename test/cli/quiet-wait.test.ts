import { expect, test, vi } from "vitest";
import { waitQuietly } from "../../src/cli/quiet-wait.ts";

test("one loop rests, however many waits follow each other, and it ends with them", async () => {
  const rests = vi.spyOn(Atomics, "wait");
  const round = () => new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 200; i++) {
    const settled = Promise.resolve();
    waitQuietly(settled);
    await settled;
  }
  let settle = (): void => undefined;
  waitQuietly(new Promise<void>((resolve) => (settle = resolve)));
  const since = performance.now();
  await round();
  while (performance.now() < since + 1) await round();
  rests.mockClear();
  for (let i = 0; i < 10; i++) await round();
  expect(rests.mock.calls.length).toBeGreaterThan(5);
  expect(rests.mock.calls.length).toBeLessThan(15);
  settle();
  await round();
  await round();
  rests.mockClear();
  for (let i = 0; i < 5; i++) await round();
  expect(rests).not.toHaveBeenCalled();
  rests.mockRestore();
});
