import { afterEach, beforeEach, expect } from "vitest";
import { testEngine } from "./engine.ts";

/** Each test of the file gives back the GPU memory that it took. */
export function expectNothingLeft(): void {
  let before = 0;
  beforeEach(async () => {
    before = (await testEngine()).device.pool.stats.live;
  });
  afterEach(async () => {
    const engine = await testEngine();
    engine.dropTape();
    await engine.device.queue.idle();
    expect(engine.device.pool.stats.live - before, "every test gives back what it took").toBe(0);
  });
}
