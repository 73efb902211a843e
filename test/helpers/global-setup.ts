// Prints the adapter before the first test; without one the whole run fails here.
import { testGpu } from "./gpu.ts";

export async function setup(): Promise<void> {
  console.log((await testGpu()).line);
}
