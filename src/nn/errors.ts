/** Weights that do not fit the network, or a checkpoint that cannot be used; lists what is missing, unexpected or misshaped. */
export class CheckpointError extends Error {
  override name = "CheckpointError";
}
