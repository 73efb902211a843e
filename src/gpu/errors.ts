/** The adapter, the device or one of its limits. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/** Kernels that the user asked for (DeviceOptions.kernels, .tuning) and that there are not, or not on this adapter. */
export class ChoiceError extends Error {
  override name = "ChoiceError";
}

/** A kernel that cannot be compiled or launched; the message names kernel, variant and sizes. */
export class KernelError extends Error {
  override name = "KernelError";
}
