// One line an op.
export { silu } from "./silu.ts";
